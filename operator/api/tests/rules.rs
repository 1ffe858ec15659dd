//! Every rule of the definitions, once broken and once kept. A rule that no case breaks fails the last test.

mod cases;

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
};

use cases::{CASES, Case};
use kube::core::cel::{CompiledSchema, Validator, compile_schema};
use serde_json::{Map, Value};
use shopkeeper_api::all_crds;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A rule: the field it sits on, and its message. The same block under several names counts as one.
type Rule = (String, String);

/// Schema of every kind.
fn schemas() -> Result<BTreeMap<String, Value>> {
    all_crds()?
        .into_iter()
        .map(|crd| {
            let schema =
                serde_json::to_value(&crd.spec.versions[0].schema)?["openAPIV3Schema"].take();
            Ok((crd.spec.names.kind, schema))
        })
        .collect()
}

fn base(kind: &str) -> Result<Value> {
    let text = match kind {
        "Platform" => include_str!("../../../examples/octank/platform.yaml"),
        "Storefront" => include_str!("../../../examples/octank/storefront.yaml"),
        "CatalogService" => include_str!("../../../examples/octank/catalog.yaml"),
        "OrderService" => include_str!("../../../examples/octank/orders.yaml"),
        other => return Err(format!("no example of {other}").into()),
    };
    Ok(serde_yaml_ng::from_str(text)?)
}

/// The example of a kind with a JSON merge patch (RFC 7386) on its spec.
fn object(kind: &str, patch: &str) -> Result<Value> {
    let mut object = base(kind)?;
    let patch = serde_yaml_ng::from_str(patch).map_err(|error| format!("{patch}: {error}"))?;
    merge(&mut object["spec"], &patch);
    Ok(object)
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().map(|object| object.remove(name));
        } else {
            merge(&mut target[name], value);
        }
    }
}

/// Name of the block that a path ends in, without indices.
fn block(path: &str) -> String {
    let last = path.rsplit('.').next().unwrap_or_default();
    let name = last.split('[').next().unwrap_or_default();
    match name {
        "readiness" | "liveness" | "startup" => "probe",
        "products" | "table" => "table",
        "privateSubnets" | "publicSubnets" => "subnets",
        other => other,
    }
    .to_owned()
}

/// Rules that an object breaks.
fn broken(case: &Case, schema: &CompiledSchema, patch: &str) -> Result<Vec<Rule>> {
    let new = object(case.kind, patch)?;
    let old = case.old.map(|old| object(case.kind, old)).transpose()?;
    Ok(
        match Validator::new().validate_compiled(schema, &new, old.as_ref()) {
            Ok(()) => Vec::new(),
            Err(errors) => errors
                .iter()
                .map(|error| (block(&error.field_path), error.message.clone()))
                .collect(),
        },
    )
}

#[test]
fn each_case_breaks_its_rule_and_the_correction_keeps_it() -> Result<()> {
    let mut wrong = Vec::new();
    let schemas: BTreeMap<String, CompiledSchema> = schemas()?
        .iter()
        .map(|(kind, schema)| (kind.clone(), compile_schema(schema)))
        .collect();
    assert!(
        schemas.values().all(|schema| !schema.has_errors()),
        "a rule does not compile"
    );
    for case in CASES {
        let schema = schemas
            .get(case.kind)
            .ok_or_else(|| format!("no kind {}", case.kind))?;
        let red = broken(case, schema, case.red)?;
        if !red
            .iter()
            .any(|(block, message)| block == case.block && message.starts_with(case.message))
        {
            wrong.push(format!(
                "{} {}: {:?} should break {:?}, broke {red:?}",
                case.kind, case.block, case.red, case.message
            ));
        }
        let green = broken(case, schema, case.green)?;
        if !green.is_empty() {
            wrong.push(format!(
                "{} {}: {:?} should be fine, broke {green:?}",
                case.kind, case.block, case.green
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_rule_has_a_case() -> Result<()> {
    let mut rules = BTreeSet::new();
    for schema in schemas()?.values() {
        collect("spec", &schema["properties"]["spec"], &mut rules);
    }
    assert!(rules.len() > 50, "found only {} rules", rules.len());
    rules.retain(|(block, message)| {
        !CASES
            .iter()
            .any(|case| case.block == block && message.starts_with(case.message))
    });
    assert!(rules.is_empty(), "no case breaks {rules:#?}");
    Ok(())
}

fn collect(path: &str, schema: &Value, rules: &mut BTreeSet<Rule>) {
    for rule in schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
    {
        rules.insert((
            block(path),
            rule["message"].as_str().unwrap_or_default().to_owned(),
        ));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        collect(&format!("{path}.{name}"), property, rules);
    }
    if let Some(items) = schema.get("items") {
        collect(path, items, rules);
    }
}
