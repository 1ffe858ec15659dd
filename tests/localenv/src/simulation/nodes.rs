//! The Node objects of simulated machines.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Node;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::instance_types::{InstanceType, MAX_PODS};
use super::node_groups::NodeGroup;
use super::subnets::default_zones;
use crate::REGION;
use crate::control_plane::SIMULATED_NODE;

/// The label EKS gives the nodes of a managed node group.
pub(super) const GROUP_LABEL: &str = "eks.amazonaws.com/nodegroup";

/// The label of nodes that Fargate makes, one for each pod, as a selector.
pub(super) const ON_FARGATE: &str = "eks.amazonaws.com/compute-type=fargate";

/// The group a node was made for, with its cluster.
const GROUP_KEY: &str = "localenv.shopkeeper.dev/node-group";
/// What the group's nodes were made from when this one was.
const TEMPLATE: &str = "localenv.shopkeeper.dev/template";
/// The labels and taints that came from the group, to tell them from those of others when the group changes.
const FROM_GROUP: &str = "localenv.shopkeeper.dev/from-group";
/// The node is to go.
const TERMINATING: &str = "localenv.shopkeeper.dev/terminating";

/// The nodes that are there before any node group, so many in each zone: system pods run on them.
pub(crate) async fn create_base_nodes(client: &Client, in_each_zone: usize) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let zones = std::iter::repeat_n(default_zones(), in_each_zone).flatten();
    for (index, zone) in zones.enumerate() {
        let machine = Machine {
            address: u16::try_from(index + 10).unwrap_or(10),
            zone: &zone,
            instance_type: "m7i.2xlarge",
            version: "1.36",
        };
        let node = machine.node(BTreeMap::new(), BTreeMap::new(), &[])?;
        nodes
            .create(&PostParams::default(), &node)
            .await
            .context("cannot create a base node")?;
    }
    Ok(())
}

/// A new node of a group.
pub(super) fn node_of(group: &NodeGroup, address: u16, zone: &str) -> Result<Node> {
    let machine = Machine {
        address,
        zone,
        instance_type: group
            .instance_types
            .first()
            .map_or("m7i.2xlarge", String::as_str),
        version: &group.version,
    };
    let mut labels = group.labels.clone();
    labels.insert(GROUP_LABEL.into(), group.name.clone());
    labels.insert(
        "eks.amazonaws.com/nodegroup-image".into(),
        format!("ami-{}", hexadecimal(&group.template, 17)),
    );
    labels.insert(
        "eks.amazonaws.com/capacityType".into(),
        group.capacity_type.clone(),
    );
    let annotations = BTreeMap::from([
        (GROUP_KEY.into(), group.key.clone()),
        (TEMPLATE.into(), group.template.clone()),
        (FROM_GROUP.into(), from_group(group).to_string()),
    ]);
    machine.node(labels, annotations, &group.taints)
}

/// The node of one pod on Fargate.
pub(super) fn fargate_node(address: u16, zone: &str) -> Result<Node> {
    let machine = Machine {
        address,
        zone,
        instance_type: "m7i.2xlarge",
        version: "1.36",
    };
    let (key, value) = ("eks.amazonaws.com/compute-type", "fargate");
    let labels = BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let taint = json!({"key": key, "value": value, "effect": "NoSchedule"});
    let mut node = machine.node(labels, BTreeMap::new(), &[taint])?;
    let name = format!("fargate-{}", node.name_any());
    node.labels_mut()
        .insert("kubernetes.io/hostname".into(), name.clone());
    node.metadata.name = Some(name);
    Ok(node)
}

/// A merge patch that gives a node the labels and taints its group has now, if they are not what it was given last.
///
/// EKS changes labels and taints on the nodes that are there, without replacing them.
pub(super) fn changes_from_group(node: &Node, group: &NodeGroup) -> Option<Value> {
    let now = from_group(group);
    let before: Value = node
        .annotations()
        .get(FROM_GROUP)
        .and_then(|text| serde_json::from_str(text).ok())?;
    if before == now {
        return None;
    }
    let mut labels = json!({});
    for key in before["labels"]
        .as_object()
        .into_iter()
        .flat_map(|labels| labels.keys())
    {
        // Null removes a key in a merge patch.
        labels[key] = Value::Null;
    }
    for (key, value) in &group.labels {
        labels[key] = value.as_str().into();
    }
    let current = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    let current = current.and_then(|taints| serde_json::to_value(taints).ok());
    let removed = before["taints"].as_array().cloned().unwrap_or_default();
    let mut taints: Vec<Value> = current
        .as_ref()
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    taints.retain(|taint| !removed.contains(taint) && !group.taints.contains(taint));
    taints.extend(group.taints.iter().cloned());
    Some(json!({
        // The node controller writes taints too.
        "metadata": {
            "resourceVersion": node.resource_version(),
            "labels": labels,
            "annotations": {FROM_GROUP: now.to_string()},
        },
        "spec": {"taints": taints},
    }))
}

