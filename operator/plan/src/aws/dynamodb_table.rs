//! DynamoDB table.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};
use crate::plan::Effect;

mod contradictions;

pub use contradictions::Contradictory;

/// Type of a key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum KeyType {
    /// `S`
    String,
    /// `N`
    Number,
    /// `B`
    Binary,
}

/// A key attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyAttribute {
    /// Name of the attribute.
    pub name: String,
    /// Its type.
    pub r#type: KeyType,
}

/// A primary or index key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// Partition key.
    pub partition: KeyAttribute,
    /// Sort key.
    pub sort: Option<KeyAttribute>,
}

/// Which attributes an index copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Projection {
    /// All of them.
    All,
    /// Only the keys.
    KeysOnly,
    /// The keys and these.
    Include(BTreeSet<String>),
}

/// Read and write units a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Throughput {
    /// Read units.
    pub read: i64,
    /// Write units.
    pub write: i64,
}

/// One of the two kinds of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Units {
    /// Read units.
    Read,
    /// Write units.
    Write,
}

impl Throughput {
    /// The number of these units.
    #[must_use]
    pub const fn of(self, units: Units) -> i64 {
        match units {
            Units::Read => self.read,
            Units::Write => self.write,
        }
    }

    /// The same with another number of these units.
    #[must_use]
    pub const fn with(mut self, units: Units, number: i64) -> Self {
        match units {
            Units::Read => self.read = number,
            Units::Write => self.write = number,
        }
        self
    }
}

/// Units that an autoscaler sets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoscaledUnits {
    /// The global index whose units they are; `None` for those of the table.
    pub index: Option<String>,
    /// Which.
    pub units: Units,
    /// Fewest.
    pub min: i64,
    /// Most.
    pub max: i64,
}

/// How capacity is bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Capacity {
    /// By request, with optional ceilings.
    OnDemand {
        /// Most read request units a second.
        max_read: Option<i64>,
        /// Most write request units a second.
        max_write: Option<i64>,
    },
    /// A number of units a second: fixed, or the one to begin with where [`DynamoDbTable::autoscaled`] has them.
    Provisioned(Throughput),
}

/// A global or local secondary index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecondaryIndex {
    /// Its key.
    pub key: Key,
    /// What it copies.
    pub projection: Projection,
    /// Its provisioned capacity; `None` on demand and for local indexes.
    pub provisioned: Option<Throughput>,
}

/// Storage class of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableClass {
    /// `STANDARD`
    Standard,
    /// `STANDARD_INFREQUENT_ACCESS`
    StandardInfrequentAccess,
}

/// Point-in-time recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PointInTimeRecovery {
    /// Whether it is on.
    pub enabled: bool,
    /// How many days one can go back, 1 to 35.
    pub days: Option<i32>,
}

/// Days that one can go back where DynamoDB is not told how many.
const DEFAULT_RECOVERY_DAYS: i32 = 35;

impl PointInTimeRecovery {
    /// How many days one can go back.
    fn reach(self) -> i32 {
        if self.enabled {
            self.days.unwrap_or(DEFAULT_RECOVERY_DAYS)
        } else {
            0
        }
    }
}

/// What a stream record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamView {
    /// `KEYS_ONLY`
    KeysOnly,
    /// `NEW_IMAGE`
    NewImage,
    /// `OLD_IMAGE`
    OldImage,
    /// `NEW_AND_OLD_IMAGES`
    NewAndOldImages,
}

/// A table with everything that is set on it. DynamoDB takes one UpdateTable at a time and one index a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DynamoDbTable {
    /// Name, 3 to 255 characters.
    pub name: String,
    /// Primary key.
    pub key: Key,
    /// Global secondary indexes by name.
    pub global_indexes: BTreeMap<String, SecondaryIndex>,
    /// Local secondary indexes by name; DynamoDB makes them only with the table.
    pub local_indexes: BTreeMap<String, SecondaryIndex>,
    /// Capacity.
    pub capacity: Capacity,
    /// Provisioned units that an autoscaler sets: ours only when the table or index is made, or becomes provisioned.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub autoscaled: BTreeSet<AutoscaledUnits>,
    /// What contradicts itself in the keys: a table that is there keeps it as it is, and none is made with it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub contradictory: BTreeSet<Contradictory>,
    /// Storage class.
    pub table_class: TableClass,
    /// ARN of the KMS key; `None` for the key that DynamoDB owns.
    pub kms_key_arn: Option<String>,
    /// Point-in-time recovery.
    pub point_in_time_recovery: PointInTimeRecovery,
    /// Attribute that holds the expiry in epoch seconds. `None` switches expiry off.
    pub time_to_live_attribute: Option<String>,
    /// Whether DeleteTable is refused.
    pub deletion_protection: bool,
    /// Throughput the table can take at once; AWS only raises it.
    pub warm_read_units: Option<i64>,
    /// See [`Self::warm_read_units`].
    pub warm_write_units: Option<i64>,
    /// Throughput that global indexes can take at once, by name; AWS only raises it. Apart from [`Self::global_indexes`], because
    /// an index that has grown by itself is as desired.
    pub index_warm_units: BTreeMap<String, Throughput>,
    /// Change stream.
    pub stream: Option<StreamView>,
    /// Policy by which somebody lets others in, as a policy document. None is ever wished for: who may use it has a role for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<serde_json::Value>,
    /// Tags.
    pub tags: Tags,
}

