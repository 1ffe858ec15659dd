//! From DynamoDB's descriptions to the terms of what can be desired.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types as sdk;
use shopkeeper_plan::{
    aws::{
        Capacity, DynamoDbTable, Key, KeyAttribute, KeyType, PointInTimeRecovery, Projection,
        SecondaryIndex, StreamView, TableClass, Tags, Throughput,
    },
    failure::Failure,
    observed::{Lifecycle, Notes},
    outputs::Outputs,
};

use crate::{request::unreadable, resource::Found};

/// Everything that DynamoDB tells of a table, by the calls it takes.
pub(super) struct Descriptions {
    pub(super) table: sdk::TableDescription,
    pub(super) time_to_live: Option<sdk::TimeToLiveDescription>,
    pub(super) backups: Option<sdk::ContinuousBackupsDescription>,
    pub(super) policy: Option<serde_json::Value>,
    pub(super) tags: Tags,
}

impl Descriptions {
    pub(super) fn found(self, name: &str, region: &str) -> Result<Found<DynamoDbTable>, Failure> {
        let Self {
            table,
            time_to_live,
            backups,
            policy,
            tags,
        } = self;
        let types = table.attribute_definitions();
        let on_demand = table
            .billing_mode_summary()
            .and_then(|summary| summary.billing_mode())
            == Some(&sdk::BillingMode::PayPerRequest);
        let global_indexes = table
            .global_secondary_indexes()
            .iter()
            .map(|index| {
                // On demand, DynamoDB reports 0 units.
                let provisioned = index
                    .provisioned_throughput()
                    .filter(|_| !on_demand)
                    .map(throughput);
                secondary_index(
                    index.index_name(),
                    index.key_schema(),
                    index.projection(),
                    provisioned,
                    types,
                )
            })
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        let local_indexes = table
            .local_secondary_indexes()
            .iter()
            .map(|index| {
                secondary_index(
                    index.index_name(),
                    index.key_schema(),
                    index.projection(),
                    None,
                    types,
                )
            })
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        let (lifecycle, note) = lifecycle(&table);
        let outputs = outputs(
            name,
            region,
            &table,
            global_indexes.keys().chain(local_indexes.keys()),
        );
        let resource = DynamoDbTable {
            name: name.to_owned(),
            key: key(table.key_schema(), types)?,
            global_indexes,
            local_indexes,
            capacity: capacity(&table, on_demand),
            // Who sets them, DynamoDB does not say.
            autoscaled: BTreeSet::new(),
            contradictory: BTreeSet::new(),
            table_class: match table
                .table_class_summary()
                .and_then(|summary| summary.table_class())
            {
                Some(sdk::TableClass::StandardInfrequentAccess) => {
                    TableClass::StandardInfrequentAccess
                }
                // DynamoDB has no summary for a table that was always of the standard class.
                _ => TableClass::Standard,
            },
            // No description: the key that DynamoDB owns.
            kms_key_arn: table
                .sse_description()
                .and_then(|sse| sse.kms_master_key_arn())
                .map(str::to_owned),
            point_in_time_recovery: recovery(backups.as_ref()),
            time_to_live_attribute: time_to_live_attribute(time_to_live.as_ref()),
            deletion_protection: table.deletion_protection_enabled().unwrap_or_default(),
            warm_read_units: table
                .warm_throughput()
                .and_then(sdk::TableWarmThroughputDescription::read_units_per_second),
            warm_write_units: table
                .warm_throughput()
                .and_then(sdk::TableWarmThroughputDescription::write_units_per_second),
            index_warm_units: table
                .global_secondary_indexes()
                .iter()
                .filter_map(index_warm_units)
                .collect(),
            stream: table
                .stream_specification()
                .filter(|stream| stream.stream_enabled())
                .and_then(|stream| view(stream.stream_view_type())),
            policy,
            tags,
        };
        Ok(Found {
            resource,
            lifecycle,
            arn: table.table_arn.clone(),
            id: table.table_id.clone(),
            outputs,
            empty: Some(table.item_count() == Some(0)),
            note: note.map(Notes::from),
        })
    }
}

