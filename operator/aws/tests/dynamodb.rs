//! DynamoDB tables against the double.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod double;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, ProvisionedThroughput};
use double::{Double, change, converge, look, owner_tags, remove, token};
use shopkeeper_aws::DeletionToken;
use shopkeeper_plan::{
    aws::{
        AutoscaledUnits, AwsKind, AwsResource, Capacity, DynamoDbTable, Key, KeyAttribute, KeyType,
        PointInTimeRecovery, Projection, SecondaryIndex, StreamView, TableClass, Throughput, Units,
    },
    plan::DeleteMode,
};

const ON_DEMAND: Capacity = Capacity::OnDemand {
    max_read: None,
    max_write: None,
};

fn attribute(name: &str, r#type: KeyType) -> KeyAttribute {
    KeyAttribute {
        name: name.into(),
        r#type,
    }
}

fn index(partition: &str, provisioned: Option<Throughput>) -> SecondaryIndex {
    let key = Key {
        partition: attribute(partition, KeyType::String),
        sort: Some(attribute("placed", KeyType::Number)),
    };
    SecondaryIndex {
        key,
        projection: Projection::All,
        provisioned,
    }
}

fn orders() -> DynamoDbTable {
    let key = Key {
        partition: attribute("customer", KeyType::String),
        sort: Some(attribute("order", KeyType::String)),
    };
    let local = SecondaryIndex {
        key: Key {
            partition: attribute("customer", KeyType::String),
            sort: Some(attribute("placed", KeyType::Number)),
        },
        projection: Projection::Include(["state".to_owned(), "total".to_owned()].into()),
        provisioned: None,
    };
    DynamoDbTable {
        name: "shop-orders".into(),
        key,
        global_indexes: [("by-state".to_owned(), index("state", None))].into(),
        local_indexes: [("by-time".to_owned(), local)].into(),
        capacity: ON_DEMAND,
        autoscaled: BTreeSet::new(),
        contradictory: BTreeSet::new(),
        table_class: TableClass::Standard,
        kms_key_arn: None,
        point_in_time_recovery: PointInTimeRecovery {
            enabled: true,
            days: Some(35),
        },
        time_to_live_attribute: Some("expires".into()),
        deletion_protection: true,
        warm_read_units: None,
        warm_write_units: None,
        index_warm_units: BTreeMap::new(),
        stream: None,
        policy: None,
        tags: owner_tags(),
    }
}

