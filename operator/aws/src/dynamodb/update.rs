//! What one `UpdateTable` asks for, where that is more than a value.

use aws_sdk_dynamodb::{operation::update_table::builders::UpdateTableFluentBuilder, types as sdk};
use shopkeeper_plan::{
    aws::{Capacity, DynamoDbTable},
    failure::Failure,
};

use super::definition;
use crate::request::incomplete;

/// Asks for one index more.
pub(super) fn make_index(
    update: UpdateTableFluentBuilder,
    desired: &DynamoDbTable,
    observed: &DynamoDbTable,
    name: &str,
) -> Result<UpdateTableFluentBuilder, Failure> {
    let Some(index) = desired.global_indexes.get(name) else {
        return Ok(update);
    };
    let action = sdk::CreateGlobalSecondaryIndexAction::builder()
        .index_name(name)
        .set_key_schema(Some(definition::key_schema(&index.key)?))
        .projection(definition::projection(&index.projection))
        .set_provisioned_throughput(index.provisioned.map(definition::throughput).transpose()?)
        .set_warm_throughput(
            desired
                .index_warm_units
                .get(name)
                .copied()
                .and_then(definition::index_warm_throughput),
        )
        .build()
        .map_err(incomplete)?;
    // The types of the keys in use and of the new ones; those of indexes that come later would be refused as unused.
    let attributes = definition::attributes(definition::keys(observed).chain([&index.key]))?;
    Ok(update
        .set_attribute_definitions(Some(attributes))
        .global_secondary_index_updates(
            sdk::GlobalSecondaryIndexUpdate::builder()
                .create(action)
                .build(),
        ))
}

/// Asks for another way of paying, or other units, of the table and of these indexes.
pub(super) fn change_capacity(
    update: UpdateTableFluentBuilder,
    desired: &DynamoDbTable,
    observed: &DynamoDbTable,
    switch: bool,
    table: bool,
    indexes: &[String],
) -> Result<UpdateTableFluentBuilder, Failure> {
    let mut update = update;
    if switch {
        update = update.billing_mode(definition::billing_mode(desired.capacity));
    }
    if table {
        update = match desired.capacity {
            Capacity::Provisioned(units) => {
                update.provisioned_throughput(definition::throughput(units)?)
            }
            Capacity::OnDemand {
                max_read,
                max_write,
            } => {
                let (was_read, was_write) = match observed.capacity {
                    Capacity::OnDemand {
                        max_read,
                        max_write,
                    } => (max_read, max_write),
                    Capacity::Provisioned(_) => (None, None),
                };
                // -1 lifts a ceiling; leaving it out would keep it.
                let ceiling = |wanted: Option<i64>, was: Option<i64>| wanted.or(was.map(|_| -1));
                let (read, write) = (ceiling(max_read, was_read), ceiling(max_write, was_write));
                update.set_on_demand_throughput((read.is_some() || write.is_some()).then(|| {
                    sdk::OnDemandThroughput::builder()
                        .set_max_read_request_units(read)
                        .set_max_write_request_units(write)
                        .build()
                }))
            }
        };
    }
    for name in indexes {
        let Some(units) = desired
            .global_indexes
            .get(name)
            .and_then(|index| index.provisioned)
        else {
            continue;
        };
        let action = sdk::UpdateGlobalSecondaryIndexAction::builder()
            .index_name(name)
            .provisioned_throughput(definition::throughput(units)?)
            .build()
            .map_err(incomplete)?;
        update = update.global_secondary_index_updates(
            sdk::GlobalSecondaryIndexUpdate::builder()
                .update(action)
                .build(),
        );
    }
    Ok(update)
}
