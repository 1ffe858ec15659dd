//! DynamoDB tables.

use shopkeeper_api::{
    Toggle, defaults,
    table::{
        self as api, AttributeType, CapacityRange, Index, KeyAttribute as ApiKeyAttribute,
        ProjectionType, ProvisionedCapacity, TableCapacityType,
    },
};

use std::collections::BTreeMap;

use super::{Context, DataResource};
use crate::{
    aws::{
        AutoscaledUnits, Capacity, Contradictory, DynamoDbTable, Key, KeyAttribute, KeyType,
        PointInTimeRecovery, Projection, ScalableTarget, SecondaryIndex, StreamView, TableClass,
        Throughput, Units,
    },
    failure::Failure,
};

/// Longest name of a table.
const LONGEST_NAME: usize = 255;

/// A table for a role such as `products`, declared in a field, and the targets of its autoscaling.
pub(super) fn table(
    context: Context<'_>,
    field: &str,
    role: &str,
    name_part: &str,
    declared: &api::Table,
) -> Vec<DataResource> {
    let contradictions = contradictions(field, declared);
    let capacity = capacity(declared);
    let scaled = scaled(declared);
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
        autoscaled: scaled
            .iter()
            .map(|scaled| AutoscaledUnits {
                index: scaled.index.map(str::to_owned),
                units: scaled.units,
                min: scaled.range.min.into(),
                max: scaled.range.max.into(),
            })
            .collect(),
        contradictory: contradictions
            .iter()
            .map(|(contradictory, _)| contradictory.clone())
            .collect(),
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
        policy: None,
        tags: context.tags(),
    };
    let targets: Vec<_> = scaled
        .iter()
        .map(|scaled| {
            let target = scaled.target(&table.name, context.tags());
            DataResource::hidden(scaled.role(role), target)
        })
        .collect();
    let mut table = DataResource::bound(role, "", role, table);
    let why = contradictions.into_iter();
    table.contradictions = why.map(|(_, failure)| failure).collect();
    let after = [table.key()];
    let mut resources = vec![table];
    resources.extend(targets.into_iter().map(|target| target.after(&after)));
    resources
}

/// What is said of keys that only a table made anew can have otherwise.
const ANEW: &str = "it cannot be changed, so take the table and its bindings out, apply, and write it again: what it holds by then goes as \
                    policy.deletion says";

/// Keys that contradict each other. DynamoDB is told the type of an attribute once, for all keys: of two it would be told one, and a
/// table that is made with the wrong one keeps it.
fn contradictions(field: &str, declared: &api::Table) -> Vec<(Contradictory, Failure)> {
    let keys = &declared.keys;
    let of_table = std::iter::once((
        Contradictory::Table,
        format!("{field}.keys"),
        &keys.partition,
        keys.sort.as_ref(),
        ANEW,
    ));
    let global = declared.indexes.iter().map(|index| {
        (
            Contradictory::GlobalIndex(index.name.clone()),
            format!("{field}.indexes[{}]", index.name),
            &index.partition,
            index.sort.as_ref(),
            "keys of an index cannot be changed, so take it out and write it again under another name",
        )
    });
    let local = declared.local_indexes.iter().map(|index| {
        (
            Contradictory::Table,
            format!("{field}.localIndexes[{}]", index.name),
            &keys.partition,
            Some(&index.sort),
            ANEW,
        )
    });
    let mut found: Vec<_> = same_names(field, declared).collect();
    let mut known: BTreeMap<&str, (AttributeType, String)> = BTreeMap::new();
    for (part, place, partition, sort, remedy) in of_table.chain(local).chain(global) {
        if let Some(sort) = sort.filter(|sort| sort.name == partition.name) {
            let failure = Failure::invalid(
                &format!("{place}.sort.name"),
                &format!(
                    "{} is the partition key too, and a key has two attributes or one",
                    sort.name
                ),
                &format!("name another attribute, or leave sort out; {remedy}"),
            );
            found.push((part, failure));
            continue;
        }
        let parts = [("partition", Some(partition)), ("sort", sort)];
        for (part, attribute) in parts {
            let Some(attribute) = attribute else { continue };
            let here = format!("{place}.{part}");
            match known.get(attribute.name.as_str()) {
                Some((other, there)) if *other != attribute.type_ => {
                    let failure = Failure::invalid(
                        &format!("{here}.type"),
                        &format!(
                            "{} is {:?} here and {other:?} in {there}, and an attribute of a table has one type in all its keys",
                            attribute.name, attribute.type_
                        ),
                        &format!("write one type in both; {remedy}"),
                    );
                    found.push((Contradictory::Attribute(attribute.name.clone()), failure));
                }
                Some(_) => {}
                None => {
                    known.insert(&attribute.name, (attribute.type_, here));
                }
            }
        }
    }
    found
}

