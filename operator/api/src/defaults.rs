//! Values in force where a spec leaves them out. They are not in the schema, where they would fight with tools that compare what
//! was written with what is stored; they are filled in when a spec is resolved.

use crate::{
    cache::CacheAuthentication,
    exposures::TrafficSource,
    identity::IdentityType,
    nodes::CapacityType,
    policy::{AdoptionPolicy, ChangePolicy, DeletionPolicy, DriftPolicy},
};

/// `policy.deletion`.
pub const DELETION: DeletionPolicy = DeletionPolicy::Snapshot;
/// `policy.adoption`.
pub const ADOPTION: AdoptionPolicy = AdoptionPolicy::IfTagged;
/// `policy.drift`.
pub const DRIFT: DriftPolicy = DriftPolicy::Repair;
/// `policy.driftInterval`.
pub const DRIFT_INTERVAL: &str = "1h";
/// `policy.changes`.
pub const CHANGES: ChangePolicy = ChangePolicy::ApproveDisruptive;

/// `prometheus.pods.namespace` of a Platform: where most install kube-prometheus-stack.
pub const PROMETHEUS_NAMESPACE: &str = "monitoring";
/// `prometheus.pods.labels` of a Platform: what the Prometheus Operator gives to the pods of Prometheus.
pub const PROMETHEUS_LABELS: [(&str, &str); 1] = [("app.kubernetes.io/name", "prometheus")];

/// `identity.type`.
pub const IDENTITY: IdentityType = IdentityType::PodIdentity;

/// `scaling` when it is left out: a fixed number of replicas, one a zone of the usual two.
pub const REPLICAS: i32 = 2;
/// `scaling.autoscale.cpu`, in percent, when no other target is set.
pub const CPU_TARGET_PERCENT: i32 = 60;

/// `nodes.nodeGroup.instanceTypes`.
pub const INSTANCE_TYPE: &str = "m7g.large";
/// `nodes.nodeGroup.capacityType`.
pub const CAPACITY_TYPE: CapacityType = CapacityType::OnDemand;
/// `nodes.nodeGroup.diskSize`, in GiB.
pub const DISK_SIZE_GIB: i32 = 20;
/// `nodes.nodeGroup.min`.
pub const NODES_MIN: i32 = 3;
/// `nodes.nodeGroup.max`, as a multiple of `min`.
pub const NODES_MAX_FACTOR: i32 = 3;
/// `nodes.nodeGroup.update.maxUnavailable`.
pub const NODES_MAX_UNAVAILABLE: i32 = 1;

/// `workload.resources.requests.cpu`.
pub const CPU_REQUEST: &str = "100m";
/// `workload.resources.requests.memory`, and the limit.
pub const MEMORY_REQUEST: &str = "128Mi";
/// `workload.tmpDir.sizeLimit`.
pub const TMP_SIZE_LIMIT: &str = "64Mi";
/// `accessModes` of a volume claim for each pod.
pub const ACCESS_MODE: &str = "ReadWriteOnce";
/// User, group and fsGroup of `workload.podSecurityContext`.
pub const RUN_AS_USER: i64 = 1000;
/// `workload.rollout.maxSurge`.
pub const MAX_SURGE: &str = "25%";
/// `workload.rollout.maxUnavailable`.
pub const MAX_UNAVAILABLE: i32 = 0;
/// `workload.rollout.progressDeadlineSeconds`.
pub const PROGRESS_DEADLINE_SECONDS: i32 = 600;
/// `workload.lifecycle.terminationGracePeriodSeconds`.
pub const TERMINATION_GRACE_PERIOD_SECONDS: i64 = 45;
/// `workload.lifecycle.preStopSeconds`.
pub const PRE_STOP_SECONDS: i64 = 15;
/// `workload.metrics.path`.
pub const METRICS_PATH: &str = "/metrics";
/// `workload.probes.*.periodSeconds`.
pub const PROBE_PERIOD_SECONDS: i32 = 10;
/// `workload.probes.*.timeoutSeconds`.
pub const PROBE_TIMEOUT_SECONDS: i32 = 1;
/// `workload.probes.*.failureThreshold`.
pub const PROBE_FAILURE_THRESHOLD: i32 = 3;
/// `disruption.maxUnavailable`.
pub const DISRUPTION_MAX_UNAVAILABLE: i32 = 1;

