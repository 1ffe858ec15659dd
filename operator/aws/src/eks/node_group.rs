//! EKS managed node group.

use async_trait::async_trait;
use aws_sdk_eks::types::{
    AmiTypes, CapacityTypes, ErrorCode, NodegroupScalingConfig, NodegroupUpdateConfig, Update,
    UpdateLabelsPayload, UpdateStatus, UpdateTaintsPayload,
};
use shopkeeper_plan::{
    aws::{CapacityType, NodeGroup, NodeGroupUpdate, Taint, TaintEffect},
    failure::{Class, Failure},
    observed::Lifecycle,
    plan::DeleteMode,
};

use super::{NOT_FOUND, node_group_description::found, tag, told, unless_role_is_new, with_issues};
use crate::{
    account::{Account, Scope},
    error::{classify, is_code},
    resource::{DeletionToken, Found, ResourceApi},
};

pub(crate) struct NodeGroupApi<'a>(pub(crate) &'a Account);

/// Fields that UpdateNodegroupVersion changes; UpdateNodegroupConfig changes all others that can be changed. EKS does one
/// update of a node group at a time.
const VERSION_FIELDS: [&str; 2] = ["version", "releaseVersion"];

#[async_trait]
impl ResourceApi<NodeGroup> for NodeGroupApi<'_> {
    async fn observe(
        &self,
        name: &str,
        scope: &Scope,
    ) -> Result<Option<Found<NodeGroup>>, Failure> {
        match self
            .0
            .eks
            .describe_nodegroup()
            .cluster_name(&scope.cluster)
            .nodegroup_name(name)
            .send()
            .await
        {
            Ok(answer) => answer.nodegroup().map(found).transpose(),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(None),
            Err(error) => Err(classify("DescribeNodegroup", &error)),
        }
    }

    /// Without a client token, here and in [`Self::update`]. EKS does not say how long it knows one: a group that is made once
    /// more as it was, since somebody deleted it, or drift that comes back would pass for a repeat, and nothing be done. A creation that
    /// is really repeated meets the group of its name, and a change that is one is refused while the first runs.
    async fn create(&self, desired: &NodeGroup) -> Result<(), Failure> {
        self.0
            .eks
            .create_nodegroup()
            .cluster_name(&desired.cluster)
            .nodegroup_name(&desired.name)
            .node_role(&desired.node_role_arn)
            .set_subnets(Some(desired.subnets.iter().cloned().collect()))
            .set_instance_types(Some(desired.instance_types.clone()))
            .capacity_type(match desired.capacity_type {
                CapacityType::OnDemand => CapacityTypes::OnDemand,
                CapacityType::Spot => CapacityTypes::Spot,
            })
            .ami_type(AmiTypes::from(desired.ami_type.as_str()))
            .set_disk_size(desired.disk_size)
            .set_labels(Some(desired.labels.clone().into_iter().collect()))
            .set_taints(Some(desired.taints.iter().map(eks_taint).collect()))
            .scaling_config(
                NodegroupScalingConfig::builder()
                    .min_size(desired.min_size)
                    .max_size(desired.max_size)
                    // Left out, EKS starts with 2 nodes, which may be more than the group may have.
                    .desired_size(within_bounds(
                        desired,
                        desired.desired_size.unwrap_or(desired.min_size),
                    ))
                    .build(),
            )
            .update_config(eks_update(desired.update))
            .set_version(desired.version.clone())
            .set_release_version(desired.release_version.clone())
            .set_tags(Some(desired.tags.clone().into_iter().collect()))
            .send()
            .await
            .map_err(|error| {
                unless_role_is_new(
                    self.0,
                    &desired.node_role_arn,
                    classify("CreateNodegroup", &error),
                )
            })?;
        Ok(())
    }

    async fn update(
        &self,
        desired: &NodeGroup,
        found: &Found<NodeGroup>,
        fields: &[String],
    ) -> Result<(), Failure> {
        match fields
            .iter()
            .map(String::as_str)
            .find(|field| *field != "tags")
        {
            Some(field) if VERSION_FIELDS.contains(&field) => self.update_version(desired).await,
            Some(_) => {
                self.update_configuration(desired, &found.resource, fields)
                    .await
            }
            None => match &found.arn {
                Some(arn) => tag(self.0, arn, &desired.tags).await,
                None => Err(Failure::new(Class::Bug, "a node group without an ARN")),
            },
        }
    }

    async fn delete(
        &self,
        found: &Found<NodeGroup>,
        _mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        if found.lifecycle == Lifecycle::Deleting {
            return Ok(());
        }
        let NodeGroup { cluster, name, .. } = &found.resource;
        match self
            .0
            .eks
            .delete_nodegroup()
            .cluster_name(cluster)
            .nodegroup_name(name)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(()),
            Err(error) => Err(classify("DeleteNodegroup", &error)),
        }
    }
}

