//! PodDisruptionBudget.

use serde_json::json;

use super::{
    KubernetesKind, KubernetesObject,
    object::{Frame, ObjectBuilder},
};
use crate::resolve::Component;

/// How many pods a drain may take at once. Pods that are not ready may always go: they serve nobody, and would keep a
/// broken release from being drained.
pub fn build(frame: &Frame<'_>, component: &Component) -> KubernetesObject {
    let mut spec = json!({"selector": {"matchLabels": frame.selector()}, "unhealthyPodEvictionPolicy": "AlwaysAllow"});
    if let Some(least) = &component.disruption.min_available {
        spec["minAvailable"] = json!(least);
    } else if let Some(most) = &component.disruption.max_unavailable {
        spec["maxUnavailable"] = json!(most);
    }
    ObjectBuilder::new(frame, KubernetesKind::PodDisruptionBudget, &component.name)
        .with("spec", spec)
        .build()
}