/// `encryption.managed.rotationPeriodDays`.
pub const KEY_ROTATION_PERIOD_DAYS: i32 = 365;

/// `recoveryPeriodDays` of a table.
pub const TABLE_RECOVERY_PERIOD_DAYS: i32 = 35;
/// `targetUtilization` of the scaled capacity of a table, in percent.
pub const CAPACITY_TARGET_PERCENT: i32 = 70;
/// `scaleInCooldownSeconds` and `scaleOutCooldownSeconds` of the scaled capacity of a table.
pub const CAPACITY_COOLDOWN_SECONDS: i32 = 0;

/// `cache.version` for Valkey.
pub const VALKEY_VERSION: &str = "8.1";
/// `cache.version` for Redis.
pub const REDIS_VERSION: &str = "7.1";
/// `cache.replicas`.
pub const CACHE_REPLICAS: i32 = 1;
/// `cache.snapshotRetentionDays`.
pub const CACHE_SNAPSHOT_RETENTION_DAYS: i32 = 1;
/// `cache.users[].authentication`.
pub const CACHE_AUTHENTICATION: CacheAuthentication = CacheAuthentication::IAM;
/// `cache.users[].accessString`.
pub const CACHE_ACCESS_STRING: &str = "on ~* &* +@all";

/// `media.archiveAfterInactiveDays`.
pub const ARCHIVE_AFTER_INACTIVE_DAYS: i32 = 180;
/// `media.noncurrentVersionDays`.
pub const NONCURRENT_VERSION_DAYS: i32 = 30;
/// `media.cors[].maxAgeSeconds`.
pub const CORS_MAX_AGE_SECONDS: i32 = 3600;

/// `database.rds.backupRetentionDays`.
pub const BACKUP_RETENTION_DAYS: i32 = 7;
/// `database.rds.username`.
pub const DATABASE_USERNAME: &str = "shopkeeper";
/// `database.rds.caCertificate`.
pub const CA_CERTIFICATE: &str = "rds-ca-rsa2048-g1";
/// Days that Performance Insights keeps, which is what costs nothing.
pub const PERFORMANCE_INSIGHTS_DAYS: i32 = 7;

/// `notifications.queues[].maxReceives`.
pub const MAX_RECEIVES: i32 = 5;
/// `notifications.queues[].visibilityTimeoutSeconds`.
pub const VISIBILITY_TIMEOUT_SECONDS: i32 = 30;
/// `notifications.queues[].retentionSeconds`.
pub const QUEUE_RETENTION_SECONDS: i32 = 345_600;
/// `notifications.queues[].deadLetterRetentionSeconds`, and the same of topics.
pub const DEAD_LETTER_RETENTION_SECONDS: i32 = 1_209_600;
/// `notifications.queues[].receiveWaitSeconds`.
pub const RECEIVE_WAIT_SECONDS: i32 = 20;

/// `frontends[].healthPath` and the path of a probe, where there is no other.
pub const HEALTH_PATH: &str = "/";
/// `loadBalancer.idleTimeoutSeconds`.
pub const IDLE_TIMEOUT_SECONDS: i32 = 60;
/// `loadBalancer.deregistrationDelaySeconds`.
pub const DEREGISTRATION_DELAY_SECONDS: i32 = 30;
/// `gateway.trafficFrom`: where the load balancers of the AWS Load Balancer Controller that serve customers are.
pub const GATEWAY_TRAFFIC_FROM: TrafficSource = TrafficSource::PublicSubnets;
/// `tls.policy`.
pub const TLS_POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";
