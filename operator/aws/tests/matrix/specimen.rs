//! One specimen of each kind: a desired resource with every field set, what it rests on, and other values for its fields. The one thing
//! that is written for each kind; a kind without one does not compile.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shopkeeper_aws::Account;
use shopkeeper_plan::aws::{
    AccessString, AwsKind, AwsResource, CacheAuthentication, CacheEngine, CacheParameterGroup,
    CacheReplicationGroup, CacheSubnetGroup, CacheUser, CacheUserGroup, Capacity, CapacityType,
    CorsRule, DynamoDbTable, FargateProfile, FargateSelector, IamRole, IntelligentTiering, Key,
    KeyAttribute, KeyType, KmsKey, LifecycleRule, NodeGroup, NodeGroupUpdate,
    PodIdentityAssociation, PointInTimeRecovery, Projection, RdsInstance, RdsParameterGroup,
    RdsSubnetGroup, RedrivePolicy, S3Bucket, ScalableDimension, ScalableTarget, SecondaryIndex,
    SecretsManagerSecret, SnsSubscription, SnsTopic, SqsQueue, StreamView, SubscriptionProtocol,
    TableClass, Tags, Taint, TaintEffect, Throughput, TransitEncryption, password_secret,
};

use crate::double::{ACCOUNT_ID, CLUSTER, Double, REGION, Seed, converge, owner_tags};

