//! SecurityGroupPolicy of the VPC resource controller.

use serde_json::json;

use super::{
    KubernetesKind, KubernetesObject,
    object::{Frame, ObjectBuilder},
};
use crate::resolve::Component;

/// Gives the pods security groups of their own, on an interface of their own; `None` where they have those of their node. It takes
/// hold when a pod is made.
pub fn build(frame: &Frame<'_>, component: &Component) -> Option<KubernetesObject> {
    if component.security_groups.is_empty() {
        return None;
    }
    let object = ObjectBuilder::new(frame, KubernetesKind::SecurityGroupPolicy, &component.name)
        .with(
            "spec",
            json!({
                "podSelector": {"matchLabels": frame.selector()},
                "securityGroups": {"groupIds": component.security_groups},
            }),
        )
        .build();
    Some(object)
}
