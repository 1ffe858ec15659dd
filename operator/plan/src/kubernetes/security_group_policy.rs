//! SecurityGroupPolicy of the VPC resource controller.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    KubernetesKind, KubernetesObject,
    object::{Frame, ObjectBuilder},
};

/// Gives the pods security groups of their own, on an interface of their own; `None` where they have those of their node. It takes
/// hold when a pod is made.
pub fn build(frame: &Frame<'_>, groups: &BTreeSet<String>) -> Option<KubernetesObject> {
    if groups.is_empty() {
        return None;
    }
    let object = ObjectBuilder::new(frame, KubernetesKind::SecurityGroupPolicy, frame.component)
        .with(
            "spec",
            json!({
                "podSelector": {"matchLabels": frame.selector()},
                "securityGroups": {"groupIds": groups},
            }),
        )
        .build();
    Some(object)
}
