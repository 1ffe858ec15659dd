//! What pods were started with, as an annotation of theirs.
//!
//! Some things take hold only when a pod is made. A mark on the pod template says which of them the pods have; another mark replaces
//! them. It changes only once what it stands for is seen to be there, or the new pods would be as the old ones.

use serde_json::Value;

use super::ComponentBuilder;
use crate::{kubernetes::KubernetesKind, resource::ResourceKey};

/// What pods are to be started with.
pub(super) struct Wanted<'a> {
    /// The value.
    pub value: &'a str,
    /// The values that pods without a mark have.
    pub unmarked: &'a [&'a str],
    /// Whether pods that are made now would have it.
    pub in_place: bool,
}

impl ComponentBuilder<'_> {
    /// The value of a mark; `None` for no mark. Once there is one it stays, or nobody could tell that it was taken away.
    pub(super) fn mark(&self, annotation: &str, wanted: &Wanted<'_>) -> Option<String> {
        let is_unmarked = wanted.unmarked.contains(&wanted.value);
        let Some(deployment) = self.deployment() else {
            return (!is_unmarked).then(|| wanted.value.to_owned());
        };
        match marked(deployment, annotation) {
            Some(now) if now == wanted.value || !wanted.in_place => Some(now.to_owned()),
            None if is_unmarked || !wanted.in_place => None,
            _ => Some(wanted.value.to_owned()),
        }
    }

    /// The Deployment as it is.
    pub(super) fn deployment(&self) -> Option<&Value> {
        self.body(KubernetesKind::Deployment, &self.component.name)
    }

    /// An object of ours as it is.
    pub(super) fn body(&self, kind: KubernetesKind, name: &str) -> Option<&Value> {
        let object = self
            .observed
            .kubernetes
            .get(&ResourceKey::kubernetes(kind, name))?;
        object.ours.then_some(&object.body)
    }
}

/// The value of a mark on the pods of a Deployment.
pub(super) fn marked<'a>(deployment: &'a Value, annotation: &str) -> Option<&'a str> {
    deployment["spec"]["template"]["metadata"]["annotations"][annotation].as_str()
}
