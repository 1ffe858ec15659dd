//! Security groups of pods.

use std::collections::BTreeSet;

use super::{ComponentBuilder, marks::Wanted};
use crate::{
    blueprint::Section,
    failure::Failure,
    kubernetes::{KubernetesKind, object::Frame, security_group_policy},
    resource::ResourceKey,
};

/// Annotation of pods that says which security groups they were started with. Left out where it was never anything but those of their
/// node.
pub(crate) const PODS_ANNOTATION: &str = "shopkeeper.dev/security-groups";
const OF_THE_NODE: &str = "None";

impl ComponentBuilder<'_> {
    /// The SecurityGroupPolicy, the mark of the pods, and what is missing that no pod may start without. The policy takes hold when
    /// pods are made.
    pub(super) fn security_groups(
        &mut self,
        frame: &Frame<'_>,
    ) -> (Option<ResourceKey>, Option<String>, Option<Failure>) {
        let component = self.component;
        let groups = match &component.security_groups {
            Ok(groups) => groups,
            Err(failure) => {
                let key = ResourceKey::kubernetes(
                    KubernetesKind::SecurityGroupPolicy,
                    component.name.clone(),
                );
                let role = component.role_of("securityGroups");
                self.awaited(role, key.clone(), failure);
                return (Some(key), None, Some(failure.clone()));
            }
        };
        let found = self
            .body(KubernetesKind::SecurityGroupPolicy, &self.component.name)
            .map(|body| {
                let ids = body["spec"]["securityGroups"]["groupIds"].as_array();
                ids.into_iter()
                    .flatten()
                    .filter_map(|id| id.as_str())
                    .collect::<BTreeSet<_>>()
            });
        let value = if groups.is_empty() {
            OF_THE_NODE.to_owned()
        } else {
            groups.iter().cloned().collect::<Vec<_>>().join(",")
        };
        let mark = self.mark(
            PODS_ANNOTATION,
            &Wanted {
                value: &value,
                unmarked: &[OF_THE_NODE],
                in_place: found.unwrap_or_default() == groups.iter().map(String::as_str).collect(),
            },
        );
        let key = security_group_policy::build(frame, groups).map(|policy| {
            let role = self.component.role_of("securityGroups");
            self.blueprint
                .kubernetes(Section::Workload, role, policy, &[])
        });
        (key, mark, None)
    }
}