/// Switching billing or class takes a while, and each is allowed only a few times in 24 hours or 30 days.
const UPDATE_MINUTES: u16 = 1;

impl DynamoDbTable {
    /// The provisioned units of the table, or of one of its global indexes; `None` on demand, and where there is no such index.
    #[must_use]
    pub fn throughput(&self, index: Option<&str>) -> Option<Throughput> {
        match (self.capacity, index) {
            (Capacity::OnDemand { .. }, _) => None,
            (Capacity::Provisioned(of_table), None) => Some(of_table),
            (Capacity::Provisioned(_), Some(index)) => self.global_indexes.get(index)?.provisioned,
        }
    }

    fn set_throughput(&mut self, index: Option<&str>, throughput: Throughput) {
        match index {
            None => self.capacity = Capacity::Provisioned(throughput),
            Some(index) => {
                if let Some(index) = self.global_indexes.get_mut(index) {
                    index.provisioned = Some(throughput);
                }
            }
        }
    }
}

impl AutoscaledUnits {
    /// How many there should be in a table that is there already.
    fn in_place(&self, observed: &DynamoDbTable) -> i64 {
        let within = |number: i64| number.max(self.min).min(self.max);
        match (
            observed.throughput(self.index.as_deref()),
            observed.throughput(None),
        ) {
            (Some(found), _) => found.of(self.units),
            // On demand it took any load, and nobody knows which: it starts with the most, and the autoscaler takes away what is
            // not used.
            (None, None) => self.max,
            // A new index that takes fewer writes than its table holds up the writes of the table.
            (None, Some(of_table)) => match self.units {
                Units::Read => self.min,
                Units::Write => within(of_table.write),
            },
        }
    }
}

