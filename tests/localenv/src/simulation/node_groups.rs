//! The managed node groups of every cluster, as EKS describes them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use aws_sdk_eks::Client;
use aws_sdk_eks::config::retry::RetryConfig;
use aws_sdk_eks::types::{Nodegroup, NodegroupStatus, TaintEffect};
use http::{HeaderValue, header};
use serde_json::{Value, json};

use super::USER_AGENT;

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

/// Reads node groups from EKS.
pub(super) struct NodeGroups {
    client: Client,
}

impl NodeGroups {
    pub(super) fn new(endpoint: &str) -> Self {
        // The next look comes soon; retries would only wait.
        let config = aws_sdk_eks::config::Builder::from(&super::sdk_config(endpoint))
            .retry_config(RetryConfig::disabled())
            .build();
        Self {
            client: Client::from_conf(config),
        }
    }

    /// Every node group of every cluster. Fails when any part cannot be read: half a list looks like a deletion.
    pub(super) async fn list(&self) -> Result<Vec<NodeGroup>> {
        let mut groups = Vec::new();
        let mut next = None;
        let mut clusters = Vec::new();
        loop {
            let request = self.client.list_clusters().set_next_token(next);
            let page = request
                .customize()
                .mutate_request(name_client)
                .send()
                .await
                .context("ListClusters")?;
            clusters.extend(page.clusters.unwrap_or_default());
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        for cluster in clusters {
            for name in self.names(&cluster).await? {
                let request = self
                    .client
                    .describe_nodegroup()
                    .cluster_name(&cluster)
                    .nodegroup_name(&name);
                match request.customize().mutate_request(name_client).send().await {
                    Ok(answer) => groups.extend(
                        answer
                            .nodegroup
                            .map(|group| NodeGroup::from_eks(&cluster, &name, &group)),
                    ),
                    // Its deletion ended between the two calls.
                    Err(error)
                        if error
                            .as_service_error()
                            .is_some_and(|e| e.is_resource_not_found_exception()) =>
                    {
                        ()
                    }
                    Err(error) => return Err(error).context("DescribeNodegroup"),
                }
            }
        }
        Ok(groups)
    }

    async fn names(&self, cluster: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut next = None;
        loop {
            let request = self
                .client
                .list_nodegroups()
                .cluster_name(cluster)
                .set_next_token(next);
            match request.customize().mutate_request(name_client).send().await {
                Ok(page) => {
                    names.extend(page.nodegroups.unwrap_or_default());
                    next = page.next_token;
                }
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(|e| e.is_resource_not_found_exception()) =>
                {
                    next = None
                }
                Err(error) => return Err(error).context("ListNodegroups"),
            }
            if next.is_none() {
                return Ok(names);
            }
        }
    }
}

/// Makes these calls recognisable in the double's record, so that they are not taken for the operator's.
fn name_client(request: &mut aws_sdk_eks::config::http::HttpRequest) {
    let name = HeaderValue::from_static(USER_AGENT);
    request.headers_mut().insert(header::USER_AGENT, name);
}

impl NodeGroup {
    fn from_eks(cluster: &str, name: &str, group: &Nodegroup) -> Self {
        let phase = match group.status() {
            Some(
                NodegroupStatus::Active | NodegroupStatus::Updating | NodegroupStatus::Degraded,
            ) => Phase::Running,
            Some(NodegroupStatus::Deleting | NodegroupStatus::DeleteFailed) => Phase::Deleting,
            _ => Phase::Creating,
        };
        let desired = group
            .scaling_config()
            .and_then(|scaling| scaling.desired_size())
            .unwrap_or(0);
        let desired = usize::try_from(desired).unwrap_or(0);
        let update = group.update_config();
        let max_unavailable = match update.and_then(|update| update.max_unavailable_percentage()) {
            // EKS rounds a percentage up.
            Some(percentage) => (desired * usize::try_from(percentage).unwrap_or(0)).div_ceil(100),
            None => usize::try_from(
                update
                    .and_then(|update| update.max_unavailable())
                    .unwrap_or(1),
            )
            .unwrap_or(1),
        };
        let launch_template = group.launch_template().map(|template| {
            format!(
                "{}:{}",
                template.id().unwrap_or_default(),
                template.version().unwrap_or_default()
            )
        });
        let version = group.version().unwrap_or("1.36").to_owned();
        Self {
            key: format!("{cluster}/{name}"),
            name: name.to_owned(),
            phase,
            desired,
            max_unavailable: max_unavailable.max(1),
            labels: group
                .labels()
                .into_iter()
                .flatten()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            taints: group.taints().iter().map(taint).collect(),
            subnets: group.subnets().to_vec(),
            instance_types: group.instance_types().to_vec(),
            capacity_type: group
                .capacity_type()
                .map_or("ON_DEMAND", |capacity| capacity.as_str())
                .to_owned(),
            template: format!(
                "{version} {} {}",
                group.release_version().unwrap_or_default(),
                launch_template.unwrap_or_default()
            ),
            version,
        }
    }
}

/// EKS spells the effects its own way.
fn taint(taint: &aws_sdk_eks::types::Taint) -> Value {
    let effect = match taint.effect() {
        Some(TaintEffect::NoExecute) => "NoExecute",
        Some(TaintEffect::PreferNoSchedule) => "PreferNoSchedule",
        _ => "NoSchedule",
    };
    let mut object = json!({"key": taint.key().unwrap_or_default(), "effect": effect});
    if let Some(value) = taint.value().filter(|value| !value.is_empty()) {
        object["value"] = value.into();
    }
    object
}