fn from_group(group: &NodeGroup) -> Value {
    json!({"labels": group.labels, "taints": group.taints})
}

/// A merge patch that cordons a node and marks it to go.
pub(super) fn termination() -> Value {
    json!({"metadata": {"annotations": {TERMINATING: "true"}}, "spec": {"unschedulable": true}})
}

pub(super) fn is_terminating(node: &Node) -> bool {
    node.annotations().contains_key(TERMINATING)
}

pub(super) fn is_outdated(node: &Node, group: &NodeGroup) -> bool {
    node.annotations().get(TEMPLATE) != Some(&group.template)
}

pub(super) fn group_key(node: &Node) -> Option<&str> {
    node.annotations().get(GROUP_KEY).map(String::as_str)
}

pub(super) fn zone_of(node: &Node) -> Option<&str> {
    node.labels()
        .get("topology.kubernetes.io/zone")
        .map(String::as_str)
}

/// Whether the node's condition Ready is True.
pub(crate) fn is_ready(node: &Node) -> bool {
    let conditions = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

struct Machine<'a> {
    /// The last two bytes of its address in 10.0.0.0/16.
    address: u16,
    zone: &'a str,
    instance_type: &'a str,
    version: &'a str,
}

impl Machine<'_> {
    fn node(
        &self,
        mut labels: BTreeMap<String, String>,
        mut annotations: BTreeMap<String, String>,
        taints: &[Value],
    ) -> Result<Node> {
        let [third, fourth] = self.address.to_be_bytes();
        let name = format!("ip-10-0-{third}-{fourth}.{REGION}.compute.internal");
        let size = InstanceType::named(self.instance_type);
        for (key, value) in [
            ("kubernetes.io/hostname", name.as_str()),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", size.architecture),
            ("node.kubernetes.io/instance-type", self.instance_type),
            ("topology.kubernetes.io/region", REGION),
            ("topology.kubernetes.io/zone", self.zone),
        ] {
            labels.insert(key.into(), value.into());
        }
        let (annotation, value) = SIMULATED_NODE;
        annotations.insert(annotation.into(), value.into());
        let node = json!({
            "metadata": {"name": name, "labels": labels, "annotations": annotations},
            "spec": {
                "providerID": format!("aws:///{}/i-{}", self.zone, hexadecimal(&name, 17)),
                "taints": taints,
            },
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": format!("10.0.{third}.{fourth}")},
                    {"type": "Hostname", "address": name},
                    {"type": "InternalDNS", "address": name},
                ],
                "capacity": {
                    "cpu": size.cpus.to_string(),
                    "memory": format!("{}Mi", size.memory_mib),
                    "pods": MAX_PODS.to_string(),
                    "ephemeral-storage": "80Gi",
                },
                "allocatable": {
                    "cpu": format!("{}m", size.allocatable_millicpus()),
                    "memory": format!("{}Mi", size.allocatable_memory_mib()),
                    "pods": MAX_PODS.to_string(),
                    "ephemeral-storage": "72Gi",
                },
                "nodeInfo": {
                    "architecture": size.architecture,
                    "operatingSystem": "linux",
                    "osImage": "Amazon Linux 2023",
                    "kubeletVersion": format!("v{}.0-eks", self.version),
                    "kubeProxyVersion": "",
                    "containerRuntimeVersion": "containerd://2.1.4",
                    "kernelVersion": "6.12.0",
                    "bootID": "",
                    "machineID": "",
                    "systemUUID": "",
                },
            },
        });
        serde_json::from_value(node).context("cannot describe a node")
    }
}

/// Digits that are the same each time for the same text.
pub(super) fn hexadecimal(text: &str, digits: usize) -> String {
    let hash = Sha256::digest(text);
    let mut hexadecimal: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    hexadecimal.truncate(digits);
    hexadecimal
}
