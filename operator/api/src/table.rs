//! A DynamoDB table.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Toggle, pattern};

/// A DynamoDB table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.localIndexes) == has(oldSelf.localIndexes) && (!has(self.localIndexes) || self.localIndexes == oldSelf.localIndexes)")
        .message("localIndexes can only be set when the table is made: add a global index in indexes instead"),
    validation = Rule::new("!has(self.localIndexes) || has(self.keys.sort)")
        .message("localIndexes need a table with a sort key: set keys.sort, or use indexes"),
    validation = Rule::new("!has(self.recoveryPeriodDays) || !has(self.pointInTimeRecovery) || self.pointInTimeRecovery == 'Enabled'")
        .message("recoveryPeriodDays needs pointInTimeRecovery Enabled"),
    validation = Rule::new("has(self.tableName) == has(oldSelf.tableName) && (!has(self.tableName) || self.tableName == oldSelf.tableName)")
        .message("tableName is immutable: a table cannot be renamed"),
    validation = Rule::new("!has(self.indexes) || self.indexes.all(i, !has(i.provisioned)) || (has(self.capacity) && self.capacity.type == 'Provisioned')")
        .message("indexes[].provisioned needs a table of provisioned capacity: set capacity.type to Provisioned")
)]
pub struct Table {
    /// Name of the table. Immutable. Default: `<platform>-<namespace>-<name>-<resource>`, with a hash behind it where a part has a
    /// hyphen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 255), regex(pattern = pattern::TABLE_NAME))]
    pub table_name: Option<String>,
    /// Primary key. Immutable. An attribute has one type in all keys of the table and its indexes: no table is made with
    /// keys that contradict each other, and one that is there stays as it is.
    #[x_kube(validation = Rule::new("self == oldSelf").message("keys are immutable: DynamoDB cannot change a primary key; declare a new table and move the data"))]
    pub keys: Keys,
    /// Global secondary indexes. They can be added and removed, one at a time, while the table is in use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub indexes: Vec<Index>,
    /// Local secondary indexes, with other names than `indexes` have. Immutable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub local_indexes: Vec<LocalIndex>,
    /// How capacity is bought. Default: OnDemand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<TableCapacity>,
    /// Continuous backups. Default: Enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point_in_time_recovery: Option<Toggle>,
    /// How far back the table can be restored, in days. Default: 35.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 35))]
    pub recovery_period_days: Option<i32>,
    /// Keeps everyone from deleting the table. Shopkeeper lifts it only under the deletion policies Snapshot and Delete.
    /// Default: Enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection: Option<Toggle>,
    /// Deletes items after the time in one of their attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_live: Option<TimeToLive>,
    /// Storage class: `Standard`, or `StandardInfrequentAccess` where storage costs more than requests. Default: Standard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_class: Option<TableClass>,
    /// Throughput that the table must serve at once, such as before a sale. It only grows, and growing is billed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_throughput: Option<WarmThroughput>,
    /// Stream of changes: what each record holds. Left out: no stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamView>,
}

/// A further table, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamedTable {
    /// Name of the table within this custom resource; bindings call it `tables.<name>`.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::LABEL))]
    pub name: String,
    /// The table.
    pub table: Table,
}

/// A key: a partition key, and a sort key where items share it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Keys {
    /// Partition key.
    pub partition: KeyAttribute,
    /// Sort key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<KeyAttribute>,
}

/// An attribute that is part of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyAttribute {
    /// Name of the attribute.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Type of the attribute.
    #[serde(rename = "type")]
    pub type_: AttributeType,
}

/// Types that keys can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum AttributeType {
    /// Text.
    String,
    /// A number.
    Number,
    /// Bytes.
    Binary,
}

/// A global secondary index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.partition == oldSelf.partition && has(self.sort) == has(oldSelf.sort) && (!has(self.sort) || self.sort == oldSelf.sort) && has(self.projection) == has(oldSelf.projection) && (!has(self.projection) || self.projection == oldSelf.projection)")
        .message("keys and projection of an index are immutable: add an index under a new name, and remove this one when nothing reads it")
)]
pub struct Index {
    /// Name of the index.
    #[schemars(length(min = 3, max = 255), regex(pattern = pattern::TABLE_NAME))]
    pub name: String,
    /// Partition key. Immutable.
    pub partition: KeyAttribute,
    /// Sort key. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<KeyAttribute>,
    /// Attributes copied into the index. Immutable. Default: All.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<Projection>,
    /// Capacity of the index in a table of provisioned capacity, fixed or scaled by itself. Default: as the table's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned: Option<ProvisionedCapacity>,
    /// Throughput that the index must serve at once. It only grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_throughput: Option<WarmThroughput>,
}

