//! Which change of a table comes next.
//!
//! DynamoDB takes one UpdateTable at a time, in it at most one index to make or remove, and refuses most combinations
//! (a stream with throughput, an index with anything else). So every call carries one topic.

use shopkeeper_plan::aws::{Capacity, DynamoDbTable, SecondaryIndex};

use crate::request::differs;

/// One call that changes a table.
#[derive(Debug, PartialEq)]
pub(super) enum Change {
    /// UpdateTable: an index that is not wanted, or has to make room for one of another key or projection.
    RemoveIndex(String),
    /// UpdateTable: billing, ceilings, throughput of the table, and of these indexes.
    Capacity {
        switch: bool,
        table: bool,
        indexes: Vec<String>,
    },
    /// UpdateTable.
    MakeIndex(String),
    /// UpdateTable.
    TableClass,
    /// UpdateTable.
    Encryption,
    /// UpdateTable.
    DeletionProtection,
    /// UpdateTable: units that are not `None`.
    WarmThroughput {
        read: Option<i64>,
        write: Option<i64>,
    },
    /// UpdateTable: units of one index that are not `None`.
    IndexWarmThroughput {
        index: String,
        read: Option<i64>,
        write: Option<i64>,
    },
    /// UpdateTable: off where another view has to be taken up next.
    Stream { enable: bool },
    /// UpdateContinuousBackups.
    PointInTimeRecovery,
    /// UpdateTimeToLive.
    TimeToLive { attribute: String, enable: bool },
    /// DeleteResourcePolicy.
    Policy,
    /// TagResource.
    Tags,
}

/// The change that comes next. `None` where no call brings any of the fields nearer.
pub(super) fn next(
    desired: &DynamoDbTable,
    observed: &DynamoDbTable,
    fields: &[String],
) -> Option<Change> {
    indexes_and_capacity(desired, observed, fields).or_else(|| {
        fields
            .iter()
            .find_map(|field| single(desired, observed, field))
    })
}

/// Indexes go before the capacity changes, since switching to provisioned needs a throughput for every index there is;
/// they are made after it, since the throughput of a new one has to fit the billing in force.
fn indexes_and_capacity(
    desired: &DynamoDbTable,
    observed: &DynamoDbTable,
    fields: &[String],
) -> Option<Change> {
    let indexes_differ = differs(fields, "globalIndexes");
    if indexes_differ {
        let unwanted = observed.global_indexes.iter().find(|(name, index)| {
            desired
                .global_indexes
                .get(*name)
                .is_none_or(|wanted| is_another(wanted, index))
        });
        if let Some((name, _)) = unwanted {
            return Some(Change::RemoveIndex(name.clone()));
        }
    }
    let switch = differs(fields, "capacity") && is_provisioned(desired) != is_provisioned(observed);
    let table = differs(fields, "capacity");
    let adjusted: Vec<_> = desired
        .global_indexes
        .iter()
        .filter(|(name, wanted)| {
            observed.global_indexes.get(*name).is_some_and(|index| {
                switch || (indexes_differ && index.provisioned != wanted.provisioned)
            })
        })
        // Without a throughput there is nothing to set: on demand.
        .filter(|(_, wanted)| wanted.provisioned.is_some())
        .map(|(name, _)| name.clone())
        .collect();
    if table || (!adjusted.is_empty() && is_provisioned(observed)) {
        return Some(Change::Capacity {
            switch,
            table,
            indexes: adjusted,
        });
    }
    let missing = desired
        .global_indexes
        .keys()
        .find(|name| indexes_differ && !observed.global_indexes.contains_key(*name));
    missing.map(|name| Change::MakeIndex(name.clone()))
}

/// Whether the two are different indexes of the same name: DynamoDB changes neither key nor projection.
fn is_another(wanted: &SecondaryIndex, index: &SecondaryIndex) -> bool {
    wanted.key != index.key || wanted.projection != index.projection
}

const fn is_provisioned(table: &DynamoDbTable) -> bool {
    matches!(table.capacity, Capacity::Provisioned(_))
}

/// The wanted units where they are more than there are: asking for less would be refused, also for the one of the two that does
/// not differ.
fn grown(wanted: Option<i64>, found: Option<i64>) -> Option<i64> {
    wanted.filter(|wanted| found.is_none_or(|found| *wanted > found))
}