impl NodeGroupApi<'_> {
    /// With the version always: without one EKS takes that of the cluster. One that has failed is not begun again at once, unless whether it
    /// goes past disruption budgets has changed.
    async fn update_version(&self, desired: &NodeGroup) -> Result<(), Failure> {
        let begun = &self.0.begun_updates;
        if let Some(id) = begun.of_the_same(desired)
            && let Some(failure) = self.failed_update(desired, &id).await?
        {
            begun.failed(desired, &id);
            return Err(failure);
        }
        let answer = self
            .0
            .eks
            .update_nodegroup_version()
            .cluster_name(&desired.cluster)
            .nodegroup_name(&desired.name)
            .set_version(desired.version.clone())
            // A release belongs to a version: with a new version and no release EKS takes the newest.
            .set_release_version(desired.release_version.clone())
            .force(desired.force_update)
            .send()
            .await
            .map_err(|error| classify("UpdateNodegroupVersion", &error))?;
        if let Some(id) = answer.update().and_then(|update| update.id()) {
            begun.begin(desired, id.to_owned());
        }
        Ok(())
    }

    /// Why an update failed, if it did.
    async fn failed_update(&self, group: &NodeGroup, id: &str) -> Result<Option<Failure>, Failure> {
        let answer = self
            .0
            .eks
            .describe_update()
            .name(&group.cluster)
            .nodegroup_name(&group.name)
            .update_id(id)
            .send()
            .await;
        let update = match answer {
            Ok(answer) => answer.update,
            Err(error) if is_code(&error, NOT_FOUND) => None,
            Err(error) => return Err(classify("DescribeUpdate", &error)),
        };
        Ok(update
            .filter(|update| update.status() == Some(&UpdateStatus::Failed))
            .map(|update| gave_up(&update)))
    }

    async fn update_configuration(
        &self,
        desired: &NodeGroup,
        found: &NodeGroup,
        fields: &[String],
    ) -> Result<(), Failure> {
        let changes = |names: &[&str]| fields.iter().any(|field| names.contains(&field.as_str()));
        let mut call = self
            .0
            .eks
            .update_nodegroup_config()
            .cluster_name(&desired.cluster)
            .nodegroup_name(&desired.name);
        if changes(&["labels"]) {
            call = call.labels(label_changes(desired, found));
        }
        if changes(&["taints"]) {
            call = call.taints(taint_changes(desired, found));
        }
        if changes(&["minSize", "maxSize", "desiredSize"]) {
            call = call.scaling_config(new_scaling(desired, found));
        }
        if changes(&["update"]) {
            call = call.update_config(eks_update(desired.update));
        }
        call.send()
            .await
            .map_err(|error| classify("UpdateNodegroupConfig", &error))?;
        Ok(())
    }
}

/// An update that EKS gave up on. The group has its old version again.
fn gave_up(update: &Update) -> Failure {
    let errors = update.errors();
    let why = told(errors.iter().map(|error| {
        let code = error.error_code().map(|code| code.as_str());
        (code, error.error_message())
    }));
    let code = errors.first().and_then(|error| error.error_code());
    let evicted = code == Some(&ErrorCode::PodEvictionFailure);
    let remedy = if evicted {
        "see which disruption budget lets no pod go (kubectl get poddisruptionbudgets -A) and mend it, or set \
         nodes.nodeGroup.update.force to Enabled to go past it; it is begun again an hour later"
    } else {
        "mend what EKS tells of; it is begun again an hour later"
    };
    let failure = Failure::new(
        Class::Invalid,
        with_issues("EKS gave up on the update", &why),
    );
    match code {
        Some(code) => failure.with_code(code.as_str()),
        None => failure,
    }
    .with_remedy(remedy)
}