impl AwsSpecification for DynamoDbTable {
    const KIND: AwsKind = AwsKind::DynamoDbTable;
    const FIELDS: &'static [Field] = &[
        Field::refused(
            "key",
            "restore the key in the specification, or declare another table and copy the items",
        ),
        Field::in_place("globalIndexes", Effect::None, 5),
        Field::refused(
            "localIndexes",
            "restore the local indexes, or declare another table and copy the items",
        ),
        Field::in_place("capacity", Effect::None, UPDATE_MINUTES),
        Field::in_place("tableClass", Effect::None, UPDATE_MINUTES),
        Field::in_place("kmsKeyArn", Effect::None, UPDATE_MINUTES),
        Field::harmless("pointInTimeRecovery"),
        Field::harmless("timeToLiveAttribute").clearable(),
        Field::harmless("deletionProtection"),
        Field::grow_only("warmReadUnits", Effect::None, UPDATE_MINUTES),
        Field::grow_only("warmWriteUnits", Effect::None, UPDATE_MINUTES),
        Field::grow_only("indexWarmUnits", Effect::None, UPDATE_MINUTES),
        Field::in_place("stream", Effect::None, UPDATE_MINUTES).clearable(),
        Field::harmless("policy").clearable(),
    ];

    fn name(&self) -> String {
        self.name.clone()
    }
    tagged!();

    /// An index that goes takes the queries with it that use it. Point-in-time recovery that is switched off forgets all it has, and
    /// with fewer days what is older. An attribute by which items expire deletes those whose time is over.
    fn effect(&self, observed: &Self, field: &str) -> Option<Effect> {
        match field {
            "globalIndexes"
                if observed.global_indexes.iter().any(|(name, index)| {
                    self.global_indexes.get(name).is_none_or(|wanted| {
                        wanted.key != index.key || wanted.projection != index.projection
                    })
                }) =>
            {
                Some(Effect::Downtime)
            }
            "pointInTimeRecovery"
                if self.point_in_time_recovery.reach()
                    < observed.point_in_time_recovery.reach() =>
            {
                Some(Effect::DataLoss)
            }
            "timeToLiveAttribute" if self.time_to_live_attribute.is_some() => {
                Some(Effect::DataLoss)
            }
            _ => None,
        }
    }

    /// DynamoDB changes neither the attribute that expires nor the view of a stream: the old one is switched off first.
    fn on_the_way(&self, observed: &Self, field: &str) -> Option<serde_json::Value> {
        let replaced = match field {
            "timeToLiveAttribute" => {
                self.time_to_live_attribute.is_some() && observed.time_to_live_attribute.is_some()
            }
            "stream" => self.stream.is_some() && observed.stream.is_some(),
            _ => false,
        };
        replaced.then_some(serde_json::Value::Null)
    }

    /// What an autoscaler sets is as it is, within its range or not: it brings it there itself. What contradicts itself is as it is, too.
    fn yielding_to(&self, observed: &Self) -> Self {
        let mut yielding = self.clone();
        for contradictory in std::mem::take(&mut yielding.contradictory) {
            yielding.settle(&contradictory, observed);
        }
        for scaled in std::mem::take(&mut yielding.autoscaled) {
            let index = scaled.index.as_deref();
            if let Some(throughput) = yielding.throughput(index) {
                yielding.set_throughput(
                    index,
                    throughput.with(scaled.units, scaled.in_place(observed)),
                );
            }
        }
        yielding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key {
            partition: KeyAttribute {
                name: "id".into(),
                r#type: KeyType::String,
            },
            sort: None,
        }
    }

    fn table(capacity: Capacity, index: Option<Throughput>) -> DynamoDbTable {
        let by = SecondaryIndex {
            key: key(),
            projection: Projection::All,
            provisioned: index,
        };
        DynamoDbTable {
            name: "orders".into(),
            key: key(),
            global_indexes: [("by".to_owned(), by)].into(),
            local_indexes: BTreeMap::new(),
            capacity,
            autoscaled: BTreeSet::new(),
            contradictory: BTreeSet::new(),
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

    const fn units(read: i64, write: i64) -> Throughput {
        Throughput { read, write }
    }

    /// Reads of the table and both of the index are scaled, writes of the table are fixed.
    fn desired() -> DynamoDbTable {
        let mut table = table(Capacity::Provisioned(units(5, 7)), Some(units(2, 3)));
        let scaled = |index: Option<&str>, units, min, max| AutoscaledUnits {
            index: index.map(str::to_owned),
            units,
            min,
            max,
        };
        table.autoscaled = [
            scaled(None, Units::Read, 5, 100),
            scaled(Some("by"), Units::Read, 2, 50),
            scaled(Some("by"), Units::Write, 3, 60),
        ]
        .into();
        table
    }

    #[test]
    fn what_an_autoscaler_has_set_is_left_and_what_is_fixed_is_not() {
        let observed = table(Capacity::Provisioned(units(40, 90)), Some(units(1, 70)));
        let wanted = desired().yielding_to(&observed);
        assert_eq!(wanted.capacity, Capacity::Provisioned(units(40, 7)));
        assert_eq!(wanted.global_indexes["by"].provisioned, Some(units(1, 70)));
        assert!(wanted.autoscaled.is_empty());
    }

    #[test]
    fn a_table_that_was_on_demand_starts_with_the_most() {
        let on_demand = Capacity::OnDemand {
            max_read: None,
            max_write: None,
        };
        let wanted = desired().yielding_to(&table(on_demand, None));
        assert_eq!(wanted.capacity, Capacity::Provisioned(units(100, 7)));
        assert_eq!(wanted.global_indexes["by"].provisioned, Some(units(50, 60)));
    }

    #[test]
    fn a_new_index_takes_the_writes_of_its_table() {
        for (of_table, expected) in [(40, 40), (1, 3), (1000, 60)] {
            let mut observed = table(Capacity::Provisioned(units(9, of_table)), None);
            observed.global_indexes.clear();
            let wanted = desired().yielding_to(&observed);
            assert_eq!(
                wanted.global_indexes["by"].provisioned,
                Some(units(2, expected))
            );
        }
    }

    #[test]
    fn on_demand_there_is_nothing_to_yield() {
        let on_demand = Capacity::OnDemand {
            max_read: None,
            max_write: None,
        };
        let wanted = table(on_demand, None);
        let observed = table(Capacity::Provisioned(units(9, 9)), Some(units(9, 9)));
        assert_eq!(wanted.yielding_to(&observed), wanted);
    }
}