fn single(desired: &DynamoDbTable, observed: &DynamoDbTable, field: &str) -> Option<Change> {
    match field {
        "tableClass" => Some(Change::TableClass),
        "kmsKeyArn" if desired.kms_key_arn.is_some() => Some(Change::Encryption),
        "deletionProtection" => Some(Change::DeletionProtection),
        "warmReadUnits" | "warmWriteUnits" => {
            let read = grown(desired.warm_read_units, observed.warm_read_units);
            let write = grown(desired.warm_write_units, observed.warm_write_units);
            (read.is_some() || write.is_some()).then_some(Change::WarmThroughput { read, write })
        }
        "indexWarmUnits" => desired.index_warm_units.iter().find_map(|(index, wanted)| {
            let found = observed.index_warm_units.get(index);
            let read = grown(Some(wanted.read), found.map(|units| units.read));
            let write = grown(Some(wanted.write), found.map(|units| units.write));
            (read.is_some() || write.is_some()).then(|| Change::IndexWarmThroughput {
                index: index.clone(),
                read,
                write,
            })
        }),
        // A stream keeps its view for life: another view needs another stream.
        "stream" => Some(Change::Stream {
            enable: desired.stream.is_some() && observed.stream.is_none(),
        }),
        "pointInTimeRecovery" => Some(Change::PointInTimeRecovery),
        "timeToLiveAttribute" => match (
            &desired.time_to_live_attribute,
            &observed.time_to_live_attribute,
        ) {
            // Another attribute is refused while one is in use.
            (_, Some(attribute)) => Some(Change::TimeToLive {
                attribute: attribute.clone(),
                enable: false,
            }),
            (Some(attribute), None) => Some(Change::TimeToLive {
                attribute: attribute.clone(),
                enable: true,
            }),
            (None, None) => None,
        },
        // There is none to put in its place.
        "policy" => Some(Change::Policy),
        "tags" => Some(Change::Tags),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use shopkeeper_plan::aws::{
        Key, KeyAttribute, KeyType, PointInTimeRecovery, Projection, StreamView, TableClass, Tags,
        Throughput,
    };

    use super::*;

    fn key(name: &str) -> Key {
        Key {
            partition: KeyAttribute {
                name: name.into(),
                r#type: KeyType::String,
            },
            sort: None,
        }
    }

    fn index(name: &str, provisioned: Option<i64>) -> SecondaryIndex {
        SecondaryIndex {
            key: key(name),
            projection: Projection::All,
            provisioned: provisioned.map(|units| Throughput {
                read: units,
                write: units,
            }),
        }
    }

    fn table(capacity: Capacity, indexes: &[(&str, SecondaryIndex)]) -> DynamoDbTable {
        DynamoDbTable {
            name: "orders".into(),
            key: key("id"),
            global_indexes: indexes
                .iter()
                .map(|(name, index)| ((*name).to_owned(), index.clone()))
                .collect(),
            local_indexes: BTreeMap::new(),
            capacity,
            autoscaled: std::collections::BTreeSet::new(),
            contradictory: std::collections::BTreeSet::new(),
            table_class: TableClass::Standard,
            kms_key_arn: None,
            point_in_time_recovery: PointInTimeRecovery {
                enabled: false,
                days: None,
            },
            time_to_live_attribute: None,
            deletion_protection: false,
            warm_read_units: None,
            warm_write_units: None,
            index_warm_units: BTreeMap::new(),
            stream: None,
            policy: None,
            tags: Tags::new(),
        }
    }

    const ON_DEMAND: Capacity = Capacity::OnDemand {
        max_read: None,
        max_write: None,
    };
    const FIVE: Capacity = Capacity::Provisioned(Throughput { read: 5, write: 5 });

    fn fields(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn an_index_of_another_key_goes_before_the_new_one_comes() {
        let observed = table(ON_DEMAND, &[("by", index("a", None))]);
        let desired = table(ON_DEMAND, &[("by", index("b", None))]);
        assert_eq!(
            next(&desired, &observed, &fields(&["globalIndexes"])),
            Some(Change::RemoveIndex("by".into()))
        );
        let gone = table(ON_DEMAND, &[]);
        assert_eq!(
            next(&desired, &gone, &fields(&["globalIndexes"])),
            Some(Change::MakeIndex("by".into()))
        );
    }

    #[test]
    fn switching_to_provisioned_carries_every_index_and_comes_before_new_ones() {
        let observed = table(ON_DEMAND, &[("by", index("a", None))]);
        let desired = table(
            FIVE,
            &[("by", index("a", Some(5))), ("new", index("b", Some(5)))],
        );
        let both = fields(&["globalIndexes", "capacity"]);
        assert_eq!(
            next(&desired, &observed, &both),
            Some(Change::Capacity {
                switch: true,
                table: true,
                indexes: vec!["by".into()]
            })
        );
    }

    #[test]
    fn switching_to_on_demand_sets_no_throughput_of_indexes() {
        let observed = table(FIVE, &[("by", index("a", Some(5)))]);
        let desired = table(ON_DEMAND, &[("by", index("a", None))]);
        let both = fields(&["globalIndexes", "capacity"]);
        assert_eq!(
            next(&desired, &observed, &both),
            Some(Change::Capacity {
                switch: true,
                table: true,
                indexes: vec![]
            })
        );
    }

    #[test]
    fn another_view_of_the_stream_takes_two_calls() {
        let mut observed = table(ON_DEMAND, &[]);
        observed.stream = Some(StreamView::KeysOnly);
        let mut desired = table(ON_DEMAND, &[]);
        desired.stream = Some(StreamView::NewImage);
        assert_eq!(
            next(&desired, &observed, &fields(&["stream"])),
            Some(Change::Stream { enable: false })
        );
        observed.stream = None;
        assert_eq!(
            next(&desired, &observed, &fields(&["stream"])),
            Some(Change::Stream { enable: true })
        );
    }

    #[test]
    fn warm_throughput_never_shrinks() {
        let mut observed = table(ON_DEMAND, &[]);
        (observed.warm_read_units, observed.warm_write_units) = (Some(12_000), Some(4_000));
        let mut desired = table(ON_DEMAND, &[]);
        (desired.warm_read_units, desired.warm_write_units) = (Some(1_000), Some(8_000));
        assert_eq!(
            next(
                &desired,
                &observed,
                &fields(&["warmReadUnits", "warmWriteUnits"])
            ),
            Some(Change::WarmThroughput {
                read: None,
                write: Some(8_000)
            })
        );
        observed.index_warm_units.insert(
            "by".into(),
            Throughput {
                read: 12_000,
                write: 4_000,
            },
        );
        desired.index_warm_units.insert(
            "by".into(),
            Throughput {
                read: 1_000,
                write: 8_000,
            },
        );
        assert_eq!(
            next(&desired, &observed, &fields(&["indexWarmUnits"])),
            Some(Change::IndexWarmThroughput {
                index: "by".into(),
                read: None,
                write: Some(8_000)
            })
        );
    }
}