fn outputs<'a>(
    name: &str,
    region: &str,
    table: &sdk::TableDescription,
    indexes: impl Iterator<Item = &'a String>,
) -> Outputs {
    let mut outputs = Outputs::new()
        .with("tableName", name)
        .with("region", region)
        .with_optional("arn", table.table_arn())
        .with_optional("streamArn", table.latest_stream_arn());
    for (position, index) in indexes.enumerate() {
        // `indexName` is the first one, which for most tables is the only one.
        if position == 0 {
            outputs = outputs.with("indexName", index);
        }
        outputs = outputs.with(format!("indexName.{index}"), index);
    }
    outputs
}

/// Where the table is in its life, and what a person should know of it.
fn lifecycle(table: &sdk::TableDescription) -> (Lifecycle, Option<String>) {
    match table.table_status() {
        Some(sdk::TableStatus::Creating) => (Lifecycle::Creating, None),
        Some(sdk::TableStatus::Updating) => (Lifecycle::Modifying, indexes_in_transition(table)),
        Some(sdk::TableStatus::Deleting) => (Lifecycle::Deleting, None),
        Some(sdk::TableStatus::InaccessibleEncryptionCredentials) => (
            Lifecycle::Failed(
                "the KMS key of the table is disabled, deleted or not open to DynamoDB".into(),
            ),
            None,
        ),
        Some(sdk::TableStatus::Archiving | sdk::TableStatus::Archived) => (
            Lifecycle::Failed(
                "DynamoDB archived the table, since its KMS key was not accessible for seven days"
                    .into(),
            ),
            None,
        ),
        // An index is built and torn down while the table is active; until then DynamoDB refuses changes of indexes, so
        // that a change now would only fail.
        _ => match indexes_in_transition(table).or_else(|| settings_in_transition(table)) {
            Some(note) => (Lifecycle::Modifying, Some(note)),
            None => (Lifecycle::Available, None),
        },
    }
}

fn indexes_in_transition(table: &sdk::TableDescription) -> Option<String> {
    let busy: Vec<_> = table
        .global_secondary_indexes()
        .iter()
        .filter(|index| {
            index
                .index_status()
                .is_some_and(|status| *status != sdk::IndexStatus::Active)
        })
        .filter_map(|index| {
            let state = match index.index_status()? {
                sdk::IndexStatus::Creating if index.backfilling() == Some(true) => {
                    "is being filled"
                }
                sdk::IndexStatus::Creating => "is being made",
                sdk::IndexStatus::Deleting => "is being removed",
                _ => "is being changed",
            };
            Some(format!("index {} {state}", index.index_name()?))
        })
        .collect();
    (!busy.is_empty()).then(|| busy.join(", "))
}

/// Changes that go on while the table is active again: until they end, the description shows the old values.
fn settings_in_transition(table: &sdk::TableDescription) -> Option<String> {
    let encryption = table.sse_description().and_then(|sse| sse.status());
    if matches!(
        encryption,
        Some(sdk::SseStatus::Updating | sdk::SseStatus::Enabling | sdk::SseStatus::Disabling)
    ) {
        return Some("the encryption is being changed".into());
    }
    let of_table =
        table.warm_throughput().and_then(|warm| warm.status()) == Some(&sdk::TableStatus::Updating);
    let of_index = |index: &sdk::GlobalSecondaryIndexDescription| {
        index.warm_throughput().and_then(|warm| warm.status()) == Some(&sdk::IndexStatus::Updating)
    };
    (of_table || table.global_secondary_indexes().iter().any(of_index))
        .then(|| "the warm throughput is being raised".into())
}

fn key(
    schema: &[sdk::KeySchemaElement],
    types: &[sdk::AttributeDefinition],
) -> Result<Key, Failure> {
    let attribute = |role: &sdk::KeyType| {
        let name = schema
            .iter()
            .find(|element| element.key_type() == role)?
            .attribute_name();
        let key_type = match types
            .iter()
            .find(|definition| definition.attribute_name() == name)?
            .attribute_type()
        {
            sdk::ScalarAttributeType::N => KeyType::Number,
            sdk::ScalarAttributeType::B => KeyType::Binary,
            _ => KeyType::String,
        };
        Some(KeyAttribute {
            name: name.to_owned(),
            r#type: key_type,
        })
    };
    Ok(Key {
        partition: attribute(&sdk::KeyType::Hash)
            .ok_or_else(|| unreadable("DescribeTable", "partition key"))?,
        sort: attribute(&sdk::KeyType::Range),
    })
}

