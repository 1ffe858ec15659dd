//! The fields of a kind, as its definition has them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};
use shopkeeper_e2e::{Shop, equals};

/// The root of the repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Values by field. A field has no members of its own, and is named by its place, `cache.users[].name`.
pub type Values = BTreeMap<String, Vec<Value>>;

/// The specification of a kind, from the definition that the API server serves.
pub struct Definition(Value);

/// A field, or fields that begin so, and the test that shows it, by its path in the repository.
pub type Elsewhere = (&'static str, &'static str);

enum Form<'a> {
    Members(&'a Map<String, Value>),
    List(&'a Value),
    Field,
}

fn form(schema: &Value) -> Form<'_> {
    let members = |schema: &'_ Value| {
        schema["properties"]
            .as_object()
            .is_some_and(|members| !members.is_empty())
    };
    if members(&schema["items"]) {
        return Form::List(&schema["items"]);
    }
    match schema["properties"].as_object() {
        Some(properties) if members(schema) => Form::Members(properties),
        _ => Form::Field,
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

impl Definition {
    pub async fn of(shop: &Shop, plural: &str) -> Result<Self> {
        let crd = format!("{plural}.shopkeeper.dev");
        let arguments = ["get", "crd", &crd, "-o", "json"];
        let mut definition: Value =
            serde_json::from_str(&shop.environment.kubectl(&arguments).await?)?;
        let specification = definition
            .pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
            .context("the definition has no specification")?;
        Ok(Self(specification.take()))
    }

    /// Every field that can have more than one value.
    pub fn fields(&self) -> BTreeSet<String> {
        fn walk(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
            match form(schema) {
                Form::List(items) => walk(items, &format!("{path}[]"), found),
                Form::Members(members) => {
                    for (name, part) in members {
                        walk(part, &join(path, name), found);
                    }
                }
                Form::Field => {
                    if schema["enum"].as_array().is_none_or(|all| all.len() > 1) {
                        found.insert(path.to_owned());
                    }
                }
            }
        }
        let mut found = BTreeSet::new();
        walk(&self.0, "", &mut found);
        found
    }

    /// What a specification says, field by field.
    pub fn values(&self, specification: &Value) -> Values {
        fn walk(schema: &Value, value: &Value, path: &str, found: &mut Values) {
            match form(schema) {
                Form::List(items) => {
                    for member in value.as_array().into_iter().flatten() {
                        walk(items, member, &format!("{path}[]"), found);
                    }
                }
                Form::Members(members) => {
                    for (name, part) in members {
                        if let Some(value) = value.get(name) {
                            walk(part, value, &join(path, name), found);
                        }
                    }
                }
                Form::Field => found
                    .entry(path.to_owned())
                    .or_default()
                    .push(value.clone()),
            }
        }
        let mut found = Values::new();
        walk(&self.0, specification, "", &mut found);
        found
    }
}

/// The fields that have a value which they had nowhere before.
pub fn changed(before: &Values, after: &Values) -> BTreeSet<String> {
    let is_new = |field: &&String| {
        let had = before.get(*field).map(Vec::as_slice).unwrap_or_default();
        after[*field].iter().any(|value| !had.contains(value))
    };
    after.keys().filter(is_new).cloned().collect()
}

/// Fails where the definition has a field that no edit is of, that is not known to be immutable and that no other test shows.
pub fn every_field_is_edited(
    definition: &Definition,
    edited: &BTreeSet<String>,
    immutable: &BTreeSet<String>,
    elsewhere: &[Elsewhere],
) -> Result<()> {
    let begins = |field: &str, prefix: &str| {
        field
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with("[]"))
    };
    let mut declared = definition.fields();
    for (prefix, test) in elsewhere {
        ensure!(
            std::path::Path::new(ROOT).join(test).exists(),
            "{prefix} is said to be shown by {test}, which does not exist"
        );
        let all = declared.len();
        declared.retain(|field| !begins(field, prefix));
        ensure!(
            declared.len() < all,
            "there is no field {prefix}, which is said to be shown by {test}"
        );
    }
    let shown: BTreeSet<String> = edited
        .union(immutable)
        .filter(|field| !elsewhere.iter().any(|(prefix, _)| begins(field, prefix)))
        .cloned()
        .collect();
    let missing: Vec<&String> = declared.difference(&shown).collect();
    ensure!(
        missing.is_empty(),
        "no edit of these fields is shown to reach AWS: {missing:#?}"
    );
    equals("the list of fields that are edited", shown, declared)
}
