//! The finished definitions keep the rules for APIs: bounds everywhere, list types, few defaults, a size that kubectl can apply.

use std::{collections::BTreeSet, error::Error};

use serde_json::Value;
use shopkeeper_api::all_crds;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Kind and schema of every definition.
fn schemas() -> Result<Vec<(String, Value)>> {
    all_crds()?
        .iter()
        .map(|crd| {
            let schema =
                serde_json::to_value(&crd.spec.versions[0].schema)?["openAPIV3Schema"].clone();
            Ok((crd.spec.names.kind.clone(), schema))
        })
        .collect()
}

/// Calls `look` with every schema below `schema`, its path, and whether it is inside a list.
fn visit(path: &str, schema: &Value, in_list: bool, look: &mut impl FnMut(&str, &Value, bool)) {
    look(path, schema, in_list);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        visit(&format!("{path}.{name}"), property, in_list, look);
    }
    if let Some(items) = schema.get("items") {
        visit(&format!("{path}[]"), items, true, look);
    }
    if let Some(values) = schema.get("additionalProperties") {
        visit(&format!("{path}{{}}"), values, in_list, look);
    }
}

/// Paths below `spec` and `status` that `wrong` says something about.
fn offenders(wrong: impl Fn(&str, &Value, bool) -> Option<String>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (kind, schema) in schemas()? {
        for part in ["spec", "status"] {
            let path = format!("{kind}.{part}");
            visit(
                &path,
                &schema["properties"][part],
                false,
                &mut |path, schema, in_list| {
                    if let Some(what) = wrong(path, schema, in_list) {
                        found.push(format!("{path}: {what}"));
                    }
                },
            );
        }
    }
    Ok(found)
}

#[test]
fn everything_is_bounded() -> Result<()> {
    let found = offenders(|_, schema, _| {
        let missing = |member: &str| schema.get(member).is_none().then(|| format!("no {member}"));
        match schema["type"].as_str() {
            Some("array") => missing("maxItems"),
            Some("string") if schema.get("enum").is_none() && schema["format"] != "date-time" => {
                missing("maxLength")
            }
            Some("object") if schema.get("additionalProperties").is_some() => {
                missing("maxProperties")
            }
            None if schema["x-kubernetes-int-or-string"] == true => missing("maxLength"),
            None => Some("no type".into()),
            _ => None,
        }
    })?;
    assert_eq!(found, Vec::<String>::new());
    Ok(())
}

#[test]
fn own_numbers_have_a_range() -> Result<()> {
    // Those of Kubernetes' own types are checked where the pod is made.
    let foreign = [
        "ecurityContext",
        "tolerations",
        "affinity",
        "topologySpreadConstraints",
        "env[]",
        "envFrom",
        "status",
    ];
    let found = offenders(|path, schema, _| {
        let is_own = !foreign.iter().any(|part| path.contains(part));
        let is_open = schema.get("minimum").is_none() || schema.get("maximum").is_none();
        (is_own && schema["type"] == "integer" && is_open).then(|| "no range".into())
    })?;
    assert_eq!(found, Vec::<String>::new());
    Ok(())
}

/// What is admitted and does not fit into the type that it is read as is never read again. Of the format alone the API server takes no
/// notice; numbers beyond 64 bits are none to it.
#[test]
fn every_number_fits_its_type() -> Result<()> {
    let fits = |schema: &Value| {
        let bound = |name: &str| schema[name].as_f64();
        bound("minimum").is_some_and(|least| least >= f64::from(i32::MIN))
            && bound("maximum").is_some_and(|most| most <= f64::from(i32::MAX))
    };
    let found = offenders(|path, schema, _| {
        if path.contains(".status") {
            return None;
        }
        let is_quantity = schema["pattern"] == shopkeeper_api::pattern::QUANTITY;
        match schema["type"].as_str() {
            Some("integer") if schema["format"] == "int64" || fits(schema) => None,
            Some("integer" | "number") => Some(format!("format {}", schema["format"])),
            None if schema["x-kubernetes-int-or-string"] == true => {
                let most = schema["maximum"].as_f64();
                (!is_quantity && most.is_none_or(|most| most > f64::from(i32::MAX)))
                    .then(|| "no maximum".into())
            }
            _ => None,
        }
    })?;
    assert_eq!(found, Vec::<String>::new());
    Ok(())
}

/// The message of a name that is too long says what to do.
#[test]
fn a_name_may_have_forty_characters() -> Result<()> {
    for (kind, schema) in schemas()? {
        let name = &schema["properties"]["metadata"]["properties"]["name"];
        assert!(name.get("maxLength").is_none(), "{kind}");
        let rule = &schema["x-kubernetes-validations"][0];
        assert_eq!(rule["rule"], "size(self.metadata.name) <= 40", "{kind}");
        assert!(
            rule["message"]
                .as_str()
                .is_some_and(|message| message.contains("choose a shorter one")),
            "{kind}"
        );
    }
    Ok(())
}

