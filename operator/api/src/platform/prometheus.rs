//! Where Prometheus runs.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{pattern, schema};

/// Where Prometheus runs, which may read the metrics of workloads that say where theirs are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.pods) || self.type == 'Pods'")
    .message("pods may only be set when type is Pods"))]
pub struct Prometheus {
    /// `Pods` of the cluster, or `None`: whoever is to read metrics is among the `callers` of a workload.
    #[serde(rename = "type")]
    pub type_: PrometheusType,
    /// The pods, for type Pods. Everything in it has a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<PrometheusPods>,
}

/// Where Prometheus runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum PrometheusType {
    /// In pods of the cluster.
    Pods,
    /// Nowhere that a NetworkPolicy lets in.
    None,
}

/// The pods of Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusPods {
    /// Their namespace. Default: monitoring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LABEL))]
    pub namespace: Option<String>,
    /// Labels that they have. Default: `app.kubernetes.io/name: prometheus`, which the Prometheus Operator gives them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
}