/// EKS takes labels as changes: leaving one out keeps it.
fn label_changes(desired: &NodeGroup, found: &NodeGroup) -> UpdateLabelsPayload {
    let set: std::collections::HashMap<_, _> = desired
        .labels
        .iter()
        .filter(|(key, value)| found.labels.get(*key) != Some(*value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let removed: Vec<_> = found
        .labels
        .keys()
        .filter(|key| !desired.labels.contains_key(*key))
        .cloned()
        .collect();
    UpdateLabelsPayload::builder()
        .set_add_or_update_labels((!set.is_empty()).then_some(set))
        .set_remove_labels((!removed.is_empty()).then_some(removed))
        .build()
}

/// EKS takes taints as changes, and tells them apart by key and effect: another value is an update, not a removal.
fn taint_changes(desired: &NodeGroup, found: &NodeGroup) -> UpdateTaintsPayload {
    let set: Vec<_> = desired
        .taints
        .difference(&found.taints)
        .map(eks_taint)
        .collect();
    let removed: Vec<_> = found
        .taints
        .iter()
        .filter(|old| {
            !desired
                .taints
                .iter()
                .any(|new| (&new.key, new.effect) == (&old.key, old.effect))
        })
        .map(eks_taint)
        .collect();
    UpdateTaintsPayload::builder()
        .set_add_or_update_taints((!set.is_empty()).then_some(set))
        .set_remove_taints((!removed.is_empty()).then_some(removed))
        .build()
}

/// The bounds, and the number of nodes: the declared one, else only where it would fall outside the bounds, which EKS
/// refuses. Within them the cluster autoscaler owns it.
fn new_scaling(desired: &NodeGroup, found: &NodeGroup) -> NodegroupScalingConfig {
    let moved = found
        .desired_size
        .map(|nodes| within_bounds(desired, nodes))
        .filter(|nodes| Some(*nodes) != found.desired_size);
    let nodes = desired
        .desired_size
        .map(|nodes| within_bounds(desired, nodes))
        .or(moved);
    NodegroupScalingConfig::builder()
        .min_size(desired.min_size)
        .max_size(desired.max_size)
        .set_desired_size(nodes)
        .build()
}

fn within_bounds(desired: &NodeGroup, nodes: i32) -> i32 {
    nodes.min(desired.max_size).max(desired.min_size)
}

fn eks_update(update: NodeGroupUpdate) -> NodegroupUpdateConfig {
    let builder = NodegroupUpdateConfig::builder();
    match update {
        NodeGroupUpdate::MaxUnavailable(nodes) => builder.max_unavailable(nodes),
        NodeGroupUpdate::MaxUnavailablePercentage(share) => {
            builder.max_unavailable_percentage(share)
        }
    }
    .build()
}

fn eks_taint(taint: &Taint) -> aws_sdk_eks::types::Taint {
    use aws_sdk_eks::types::TaintEffect as EksEffect;
    aws_sdk_eks::types::Taint::builder()
        .key(&taint.key)
        .set_value((!taint.value.is_empty()).then(|| taint.value.clone()))
        .effect(match taint.effect {
            TaintEffect::NoSchedule => EksEffect::NoSchedule,
            TaintEffect::NoExecute => EksEffect::NoExecute,
            TaintEffect::PreferNoSchedule => EksEffect::PreferNoSchedule,
        })
        .build()
}

#[cfg(test)]
pub(super) mod tests {
    use super::{super::node_group_description::DEFAULT_UPDATE, *};

    pub fn group(min: i32, max: i32, nodes: impl Into<Option<i32>>) -> NodeGroup {
        NodeGroup {
            cluster: "shop".into(),
            name: "orders".into(),
            node_role_arn: String::new(),
            subnets: Default::default(),
            instance_types: vec![],
            capacity_type: CapacityType::OnDemand,
            ami_type: String::new(),
            disk_size: None,
            labels: Default::default(),
            taints: Default::default(),
            min_size: min,
            max_size: max,
            desired_size: nodes.into(),
            update: DEFAULT_UPDATE,
            version: None,
            release_version: None,
            force_update: false,
            tags: Default::default(),
        }
    }

    fn taint(key: &str, value: &str) -> Taint {
        Taint {
            key: key.into(),
            value: value.into(),
            effect: TaintEffect::NoSchedule,
        }
    }

    #[test]
    fn the_autoscalers_number_of_nodes_is_only_moved_into_the_bounds() {
        assert_eq!(
            new_scaling(&group(1, 5, None), &group(0, 3, 3)).desired_size(),
            None
        );
        assert_eq!(
            new_scaling(&group(4, 6, None), &group(0, 3, 3)).desired_size(),
            Some(4)
        );
        assert_eq!(
            new_scaling(&group(0, 2, None), &group(0, 3, 3)).desired_size(),
            Some(2)
        );
    }

    #[test]
    fn a_declared_number_of_nodes_is_held() {
        assert_eq!(
            new_scaling(&group(1, 5, 4), &group(1, 5, 3)).desired_size(),
            Some(4)
        );
        assert_eq!(
            new_scaling(&group(1, 5, 9), &group(1, 5, 3)).desired_size(),
            Some(5)
        );
    }

    #[test]
    fn a_taint_with_another_value_is_not_removed() {
        let (mut desired, mut found) = (group(0, 1, 0), group(0, 1, 0));
        desired.taints = [taint("dedicated", "orders"), taint("new", "")].into();
        found.taints = [taint("dedicated", "carts"), taint("old", "")].into();
        let changes = taint_changes(&desired, &found);
        let keys = |taints: &[aws_sdk_eks::types::Taint]| {
            taints
                .iter()
                .filter_map(|taint| taint.key().map(str::to_owned))
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(changes.add_or_update_taints()), ["dedicated", "new"]);
        assert_eq!(keys(changes.remove_taints()), ["old"]);
    }

    #[test]
    fn labels_that_are_as_desired_are_not_sent() {
        let (mut desired, mut found) = (group(0, 1, 0), group(0, 1, 0));
        desired.labels = [
            ("tier".to_owned(), "data".to_owned()),
            ("team".to_owned(), "b".to_owned()),
        ]
        .into();
        found.labels = [
            ("tier".to_owned(), "data".to_owned()),
            ("team".to_owned(), "a".to_owned()),
            ("old".to_owned(), String::new()),
        ]
        .into();
        let changes = label_changes(&desired, &found);
        assert_eq!(
            changes.add_or_update_labels().map(|labels| labels.len()),
            Some(1)
        );
        assert_eq!(changes.remove_labels(), ["old"]);
    }
}
