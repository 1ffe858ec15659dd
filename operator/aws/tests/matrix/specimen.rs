//! One specimen of each kind: a desired resource with every field set, and what it rests on. With its other values the one thing that
//! is written for each kind; a kind without one does not compile.

use std::collections::BTreeSet;

use serde_json::json;
use shopkeeper_plan::aws::{
    AccessString, AwsKind, AwsResource, CacheAuthentication, CacheEngine, CacheParameterGroup,
    CacheReplicationGroup, CacheSubnetGroup, CacheUser, Capacity, CapacityType, FargateProfile,
    FargateSelector, IamRole, IntelligentTiering, KmsKey, NodeGroup, NodeGroupUpdate,
    PodIdentityAssociation, RdsInstance, RdsParameterGroup, RdsSubnetGroup, RedrivePolicy,
    S3Bucket, ScalableDimension, ScalableTarget, SnsSubscription, SqsQueue, SubscriptionProtocol,
    Tags, Throughput, TransitEncryption, password_secret,
};

use crate::{
    building_blocks::{
        allow, bucket_policy, cors, key_policy, lifecycle, managed, queue, queue_arn, queue_policy,
        secret, table, taint, text_map, topic, trust, user_group,
    },
    double::{CLUSTER, REGION},
    ground::{GROUND, Ground},
};

/// A resource of a kind that has every field set, and what has to be there before it.
pub struct Specimen {
    /// What it rests on and cannot be shared, in the order of making.
    pub prerequisites: Vec<AwsResource>,
    /// The resource.
    pub resource: AwsResource,
}

