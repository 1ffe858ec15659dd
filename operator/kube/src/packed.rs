//! What is kept for long and read now and then, as the text of its JSON.
//!
//! A [`Value`] keeps each map, however small, in a node of its own: it takes about nine times the memory of its text. Reading the text
//! takes as long as cloning the value twice.

use std::{borrow::Cow, fmt, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    Resource,
    core::{ApiResource, DynamicObject, DynamicResourceScope, ObjectMeta},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A value as text. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct PackedValue(Arc<str>);

impl PackedValue {
    /// Packs a value.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        Self(value.to_string().into())
    }

    /// The value.
    #[must_use]
    pub fn unpack(&self) -> Value {
        // Whatever wrote it down can be read.
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    /// The value as a type that it fits, or nothing.
    #[must_use]
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.0).ok()
    }
}

impl fmt::Debug for PackedValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PackedValue")
            .finish_non_exhaustive()
    }
}

/// An object of any kind. Of its metadata only what tells which object it is, of which version, and whose is at hand: all of it is in
/// [`body`](Self::body).
#[derive(Clone, PartialEq)]
pub struct PackedObject {
    identity: ObjectMeta,
    body: PackedValue,
}

impl PackedObject {
    /// Packs an object.
    #[must_use]
    pub fn of(object: DynamicObject) -> Self {
        let identity = identity(&object.metadata);
        let body = PackedValue::of(&whole(object));
        Self { identity, body }
    }

    /// The object as it will be once its deletion has begun.
    #[must_use]
    pub fn ending(&self, since: Time) -> Self {
        let mut body = self.body();
        body["metadata"]["deletionTimestamp"] = serde_json::to_value(&since).unwrap_or_default();
        Self {
            identity: ObjectMeta {
                deletion_timestamp: Some(since),
                ..self.identity.clone()
            },
            body: PackedValue::of(&body),
        }
    }

    /// The whole object, its metadata included. Items of a list do not say of which kind they are, and neither does this.
    #[must_use]
    pub fn body(&self) -> Value {
        self.body.unpack()
    }
}

impl fmt::Debug for PackedObject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PackedObject")
            .field("namespace", &self.identity.namespace)
            .field("name", &self.identity.name)
            .field("resource_version", &self.identity.resource_version)
            .finish_non_exhaustive()
    }
}

impl Resource for PackedObject {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.identity
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.identity
    }
}

/// An object as one value, without the types that only some answers have.
#[must_use]
pub fn whole(object: DynamicObject) -> Value {
    let mut body = match object.data {
        Value::Object(body) => body,
        _ => Map::new(),
    };
    let metadata = serde_json::to_value(&object.metadata).unwrap_or_default();
    body.insert("metadata".to_owned(), metadata);
    Value::Object(body)
}

fn identity(metadata: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        deletion_timestamp: metadata.deletion_timestamp.clone(),
        owner_references: metadata.owner_references.clone(),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt as _;
    use serde_json::json;

    use super::*;

    fn deployment() -> Value {
        json!({
            "metadata": {
                "namespace": "shop",
                "name": "orders",
                "uid": "first",
                "resourceVersion": "7",
                "generation": 3,
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "deletionTimestamp": "2026-01-02T00:00:00Z",
                "labels": {"tier": "shop"},
                "annotations": {"quoted": "\"a\"\n\u{1F6D2}"},
                "finalizers": ["foregroundDeletion"],
                "ownerReferences": [{"apiVersion": "shopkeeper.dev/v1alpha1", "kind": "OrderService", "name": "orders", "uid": "owner", "controller": true}],
                "managedFields": [{"manager": "kubectl", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}}}],
            },
            "spec": {"replicas": 2, "share": 0.1, "none": null, "empty": {}, "large": u64::MAX, "template": {"spec": {"containers": [{"name": "orders"}]}}},
            "status": {"readyReplicas": 1},
        })
    }

    #[test]
    fn a_packed_object_says_all_that_it_said_and_which_it_is() {
        let object: DynamicObject = serde_json::from_value(deployment()).unwrap();
        let packed = PackedObject::of(object.clone());
        assert_eq!(packed.body(), deployment());
        assert_eq!(packed.body(), whole(object.clone()));
        assert_eq!(
            (packed.namespace(), packed.name_any(), packed.uid()),
            (object.namespace(), object.name_any(), object.uid())
        );
        assert_eq!(packed.resource_version(), object.resource_version());
        assert_eq!(packed.owner_references(), object.owner_references());
        assert!(packed.meta().deletion_timestamp.is_some());
        // Nothing else is at hand: it would be there twice.
        assert!(packed.labels().is_empty() && packed.annotations().is_empty());
    }

    #[test]
    fn an_object_that_ends_says_so_and_all_else_as_before() {
        let since = Time("2026-01-03T00:00:00Z".parse().unwrap());
        let object = serde_json::from_value(deployment()).unwrap();
        let ending = PackedObject::of(object).ending(since.clone());
        let mut expected = deployment();
        expected["metadata"]["deletionTimestamp"] = json!("2026-01-03T00:00:00Z");
        assert_eq!(ending.body(), expected);
        assert_eq!(ending.meta().deletion_timestamp, Some(since));
        assert_eq!(ending.name_any(), "orders");
    }

    #[test]
    fn an_object_that_has_nothing_but_a_name_is_an_object() {
        let mut object: DynamicObject =
            serde_json::from_value(json!({"metadata": {"name": "orders"}})).unwrap();
        object.data = Value::Null;
        assert_eq!(
            PackedObject::of(object).body(),
            json!({"metadata": {"name": "orders"}})
        );
    }

    #[test]
    fn what_is_packed_is_not_shown_to_whoever_prints_it() {
        let secret = json!({"metadata": {"name": "orders"}, "data": {"password": "aHVudGVyMg=="}});
        let packed = PackedObject::of(serde_json::from_value(secret.clone()).unwrap());
        for shown in [
            format!("{packed:?}"),
            format!("{:?}", PackedValue::of(&secret)),
        ] {
            assert!(!shown.contains("aHVudGVyMg"), "{shown}");
        }
    }

    #[test]
    fn a_value_is_read_as_a_type_that_it_fits() {
        let packed = PackedValue::of(&json!([1, 2]));
        assert_eq!(packed.read::<Vec<u8>>(), Some(vec![1, 2]));
        assert_eq!(packed.read::<String>(), None);
    }
}