/// Names of fields and their values, to be set together.
pub type Values = Vec<(&'static str, Value)>;

/// A resource of a kind that has every field set, and what has to be there before it.
pub struct Specimen {
    /// What it rests on and cannot be shared, in the order of making.
    pub prerequisites: Vec<AwsResource>,
    /// The resource.
    pub resource: AwsResource,
}

/// What all specimens may rest on: made once, by somebody else.
pub struct Ground {
    pub double: Double,
    pub seed: Seed,
    /// An account of another actor, for drift.
    pub somebody_else: Account,
    /// ARNs of two keys.
    pub keys: [String; 2],
    /// ARNs of two roles for pods.
    pub pod_roles: [String; 2],
    /// ARN of a role for nodes.
    pub node_role: String,
    /// ARN of a role by which Fargate runs pods.
    pub fargate_role: String,
    /// Two security groups.
    pub security_groups: [String; 2],
    /// ARNs of two queues.
    pub queues: [String; 2],
}

const GROUND: &str = "ground";
const CACHE_USERS: [&str; 3] = ["ground-default", "ground-app", "ground-more"];

impl Ground {
    pub async fn make() -> Self {
        let (double, seed) = Double::start_seeded();
        double.transition_seconds(0.0);
        let account = double.account();
        let mut keys = Vec::new();
        for alias in ["alias/ground-one", "alias/ground-two"] {
            let key = KmsKey {
                alias: Some(alias.into()),
                description: GROUND.into(),
                policy: None,
                rotation_period_days: None,
                enabled: true,
                tags: owner_tags(),
            };
            keys.push(arn(&double, &account, key).await);
        }
        let mut roles = Vec::new();
        for (name, service) in [
            ("ground-one", "pods.eks.amazonaws.com"),
            ("ground-two", "pods.eks.amazonaws.com"),
            ("ground-nodes", "ec2.amazonaws.com"),
            ("ground-fargate", "eks-fargate-pods.amazonaws.com"),
        ] {
            let role = IamRole {
                name: name.into(),
                description: GROUND.into(),
                trust_policy: trust(service),
                inline_policies: Default::default(),
                managed_policy_arns: Default::default(),
                tags: owner_tags(),
            };
            roles.push(arn(&double, &account, role).await);
        }
        let fargate_role = roles.pop().unwrap();
        let node_role = roles.pop().unwrap();
        let mut queues = Vec::new();
        for name in ["ground-one", "ground-two"] {
            queues.push(arn(&double, &account, queue(name)).await);
        }
        for user in CACHE_USERS {
            let is_default = user == CACHE_USERS[0];
            let user = CacheUser {
                id: user.into(),
                user_name: if is_default { "default" } else { user }.into(),
                access_string: if is_default {
                    AccessString::nothing()
                } else {
                    AccessString::from("on ~* &* +@all".to_owned())
                },
                authentication: if is_default {
                    CacheAuthentication::Password
                } else {
                    CacheAuthentication::Iam
                },
                password_current: None,
                tags: owner_tags(),
            };
            converge(&double, &account, user).await;
        }
        let subnets: BTreeSet<String> = seed.private_subnets().into_iter().collect();
        let cache_subnets = CacheSubnetGroup {
            name: GROUND.into(),
            description: GROUND.into(),
            subnets: subnets.clone(),
            tags: owner_tags(),
        };
        converge(&double, &account, cache_subnets).await;
        let database_subnets = RdsSubnetGroup {
            name: GROUND.into(),
            description: GROUND.into(),
            subnets,
            tags: owner_tags(),
        };
        converge(&double, &account, database_subnets).await;
        for (name, family) in [
            ("ground-redis", "redis7"),
            ("ground-one", "valkey8"),
            ("ground-two", "valkey8"),
        ] {
            let of_cache = CacheParameterGroup {
                name: name.into(),
                family: family.into(),
                description: GROUND.into(),
                parameters: Default::default(),
                tags: owner_tags(),
            };
            converge(&double, &account, of_cache).await;
        }
        for name in ["ground-one", "ground-two"] {
            let of_database = RdsParameterGroup {
                name: name.into(),
                family: "postgres16".into(),
                description: GROUND.into(),
                parameters: Default::default(),
                tags: owner_tags(),
            };
            converge(&double, &account, of_database).await;
        }
        let security_groups = [
            double.security_group(&seed, "ground-one"),
            double.security_group(&seed, "ground-two"),
        ];
        Self {
            keys: keys.try_into().unwrap(),
            pod_roles: roles.try_into().unwrap(),
            node_role,
            fargate_role,
            security_groups,
            queues: queues.try_into().unwrap(),
            somebody_else: double.account_of("matrix-somebody-else"),
            double,
            seed,
        }
    }
}

async fn arn(double: &Double, account: &Account, resource: impl Into<AwsResource>) -> String {
    converge(double, account, resource).await.arn.unwrap()
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

const NO_POLICY: &str = "no policy is wished for";

/// Another value of a field, with what has to change along with it; `null` where none can be wished for.
pub fn alternate(resource: &AwsResource, field: &str, ground: &Ground) -> Values {
    let now = resource.to_value();
    let name = resource.name();
    let one = |field: &'static str, value: Value| vec![(field, value)];
    let flipped = |first: &str, second: &str, field: &'static str| {
        let other = if now[field] == first { second } else { first };
        one(field, json!(other))
    };
    let fewer = |field: &'static str| {
        let mut list = now[field].as_array().unwrap().clone();
        list.pop();
        one(field, Value::from(list))
    };
    let known = resource
        .kind()
        .fields()
        .iter()
        .find(|known| known.name == field)
        .unwrap()
        .name;
    match (resource.kind(), known) {
        (_, "kmsKeyArn" | "kmsKeyId") => flipped(&ground.keys[0], &ground.keys[1], "kmsKeyArn"),
        (_, "subnets") => fewer("subnets"),
        (_, "securityGroups") => one("securityGroups", json!([ground.security_groups[1]])),
        (_, "parameterGroup") => flipped("ground-one", "ground-two", "parameterGroup"),
        (_, "maintenanceWindow") => one(known, json!("mon:06:00-mon:07:00")),
        (_, "snapshotWindow" | "backupWindow") => one(known, json!("00:00-01:00")),
        (AwsKind::KmsKey, "rotationPeriodDays") => one(known, json!(180)),
        (AwsKind::KmsKey, "policy") => one(known, key_policy("Others")),
        (AwsKind::IamRole, "trustPolicy") => one(known, trust("ec2.amazonaws.com")),
        (AwsKind::IamRole, "inlinePolicies") => one(
            known,
            json!({"data": allow("sqs:SendMessage"), "more": allow("kms:Decrypt")}),
        ),
        (AwsKind::IamRole, "managedPolicyArns") => {
            one(known, json!([managed("AmazonS3ReadOnlyAccess")]))
        }
        (AwsKind::FargateProfile, "podExecutionRoleArn") => one(known, json!(ground.pod_roles[0])),
        (AwsKind::FargateProfile, "selectors") => {
            one(known, json!([{"namespace": "other", "labels": {}}]))
        }
        (AwsKind::NodeGroup, "taints") => one(known, json!([taint("spot"), taint("batch")])),
        (AwsKind::NodeGroup, "update") => one(known, json!(NodeGroupUpdate::MaxUnavailable(2))),
        (AwsKind::NodeGroup, "version") => {
            vec![(known, json!("1.36")), ("forceUpdate", json!(true))]
        }
        (AwsKind::PodIdentityAssociation, "roleArn") => {
            flipped(&ground.pod_roles[0], &ground.pod_roles[1], "roleArn")
        }
        (AwsKind::NodeGroup, "capacityType") => one(known, json!(CapacityType::OnDemand)),
        (AwsKind::DynamoDbTable, "key") => {
            let mut key = now[known].clone();
            key["partition"]["name"] = json!("shop");
            one(known, key)
        }
        (AwsKind::DynamoDbTable, "localIndexes") => one(known, json!({})),
        (AwsKind::DynamoDbTable, "globalIndexes") => {
            let mut indexes = now[known].clone();
            indexes["by-day"] = json!(index("day"));
            one(known, indexes)
        }
        (AwsKind::DynamoDbTable, "capacity") => {
            let more = Capacity::OnDemand {
                max_read: Some(30_000),
                max_write: Some(30_000),
            };
            one(known, json!(more))
        }
        (AwsKind::DynamoDbTable, "tableClass") => {
            one(known, json!(TableClass::StandardInfrequentAccess))
        }
        (AwsKind::DynamoDbTable, "pointInTimeRecovery") => {
            let shorter = PointInTimeRecovery {
                enabled: true,
                days: Some(7),
            };
            one(known, json!(shorter))
        }
        (AwsKind::DynamoDbTable, "timeToLiveAttribute") => one(known, Value::Null),
        (AwsKind::DynamoDbTable, "indexWarmUnits") => {
            one(known, json!({"by-state": {"read": 14_000, "write": 6_000}}))
        }
        (AwsKind::DynamoDbTable, "stream") => one(known, json!(StreamView::KeysOnly)),
        (AwsKind::CacheParameterGroup, "parameters") => {
            one(known, json!({"maxmemory-policy": "volatile-lru"}))
        }
        (AwsKind::RdsParameterGroup, "parameters") => one(
            known,
            json!({"autovacuum_naptime": "45", "huge_pages": "off"}),
        ),
        (AwsKind::CacheReplicationGroup, "engine") => vec![
            (known, json!(CacheEngine::Valkey)),
            ("engineVersion", json!("8.0")),
            ("parameterGroup", json!("ground-one")),
        ],
        (AwsKind::CacheReplicationGroup, "engineVersion") => one(known, json!("8.1")),
        (AwsKind::CacheReplicationGroup, "nodeType") => one(known, json!("cache.t4g.medium")),
        (AwsKind::CacheReplicationGroup, "replicas") => one(known, json!(2)),
        // A cache with users wants TLS.
        (AwsKind::CacheReplicationGroup, "transitEncryption") => vec![
            (known, json!(TransitEncryption::Preferred)),
            ("userGroup", Value::Null),
        ],
        (AwsKind::CacheReplicationGroup, "userGroup") if now[known].is_null() => vec![
            (known, json!(name)),
            ("transitEncryption", json!(TransitEncryption::Required)),
        ],
        (AwsKind::CacheReplicationGroup, "userGroup") => one(known, Value::Null),
        (AwsKind::CacheUserGroup, "users") => one(known, json!([CACHE_USERS[0], CACHE_USERS[2]])),
        (AwsKind::CacheUser, "accessString") => one(known, json!("on ~carts:* -@all +@read")),
        (AwsKind::CacheUser, "authentication") => one(known, json!(CacheAuthentication::Iam)),
        (AwsKind::RdsInstance, "engineVersion") => one(known, json!("16.6")),
        (AwsKind::RdsInstance, "instanceClass") => one(known, json!("db.r7g.xlarge")),
        (AwsKind::RdsInstance, "allocatedStorage") => one(known, json!(500)),
        (AwsKind::RdsInstance, "storageType") => one(known, json!("io1")),
        (AwsKind::RdsInstance, "logExports") => one(known, json!(["upgrade"])),
        (AwsKind::RdsInstance, "caCertificate") => one(known, json!("rds-ca-rsa4096-g1")),
        (AwsKind::S3Bucket, "policy") => one(known, bucket_policy(&name, "always")),
        (AwsKind::S3Bucket, "lifecycle") => {
            one(known, json!([lifecycle("a", 60), lifecycle("b", 10)]))
        }
        (AwsKind::S3Bucket, "intelligentTiering") => {
            let later = IntelligentTiering {
                archive_days: 120,
                deep_archive_days: None,
            };
            one(known, json!(later))
        }
        (AwsKind::S3Bucket, "cors") => one(known, json!([cors("https://b.example")])),
        (AwsKind::SnsTopic, "policy") => one(known, topic_policy(&name, "others")),
        (AwsKind::SqsQueue, "policy") => one(known, queue_policy(&name, "others")),
        (AwsKind::SqsQueue, "redrive") => one(known, Value::Null),
        (AwsKind::SnsSubscription, "filterPolicy") => one(known, json!({"state": ["shipped"]})),
        (AwsKind::SnsSubscription, "deadLetterArn") => one(known, Value::Null),
        _ => one(known, usual(&now[known])),
    }
}