#[tokio::test]
async fn a_table_is_made_changed_and_removed() {
    let double = Double::start();
    let account = double.account();
    let kms = aws_sdk_kms::Client::new(&double.configuration());
    let key = kms
        .create_key()
        .send()
        .await
        .unwrap()
        .key_metadata
        .unwrap()
        .arn
        .unwrap();

    let mut table = orders();
    double.forget_calls();
    let present = converge(&double, &account, table.clone()).await;
    assert_eq!(
        double.writes(),
        ["CreateTable", "UpdateContinuousBackups", "UpdateTimeToLive"]
    );
    assert_eq!(present.outputs.plain("tableName"), Some("shop-orders"));
    assert_eq!(present.outputs.plain("indexName"), Some("by-state"));

    // Billing, with the indexes that need a throughput then.
    let five = Throughput { read: 5, write: 5 };
    change(&double, &account, &mut table, |table| {
        table.capacity = Capacity::Provisioned(five);
        table
            .global_indexes
            .values_mut()
            .for_each(|index| index.provisioned = Some(five));
    })
    .await;
    change(&double, &account, &mut table, |table| {
        table.capacity = Capacity::Provisioned(Throughput { read: 7, write: 5 });
        table
            .global_indexes
            .values_mut()
            .for_each(|index| index.provisioned = Some(Throughput { read: 6, write: 6 }));
    })
    .await;
    change(&double, &account, &mut table, |table| {
        table
            .global_indexes
            .values_mut()
            .for_each(|index| index.provisioned = Some(five));
    })
    .await;
    change(&double, &account, &mut table, |table| {
        table.capacity = ON_DEMAND;
        table
            .global_indexes
            .values_mut()
            .for_each(|index| index.provisioned = None);
    })
    .await;
    change(&double, &account, &mut table, |table| {
        table.capacity = Capacity::OnDemand {
            max_read: Some(1000),
            max_write: Some(500),
        }
    })
    .await;
    change(&double, &account, &mut table, |table| {
        table.capacity = Capacity::OnDemand {
            max_read: None,
            max_write: Some(500),
        }
    })
    .await;

    // Indexes: two more, one of another key, none.
    change(&double, &account, &mut table, |table| {
        table
            .global_indexes
            .insert("by-shop".into(), index("shop", None));
        table
            .global_indexes
            .insert("by-carrier".into(), index("carrier", None));
    })
    .await;
    change(&double, &account, &mut table, |table| {
        table
            .global_indexes
            .insert("by-shop".into(), index("branch", None));
    })
    .await;
    change(&double, &account, &mut table, |table| {
        table.index_warm_units.insert(
            "by-shop".into(),
            Throughput {
                read: 14_000,
                write: 5_000,
            },
        );
    })
    .await;
    change(&double, &account, &mut table, |table| {
        table
            .global_indexes
            .insert("by-day".into(), index("day", None));
        table.index_warm_units.insert(
            "by-day".into(),
            Throughput {
                read: 15_000,
                write: 6_000,
            },
        );
    })
    .await;
    change(&double, &account, &mut table, |table| {
        table.global_indexes = BTreeMap::new();
        table.index_warm_units = BTreeMap::new();
    })
    .await;

    change(&double, &account, &mut table, |table| {
        table.table_class = TableClass::StandardInfrequentAccess
    })
    .await;
    change(&double, &account, &mut table, |table| {
        table.kms_key_arn = Some(key)
    })
    .await;
    change(&double, &account, &mut table, |table| {
        table.stream = Some(StreamView::KeysOnly)
    })
    .await;
    change(&double, &account, &mut table, |table| {
        table.stream = Some(StreamView::NewAndOldImages)
    })
    .await;
    change(&double, &account, &mut table, |table| table.stream = None).await;
    change(&double, &account, &mut table, |table| {
        (table.warm_read_units, table.warm_write_units) = (Some(16_000), Some(8_000))
    })
    .await;
    change(&double, &account, &mut table, |table| {
        table.point_in_time_recovery.days = Some(7)
    })
    .await;
    change(&double, &account, &mut table, |table| {
        table.point_in_time_recovery = PointInTimeRecovery {
            enabled: false,
            days: None,
        }
    })
    .await;
    change(&double, &account, &mut table, |table| {
        table.tags.insert("team".into(), "shop".into());
    })
    .await;

    remove(&double, &account, table, DeleteMode::Everything).await;
    assert_eq!(backups(&double).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_fixed_number_changes_beside_one_that_is_scaled() {
    let double = Double::start();
    let account = double.account();
    let mut table = orders();
    table.global_indexes = BTreeMap::new();
    table.capacity = Capacity::Provisioned(Throughput { read: 5, write: 5 });
    table.autoscaled = [AutoscaledUnits {
        index: None,
        units: Units::Read,
        min: 5,
        max: 500,
    }]
    .into();
    converge(&double, &account, table.clone()).await;
    let scaled = ProvisionedThroughput::builder()
        .read_capacity_units(312)
        .write_capacity_units(5)
        .build()
        .unwrap();
    aws_sdk_dynamodb::Client::new(&double.configuration())
        .update_table()
        .table_name(&table.name)
        .provisioned_throughput(scaled)
        .send()
        .await
        .unwrap();
    double.settle();
    double.forget_calls();
    converge(&double, &account, table.clone()).await;
    assert_eq!(double.writes(), Vec::<String>::new());

    let present = change(&double, &account, &mut table, |table| {
        table.capacity = Capacity::Provisioned(Throughput { read: 5, write: 6 });
    })
    .await;
    let AwsResource::DynamoDbTable(found) = present.resource else {
        unreachable!()
    };
    let expected = Throughput {
        read: 312,
        write: 6,
    };
    assert_eq!(found.capacity, Capacity::Provisioned(expected));
}

#[tokio::test]
async fn the_expiry_changes_by_way_of_none() {
    let double = Double::start();
    let account = double.account();
    let mut table = orders();
    converge(&double, &account, table.clone()).await;
    // DynamoDB takes one change an hour.
    double.advance(2.0 * 3600.0);
    change(&double, &account, &mut table, |table| {
        table.time_to_live_attribute = None
    })
    .await;
    double.advance(2.0 * 3600.0);
    change(&double, &account, &mut table, |table| {
        table.time_to_live_attribute = Some("ends".into())
    })
    .await;
}

#[tokio::test]
async fn a_table_is_saved_once_before_it_goes() {
    let double = Double::start();
    let account = double.account();
    let table = orders();
    converge(&double, &account, table.clone()).await;
    let client = aws_sdk_dynamodb::Client::new(&double.configuration());
    let item = |value: &str| AttributeValue::S(value.into());
    client
        .put_item()
        .table_name(&table.name)
        .item("customer", item("c1"))
        .item("order", item("o1"))
        .send()
        .await
        .unwrap();

    double.forget_calls();
    remove(&double, &account, table.clone(), DeleteMode::Snapshot).await;
    assert_eq!(
        double.writes(),
        ["UpdateTable", "CreateBackup", "DeleteTable"],
        "protection, backup, end"
    );
    let resource = AwsResource::from(table.clone());
    let name = format!("shop-orders-final-{}", &token(&resource).as_str()[..8]);
    assert_eq!(backups(&double).await, std::slice::from_ref(&name));

    // The backup of an earlier table of the same name does not save a later one.
    converge(&double, &account, table.clone()).await;
    remove(&double, &account, table, DeleteMode::Snapshot).await;
    assert_eq!(backups(&double).await, [name.clone(), name]);
}

#[tokio::test]
async fn another_deletion_makes_another_backup_and_one_that_is_not_listed_yet_is_waited_for() {
    let double = Double::start();
    let account = double.account();
    let table = orders();
    converge(&double, &account, table.clone()).await;
    let resource = AwsResource::from(table.clone());
    let of = |generation: i64| DeletionToken::new("0b8f", &resource.key(), generation);
    let take_out = async |generation: i64| {
        let present = look(&account, AwsKind::DynamoDbTable, &table.name)
            .await
            .unwrap();
        account
            .delete(&present, DeleteMode::Snapshot, &of(generation))
            .await
    };
    take_out(1).await.unwrap();
    double.settle();
    double.forget_calls();
    for generation in [1, 1] {
        take_out(generation).await.unwrap_err();
    }
    assert_eq!(double.writes(), ["CreateBackup"]);
    double.settle();
    // It is wanted again, and then it is not.
    converge(&double, &account, table.clone()).await;
    take_out(2).await.unwrap();
    double.settle();
    double.forget_calls();
    take_out(2).await.unwrap_err();
    double.settle();
    take_out(2).await.unwrap();
    assert_eq!(double.writes(), ["CreateBackup", "DeleteTable"]);
    assert_eq!(backups(&double).await.len(), 2);
}

async fn backups(double: &Double) -> Vec<String> {
    let client = aws_sdk_dynamodb::Client::new(&double.configuration());
    let answer = client.list_backups().send().await.unwrap();
    answer
        .backup_summaries()
        .iter()
        .map(|backup| backup.backup_name().unwrap().to_owned())
        .collect()
}
