//! The tables of facts, and how they are held against what is made.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::Value;

/// What `ours` says where it only matters that there is something.
const SOMETHING: &str = "*";

/// One field.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its value in what the sample's charts make; null where they leave it out.
    sample: Value,
    /// Its value in what we make.
    ours: Value,
    /// Why they differ.
    why: Option<String>,
}

impl Row {
    /// `{same: 80}`, or `{sample: 1, ours: 2, why: "..."}` with either left out where the field is.
    fn parse(path: &str, written: &Value) -> Self {
        let written = written
            .as_object()
            .unwrap_or_else(|| panic!("{path}: not a row: {written}"));
        let known = ["same", "sample", "ours", "why"];
        let unknown: Vec<_> = written
            .keys()
            .filter(|key| !known.contains(&key.as_str()))
            .collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
        let get = |name: &str| written.get(name).cloned().unwrap_or_default();
        let (sample, ours) = match written.get("same") {
            Some(same) => {
                assert!(
                    !written.contains_key("sample") && !written.contains_key("ours"),
                    "{path}"
                );
                (same.clone(), same.clone())
            }
            None => (get("sample"), get("ours")),
        };
        let why = get("why").as_str().map(str::to_owned);
        Self { sample, ours, why }
    }
}

/// The rows of a workload by path; its own win over those of every workload.
pub fn table(workload: &str) -> BTreeMap<String, Row> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/shop/retail_store");
    ["every", workload]
        .iter()
        .flat_map(|name| {
            let path = folder.join(format!("{name}.yaml"));
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            rows(&text)
        })
        .collect()
}

fn rows(text: &str) -> Vec<(String, Row)> {
    let written: BTreeMap<String, BTreeMap<String, Value>> =
        serde_yaml_ng::from_str(text).expect("a table");
    written
        .iter()
        .flat_map(|(object, fields)| {
            fields.iter().map(move |(field, row)| {
                let path = format!("{object} {field}");
                let row = Row::parse(&path, row);
                (path, row)
            })
        })
        .collect()
}

/// What is wrong between a table and what is made.
pub fn compare(
    table: &BTreeMap<String, Row>,
    made: &BTreeMap<String, Value>,
    looked_at: &[&str],
) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, row) in table {
        if row.ours == SOMETHING {
            if !made.keys().any(|made| is_within(made, path)) {
                problems.push(format!(
                    "{path}: the table says that we make it, and we do not"
                ));
            }
        } else {
            let made = made.get(path).cloned().unwrap_or_default();
            if made != row.ours {
                problems.push(format!(
                    "{path}: we make {made}, the table says {}",
                    row.ours
                ));
            }
        }
        match (row.sample == row.ours, &row.why) {
            (false, None) => problems.push(format!(
                "{path}: the sample has {}, we make {}, and nothing says why",
                row.sample, row.ours
            )),
            (true, Some(why)) => {
                problems.push(format!("{path}: no difference, but a reason: {why}"))
            }
            _ => {}
        }
    }
    for (path, value) in made {
        let has_row = table.contains_key(path)
            || table
                .iter()
                .any(|(row, facts)| facts.ours == SOMETHING && is_within(path, row));
        if !has_row {
            problems.push(format!(
                "{path}: we make {value}, and the table has no row for it"
            ));
        }
    }
    for part in looked_at {
        if !table.keys().any(|path| is_within(path, part)) {
            problems.push(format!("{part}: the table does not look at it"));
        }
    }
    problems
}

/// Whether a path is that of a part, or of something in it.
fn is_within(path: &str, part: &str) -> bool {
    path.strip_prefix(part)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', ' ']))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(text: &str, made: &[(&str, Value)], looked_at: &[&str]) -> Vec<String> {
        let made = made
            .iter()
            .map(|(path, value)| ((*path).to_owned(), value.clone()))
            .collect();
        compare(&rows(text).into_iter().collect(), &made, looked_at)
    }

    #[test]
    fn what_agrees_or_is_explained_is_no_problem() {
        let text = r#"
Deployment:
  spec.replicas: {sample: 1, ours: 2, why: "drains"}
  spec.strategy.type: {same: RollingUpdate}
  spec.paused: {same: ~}
Ingress:
  spec: {ours: "*", why: "it is reached by one"}
"#;
        let made = [
            ("Deployment spec.replicas", json!(2)),
            ("Deployment spec.strategy.type", json!("RollingUpdate")),
            ("Ingress spec.rules[0].host", json!("store.example")),
        ];
        assert_eq!(
            problems(text, &made, &["Deployment spec", "Ingress"]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn every_kind_of_problem_is_named() {
        let made = [("Service spec.type", json!("NodePort"))];
        let cases = [
            (
                "Service: {spec.type: {same: ClusterIP}}",
                "the table says \"ClusterIP\"",
            ),
            (
                "Service: {spec.type: {sample: ClusterIP, ours: NodePort}}",
                "nothing says why",
            ),
            (
                "Service: {spec.type: {same: NodePort, why: x}}",
                "no difference, but a reason",
            ),
            (
                "Service: {spec.type: {sample: NodePort, ours: NodePort, why: x}}",
                "no difference, but a reason",
            ),
            (
                "Service: {metadata.name: {same: ~}}",
                "the table has no row for it",
            ),
            (
                "{Service: {spec: {ours: '*', why: x}}, Ingress: {spec: {ours: '*', why: x}}}",
                "and we do not",
            ),
            (
                "Service: {spec.type: {same: NodePort}, 'spec.ports[http].port': {same: 80}}",
                "we make null",
            ),
        ];
        for (text, problem) in cases {
            let found = problems(text, &made, &[]);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].contains(problem), "{text}: {found:?}");
        }
        let unseen = problems(
            "Service: {spec.type: {same: NodePort}}",
            &made,
            &["Service spec.ports"],
        );
        assert_eq!(
            unseen,
            ["Service spec.ports: the table does not look at it"]
        );
    }
}