/// Another value of the same type.
fn usual(value: &Value) -> Value {
    match value {
        Value::Bool(value) => json!(!value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => json!(number + 1),
            None => json!(number.as_f64().unwrap() + 1.0),
        },
        Value::String(text) => json!(format!("{text}-other")),
        Value::Array(list) if list.iter().all(Value::is_string) => {
            json!([list.as_slice(), &[json!("other")]].concat())
        }
        Value::Object(map) => {
            let mut map = map.clone();
            map.insert("other".to_owned(), json!("other"));
            Value::Object(map)
        }
        _ => Value::Null,
    }
}

/// Why the desired value of a field is never another one in a life: it is not tried.
pub fn is_fixed(kind: AwsKind, field: &str) -> Option<&'static str> {
    match (kind, field) {
        (AwsKind::KmsKey, "alias") => Some("it is the name"),
        (AwsKind::KmsKey, "enabled") => Some("no key is wished for that is disabled"),
        (AwsKind::DynamoDbTable | AwsKind::SecretsManagerSecret, "policy") => Some(NO_POLICY),
        (AwsKind::CacheUser, "passwordCurrent") => Some("nobody wishes for an old password"),
        (AwsKind::RdsInstance, "managedPassword") => Some("no other password is known"),
        _ => None,
    }
}

