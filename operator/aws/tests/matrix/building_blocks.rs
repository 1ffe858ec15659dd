//! What specimens, their other values and the ground they rest on are made of.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shopkeeper_plan::aws::{
    CacheUserGroup, Capacity, CorsRule, DynamoDbTable, Key, KeyAttribute, KeyType, LifecycleRule,
    PointInTimeRecovery, Projection, SecondaryIndex, SecretsManagerSecret, SnsTopic, SqsQueue,
    StreamView, TableClass, Tags, Taint, TaintEffect, Throughput,
};

use crate::{
    double::{ACCOUNT_ID, REGION, owner_tags},
    ground::CACHE_USERS,
};

pub fn text_map(name: &str, value: &str) -> std::collections::BTreeMap<String, String> {
    [(name.to_owned(), value.to_owned())].into()
}

pub fn taint(key: &str) -> Taint {
    Taint {
        key: key.into(),
        value: "yes".into(),
        effect: TaintEffect::NoSchedule,
    }
}

pub fn trust(service: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": service}, "Action": ["sts:AssumeRole", "sts:TagSession"],
    }]})
}

pub fn allow(action: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": [action], "Resource": ["*"]}]})
}

pub fn managed(name: &str) -> String {
    format!("arn:aws:iam::aws:policy/{name}")
}

pub fn key_policy(statement: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": statement, "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT_ID}:root")},
        "Action": "kms:*", "Resource": "*",
    }]})
}

pub fn bucket_policy(name: &str, statement: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": statement, "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [format!("arn:aws:s3:::{name}"), format!("arn:aws:s3:::{name}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }]})
}

pub fn topic_policy(name: &str, statement: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": statement, "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish",
        "Resource": format!("arn:aws:sns:{REGION}:{ACCOUNT_ID}:{name}"),
    }]})
}

pub fn queue_policy(name: &str, statement: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": statement, "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
        "Resource": queue_arn(name),
    }]})
}

/// Lets another account in.
pub fn for_others(action: &str, resource: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "Others", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999988887777:root"}, "Action": action,
        "Resource": resource,
    }]})
}

pub fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}")
}

pub fn queue(name: &str) -> SqsQueue {
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

pub fn topic(name: &str) -> SnsTopic {
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

pub fn secret(name: &str, key: &str) -> SecretsManagerSecret {
    SecretsManagerSecret {
        name: name.into(),
        description: "Of the carts".into(),
        username: "shop".into(),
        kms_key_arn: key.into(),
        policy: None,
        tags: Tags::new(),
    }
}

pub fn user_group(name: &str) -> CacheUserGroup {
    CacheUserGroup {
        id: name.into(),
        users: CACHE_USERS[..2].iter().map(ToString::to_string).collect(),
        tags: Tags::new(),
    }
}

pub fn attribute(name: &str, r#type: KeyType) -> KeyAttribute {
    KeyAttribute {
        name: name.into(),
        r#type,
    }
}

pub fn index(partition: &str) -> SecondaryIndex {
    SecondaryIndex {
        key: Key {
            partition: attribute(partition, KeyType::String),
            sort: Some(attribute("placed", KeyType::Number)),
        },
        projection: Projection::All,
        provisioned: None,
    }
}

pub fn table(name: &str, capacity: Capacity, key_arn: &str) -> DynamoDbTable {
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
        contradictory: BTreeSet::new(),
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

pub fn lifecycle(id: &str, days: i32) -> LifecycleRule {
    LifecycleRule {
        id: id.into(),
        prefix: String::new(),
        intelligent_tiering_after_days: Some(days),
        noncurrent_expiration_days: Some(90),
        abort_multipart_days: Some(7),
    }
}

pub fn cors(origin: &str) -> CorsRule {
    let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    CorsRule {
        allowed_origins: set(&[origin]),
        allowed_methods: set(&["GET", "HEAD"]),
        allowed_headers: set(&["*"]),
        expose_headers: set(&["ETag"]),
        max_age_seconds: Some(3600),
    }
}