/// Global indexes that are called as local ones are.
fn same_names<'a>(
    field: &'a str,
    declared: &'a api::Table,
) -> impl Iterator<Item = (Contradictory, Failure)> + 'a {
    let is_local = |index: &&Index| {
        let mut local = declared.local_indexes.iter();
        local.any(|local| local.name == index.name)
    };
    let same = declared.indexes.iter().filter(is_local);
    same.map(move |index| {
        let failure = Failure::invalid(
            &format!("{field}.indexes[{}].name", index.name),
            "is also the name of one of localIndexes, and a table has one index of a name",
            "give the index in indexes another name",
        );
        (Contradictory::GlobalIndex(index.name.clone()), failure)
    })
}

/// Units that are scaled, and how.
struct Scaled<'a> {
    index: Option<&'a str>,
    units: Units,
    range: &'a CapacityRange,
}

impl Scaled<'_> {
    fn role(&self, table: &str) -> String {
        let units = match self.units {
            Units::Read => "read",
            Units::Write => "write",
        };
        self.index.map_or_else(
            || format!("{table}.autoscale.{units}"),
            |index| format!("{table}.indexes.{index}.autoscale.{units}"),
        )
    }

    fn target(&self, table: &str, tags: crate::aws::Tags) -> ScalableTarget {
        let range = self.range;
        let percent = range
            .target_utilization
            .unwrap_or(defaults::CAPACITY_TARGET_PERCENT);
        let cooldown =
            |declared: Option<i32>| declared.unwrap_or(defaults::CAPACITY_COOLDOWN_SECONDS);
        ScalableTarget {
            resource_id: ScalableTarget::resource_of(table, self.index),
            dimension: self.units.dimension(self.index.is_some()),
            min_capacity: range.min,
            max_capacity: range.max,
            suspended: false,
            target_utilization: Some(percent.into()),
            scale_in_cooldown_seconds: cooldown(range.scale_in_cooldown_seconds),
            scale_out_cooldown_seconds: cooldown(range.scale_out_cooldown_seconds),
            scale_in_disabled: range
                .scale_in
                .is_some_and(|scale_in| !scale_in.is_enabled()),
            tags,
        }
    }
}

/// What is scaled of a table and its indexes.
fn scaled(declared: &api::Table) -> Vec<Scaled<'_>> {
    let Some(of_table) = provisioned(declared) else {
        return Vec::new();
    };
    let of_indexes = declared.indexes.iter().map(|index| {
        let capacity = index.provisioned.as_ref().unwrap_or(of_table);
        (Some(index.name.as_str()), capacity)
    });
    std::iter::once((None, of_table))
        .chain(of_indexes)
        .flat_map(|(index, capacity)| {
            [Units::Read, Units::Write]
                .into_iter()
                .filter_map(move |units| {
                    Some(Scaled {
                        index,
                        units,
                        range: range(capacity, units)?,
                    })
                })
        })
        .collect()
}

fn range(capacity: &ProvisionedCapacity, units: Units) -> Option<&CapacityRange> {
    let autoscale = capacity.autoscale.as_ref()?;
    match units {
        Units::Read => autoscale.read.as_ref(),
        Units::Write => autoscale.write.as_ref(),
    }
}

/// The capacity block of a table that is not on demand.
fn provisioned(declared: &api::Table) -> Option<&ProvisionedCapacity> {
    let capacity = declared.capacity.as_ref()?;
    capacity
        .provisioned
        .as_ref()
        .filter(|_| capacity.type_ == TableCapacityType::Provisioned)
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
    provisioned(declared).map_or_else(
        || Capacity::OnDemand {
            max_read: on_demand.and_then(|ceiling| ceiling.max_read),
            max_write: on_demand.and_then(|ceiling| ceiling.max_write),
        },
        |declared| Capacity::Provisioned(throughput(declared)),
    )
}

/// The fixed numbers; the fewest of what is scaled, with which a new table begins.
fn throughput(declared: &ProvisionedCapacity) -> Throughput {
    let number = |fixed: Option<i64>, units| {
        fixed.unwrap_or_else(|| range(declared, units).map_or(1, |range| range.min.into()))
    };
    Throughput {
        read: number(declared.read, Units::Read),
        write: number(declared.write, Units::Write),
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
