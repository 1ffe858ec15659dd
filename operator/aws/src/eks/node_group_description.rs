//! What EKS tells of a managed node group.

use aws_sdk_eks::types::{
    CapacityTypes, Nodegroup, NodegroupScalingConfig, NodegroupStatus, NodegroupUpdateConfig,
};
use shopkeeper_plan::{
    aws::{CapacityType, NodeGroup, NodeGroupUpdate, Taint, TaintEffect},
    failure::Failure,
    observed::{Lifecycle, Note, Notes},
    outputs::Outputs,
};

use super::{id_in, told, unknown, with_issues};
use crate::resource::Found;

/// EKS's own default for how many nodes an update may take at a time.
pub(super) const DEFAULT_UPDATE: NodeGroupUpdate = NodeGroupUpdate::MaxUnavailable(1);

fn found_taint(taint: &aws_sdk_eks::types::Taint) -> Result<Taint, Failure> {
    use aws_sdk_eks::types::TaintEffect as EksEffect;
    let effect = match taint.effect() {
        Some(EksEffect::NoSchedule) => TaintEffect::NoSchedule,
        Some(EksEffect::NoExecute) => TaintEffect::NoExecute,
        Some(EksEffect::PreferNoSchedule) => TaintEffect::PreferNoSchedule,
        other => {
            return Err(unknown(
                "DescribeNodegroup",
                "taint effect",
                other.map(|effect| effect.as_str()),
            ));
        }
    };
    Ok(Taint {
        key: taint.key().unwrap_or_default().to_owned(),
        value: taint.value().unwrap_or_default().to_owned(),
        effect,
    })
}

/// A node group as EKS describes it.
pub(super) fn found(group: &Nodegroup) -> Result<Found<NodeGroup>, Failure> {
    let scaling = group.scaling_config();
    let resource = NodeGroup {
        cluster: group.cluster_name().unwrap_or_default().to_owned(),
        name: group.nodegroup_name().unwrap_or_default().to_owned(),
        node_role_arn: group.node_role().unwrap_or_default().to_owned(),
        subnets: group.subnets().iter().cloned().collect(),
        instance_types: group.instance_types().to_vec(),
        capacity_type: match group.capacity_type() {
            Some(CapacityTypes::OnDemand) | None => CapacityType::OnDemand,
            Some(CapacityTypes::Spot) => CapacityType::Spot,
            Some(other) => {
                return Err(unknown(
                    "DescribeNodegroup",
                    "capacity type",
                    Some(other.as_str()),
                ));
            }
        },
        ami_type: group
            .ami_type()
            .map(|ami_type| ami_type.as_str().to_owned())
            .unwrap_or_default(),
        disk_size: group.disk_size(),
        labels: group
            .labels()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        taints: group
            .taints()
            .iter()
            .map(found_taint)
            .collect::<Result<_, _>>()?,
        min_size: scaling
            .and_then(NodegroupScalingConfig::min_size)
            .unwrap_or_default(),
        max_size: scaling
            .and_then(NodegroupScalingConfig::max_size)
            .unwrap_or_default(),
        desired_size: scaling.and_then(NodegroupScalingConfig::desired_size),
        update: group.update_config().map_or(DEFAULT_UPDATE, found_update),
        version: group.version().map(str::to_owned),
        release_version: group.release_version().map(str::to_owned),
        force_update: false,
        tags: group
            .tags()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    };
    let issues = group
        .health()
        .map(|health| health.issues())
        .unwrap_or_default()
        .iter();
    let issues =
        told(issues.map(|issue| (issue.code().map(|code| code.as_str()), issue.message())));
    let arn = group.nodegroup_arn().map(str::to_owned);
    let id = arn.as_deref().and_then(id_in);
    let outputs = Outputs::new().with_optional("arn", arn.clone());
    Ok(Found {
        lifecycle: lifecycle(group.status(), &issues)?,
        arn,
        id,
        outputs,
        note: Notes::of(issues.into_iter().map(Note::danger).collect()),
        ..Found::available(resource)
    })
}

fn found_update(update: &NodegroupUpdateConfig) -> NodeGroupUpdate {
    match (
        update.max_unavailable(),
        update.max_unavailable_percentage(),
    ) {
        (_, Some(share)) => NodeGroupUpdate::MaxUnavailablePercentage(share),
        (Some(nodes), None) => NodeGroupUpdate::MaxUnavailable(nodes),
        (None, None) => DEFAULT_UPDATE,
    }
}

fn lifecycle(status: Option<&NodegroupStatus>, issues: &[String]) -> Result<Lifecycle, Failure> {
    Ok(match status {
        Some(NodegroupStatus::Creating) => Lifecycle::Creating,
        // A degraded group has nodes and takes updates, which is often the way out of it.
        Some(NodegroupStatus::Active | NodegroupStatus::Degraded) => Lifecycle::Available,
        Some(NodegroupStatus::Updating) => Lifecycle::Modifying,
        Some(NodegroupStatus::Deleting) => Lifecycle::Deleting,
        Some(NodegroupStatus::CreateFailed) => {
            Lifecycle::Failed(with_issues("EKS could not make the node group", issues))
        }
        Some(NodegroupStatus::DeleteFailed) => {
            Lifecycle::DeletionFailed(with_issues("EKS could not delete the node group", issues))
        }
        other => {
            return Err(unknown(
                "DescribeNodegroup",
                "status",
                other.map(|status| status.as_str()),
            ));
        }
    })
}