/// The specimen of a kind under a name: lower case letters, digits and hyphens, at most 40 of them.
pub fn specimen(kind: AwsKind, ground: &Ground, name: &str) -> Specimen {
    let tags = Tags::new();
    let subnets: BTreeSet<String> = ground.seed.private_subnets().into_iter().collect();
    let mut prerequisites: Vec<AwsResource> = Vec::new();
    let resource = match kind {
        AwsKind::KmsKey => KmsKey {
            alias: Some(format!("alias/{name}")),
            description: "Data".into(),
            policy: Some(key_policy("Owner")),
            rotation_period_days: Some(365),
            enabled: true,
            tags,
        }
        .into(),
        AwsKind::IamRole => IamRole {
            name: name.into(),
            description: "Pods".into(),
            trust_policy: trust("pods.eks.amazonaws.com"),
            inline_policies: [("data".to_owned(), allow("sns:Publish"))].into(),
            managed_policy_arns: [managed("AmazonEKSWorkerNodePolicy")].into(),
            tags,
        }
        .into(),
        AwsKind::NodeGroup => NodeGroup {
            cluster: CLUSTER.into(),
            name: name.into(),
            node_role_arn: ground.node_role.clone(),
            subnets,
            instance_types: vec!["m7g.large".into(), "m6g.large".into()],
            capacity_type: CapacityType::Spot,
            ami_type: "AL2023_ARM_64_STANDARD".into(),
            disk_size: Some(40),
            labels: [("tier".to_owned(), "app".to_owned())].into(),
            taints: [taint("spot")].into(),
            min_size: 1,
            max_size: 4,
            desired_size: Some(2),
            update: NodeGroupUpdate::MaxUnavailablePercentage(33),
            version: Some("1.35".into()),
            release_version: None,
            force_update: false,
            tags,
        }
        .into(),
        AwsKind::FargateProfile => FargateProfile {
            cluster: CLUSTER.into(),
            name: name.into(),
            pod_execution_role_arn: ground.fargate_role.clone(),
            subnets,
            selectors: [FargateSelector {
                namespace: "shop".into(),
                labels: [("profile".to_owned(), name.to_owned())].into(),
            }]
            .into(),
            tags,
        }
        .into(),
        AwsKind::PodIdentityAssociation => PodIdentityAssociation {
            cluster: CLUSTER.into(),
            namespace: "shop".into(),
            service_account: name.into(),
            role_arn: ground.pod_roles[0].clone(),
            tags,
        }
        .into(),
        AwsKind::DynamoDbTable => table(
            name,
            Capacity::OnDemand {
                max_read: Some(20_000),
                max_write: Some(20_000),
            },
            &ground.keys[0],
        )
        .into(),
        AwsKind::ScalableTarget => {
            let units = Capacity::Provisioned(Throughput {
                read: 10,
                write: 10,
            });
            let mut scaled = table(name, units, &ground.keys[0]);
            scaled.global_indexes.clear();
            scaled.index_warm_units.clear();
            (scaled.warm_read_units, scaled.warm_write_units) = (None, None);
            scaled.deletion_protection = false;
            prerequisites.push(scaled.into());
            ScalableTarget {
                resource_id: ScalableTarget::resource_of(name, None),
                dimension: ScalableDimension::TableReads,
                min_capacity: 5,
                max_capacity: 500,
                suspended: false,
                target_utilization: Some(70.0),
                scale_in_cooldown_seconds: 60,
                scale_out_cooldown_seconds: 30,
                scale_in_disabled: false,
                tags,
            }
            .into()
        }
        AwsKind::CacheSubnetGroup => CacheSubnetGroup {
            name: name.into(),
            description: "Carts".into(),
            subnets,
            tags,
        }
        .into(),
        AwsKind::CacheParameterGroup => CacheParameterGroup {
            name: name.into(),
            family: "valkey8".into(),
            description: "Carts".into(),
            parameters: text_map("maxmemory-policy", "allkeys-lru"),
            tags,
        }
        .into(),
        AwsKind::CacheReplicationGroup => {
            prerequisites.push(user_group(name).into());
            CacheReplicationGroup {
                id: name.into(),
                description: "Carts".into(),
                engine: CacheEngine::Redis,
                engine_version: Some("7.1".into()),
                node_type: "cache.t4g.small".into(),
                replicas: 1,
                multi_az: true,
                transit_encryption: TransitEncryption::Required,
                kms_key_arn: Some(ground.keys[0].clone()),
                subnet_group: GROUND.into(),
                parameter_group: Some("ground-redis".into()),
                security_groups: [ground.security_groups[0].clone()].into(),
                user_group: Some(name.into()),
                other_user_group: None,
                port: 6379,
                snapshot_retention_days: 1,
                snapshot_window: Some("02:00-03:00".into()),
                maintenance_window: Some("sun:05:00-sun:06:00".into()),
                auto_minor_version_upgrade: Some(true),
                tags,
            }
            .into()
        }
        AwsKind::CacheUserGroup => user_group(name).into(),
        AwsKind::CacheUser => {
            prerequisites.push(secret(&password_secret(name), &ground.keys[0]).into());
            CacheUser {
                id: name.into(),
                user_name: name.into(),
                access_string: AccessString::from("on ~* &* +@all".to_owned()),
                authentication: CacheAuthentication::Password,
                password_current: Some(true),
                tags,
            }
            .into()
        }
        AwsKind::SecretsManagerSecret => secret(name, &ground.keys[0]).into(),
        AwsKind::RdsSubnetGroup => RdsSubnetGroup {
            name: name.into(),
            description: "Orders".into(),
            subnets,
            tags,
        }
        .into(),
        AwsKind::RdsParameterGroup => RdsParameterGroup {
            name: name.into(),
            family: "postgres16".into(),
            description: "Orders".into(),
            parameters: text_map("autovacuum_naptime", "30"),
            tags,
        }
        .into(),
        AwsKind::RdsInstance => RdsInstance {
            identifier: name.into(),
            engine: "postgres".into(),
            engine_version: "16.4".into(),
            instance_class: "db.r7g.large".into(),
            allocated_storage: 400,
            max_allocated_storage: Some(1000),
            storage_type: "gp3".into(),
            iops: Some(12_000),
            multi_az: true,
            database_name: Some("orders".into()),
            username: "shop".into(),
            port: 5433,
            subnet_group: GROUND.into(),
            parameter_group: "ground-one".into(),
            security_groups: [ground.security_groups[0].clone()].into(),
            kms_key_arn: Some(ground.keys[0].clone()),
            backup_retention_days: 7,
            backup_window: Some("02:00-03:00".into()),
            maintenance_window: Some("sun:04:00-sun:05:00".into()),
            deletion_protection: true,
            performance_insights: true,
            log_exports: ["postgresql".to_owned()].into(),
            auto_minor_version_upgrade: true,
            ca_certificate: Some("rds-ca-rsa2048-g1".into()),
            publicly_accessible: false,
            managed_password: true,
            copy_tags_to_snapshot: true,
            tags,
        }
        .into(),
        AwsKind::S3Bucket => S3Bucket {
            name: name.into(),
            region: REGION.into(),
            versioning: true,
            kms_key_arn: Some(ground.keys[0].clone()),
            public_access_blocked: true,
            owner_enforced: true,
            policy: Some(bucket_policy(name, "tls")),
            lifecycle: vec![lifecycle("a", 30)],
            intelligent_tiering: Some(IntelligentTiering {
                archive_days: 90,
                deep_archive_days: Some(180),
            }),
            cors: vec![cors("https://shop.example")],
            tags,
        }
        .into(),
        AwsKind::SnsTopic => topic(&format!("{name}.fifo")).into(),
        AwsKind::SnsSubscription => {
            let buy = topic(name);
            let topic_arn = buy.arn.clone();
            prerequisites.push(buy.into());
            SnsSubscription {
                topic_arn,
                protocol: SubscriptionProtocol::Sqs,
                endpoint: ground.queues[0].clone(),
                filter_policy: Some(json!({"state": ["placed"]})),
                raw_delivery: true,
                dead_letter_arn: Some(ground.queues[1].clone()),
                tags,
            }
            .into()
        }
        AwsKind::SqsQueue => {
            // A FIFO queue wants dead letters of its own type.
            let dead = format!("{name}-dead.fifo");
            prerequisites.push(queue(&dead).into());
            SqsQueue {
                content_based_deduplication: true,
                kms_key_arn: Some(ground.keys[0].clone()),
                redrive: Some(RedrivePolicy {
                    dead_letter_arn: queue_arn(&dead),
                    max_receives: 5,
                }),
                policy: Some(queue_policy(&format!("{name}.fifo"), "topic")),
                tags,
                ..queue(&format!("{name}.fifo"))
            }
            .into()
        }
    };
    for prerequisite in &mut prerequisites {
        prerequisite.tags_mut().clear();
    }
    Specimen {
        prerequisites,
        resource,
    }
}

/// Fields that a specimen leaves out, and why.
pub const NOT_SET: &[(AwsKind, &str, &str)] = &[
    (
        AwsKind::NodeGroup,
        "releaseVersion",
        "a group follows either a version or a release of the AMI",
    ),
    (AwsKind::DynamoDbTable, "policy", NO_POLICY),
    (AwsKind::SecretsManagerSecret, "policy", NO_POLICY),
    (
        AwsKind::SnsTopic,
        "policy",
        "a topic has the one that SNS gives it",
    ),
];

pub const NO_POLICY: &str = "no policy is wished for";

/// A glob over the operations that are throttled by chance, where some have to be spared, and why.
pub fn throttled_operations(kind: AwsKind) -> (&'static str, &'static str) {
    match kind {
        AwsKind::KmsKey => (
            "[!L]*",
            "without its alias a key is looked for by the tags of all keys, and one refusal refuses the whole observation",
        ),
        AwsKind::S3Bucket => (
            "[!G]*",
            "an observation takes ten reads, and all of them hardly ever come through",
        ),
        _ => ("*", ""),
    }
}