#[test]
fn every_list_says_how_it_is_merged() -> Result<()> {
    let found = offenders(|_, schema, _| {
        if schema["type"] != "array" {
            return None;
        }
        match schema["x-kubernetes-list-type"].as_str() {
            Some("atomic" | "set") => None,
            Some("map") => {
                let keys = schema["x-kubernetes-list-map-keys"].as_array()?;
                let required: Vec<&Value> = schema["items"]["required"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .collect();
                (!keys.iter().all(|key| required.contains(&key)))
                    .then(|| "a key of the list is optional".into())
            }
            _ => Some("no list type".into()),
        }
    })?;
    assert_eq!(found, Vec::<String>::new());
    Ok(())
}

#[test]
fn nothing_is_nullable_and_only_status_has_a_default() -> Result<()> {
    let found = offenders(|path, schema, _| {
        if schema.get("nullable").is_some() {
            return Some("nullable".into());
        }
        let is_status = path.split('.').count() == 2 && path.ends_with(".status");
        (schema.get("default").is_some() != is_status)
            .then(|| format!("default {:?}", schema.get("default")))
    })?;
    assert_eq!(found, Vec::<String>::new());
    for (kind, schema) in schemas()? {
        assert_eq!(
            schema["properties"]["status"]["default"]["observedGeneration"], -1,
            "{kind}"
        );
    }
    Ok(())
}

#[test]
fn every_field_is_described() -> Result<()> {
    let found = offenders(|path, schema, _| {
        let is_item = path.ends_with("[]") || path.ends_with("{}");
        (!is_item && schema.get("description").is_none()).then(|| "no description".into())
    })?;
    assert_eq!(found, Vec::<String>::new());
    Ok(())
}

#[test]
fn an_optional_enum_is_described_by_its_field_and_not_by_its_type() -> Result<()> {
    for (kind, schema) in schemas()? {
        let policy = &schema["properties"]["spec"]["properties"]["policy"]["properties"];
        for (field, default) in [
            ("deletion", "Snapshot"),
            ("adoption", "IfTagged"),
            ("drift", "Repair"),
            ("changes", "ApproveDisruptive"),
        ] {
            let description = policy[field]["description"].as_str().unwrap_or_default();
            assert!(
                description.ends_with(&format!("Default: {default}.")),
                "{kind}: policy.{field}: {description}"
            );
        }
    }
    Ok(())
}

#[test]
fn every_rule_has_a_message() -> Result<()> {
    let found = offenders(|_, schema, _| {
        let rules = schema["x-kubernetes-validations"].as_array()?;
        rules
            .iter()
            .any(|rule| rule["message"].as_str().is_none_or(str::is_empty))
            .then(|| "a rule without message".into())
    })?;
    assert_eq!(found, Vec::<String>::new());
    Ok(())
}

#[test]
fn conditions_are_bounded_as_in_kubernetes() -> Result<()> {
    for (kind, schema) in schemas()? {
        let conditions = &schema["properties"]["status"]["properties"]["conditions"];
        assert_eq!(
            conditions["x-kubernetes-list-map-keys"][0], "type",
            "{kind}"
        );
        let condition = &conditions["items"]["properties"];
        assert_eq!(condition["message"]["maxLength"], 32768, "{kind}");
        assert_eq!(condition["reason"]["maxLength"], 1024, "{kind}");
        assert_eq!(condition["type"]["maxLength"], 316, "{kind}");
        assert_eq!(condition["status"]["enum"][2], "Unknown", "{kind}");
    }
    Ok(())
}

#[test]
fn columns_and_names_are_what_users_are_promised() -> Result<()> {
    let mut short_names = BTreeSet::new();
    for crd in all_crds()? {
        let kind = &crd.spec.names.kind;
        assert_eq!(crd.spec.group, shopkeeper_api::GROUP, "{kind}");
        assert_eq!(crd.spec.versions[0].name, shopkeeper_api::VERSION, "{kind}");
        assert_eq!(
            crd.spec.names.categories,
            Some(vec![shopkeeper_api::CATEGORY.to_owned()]),
            "{kind}"
        );
        let columns = crd.spec.versions[0]
            .additional_printer_columns
            .clone()
            .unwrap_or_default();
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let leading: [&str; 2] = if kind == "Platform" {
            ["Cluster", "Region"]
        } else {
            ["Endpoint", "Replicas"]
        };
        assert_eq!(
            names,
            [leading[0], leading[1], "Ready", "Reason", "Age", "Message"],
            "{kind}"
        );
        assert_eq!(
            columns[5].priority,
            Some(1),
            "{kind}: the message is for -o wide"
        );
        for short in crd.spec.names.short_names.unwrap_or_default() {
            assert!(
                short.len() >= 3,
                "{kind}: {short} would clash with those of Kubernetes"
            );
            assert!(
                short_names.insert(short.clone()),
                "{kind}: {short} is taken"
            );
        }
    }
    Ok(())
}

#[test]
fn a_definition_fits_the_annotation_of_kubectl_apply() -> Result<()> {
    // Client-side apply keeps the whole object in an annotation, and annotations end at 262144 bytes.
    for crd in all_crds()? {
        let size = serde_json::to_string(&crd)?.len();
        assert!(size < 220_000, "{}: {size} bytes", crd.spec.names.kind);
    }
    Ok(())
}
