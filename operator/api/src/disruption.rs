//! How many replicas may be missing on purpose.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// How many replicas may be missing at once when nodes are drained: a PodDisruptionBudget. One of the two, not both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.minAvailable) != has(self.maxUnavailable)")
    .message("set either minAvailable or maxUnavailable, not both: the API server refuses a PodDisruptionBudget with both"))]
pub struct Disruption {
    /// Replicas that must stay, as a number or in percent, which Kubernetes rounds up: 67% of 3 are 3. As many as there are replicas
    /// (of an autoscaler, the fewest) would block every node update: a number is lowered by what it takes to leave one, and for a
    /// percentage one replica may be missing, as with `maxUnavailable: 1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::int_or_percent")]
    pub min_available: Option<IntOrString>,
    /// Replicas that may be missing, as a number or in percent, which Kubernetes rounds up: 1% of 3 is 1. None, as a number or in
    /// percent, would block every node update, and counts as 1. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::int_or_percent")]
    pub max_unavailable: Option<IntOrString>,
}
