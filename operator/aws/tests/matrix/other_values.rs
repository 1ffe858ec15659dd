//! Other values for the fields of specimens: what is wished for next, and what somebody else makes of them.

use serde_json::{Value, json};
use shopkeeper_plan::aws::{
    AwsKind, AwsResource, CacheAuthentication, CacheEngine, Capacity, CapacityType,
    IntelligentTiering, NodeGroupUpdate, PointInTimeRecovery, StreamView, TableClass,
    TransitEncryption, password_secret,
};

use crate::{
    building_blocks::{
        allow, bucket_policy, cors, for_others, index, key_policy, lifecycle, managed,
        queue_policy, taint, topic_policy, trust,
    },
    double::{ACCOUNT_ID, REGION},
    ground::{CACHE_USERS, Ground},
    specimen::NO_POLICY,
};

/// Names of fields and their values, to be set together.
pub type Values = Vec<(&'static str, Value)>;

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