/// Why a field that AWS changes in place is not brought back, beside what its table says.
pub fn has_no_way_back(kind: AwsKind, field: &str) -> Option<&'static str> {
    match (kind, field) {
        (AwsKind::CacheReplicationGroup, "engine") => {
            Some("only Valkey 7.2 goes back to Redis 7.1, and the double knows no way at all")
        }
        _ => None,
    }
}

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

/// Changes a field as another actor does where our own code has no way to, for those fields that are fixed.
pub async fn drift_by_sdk(ground: &Ground, resource: &AwsResource, field: &str) {
    let configuration = ground.double.configuration();
    match (resource, field) {
        (AwsResource::KmsKey(key), "alias") => {
            aws_sdk_kms::Client::new(&configuration)
                .delete_alias()
                .alias_name(key.alias.as_deref().unwrap())
                .send()
                .await
                .unwrap();
        }
        (AwsResource::KmsKey(key), "enabled") => {
            let client = aws_sdk_kms::Client::new(&configuration);
            let alias = key.alias.as_deref().unwrap();
            let found = client.describe_key().key_id(alias).send().await.unwrap();
            let id = found.key_metadata().unwrap().key_id().to_owned();
            client.disable_key().key_id(id).send().await.unwrap();
        }
        (AwsResource::DynamoDbTable(table), "policy") => {
            let arn = format!(
                "arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{}",
                table.name
            );
            aws_sdk_dynamodb::Client::new(&configuration)
                .put_resource_policy()
                .policy(for_others("dynamodb:GetItem", &arn).to_string())
                .resource_arn(arn)
                .send()
                .await
                .unwrap();
        }
        (AwsResource::SecretsManagerSecret(secret), "policy") => {
            aws_sdk_secretsmanager::Client::new(&configuration)
                .put_resource_policy()
                .secret_id(&secret.name)
                .resource_policy(for_others("secretsmanager:GetSecretValue", "*").to_string())
                .send()
                .await
                .unwrap();
        }
        (AwsResource::CacheUser(user), "passwordCurrent") => {
            let content = json!({"username": user.id, "password": "r".repeat(40)});
            aws_sdk_secretsmanager::Client::new(&configuration)
                .put_secret_value()
                .secret_id(password_secret(&user.id))
                .secret_string(content.to_string())
                .send()
                .await
                .unwrap();
        }
        (AwsResource::RdsInstance(instance), "managedPassword") => {
            aws_sdk_rds::Client::new(&configuration)
                .modify_db_instance()
                .db_instance_identifier(&instance.identifier)
                .manage_master_user_password(false)
                .master_user_password("r".repeat(40))
                .apply_immediately(true)
                .send()
                .await
                .unwrap();
        }
        (other, field) => panic!("{} has no other way to drift in {field}", other.key()),
    }
}

