//! Where pods run: a node group of their own with its role, a shared one, Fargate, or anywhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use shopkeeper_api::{
    Toggle, defaults,
    nodes::{self as api, Nodes, NodesType},
};

use super::{
    Context,
    component::Place,
    fargate::{self, FargateNodes},
    site::Site,
};
use crate::{
    aws::{CapacityType, IamRole, NodeGroup, NodeGroupUpdate, Taint, TaintEffect},
    facts::SubnetFacts,
    failure::Failure,
    names,
};

/// Label of the nodes of a group that belongs to a workload, and key of its taint.
pub const NODES_LABEL: &str = "shopkeeper.dev/nodes";
/// Key of the taint that keeps other workloads away.
pub const DEDICATED_TAINT: &str = "shopkeeper.dev/dedicated";
/// Label that EKS puts on the nodes of a managed group.
pub const EKS_NODE_GROUP_LABEL: &str = "eks.amazonaws.com/nodegroup";
/// Labels of nodes that pods are kept to their place by.
pub(crate) const PLACEMENT_LABELS: [&str; 2] = [NODES_LABEL, EKS_NODE_GROUP_LABEL];

/// Where the pods run.
#[derive(Clone, Debug)]
pub enum Placement {
    /// On a node group of their own.
    Own(Box<OwnNodes>),
    /// On a node group that exists.
    Shared {
        /// Its name.
        name: String,
        /// Path of the name in the specification.
        field: String,
        /// Whether the pods tolerate every taint, and so those of the group.
        tolerate_taints: bool,
    },
    /// On Fargate, by a profile of their own.
    Fargate(Box<FargateNodes>),
    /// Wherever the scheduler puts them.
    Anywhere,
}

/// A node group of a workload's own.
#[derive(Clone, Debug)]
pub struct OwnNodes {
    /// The group.
    pub group: NodeGroup,
    /// The role of its nodes.
    pub role: IamRole,
    /// Value of [`NODES_LABEL`]: the same for a group and the one that replaces it.
    pub label: String,
    /// Whether the group carries [`DEDICATED_TAINT`].
    pub dedicated: bool,
    /// What the group may be called, and where it may be.
    pub site: Site,
}

impl OwnNodes {
    /// The same in these subnets, under the name that it has there.
    #[must_use]
    pub fn in_subnets(&self, subnets: &BTreeSet<String>) -> Self {
        let mut moved = self.clone();
        let group = &mut moved.group;
        group.subnets.clone_from(subnets);
        group.name = names::with_hash(
            &self.site.base,
            &json!([
                group.node_role_arn,
                group.subnets,
                group.instance_types,
                group.capacity_type,
                group.ami_type,
                group.disk_size
            ]),
        );
        moved
    }
}

/// Managed policies that EKS requires of a node role.
pub(crate) const NODE_POLICIES: [&str; 3] = [
    "AmazonEKSWorkerNodePolicy",
    "AmazonEC2ContainerRegistryReadOnly",
    "AmazonEKS_CNI_Policy",
];
/// Room for a hash behind the base of a node group's name, within EKS's 63 characters.
pub(super) const LONGEST_BASE: usize = 56;

/// Value of [`NODES_LABEL`] for the nodes of a workload.
#[must_use]
pub fn label(namespace: &str, component: &str) -> String {
    names::label(&format!("{namespace}.{component}"))
}

pub(super) fn placement(
    context: Context<'_>,
    place: &Place<'_>,
    declared: Option<&Nodes>,
) -> Result<Placement, Failure> {
    match declared.map(|nodes| nodes.type_) {
        Some(NodesType::None) => Ok(Placement::Anywhere),
        Some(NodesType::Fargate) => {
            let fargate = declared.and_then(|nodes| nodes.fargate.as_ref());
            fargate::placement(context, place, fargate)
                .map(|nodes| Placement::Fargate(Box::new(nodes)))
        }
        Some(NodesType::Shared) => {
            let shared = declared
                .and_then(|nodes| nodes.shared.as_ref())
                .ok_or_else(|| {
                    Failure::invalid(
                        &format!("{}.nodes.shared", place.field),
                        "is missing",
                        "name the node group to share",
                    )
                })?;
            Ok(Placement::Shared {
                name: shared.name.clone(),
                field: format!("{}.nodes.shared.name", place.field),
                tolerate_taints: shared.tolerate_taints.is_none_or(Toggle::is_enabled),
            })
        }
        Some(NodesType::NodeGroup) | None => {
            let default = api::NodeGroup::default();
            let group = declared
                .and_then(|nodes| nodes.node_group.as_ref())
                .unwrap_or(&default);
            own(context, place, group).map(|nodes| Placement::Own(Box::new(nodes)))
        }
    }
}

