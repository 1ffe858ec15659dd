//! What all objects have in common: labels and the owner.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{KubernetesKind, KubernetesObject};
use crate::{names::Owner, resolve::selector};

/// Label that the caches select by.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`], and the field manager of what is applied.
pub const SHOPKEEPER: &str = "shopkeeper";

/// Label with the name of the component.
pub const COMPONENT: &str = "app.kubernetes.io/name";
/// Label with the name of the custom resource.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Label with the name of the custom resource, also on what no selector picks.
const PART_OF: &str = "app.kubernetes.io/part-of";

/// Whether an object belongs to a custom resource: by its reference to the owner, or, where somebody took that away and nobody else
/// controls it, by our labels. `known` says that this custom resource made it, as its inventory tells: two of different kinds may have one
/// name, and with it the same labels.
#[must_use]
pub fn belongs_to(body: &Value, owner: &Owner, known: bool) -> bool {
    let references = body
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if references
        .iter()
        .any(|reference| reference["uid"] == owner.uid.as_str())
    {
        return true;
    }
    let labels = &body["metadata"]["labels"];
    known
        && !references
            .iter()
            .any(|reference| reference["controller"] == true)
        && labels[MANAGED_BY] == SHOPKEEPER
        && [INSTANCE, PART_OF]
            .iter()
            .all(|label| labels[*label] == owner.name.as_str())
}

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
        labels.insert(PART_OF.to_owned(), Value::from(self.owner.name.clone()));
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

/// Names and values as they stand in an object.
pub fn texts(map: &BTreeMap<String, String>) -> Map<String, Value> {
    map.iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner {
            kind: "CatalogService".into(),
            api_version: "shopkeeper.dev/v1alpha1".into(),
            namespace: "shop".into(),
            name: "catalog".into(),
            uid: "ours".into(),
            generation: 1,
        }
    }

    #[test]
    fn an_object_without_its_reference_is_known_by_our_labels_and_the_inventory() {
        let ours = json!({"app.kubernetes.io/managed-by": "shopkeeper", "app.kubernetes.io/instance": "catalog", "app.kubernetes.io/part-of": "catalog"});
        let mut of_another = ours.clone();
        of_another[INSTANCE] = json!("orders");
        let reference =
            |uid: &str, controller: bool| json!([{"uid": uid, "controller": controller}]);
        let none = json!([]);
        for (labels, references, known, expected) in [
            (&ours, reference("ours", true), true, true),
            (&json!({}), reference("ours", true), false, true),
            (&ours, none.clone(), true, true),
            (&ours, reference("theirs", false), true, true),
            (&ours, reference("theirs", true), true, false),
            (&ours, none.clone(), false, false),
            (&of_another, none.clone(), true, false),
            (&json!({}), none.clone(), true, false),
        ] {
            let body = json!({"metadata": {"labels": labels, "ownerReferences": references}});
            assert_eq!(
                belongs_to(&body, &owner(), known),
                expected,
                "{body} {known}"
            );
        }
        assert!(belongs_to(
            &json!({"metadata": {"labels": ours}}),
            &owner(),
            true
        ));
    }
}