/// A local secondary index: another sort key beside the table's partition key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalIndex {
    /// Name of the index.
    #[schemars(length(min = 3, max = 255), regex(pattern = pattern::TABLE_NAME))]
    pub name: String,
    /// Sort key.
    pub sort: KeyAttribute,
    /// Attributes copied into the index. Default: All.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<Projection>,
}

/// Attributes copied into an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.attributes) == (self.type == 'Include')")
    .message("attributes must be set when type is Include, and left out otherwise"))]
pub struct Projection {
    /// `All` attributes, `KeysOnly`, or keys and what `attributes` names (`Include`).
    #[serde(rename = "type")]
    pub type_: ProjectionType,
    /// Attributes beside the keys, for type Include.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 20), inner(length(min = 1, max = 255)), extend("x-kubernetes-list-type" = "set"))]
    pub attributes: Vec<String>,
}

/// Which attributes an index holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum ProjectionType {
    /// All of them.
    All,
    /// The keys.
    KeysOnly,
    /// The keys and those that are named.
    Include,
}

/// How the capacity of a table is bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.provisioned) == (self.type == 'Provisioned')")
        .message("provisioned must be set when type is Provisioned, and left out otherwise"),
    validation = Rule::new("!has(self.onDemand) || self.type == 'OnDemand'")
        .message("onDemand may only be set when type is OnDemand")
)]
pub struct TableCapacity {
    /// `OnDemand` pays by request, `Provisioned` by reserved units. AWS allows a change four times in 24 hours.
    #[serde(rename = "type")]
    pub type_: TableCapacityType,
    /// Upper limits of cost, for type OnDemand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_demand: Option<OnDemandCapacity>,
    /// Reserved units, for type Provisioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned: Option<ProvisionedCapacity>,
}

/// Ways to buy the capacity of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum TableCapacityType {
    /// By request.
    OnDemand,
    /// By reserved units.
    Provisioned,
}

/// Upper limits of on-demand capacity, in request units a second; requests above are throttled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnDemandCapacity {
    /// Most reads. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_read: Option<i64>,
    /// Most writes. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_write: Option<i64>,
}

/// Reserved capacity, in units a second: reads and writes are each a fixed number, or scaled within a range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.read) != (has(self.autoscale) && has(self.autoscale.read))")
        .message("reads need either a number in read or a range in autoscale.read"),
    validation = Rule::new("has(self.write) != (has(self.autoscale) && has(self.autoscale.write))")
        .message("writes need either a number in write or a range in autoscale.write")
)]
pub struct ProvisionedCapacity {
    /// Read units, where they are fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub read: Option<i64>,
    /// Write units, where they are fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub write: Option<i64>,
    /// As many units as the load needs, by Application Auto Scaling. What is there when it begins stays until the load says
    /// otherwise; a table that was on demand begins with the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<CapacityAutoscale>,
}

/// Which units are scaled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityAutoscale {
    /// Read units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<CapacityRange>,
    /// Write units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<CapacityRange>,
}

/// As many units as the load needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.min <= self.max").message("min must not exceed max: lower min or raise max"))]
pub struct CapacityRange {
    /// Fewest units.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min: i32,
    /// Most units: the upper limit of cost.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max: i32,
    /// Target of what is consumed, in percent of what is provisioned. Default: 70.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 20, max = 90))]
    pub target_utilization: Option<i32>,
    /// Seconds after units were taken away until more are. DynamoDB allows only some decreases a day. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub scale_in_cooldown_seconds: Option<i32>,
    /// Seconds after units were added until more are. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub scale_out_cooldown_seconds: Option<i32>,
    /// `Disabled` only adds units and never takes any away. Default: Enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_in: Option<Toggle>,
}

/// Throughput to be ready for, in units a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.read >= oldSelf.read && self.write >= oldSelf.write")
    .message("warmThroughput can only grow: DynamoDB does not take it back"))]
pub struct WarmThroughput {
    /// Read units.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub read: i64,
    /// Write units.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub write: i64,
}

/// Deletion of items by time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimeToLive {
    /// Attribute that holds the time, in seconds since 1970. Items go within a few days after it.
    #[schemars(length(min = 1, max = 255))]
    pub attribute: String,
}

/// Storage class of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum TableClass {
    /// For tables where requests cost more than storage.
    Standard,
    /// For tables where storage costs more than requests.
    StandardInfrequentAccess,
}

/// What a stream record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum StreamView {
    /// The keys.
    KeysOnly,
    /// The item after the change.
    NewImage,
    /// The item before the change.
    OldImage,
    /// The item before and after the change.
    NewAndOldImages,
}