fn text_map(name: &str, value: &str) -> std::collections::BTreeMap<String, String> {
    [(name.to_owned(), value.to_owned())].into()
}

fn taint(key: &str) -> Taint {
    Taint {
        key: key.into(),
        value: "yes".into(),
        effect: TaintEffect::NoSchedule,
    }
}

fn trust(service: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": service}, "Action": ["sts:AssumeRole", "sts:TagSession"],
    }]})
}

fn allow(action: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": [action], "Resource": ["*"]}]})
}

fn managed(name: &str) -> String {
    format!("arn:aws:iam::aws:policy/{name}")
}

fn key_policy(statement: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": statement, "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT_ID}:root")},
        "Action": "kms:*", "Resource": "*",
    }]})
}

fn bucket_policy(name: &str, statement: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": statement, "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [format!("arn:aws:s3:::{name}"), format!("arn:aws:s3:::{name}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }]})
}

fn topic_policy(name: &str, statement: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": statement, "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish",
        "Resource": format!("arn:aws:sns:{REGION}:{ACCOUNT_ID}:{name}"),
    }]})
}

fn queue_policy(name: &str, statement: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": statement, "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
        "Resource": queue_arn(name),
    }]})
}

/// Lets another account in.
fn for_others(action: &str, resource: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "Others", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999988887777:root"}, "Action": action,
        "Resource": resource,
    }]})
}

fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}")
}

fn queue(name: &str) -> SqsQueue {
    SqsQueue {
        name: name.into(),
        fifo: name.ends_with(".fifo"),
        content_based_deduplication: false,
        visibility_timeout_seconds: 30,
        retention_seconds: 345_600,
        delay_seconds: 5,
        receive_wait_seconds: 10,
        kms_key_arn: None,
        redrive: None,
        policy: None,
        tags: owner_tags(),
    }
}

fn topic(name: &str) -> SnsTopic {
    let fifo = name.ends_with(".fifo");
    SnsTopic {
        arn: format!("arn:aws:sns:{REGION}:{ACCOUNT_ID}:{name}"),
        name: name.into(),
        display_name: "Shop".into(),
        fifo,
        content_based_deduplication: fifo,
        kms_key_arn: Some("alias/ground-one".into()),
        policy: None,
        tags: Tags::new(),
    }
}

fn secret(name: &str, key: &str) -> SecretsManagerSecret {
    SecretsManagerSecret {
        name: name.into(),
        description: "Of the carts".into(),
        username: "shop".into(),
        kms_key_arn: key.into(),
        policy: None,
        tags: Tags::new(),
    }
}

fn user_group(name: &str) -> CacheUserGroup {
    CacheUserGroup {
        id: name.into(),
        users: CACHE_USERS[..2].iter().map(ToString::to_string).collect(),
        tags: Tags::new(),
    }
}

fn attribute(name: &str, r#type: KeyType) -> KeyAttribute {
    KeyAttribute {
        name: name.into(),
        r#type,
    }
}

fn index(partition: &str) -> SecondaryIndex {
    SecondaryIndex {
        key: Key {
            partition: attribute(partition, KeyType::String),
            sort: Some(attribute("placed", KeyType::Number)),
        },
        projection: Projection::All,
        provisioned: None,
    }
}

fn table(name: &str, capacity: Capacity, key_arn: &str) -> DynamoDbTable {
    let local = SecondaryIndex {
        key: Key {
            partition: attribute("customer", KeyType::String),
            sort: Some(attribute("placed", KeyType::Number)),
        },
        projection: Projection::Include(["state".to_owned()].into()),
        provisioned: None,
    };
    DynamoDbTable {
        name: name.into(),
        key: Key {
            partition: attribute("customer", KeyType::String),
            sort: Some(attribute("order", KeyType::String)),
        },
        global_indexes: [("by-state".to_owned(), index("state"))].into(),
        local_indexes: [("by-time".to_owned(), local)].into(),
        capacity,
        autoscaled: BTreeSet::new(),
        table_class: TableClass::Standard,
        kms_key_arn: Some(key_arn.into()),
        point_in_time_recovery: PointInTimeRecovery {
            enabled: true,
            days: Some(35),
        },
        time_to_live_attribute: Some("expires".into()),
        deletion_protection: true,
        warm_read_units: Some(13_000),
        warm_write_units: Some(5_000),
        index_warm_units: [(
            "by-state".to_owned(),
            Throughput {
                read: 13_000,
                write: 5_000,
            },
        )]
        .into(),
        stream: Some(StreamView::NewAndOldImages),
        policy: None,
        tags: Tags::new(),
    }
}

fn lifecycle(id: &str, days: i32) -> LifecycleRule {
    LifecycleRule {
        id: id.into(),
        prefix: String::new(),
        intelligent_tiering_after_days: Some(days),
        noncurrent_expiration_days: Some(90),
        abort_multipart_days: Some(7),
    }
}

fn cors(origin: &str) -> CorsRule {
    let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    CorsRule {
        allowed_origins: set(&[origin]),
        allowed_methods: set(&["GET", "HEAD"]),
        allowed_headers: set(&["*"]),
        expose_headers: set(&["ETag"]),
        max_age_seconds: Some(3600),
    }
}