fn secondary_index(
    name: Option<&str>,
    schema: &[sdk::KeySchemaElement],
    copied: Option<&sdk::Projection>,
    provisioned: Option<Throughput>,
    types: &[sdk::AttributeDefinition],
) -> Result<(String, SecondaryIndex), Failure> {
    let name = name.ok_or_else(|| unreadable("DescribeTable", "index name"))?;
    let copied = copied.ok_or_else(|| unreadable("DescribeTable", "projection"))?;
    let projection = match copied.projection_type() {
        Some(sdk::ProjectionType::KeysOnly) => Projection::KeysOnly,
        Some(sdk::ProjectionType::Include) => {
            Projection::Include(copied.non_key_attributes().iter().cloned().collect())
        }
        _ => Projection::All,
    };
    Ok((
        name.to_owned(),
        SecondaryIndex {
            key: key(schema, types)?,
            projection,
            provisioned,
        },
    ))
}

fn throughput(described: &sdk::ProvisionedThroughputDescription) -> Throughput {
    Throughput {
        read: described.read_capacity_units().unwrap_or_default(),
        write: described.write_capacity_units().unwrap_or_default(),
    }
}

fn index_warm_units(index: &sdk::GlobalSecondaryIndexDescription) -> Option<(String, Throughput)> {
    let warm = index.warm_throughput()?;
    let units = Throughput {
        read: warm.read_units_per_second().unwrap_or_default(),
        write: warm.write_units_per_second().unwrap_or_default(),
    };
    Some((index.index_name()?.to_owned(), units))
}

fn capacity(table: &sdk::TableDescription, on_demand: bool) -> Capacity {
    if on_demand {
        // A ceiling that was lifted is reported as -1.
        let ceiling = |units: Option<i64>| units.filter(|units| *units > 0);
        let ceilings = table.on_demand_throughput();
        Capacity::OnDemand {
            max_read: ceiling(ceilings.and_then(sdk::OnDemandThroughput::max_read_request_units)),
            max_write: ceiling(ceilings.and_then(sdk::OnDemandThroughput::max_write_request_units)),
        }
    } else {
        Capacity::Provisioned(
            table
                .provisioned_throughput()
                .map_or(Throughput { read: 0, write: 0 }, throughput),
        )
    }
}

fn recovery(backups: Option<&sdk::ContinuousBackupsDescription>) -> PointInTimeRecovery {
    let described = backups.and_then(|backups| backups.point_in_time_recovery_description());
    let enabled = described.and_then(|described| described.point_in_time_recovery_status())
        == Some(&sdk::PointInTimeRecoveryStatus::Enabled);
    PointInTimeRecovery {
        enabled,
        days: described
            .and_then(|described| described.recovery_period_in_days())
            .filter(|_| enabled),
    }
}

fn time_to_live_attribute(described: Option<&sdk::TimeToLiveDescription>) -> Option<String> {
    let described = described?;
    // Switching takes up to an hour, in which the attribute is the one that will be.
    matches!(
        described.time_to_live_status(),
        Some(sdk::TimeToLiveStatus::Enabled | sdk::TimeToLiveStatus::Enabling)
    )
    .then(|| described.attribute_name().map(str::to_owned))?
}

fn view(view: Option<&sdk::StreamViewType>) -> Option<StreamView> {
    match view? {
        sdk::StreamViewType::KeysOnly => Some(StreamView::KeysOnly),
        sdk::StreamViewType::NewImage => Some(StreamView::NewImage),
        sdk::StreamViewType::OldImage => Some(StreamView::OldImage),
        sdk::StreamViewType::NewAndOldImages => Some(StreamView::NewAndOldImages),
        _ => None,
    }
}
