//! DynamoDB table.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};
use crate::plan::Effect;

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
    /// A fixed number of units a second.
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
    /// Tags.
    pub tags: Tags,
}

/// Switching billing or class takes a while, and each is allowed only a few times in 24 hours or 30 days.
const UPDATE_MINUTES: u16 = 1;

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
    ];

    fn name(&self) -> String {
        self.name.clone()
    }
    tagged!();

    /// An index that goes takes the queries with it that use it.
    fn effect(&self, observed: &Self, field: &str) -> Option<Effect> {
        (field == "globalIndexes"
            && observed.global_indexes.iter().any(|(name, index)| {
                self.global_indexes.get(name).is_none_or(|wanted| {
                    wanted.key != index.key || wanted.projection != index.projection
                })
            }))
        .then_some(Effect::Downtime)
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
}