fn own(
    context: Context<'_>,
    place: &Place<'_>,
    declared: &api::NodeGroup,
) -> Result<OwnNodes, Failure> {
    let role_part = place.role.strip_prefix("frontends.").unwrap_or_default();
    let base = context.name(role_part, LONGEST_BASE);
    let label = label(&context.owner.namespace, place.name);
    let instance_types = if declared.instance_types.is_empty() {
        vec![defaults::INSTANCE_TYPE.to_owned()]
    } else {
        declared.instance_types.clone()
    };
    let ami_type = ami_type(place, declared, &instance_types)?;
    let min = declared.min.unwrap_or(defaults::NODES_MIN);
    let dedicated = declared.dedicated.is_none_or(Toggle::is_enabled);
    let mut labels: BTreeMap<String, String> = declared.labels.clone();
    labels.insert(NODES_LABEL.to_owned(), label.clone());
    let mut taints: BTreeSet<Taint> = declared.taints.iter().map(taint).collect();
    if dedicated {
        taints.insert(Taint {
            key: DEDICATED_TAINT.to_owned(),
            value: label.clone(),
            effect: TaintEffect::NoSchedule,
        });
    }
    let role = node_role(context, role_part);
    let site = Site {
        base,
        subnets: subnets(context, place, &declared.zones)?,
        is_free: true,
    };
    let group = NodeGroup {
        cluster: context.platform.cluster.clone(),
        name: String::new(),
        node_role_arn: context.platform.iam_arn(&format!("role/{}", role.name)),
        subnets: BTreeSet::new(),
        instance_types,
        capacity_type: match declared.capacity_type.unwrap_or(defaults::CAPACITY_TYPE) {
            api::CapacityType::OnDemand => CapacityType::OnDemand,
            api::CapacityType::Spot => CapacityType::Spot,
        },
        ami_type,
        disk_size: Some(declared.disk_size.unwrap_or(defaults::DISK_SIZE_GIB)),
        labels,
        taints,
        min_size: min,
        max_size: declared
            .max
            .unwrap_or_else(|| min.max(1).saturating_mul(defaults::NODES_MAX_FACTOR)),
        desired_size: declared.desired,
        update: update(declared.update.as_ref()),
        version: declared.version.clone(),
        release_version: declared.release_version.clone(),
        force_update: declared
            .update
            .as_ref()
            .and_then(|update| update.force)
            .is_some_and(Toggle::is_enabled),
        tags: context.tags(),
    };
    let nodes = OwnNodes {
        group,
        role,
        label,
        dedicated,
        site,
    };
    Ok(nodes.in_subnets(&nodes.site.ids()))
}

fn taint(declared: &api::Taint) -> Taint {
    Taint {
        key: declared.key.clone(),
        value: declared.value.clone().unwrap_or_default(),
        effect: match declared.effect {
            api::TaintEffect::NoSchedule => TaintEffect::NoSchedule,
            api::TaintEffect::NoExecute => TaintEffect::NoExecute,
            api::TaintEffect::PreferNoSchedule => TaintEffect::PreferNoSchedule,
        },
    }
}

fn update(declared: Option<&api::NodeUpdate>) -> NodeGroupUpdate {
    match declared.and_then(|update| update.max_unavailable_percentage) {
        Some(share) => NodeGroupUpdate::MaxUnavailablePercentage(share),
        None => NodeGroupUpdate::MaxUnavailable(
            declared
                .and_then(|update| update.max_unavailable)
                .unwrap_or(defaults::NODES_MAX_UNAVAILABLE),
        ),
    }
}

