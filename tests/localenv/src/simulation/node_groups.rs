//! The managed node groups of every cluster, as the double keeps them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::REGION;
use crate::aws_double::AwsControl;

/// What a node group says about its nodes.
#[derive(Clone, Debug)]
pub(super) struct NodeGroup {
    /// Cluster and name: a name is unique in its cluster only.
    pub(super) key: String,
    pub(super) name: String,
    pub(super) phase: Phase,
    pub(super) desired: usize,
    pub(super) max_unavailable: usize,
    pub(super) labels: BTreeMap<String, String>,
    /// As in a Node's `spec.taints`.
    pub(super) taints: Vec<Value>,
    pub(super) subnets: Vec<String>,
    pub(super) instance_types: Vec<String>,
    pub(super) capacity_type: String,
    /// The Kubernetes version of its kubelets, `1.36`.
    pub(super) version: String,
    /// What a node is replaced for when it changes: version, AMI release and launch template.
    pub(super) template: String,
    /// The version update under way, which ends when all nodes are of its template.
    pub(super) rollout: Option<String>,
    cluster: String,
}

/// What EKS does with the nodes of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not yet any.
    Creating,
    /// Kept at the desired number.
    Running,
    /// All drained.
    Deleting,
}

/// A resource in the double's inventory.
#[derive(Deserialize)]
struct Entry {
    name: String,
    status: Option<String>,
    cluster: Option<String>,
    detail: Option<Detail>,
    rollout: Option<Rollout>,
}

/// The nodes that a version update asks for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rollout {
    update: String,
    version: Option<String>,
    release_version: Option<String>,
    launch_template: Option<Value>,
}

/// A node group in EKS's own terms, as DescribeNodegroup has them.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Detail {
    scaling_config: ScalingConfig,
    update_config: UpdateConfig,
    instance_types: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
    taints: Option<Vec<Taint>>,
    subnets: Option<Vec<String>>,
    capacity_type: Option<String>,
    version: Option<String>,
    release_version: Option<String>,
    launch_template: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ScalingConfig {
    desired_size: usize,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UpdateConfig {
    max_unavailable: Option<usize>,
    max_unavailable_percentage: Option<usize>,
}

#[derive(Deserialize)]
struct Taint {
    key: String,
    value: Option<String>,
    effect: String,
}

/// Every node group of every cluster.
///
/// Read from the double's memory and not through EKS's API: these looks would use up the faults that a test has meant
/// for the operator, and the operator's share of EKS's rate.
pub(super) async fn list(control: &AwsControl) -> Result<Vec<NodeGroup>> {
    let path = format!("inventory?service=eks&region={REGION}");
    let mut answer = control.request(Method::GET, &path, None).await?;
    let mut groups = Vec::new();
    for entry in answer["resources"]
        .as_array_mut()
        .context("an inventory without resources")?
    {
        if entry["type"] == "nodegroup" {
            let entry = Entry::deserialize(entry.take()).context("not a node group")?;
            groups.push(NodeGroup::from(entry));
        }
    }
    Ok(groups)
}

/// Tells the double that someone plays the nodes, so that version updates last until they are replaced.
pub(super) async fn take_part(control: &AwsControl) -> Result<()> {
    control
        .configure(json!({"nodes_are_played": true}))
        .await
        .map(drop)
}

/// Tells the double that all nodes of a group are of the template that its version update asks for.
pub(super) async fn replaced(control: &AwsControl, group: &NodeGroup, update: &str) -> Result<()> {
    let report = json!({
        "region": REGION, "cluster": group.cluster, "nodegroup": group.name, "update": update,
    });
    control
        .request(Method::POST, "nodes", Some(report))
        .await
        .map(drop)
}

impl From<Entry> for NodeGroup {
    fn from(entry: Entry) -> Self {
        let detail = entry.detail.unwrap_or_default();
        let phase = match entry.status.as_deref() {
            Some("ACTIVE" | "UPDATING" | "DEGRADED") => Phase::Running,
            Some("DELETING" | "DELETE_FAILED") => Phase::Deleting,
            _ => Phase::Creating,
        };
        let desired = detail.scaling_config.desired_size;
        let max_unavailable = match detail.update_config.max_unavailable_percentage {
            // EKS rounds a percentage up.
            Some(percentage) => (desired * percentage).div_ceil(100),
            None => detail.update_config.max_unavailable.unwrap_or(1),
        };
        let (rollout, version, release, launch_template) = match entry.rollout {
            Some(asked) => (
                Some(asked.update),
                asked.version,
                asked.release_version,
                asked.launch_template,
            ),
            None => (
                None,
                detail.version,
                detail.release_version,
                detail.launch_template,
            ),
        };
        let version = version.unwrap_or_else(|| "1.36".into());
        let cluster = entry.cluster.unwrap_or_default();
        Self {
            key: format!("{cluster}/{}", entry.name),
            name: entry.name,
            phase,
            desired,
            max_unavailable: max_unavailable.max(1),
            labels: detail.labels.unwrap_or_default(),
            taints: detail
                .taints
                .unwrap_or_default()
                .into_iter()
                .map(Value::from)
                .collect(),
            subnets: detail.subnets.unwrap_or_default(),
            instance_types: detail.instance_types.unwrap_or_default(),
            capacity_type: detail.capacity_type.unwrap_or_else(|| "ON_DEMAND".into()),
            template: json!([version, release, launch_template]).to_string(),
            version,
            rollout,
            cluster,
        }
    }
}

impl From<Taint> for Value {
    /// EKS spells the effects its own way.
    fn from(taint: Taint) -> Self {
        let effect = match taint.effect.as_str() {
            "NO_EXECUTE" => "NoExecute",
            "PREFER_NO_SCHEDULE" => "PreferNoSchedule",
            _ => "NoSchedule",
        };
        let mut object = json!({"key": taint.key, "effect": effect});
        if let Some(value) = taint.value.filter(|value| !value.is_empty()) {
            object["value"] = value.into();
        }
        object
    }
}
