//! Whether an installed definition has what this version of the code reads and writes. Pure.
//!
//! The schemas are compared member by member, and not by a version or a hash in an annotation: who applies definitions may strip or
//! change annotations, and a hash could not tell a newer definition, which is fine, from an older one, which is not. See
//! `docs/decisions/0014-definitions.md`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

/// Bounds that a status written by this version must fit into. Those of a specification are for users to keep.
const UPPER_BOUNDS: [&str; 4] = ["maxItems", "maxLength", "maxProperties", "maximum"];

/// What the installed definition lacks of the one that was built, as paths with the reason where it is not simply absent. Empty
/// where it has everything; what it has beyond that does not matter.
///
/// # Errors
/// Only when a definition is no valid JSON.
pub fn lacks(
    installed: &CustomResourceDefinition,
    built: &CustomResourceDefinition,
) -> Result<Vec<String>, serde_json::Error> {
    let installed = serde_json::to_value(&installed.spec.versions)?;
    let mut lacking = Vec::new();
    for version in &built.spec.versions {
        let name = &version.name;
        let Some(found) = installed
            .as_array()
            .into_iter()
            .flatten()
            .find(|found| found["name"] == **name && found["served"] == true)
        else {
            lacking.push(format!("version {name}"));
            continue;
        };
        let version = serde_json::to_value(version)?;
        if version["subresources"]["status"].is_object()
            && !found["subresources"]["status"].is_object()
        {
            lacking.push("the status subresource".to_owned());
        }
        for part in ["spec", "status"] {
            let pointer = format!("/schema/openAPIV3Schema/properties/{part}");
            compare(
                &format!(".{part}"),
                version.pointer(&pointer).unwrap_or(&Value::Null),
                found.pointer(&pointer).unwrap_or(&Value::Null),
                &mut lacking,
            );
        }
    }
    Ok(lacking)
}

fn compare(path: &str, built: &Value, installed: &Value, lacking: &mut Vec<String>) {
    if built.is_null() {
        return;
    }
    if !installed.is_object() {
        lacking.push(path.to_owned());
        return;
    }
    if installed["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    if built["type"] != installed["type"] {
        lacking.push(format!("{path} of type {}", built["type"]));
        return;
    }
    if let (Some(values), Some(known)) = (built["enum"].as_array(), installed["enum"].as_array()) {
        lacking.extend(
            values
                .iter()
                .filter(|value| !known.contains(value))
                .map(|value| format!("{path} of {value}")),
        );
    }
    if path.starts_with(".status") {
        lacking.extend(
            UPPER_BOUNDS
                .iter()
                .filter(|bound| is_tighter(&installed[**bound], &built[**bound]))
                .map(|bound| format!("{path} with {bound} {}", built[*bound])),
        );
    }
    for (name, property) in built["properties"].as_object().into_iter().flatten() {
        compare(
            &format!("{path}.{name}"),
            property,
            &installed["properties"][name],
            lacking,
        );
    }
    for (member, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        compare(
            &format!("{path}{mark}"),
            &built[member],
            &installed[member],
            lacking,
        );
    }
}

/// Whether the one bound admits less than the other. None admits everything.
fn is_tighter(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one < other,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::all_crds;

    fn changed(pointer: &str, change: impl Fn(&mut Value)) -> CustomResourceDefinition {
        let mut value = serde_json::to_value(storefront()).unwrap();
        let pointer = format!("/spec/versions/0/{pointer}");
        change(
            value
                .pointer_mut(&pointer)
                .unwrap_or_else(|| panic!("{pointer}")),
        );
        serde_json::from_value(value).unwrap()
    }

    fn storefront() -> CustomResourceDefinition {
        let all = all_crds().unwrap();
        all.into_iter()
            .find(|crd| crd.spec.names.kind == "Storefront")
            .unwrap()
    }

    const SPEC: &str = "schema/openAPIV3Schema/properties/spec/properties";
    const STATUS: &str = "schema/openAPIV3Schema/properties/status/properties";

    #[test]
    fn every_definition_has_what_it_has() {
        for crd in all_crds().unwrap() {
            assert_eq!(lacks(&crd, &crd).unwrap(), Vec::<String>::new());
        }
    }

    #[test]
    fn an_older_definition_lacks_what_was_added_since() {
        let without = |pointer: &str, member: &'static str| {
            let older = changed(pointer, |value| {
                value.as_object_mut().unwrap().remove(member).unwrap();
            });
            lacks(&older, &storefront()).unwrap()
        };
        assert_eq!(without(SPEC, "routes"), [".spec.routes"]);
        assert_eq!(
            without(&format!("{SPEC}/routes/items/properties"), "port"),
            [".spec.routes[].port"]
        );
        assert_eq!(without(STATUS, "plan"), [".status.plan"]);
        assert_eq!(
            without("subresources", "status"),
            ["the status subresource"]
        );
    }

    #[test]
    fn values_types_and_room_in_the_status_count() {
        let older = changed(
            &format!("{SPEC}/routes/items/properties/pathType/enum"),
            |value| {
                value.as_array_mut().unwrap().retain(|each| each != "Exact");
            },
        );
        assert_eq!(
            lacks(&older, &storefront()).unwrap(),
            [r#".spec.routes[].pathType of "Exact""#]
        );
        let older = changed(&format!("{STATUS}/inventory/maxItems"), |value| {
            *value = 16.into();
        });
        assert_eq!(
            lacks(&older, &storefront()).unwrap(),
            [".status.inventory with maxItems 1024"]
        );
        let older = changed(&format!("{STATUS}/endpoint/type"), |value| {
            *value = "integer".into();
        });
        assert_eq!(
            lacks(&older, &storefront()).unwrap(),
            [r#".status.endpoint of type "string""#]
        );
        let unserved = changed("served", |value| *value = false.into());
        assert_eq!(
            lacks(&unserved, &storefront()).unwrap(),
            ["version v1alpha1"]
        );
    }

    #[test]
    fn a_newer_definition_lacks_nothing() {
        let newer = changed(SPEC, |value| {
            value["shop"] = serde_json::json!({"type": "string", "maxLength": 10});
        });
        assert!(lacks(&newer, &storefront()).unwrap().is_empty());
        // A tighter bound of a specification is the business of its users.
        let newer = changed(&format!("{SPEC}/routes/maxItems"), |value| {
            *value = 10.into();
        });
        assert!(lacks(&newer, &storefront()).unwrap().is_empty());
    }
}