/// The private subnets in the zones that were asked for; all of them where none were.
fn subnets(
    context: Context<'_>,
    place: &Place<'_>,
    zones: &[String],
) -> Result<Vec<SubnetFacts>, Failure> {
    for zone in zones {
        if !context
            .platform
            .private_subnets
            .iter()
            .any(|subnet| subnet.zone == *zone)
        {
            let known: BTreeSet<&str> = context
                .platform
                .private_subnets
                .iter()
                .map(|subnet| subnet.zone.as_str())
                .collect();
            let known: Vec<&str> = known.into_iter().collect();
            return Err(Failure::invalid(
                &format!("{}.nodes.nodeGroup.zones", place.field),
                &format!(
                    "Platform {} has no private subnet in {zone}",
                    context.platform.name
                ),
                &format!("choose from {}", known.join(", ")),
            ));
        }
    }
    Ok(context
        .platform
        .private_subnets
        .iter()
        .filter(|subnet| zones.is_empty() || zones.contains(&subnet.zone))
        .cloned()
        .collect())
}

/// Amazon Linux 2023 for the architecture of the instance types, unless an image is chosen. Types of both architectures in
/// one group cannot work: one image boots on one of them.
fn ami_type(
    place: &Place<'_>,
    declared: &api::NodeGroup,
    instance_types: &[String],
) -> Result<String, Failure> {
    let arm = instance_types
        .iter()
        .filter(|name| is_graviton(name))
        .count();
    if arm != 0 && arm != instance_types.len() {
        return Err(Failure::invalid(
            &format!("{}.nodes.nodeGroup.instanceTypes", place.field),
            "mixes Graviton and x86-64 instances, which cannot boot one image",
            "choose types of one architecture",
        ));
    }
    let (name, wants_arm) = match declared.ami_type {
        Some(api::AmiType::AmazonLinux2023X86) => ("AL2023_x86_64_STANDARD", false),
        Some(api::AmiType::AmazonLinux2023Arm) => ("AL2023_ARM_64_STANDARD", true),
        Some(api::AmiType::BottlerocketX86) => ("BOTTLEROCKET_x86_64", false),
        Some(api::AmiType::BottlerocketArm) => ("BOTTLEROCKET_ARM_64", true),
        None if arm > 0 => ("AL2023_ARM_64_STANDARD", true),
        None => ("AL2023_x86_64_STANDARD", false),
    };
    if wants_arm != (arm > 0) {
        return Err(Failure::invalid(
            &format!("{}.nodes.nodeGroup.amiType", place.field),
            &format!("does not boot on {}", instance_types.join(", ")),
            "leave it out, or choose the image of the other architecture",
        ));
    }
    Ok(name.to_owned())
}

/// Graviton families have a `g` behind the number of their generation: `m7g`, `c7gn`, `r8gd`; and `a1`.
fn is_graviton(instance_type: &str) -> bool {
    let family = instance_type.split('.').next().unwrap_or_default();
    let behind_number = family
        .trim_start_matches(|c: char| c.is_ascii_alphabetic())
        .trim_start_matches(|c: char| c.is_ascii_digit());
    family == "a1"
        || (behind_number.starts_with('g') && !family.starts_with('g'))
        || family.starts_with("g5g")
}

fn node_role(context: Context<'_>, role_part: &str) -> IamRole {
    let part = if role_part.is_empty() {
        "nodes".to_owned()
    } else {
        format!("{role_part}-nodes")
    };
    let partition = context.platform.partition();
    IamRole {
        name: context.role_name(&part),
        description: format!("Nodes of {}", context.owner.path()),
        trust_policy: json!({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
        }),
        inline_policies: BTreeMap::new(),
        managed_policy_arns: NODE_POLICIES
            .iter()
            .map(|policy| format!("arn:{partition}:iam::aws:policy/{policy}"))
            .collect(),
        tags: context.tags(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graviton_is_told_from_the_family() {
        for arm in [
            "m7g.large",
            "c7gn.xlarge",
            "r8gd.large",
            "a1.large",
            "t4g.small",
            "im4gn.large",
            "g5g.xlarge",
        ] {
            assert!(is_graviton(arm), "{arm}");
        }
        for x86 in [
            "m7i.large",
            "g5.xlarge",
            "g6.large",
            "t3.small",
            "m6a.large",
            "c5n.large",
        ] {
            assert!(!is_graviton(x86), "{x86}");
        }
    }
}
