//! What a quota has no room for.

use super::Planner;
use crate::{
    aws::AwsResource, difference::Difference, failure::Failure, plan::Action, resource::ResourceKey,
};

/// The fields of a node group that say how many nodes it has. They bound each other, and go in one call.
const SIZES: [&str; 3] = ["minSize", "maxSize", "desiredSize"];

impl Planner<'_> {
    /// Why a resource cannot be made. Somebody else may take the last place before it is: then AWS refuses.
    pub(super) fn over_quota(&mut self, desired: &AwsResource) -> Option<Failure> {
        let quotas = &self.input.observed.quotas;
        let group = match desired {
            AwsResource::NodeGroup(group) => group,
            AwsResource::FargateProfile(profile) => {
                let refusal =
                    quotas.refuses_fargate_profile(&profile.cluster, self.new_fargate_profiles);
                if refusal.is_none() {
                    self.new_fargate_profiles += 1;
                }
                return refusal;
            }
            _ => return None,
        };
        let refusal = quotas
            .refuses_node_group(&group.cluster, self.new_node_groups)
            .or_else(|| quotas.refuses_nodes(group.max_size));
        if refusal.is_none() {
            self.new_node_groups += 1;
        }
        refusal
    }

    /// Refuses the changes of a resource that go over a quota; gives the others.
    pub(super) fn within_quota(
        &mut self,
        key: &ResourceKey,
        desired: &AwsResource,
        mut differences: Vec<Difference>,
    ) -> Vec<Difference> {
        if let AwsResource::NodeGroup(group) = desired
            && differences.iter().any(|each| each.field.name == "maxSize")
            && let Some(failure) = self.input.observed.quotas.refuses_nodes(group.max_size)
        {
            self.refuse(key, Action::Update, failure);
            differences.retain(|each| !SIZES.contains(&each.field.name));
        }
        differences
    }
}
