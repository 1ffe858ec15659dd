//! From what is desired to DynamoDB's types.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types as sdk;
use shopkeeper_plan::{
    aws::{
        Capacity, DynamoDbTable, Key, KeyAttribute, KeyType, PointInTimeRecovery, Projection,
        SecondaryIndex, StreamView, TableClass, Tags, Throughput,
    },
    failure::Failure,
};

use crate::request::incomplete;

/// The types of all key attributes of a table and its indexes. DynamoDB refuses a definition that no key uses.
pub(super) fn attributes<'a>(
    keys: impl IntoIterator<Item = &'a Key>,
) -> Result<Vec<sdk::AttributeDefinition>, Failure> {
    let types: BTreeMap<_, _> = keys
        .into_iter()
        .flat_map(parts)
        .map(|attribute| (attribute.name.as_str(), attribute.r#type))
        .collect();
    types
        .into_iter()
        .map(|(name, key_type)| {
            let attribute_type = match key_type {
                KeyType::String => sdk::ScalarAttributeType::S,
                KeyType::Number => sdk::ScalarAttributeType::N,
                KeyType::Binary => sdk::ScalarAttributeType::B,
            };
            sdk::AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(attribute_type)
                .build()
                .map_err(incomplete)
        })
        .collect()
}

fn parts(key: &Key) -> impl Iterator<Item = &KeyAttribute> {
    std::iter::once(&key.partition).chain(&key.sort)
}

/// The keys of a table and all its indexes.
pub(super) fn keys(table: &DynamoDbTable) -> impl Iterator<Item = &Key> {
    std::iter::once(&table.key).chain(
        table
            .global_indexes
            .values()
            .chain(table.local_indexes.values())
            .map(|index| &index.key),
    )
}

pub(super) fn key_schema(key: &Key) -> Result<Vec<sdk::KeySchemaElement>, Failure> {
    parts(key)
        .zip([sdk::KeyType::Hash, sdk::KeyType::Range])
        .map(|(attribute, role)| {
            sdk::KeySchemaElement::builder()
                .attribute_name(&attribute.name)
                .key_type(role)
                .build()
                .map_err(incomplete)
        })
        .collect()
}

pub(super) fn projection(projection: &Projection) -> sdk::Projection {
    let builder = sdk::Projection::builder();
    match projection {
        Projection::All => builder.projection_type(sdk::ProjectionType::All),
        Projection::KeysOnly => builder.projection_type(sdk::ProjectionType::KeysOnly),
        Projection::Include(attributes) => builder
            .projection_type(sdk::ProjectionType::Include)
            .set_non_key_attributes(Some(attributes.iter().cloned().collect())),
    }
    .build()
}

pub(super) fn throughput(throughput: Throughput) -> Result<sdk::ProvisionedThroughput, Failure> {
    sdk::ProvisionedThroughput::builder()
        .read_capacity_units(throughput.read)
        .write_capacity_units(throughput.write)
        .build()
        .map_err(incomplete)
}

pub(super) fn global_index(
    name: &str,
    index: &SecondaryIndex,
    warm: Option<Throughput>,
) -> Result<sdk::GlobalSecondaryIndex, Failure> {
    sdk::GlobalSecondaryIndex::builder()
        .index_name(name)
        .set_key_schema(Some(key_schema(&index.key)?))
        .projection(projection(&index.projection))
        .set_provisioned_throughput(index.provisioned.map(throughput).transpose()?)
        .set_warm_throughput(warm.and_then(index_warm_throughput))
        .build()
        .map_err(incomplete)
}

pub(super) fn local_index(
    name: &str,
    index: &SecondaryIndex,
) -> Result<sdk::LocalSecondaryIndex, Failure> {
    sdk::LocalSecondaryIndex::builder()
        .index_name(name)
        .set_key_schema(Some(key_schema(&index.key)?))
        .projection(projection(&index.projection))
        .build()
        .map_err(incomplete)
}

pub(super) fn billing_mode(capacity: Capacity) -> sdk::BillingMode {
    match capacity {
        Capacity::OnDemand { .. } => sdk::BillingMode::PayPerRequest,
        Capacity::Provisioned(_) => sdk::BillingMode::Provisioned,
    }
}

pub(super) fn table_class(class: TableClass) -> sdk::TableClass {
    match class {
        TableClass::Standard => sdk::TableClass::Standard,
        TableClass::StandardInfrequentAccess => sdk::TableClass::StandardInfrequentAccess,
    }
}

pub(super) fn encryption(key_arn: &str) -> sdk::SseSpecification {
    sdk::SseSpecification::builder()
        .enabled(true)
        .sse_type(sdk::SseType::Kms)
        .kms_master_key_id(key_arn)
        .build()
}

pub(super) fn stream(view: Option<StreamView>) -> Result<sdk::StreamSpecification, Failure> {
    let view = view.map(|view| match view {
        StreamView::KeysOnly => sdk::StreamViewType::KeysOnly,
        StreamView::NewImage => sdk::StreamViewType::NewImage,
        StreamView::OldImage => sdk::StreamViewType::OldImage,
        StreamView::NewAndOldImages => sdk::StreamViewType::NewAndOldImages,
    });
    sdk::StreamSpecification::builder()
        .stream_enabled(view.is_some())
        .set_stream_view_type(view)
        .build()
        .map_err(incomplete)
}

/// `None` where nothing is asked for: DynamoDB refuses an empty specification.
pub(super) fn warm_throughput(
    read: Option<i64>,
    write: Option<i64>,
) -> Option<sdk::WarmThroughput> {
    (read.is_some() || write.is_some()).then(|| {
        sdk::WarmThroughput::builder()
            .set_read_units_per_second(read)
            .set_write_units_per_second(write)
            .build()
    })
}

/// See [`warm_throughput`].
pub(super) fn index_warm_throughput(units: Throughput) -> Option<sdk::WarmThroughput> {
    warm_throughput(Some(units.read), Some(units.write))
}

pub(super) fn point_in_time_recovery(
    wanted: PointInTimeRecovery,
) -> Result<sdk::PointInTimeRecoverySpecification, Failure> {
    sdk::PointInTimeRecoverySpecification::builder()
        .point_in_time_recovery_enabled(wanted.enabled)
        // DynamoDB refuses a period for what is off.
        .set_recovery_period_in_days(wanted.days.filter(|_| wanted.enabled))
        .build()
        .map_err(incomplete)
}

pub(super) fn tags(tags: &Tags) -> Result<Vec<sdk::Tag>, Failure> {
    tags.iter()
        .map(|(key, value)| {
            sdk::Tag::builder()
                .key(key)
                .value(value)
                .build()
                .map_err(incomplete)
        })
        .collect()
}
