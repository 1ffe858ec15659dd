//! The fields of a kind, as its definition has them, and whether a scenario has seen each of them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};

use crate::{Shop, equals};

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
    /// That of a kind, by its plural.
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
    let declared = not_shown_by(definition, elsewhere)?;
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

/// The fields of the definition that none of these tests shows. Fails where one of them is said to show what is no field.
pub fn not_shown_by(definition: &Definition, tests: &[Elsewhere]) -> Result<BTreeSet<String>> {
    let mut declared = definition.fields();
    for (prefix, test) in tests {
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
    Ok(declared)
}

/// Whether a field is the one with this name, or below it.
fn begins(field: &str, name: &str) -> bool {
    field
        .strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with("[]"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HERE: &str = "tests/e2e/src/definition.rs";

    fn definition() -> Definition {
        let text = json!({"type": "string"});
        let user = json!({"properties": {"name": text, "kind": {"enum": ["Person"]}}});
        Definition(json!({"properties": {
            "image": text,
            "imageTag": text,
            "args": {"items": text},
            "cache": {"properties": {"engine": text, "users": {"items": user}}},
        }}))
    }

    fn set(fields: &[&str]) -> BTreeSet<String> {
        fields.iter().map(|field| (*field).to_owned()).collect()
    }

    #[test]
    fn fields_are_what_has_no_members_and_more_than_one_value() {
        assert_eq!(
            definition().fields(),
            set(&[
                "image",
                "imageTag",
                "args",
                "cache.engine",
                "cache.users[].name"
            ])
        );
    }

    #[test]
    fn an_edit_is_of_the_fields_with_a_value_that_is_new() {
        let user = |name: &str| json!({"name": name});
        let values =
            |users: Value| definition().values(&json!({"image": "a", "cache": {"users": users}}));
        let before = values(json!([user("a")]));
        assert_eq!(
            changed(&before, &values(json!([user("a"), user("b")]))),
            set(&["cache.users[].name"])
        );
        assert_eq!(changed(&before, &before), set(&[]));
    }

    #[test]
    fn a_field_that_nothing_shows_is_named() {
        let check = |edited: &[&str], elsewhere: &[Elsewhere]| {
            every_field_is_edited(&definition(), &set(edited), &set(&["args"]), elsewhere)
                .map_err(|problem| problem.to_string())
        };
        let all = ["image", "imageTag", "cache.engine"];
        check(&all, &[("cache.users", HERE)]).unwrap();
        for left_out in all {
            let edited: Vec<&str> = all.into_iter().filter(|field| *field != left_out).collect();
            let problem = check(&edited, &[("cache.users", HERE)]).unwrap_err();
            assert!(problem.contains(&format!("\"{left_out}\"")), "{problem}");
        }
        let problem = check(&all, &[]).unwrap_err();
        assert!(problem.contains("cache.users[].name"), "{problem}");
    }

    #[test]
    fn a_list_that_does_not_fit_the_definition_is_named() {
        let problem = |tests: &[Elsewhere]| {
            let left = not_shown_by(&definition(), tests);
            left.unwrap_err().to_string()
        };
        assert!(problem(&[("cache.user", HERE)]).contains("there is no field cache.user"));
        assert!(
            problem(&[("image", "tests/none.rs")]).contains("tests/none.rs, which does not exist")
        );
        // Its name begins as that of another.
        let left = not_shown_by(&definition(), &[("image", HERE), ("cache", HERE)]);
        assert_eq!(left.unwrap(), set(&["imageTag", "args"]));
    }
}
