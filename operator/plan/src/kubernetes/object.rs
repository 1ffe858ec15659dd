//! What all objects have in common: labels and the owner.

use serde_json::{Map, Value, json};

use super::{KubernetesKind, KubernetesObject};
use crate::{names::Owner, resolve::selector};

/// Label that the caches select by.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`], and the field manager of what is applied.
pub const SHOPKEEPER: &str = "shopkeeper";

/// Whose objects are built, and for which component.
pub struct Frame<'a> {
    /// The custom resource.
    pub owner: &'a Owner,
    /// Name of the component.
    pub component: &'a str,
}

impl Frame<'_> {
    /// Labels of every object of the component.
    pub fn labels(&self) -> Map<String, Value> {
        let mut labels: Map<String, Value> = selector(self.component, &self.owner.name)
            .into_iter()
            .map(|(key, value)| (key, Value::from(value)))
            .collect();
        labels.insert(MANAGED_BY.to_owned(), Value::from(SHOPKEEPER));
        labels.insert(
            "app.kubernetes.io/part-of".to_owned(),
            Value::from(self.owner.name.clone()),
        );
        labels
    }

    /// Labels by which the pods are selected.
    pub fn selector(&self) -> Value {
        json!(selector(self.component, &self.owner.name))
    }
}

/// Builds an object with labels and owner reference.
pub struct ObjectBuilder {
    object: KubernetesObject,
}

impl ObjectBuilder {
    /// An object of a kind and name in the owner's namespace. The owner reference lets Kubernetes clean up where the
    /// operator cannot any more, and tells whose the object is.
    pub fn new(frame: &Frame<'_>, kind: KubernetesKind, name: &str) -> Self {
        let body = json!({
            "apiVersion": kind.api_version(),
            "kind": kind.id(),
            "metadata": {
                "name": name,
                "namespace": frame.owner.namespace,
                "labels": frame.labels(),
                "ownerReferences": [{
                    "apiVersion": frame.owner.api_version,
                    "kind": frame.owner.kind,
                    "name": frame.owner.name,
                    "uid": frame.owner.uid,
                    "controller": true,
                    "blockOwnerDeletion": true,
                }],
            },
        });
        Self {
            object: KubernetesObject {
                kind,
                namespace: frame.owner.namespace.clone(),
                name: name.to_owned(),
                body,
                autoscaled_from: None,
            },
        }
    }

    /// Sets annotations, where there are any.
    pub fn annotations(mut self, annotations: Map<String, Value>) -> Self {
        if !annotations.is_empty() {
            self.object.body["metadata"]["annotations"] = Value::Object(annotations);
        }
        self
    }

    /// Sets a member beside `metadata`.
    pub fn with(mut self, member: &str, value: Value) -> Self {
        self.object.body[member] = value;
        self
    }

    /// An autoscaler scales it, to no fewer replicas than these.
    pub fn autoscaled_from(mut self, least: i32) -> Self {
        self.object.autoscaled_from = Some(least);
        self
    }

    /// The object.
    pub fn build(self) -> KubernetesObject {
        self.object
    }
}
