//! DynamoDB tables.

use shopkeeper_api::{
    Toggle, defaults,
    table::{
        self as api, AttributeType, Index, KeyAttribute as ApiKeyAttribute, ProjectionType,
        ProvisionedCapacity, TableCapacityType,
    },
};

use super::{Context, DataResource};
use crate::aws::{
    Capacity, DynamoDbTable, Key, KeyAttribute, KeyType, PointInTimeRecovery, Projection,
    SecondaryIndex, StreamView, TableClass, Throughput,
};

/// Longest name of a table.
const LONGEST_NAME: usize = 255;

/// A table for a role such as `products`.
pub(super) fn table(
    context: Context<'_>,
    role: &str,
    name_part: &str,
    declared: &api::Table,
) -> DataResource {
    let capacity = capacity(declared);
    let table = DynamoDbTable {
        name: declared
            .table_name
            .clone()
            .unwrap_or_else(|| context.name(name_part, LONGEST_NAME)),
        key: Key {
            partition: attribute(&declared.keys.partition),
            sort: declared.keys.sort.as_ref().map(attribute),
        },
        global_indexes: declared
            .indexes
            .iter()
            .map(|index| (index.name.clone(), global_index(index, capacity)))
            .collect(),
        local_indexes: declared
            .local_indexes
            .iter()
            .map(|index| {
                let key = Key {
                    partition: attribute(&declared.keys.partition),
                    sort: Some(attribute(&index.sort)),
                };
                (
                    index.name.clone(),
                    SecondaryIndex {
                        key,
                        projection: projection(index.projection.as_ref()),
                        provisioned: None,
                    },
                )
            })
            .collect(),
        capacity,
        table_class: match declared.table_class {
            Some(api::TableClass::StandardInfrequentAccess) => TableClass::StandardInfrequentAccess,
            Some(api::TableClass::Standard) | None => TableClass::Standard,
        },
        kms_key_arn: Some(context.platform.key_arn.clone()),
        point_in_time_recovery: point_in_time_recovery(declared),
        time_to_live_attribute: declared
            .time_to_live
            .as_ref()
            .map(|expiry| expiry.attribute.clone()),
        deletion_protection: declared.deletion_protection.is_none_or(Toggle::is_enabled),
        warm_read_units: declared.warm_throughput.as_ref().map(|warm| warm.read),
        warm_write_units: declared.warm_throughput.as_ref().map(|warm| warm.write),
        index_warm_units: declared
            .indexes
            .iter()
            .filter_map(|index| {
                index.warm_throughput.as_ref().map(|warm| {
                    (
                        index.name.clone(),
                        Throughput {
                            read: warm.read,
                            write: warm.write,
                        },
                    )
                })
            })
            .collect(),
        stream: declared.stream.map(|view| match view {
            api::StreamView::KeysOnly => StreamView::KeysOnly,
            api::StreamView::NewImage => StreamView::NewImage,
            api::StreamView::OldImage => StreamView::OldImage,
            api::StreamView::NewAndOldImages => StreamView::NewAndOldImages,
        }),
        tags: context.tags(),
    };
    DataResource::bound(role, "", role, table)
}

fn attribute(declared: &ApiKeyAttribute) -> KeyAttribute {
    KeyAttribute {
        name: declared.name.clone(),
        r#type: match declared.type_ {
            AttributeType::String => KeyType::String,
            AttributeType::Number => KeyType::Number,
            AttributeType::Binary => KeyType::Binary,
        },
    }
}

fn capacity(declared: &api::Table) -> Capacity {
    let on_demand = declared
        .capacity
        .as_ref()
        .and_then(|capacity| capacity.on_demand.as_ref());
    match declared
        .capacity
        .as_ref()
        .map(|capacity| (capacity.type_, capacity.provisioned.as_ref()))
    {
        Some((TableCapacityType::Provisioned, Some(provisioned))) => {
            Capacity::Provisioned(throughput(provisioned))
        }
        _ => Capacity::OnDemand {
            max_read: on_demand.and_then(|ceiling| ceiling.max_read),
            max_write: on_demand.and_then(|ceiling| ceiling.max_write),
        },
    }
}

fn throughput(declared: &ProvisionedCapacity) -> Throughput {
    Throughput {
        read: declared.read,
        write: declared.write,
    }
}

/// In a table of provisioned capacity an index has a capacity of its own: by default the table's.
fn global_index(declared: &Index, table: Capacity) -> SecondaryIndex {
    let provisioned = match table {
        Capacity::OnDemand { .. } => None,
        Capacity::Provisioned(of_table) => {
            Some(declared.provisioned.as_ref().map_or(of_table, throughput))
        }
    };
    SecondaryIndex {
        key: Key {
            partition: attribute(&declared.partition),
            sort: declared.sort.as_ref().map(attribute),
        },
        projection: projection(declared.projection.as_ref()),
        provisioned,
    }
}

fn projection(declared: Option<&api::Projection>) -> Projection {
    match declared.map(|projection| (projection.type_, &projection.attributes)) {
        None | Some((ProjectionType::All, _)) => Projection::All,
        Some((ProjectionType::KeysOnly, _)) => Projection::KeysOnly,
        Some((ProjectionType::Include, attributes)) => {
            Projection::Include(attributes.iter().cloned().collect())
        }
    }
}

fn point_in_time_recovery(declared: &api::Table) -> PointInTimeRecovery {
    let enabled = declared
        .point_in_time_recovery
        .is_none_or(Toggle::is_enabled);
    let days = enabled.then(|| {
        declared
            .recovery_period_days
            .unwrap_or(defaults::TABLE_RECOVERY_PERIOD_DAYS)
    });
    PointInTimeRecovery { enabled, days }
}
