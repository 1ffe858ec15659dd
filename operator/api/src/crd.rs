//! The definitions to install: what the derive makes, finished with what it cannot know.
//!
//! A derive leaves lists and strings of Kubernetes' own types without bounds, so the API server must assume the worst when it
//! estimates the cost of CEL rules and refuses them. It marks optional fields `nullable`, which lets an explicit null pass
//! admission and then counts as set in CEL. It puts no default on `status`, so a new object without status counts as done for
//! kstatus. All of that is put right here.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::{CatalogService, OrderService, Platform, Storefront};

/// Bound of a list that states none.
const MAX_ITEMS: u64 = 64;
/// Bound of a string that states none.
const MAX_LENGTH: u64 = 1024;
/// Bound of a map that states none.
const MAX_PROPERTIES: u64 = 64;
/// Bound of a condition's message, as in Kubernetes' own schema of conditions.
const MAX_MESSAGE: u64 = 32_768;
/// Length above which a description is cut to its first sentence: those of Kubernetes' own types would fill half a definition.
const MAX_DESCRIPTION: usize = 480;

/// Every definition, in the order to install them.
///
/// # Errors
/// Only when a derived definition is no valid JSON, which the tests of this crate rule out.
pub fn all_crds() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    crds().collect()
}

/// The same one by one: each takes some megabytes.
pub fn crds() -> impl Iterator<Item = Result<CustomResourceDefinition, serde_json::Error>> {
    let derived: [fn() -> CustomResourceDefinition; 4] = [
        Platform::crd,
        Storefront::crd,
        CatalogService::crd,
        OrderService::crd,
    ];
    derived.into_iter().map(|derive| finish(derive()))
}

/// Adds to a derived definition what the derive does not know.
///
/// # Errors
/// Only when the definition is no valid JSON.
pub fn finish(
    crd: CustomResourceDefinition,
) -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut value = serde_json::to_value(crd)?;
    if let Some(versions) = value
        .pointer_mut("/spec/versions")
        .and_then(Value::as_array_mut)
    {
        for version in versions {
            if let Some(schema) = version.pointer_mut("/schema/openAPIV3Schema") {
                finish_root(schema);
            }
        }
    }
    serde_json::from_value(value)
}

fn finish_root(root: &mut Value) {
    // The length of a name is bounded so that names derived from it stay within what AWS and Kubernetes allow. By a rule, which says
    // what to do; `maxLength` would say only that it is too long, and keep the rule from being looked at.
    if let Some(root) = root.as_object_mut() {
        root.insert(
            "x-kubernetes-validations".into(),
            json!([{
                "rule": "size(self.metadata.name) <= 40",
                "message": "metadata.name may have 40 characters, since longer names are made from it in AWS and in Kubernetes: choose a shorter one"
            }]),
        );
    }
    // Only the frontends of a Storefront have names that are put together of three.
    let frontends = root
        .pointer("/properties/spec/properties/frontends")
        .is_some();
    if let Some(rules) = root["x-kubernetes-validations"]
        .as_array_mut()
        .filter(|_| frontends)
    {
        rules.push(json!({
            "rule": "!has(self.spec.frontends) || self.spec.frontends.all(f, !has(f.network) || !has(f.network.exposures) || f.network.exposures.all(e, size(self.metadata.name) + size(f.name) + size(e.name) <= 61))",
            "message": "the names of the Storefront, of a frontend and of one of its exposures may have 61 characters together, since a Service is named by all three: choose a shorter one"
        }));
    }
    // `metadata` may state nothing else about itself.
    if let Some(properties) = root
        .pointer_mut("/properties")
        .and_then(Value::as_object_mut)
    {
        properties.insert(
            "metadata".into(),
            json!({"type": "object", "properties": {"name": {
                "type": "string", "pattern": crate::pattern::LABEL
            }}}),
        );
        for part in ["spec", "status"] {
            if let Some(schema) = properties.get_mut(part) {
                finish_schema(schema);
            }
        }
        if let Some(spec) = properties.get_mut("spec") {
            bound_numbers(spec);
        }
        if let Some(status) = properties.get_mut("status").and_then(Value::as_object_mut) {
            status.insert("default".into(), json!({"observedGeneration": -1}));
            if let Some(condition) = status
                .get_mut("properties")
                .and_then(|properties| properties.pointer_mut("/conditions/items/properties"))
                .and_then(Value::as_object_mut)
            {
                bound_condition(condition);
            }
        }
    }
}

/// Numbers of Kubernetes' own types state their format only, which the API server does not check: what does not fit into it could be
/// stored and never be read again.
fn bound_numbers(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let is_int_or_string = object.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true));
    if object.get("format").and_then(Value::as_str) == Some("int32") {
        object.entry("minimum").or_insert(i32::MIN.into());
        object.entry("maximum").or_insert(i32::MAX.into());
    } else if is_int_or_string && !object.contains_key("pattern") {
        object.entry("maximum").or_insert(i32::MAX.into());
    }
    for member in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(member) {
            bound_numbers(inner);
        }
    }
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(bound_numbers);
    }
}

/// The bounds that Kubernetes' own schema of conditions has.
fn bound_condition(condition: &mut Map<String, Value>) {
    let bounds = [
        ("message", json!({"maxLength": MAX_MESSAGE})),
        (
            "reason",
            json!({"minLength": 1, "maxLength": 1024, "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"}),
        ),
        ("status", json!({"enum": ["True", "False", "Unknown"]})),
        ("type", json!({"maxLength": 316})),
        ("observedGeneration", json!({"minimum": 0})),
    ];
    for (field, bound) in bounds {
        if let (Some(schema), Some(bound)) = (
            condition.get_mut(field).and_then(Value::as_object_mut),
            bound.as_object(),
        ) {
            schema.extend(bound.clone());
        }
    }
}

fn finish_schema(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    object.remove("nullable");
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::String(description)) = object.get_mut("description") {
        *description = brief(description);
    }
    match object.get("type").and_then(Value::as_str) {
        Some("array") => finish_list(object),
        Some("string") => finish_string(object),
        Some("object") if object.contains_key("additionalProperties") => {
            object
                .entry("maxProperties")
                .or_insert(MAX_PROPERTIES.into());
        }
        _ if object.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) => {
            object.entry("maxLength").or_insert(32.into());
        }
        _ => {}
    }
    for member in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(member) {
            finish_schema(inner);
        }
    }
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(finish_schema);
    }
}

/// Lists that state no type are atomic: no client can own a part of them.
fn finish_list(object: &mut Map<String, Value>) {
    object.entry("maxItems").or_insert(MAX_ITEMS.into());
    object
        .entry("x-kubernetes-list-type")
        .or_insert("atomic".into());
}

fn finish_string(object: &mut Map<String, Value>) {
    // An enum is its own bound, and the API server knows how long a date is.
    if !object.contains_key("enum")
        && object.get("format").and_then(Value::as_str) != Some("date-time")
    {
        object.entry("maxLength").or_insert(MAX_LENGTH.into());
    }
}

/// The description in one paragraph, or its first sentence where that is too long.
fn brief(description: &str) -> String {
    let joined = description.split_whitespace().collect::<Vec<_>>().join(" ");
    if joined.len() <= MAX_DESCRIPTION {
        return joined;
    }
    match joined.split_once(". ") {
        Some((first, _)) if first.len() < MAX_DESCRIPTION => format!("{first}."),
        _ => joined.chars().take(MAX_DESCRIPTION).collect(),
    }
}
