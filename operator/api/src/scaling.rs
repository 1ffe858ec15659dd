//! How many replicas a workload has.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{pattern, schema};

/// How many replicas the workload has: a fixed number, or as many as its load needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.fixed) == (self.type == 'Fixed')")
        .message("fixed must be set when type is Fixed, and left out otherwise"),
    validation = Rule::new("has(self.autoscale) == (self.type == 'Autoscale')")
        .message("autoscale must be set when type is Autoscale, and left out otherwise")
)]
pub struct Scaling {
    /// `Fixed` keeps a number of replicas, `Autoscale` follows the load with a HorizontalPodAutoscaler.
    #[serde(rename = "type")]
    pub type_: ScalingType,
    /// The number of replicas, for type Fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<FixedScaling>,
    /// Range and targets, for type Autoscale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<Autoscale>,
}

/// Ways to decide on the number of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum ScalingType {
    /// A fixed number.
    Fixed,
    /// As many as the load needs.
    Autoscale,
}

/// A fixed number of replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FixedScaling {
    /// Number of replicas. 0 stops the workload and keeps its data tier.
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: i32,
}

/// As many replicas as the load needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.min <= self.max").message("min must not exceed max: lower min or raise max"))]
pub struct Autoscale {
    /// Fewest replicas. At least 2 keeps the service up while a node is drained.
    #[schemars(range(min = 1, max = 1000))]
    pub min: i32,
    /// Most replicas.
    #[schemars(range(min = 1, max = 1000))]
    pub max: i32,
    /// Target of CPU use, in percent of the request. Where `workload.resources` says nothing of cpu, the request is 100m. Default: 60
    /// when neither cpu nor memory nor metrics is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub cpu: Option<i32>,
    /// Target of memory use, in percent of the request. It needs a request or a limit of memory in `workload.resources`, where those are
    /// set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub memory: Option<i32>,
    /// Further targets, on metrics that a metrics adapter serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub metrics: Vec<MetricTarget>,
    /// How fast to scale. Default: the autoscaler's own, which adds at once and removes after 5 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<ScalingBehavior>,
}

/// A target on a metric that a metrics adapter serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricTarget {
    /// Name of the metric.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// `Pods` averages a metric over the pods, `External` reads one from outside the cluster, such as the length of a queue.
    #[serde(rename = "type")]
    pub type_: MetricTargetType,
    /// Value to hold for each pod, as a quantity.
    #[schemars(length(min = 1, max = 32), regex(pattern = pattern::AMOUNT))]
    pub average_value: String,
    /// Labels that choose among series of one name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub match_labels: BTreeMap<String, String>,
}

/// Where a metric comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum MetricTargetType {
    /// From the pods (custom metrics API).
    Pods,
    /// From outside the cluster (external metrics API).
    External,
}

/// How fast to scale.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingBehavior {
    /// Adding replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_up: Option<ScalingRules>,
    /// Removing replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<ScalingRules>,
}

/// How fast to scale in one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingRules {
    /// How long to look back before acting on a recommendation, in seconds. Default: 0 up, 300 down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub stabilization_window_seconds: Option<i32>,
    /// Which policy counts when there are several: `Max` the fastest, `Min` the slowest, `Disabled` none. Default: Max.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select_policy: Option<SelectPolicy>,
    /// Steps that are allowed in a period.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub policies: Vec<ScalingStep>,
}

/// Which scaling step counts when there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum SelectPolicy {
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// None: no scaling in this direction.
    Disabled,
}

/// A step that is allowed in a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingStep {
    /// Unit of `value`: `Pods` or `Percent` of the current number.
    #[serde(rename = "type")]
    pub type_: ScalingStepType,
    /// Largest change in the period.
    #[schemars(range(min = 1, max = 1000))]
    pub value: i32,
    /// The period, in seconds.
    #[schemars(range(min = 1, max = 1800))]
    pub period_seconds: i32,
}

/// Unit of a scaling step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum ScalingStepType {
    /// A number of pods.
    Pods,
    /// Percent of the current number.
    Percent,
}
