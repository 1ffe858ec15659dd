//! Every kind of AWS resource against everything that is asked of a kind: made from the registry, so that a new kind gets all of it by
//! being there. A cell is a property of a kind; each has resources and an owner of its own and is told by name where it fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod building_blocks;
#[path = "../double/mod.rs"]
mod double;
mod ground;
mod lives;
mod other_values;
mod specimen;
mod trail;
mod world;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use futures::{StreamExt as _, stream};
use ground::Ground;
use lives::{Cells, LIVES};
use shopkeeper_plan::aws::{AwsKind, AwsResource};
use specimen::{NOT_SET, specimen};

/// What is known to be broken, and why. A cell of these that holds fails the test: it is to be taken out.
const EXPECTED_FAILURES: &[(AwsKind, &str, &str)] = &[];

/// Lives that go on at the same time. The double takes one call after the other.
const AT_ONCE: usize = 8;

/// Everything that is asked of a kind, in the order of the table.
const PROPERTIES: &[&str] = &[
    "fields",
    "created",
    "silent",
    "outputs",
    "listed",
    "found",
    "changed",
    "repaired",
    "reported",
    "immutable",
    "refused",
    "tagged",
    "consented",
    "retain",
    "snapshot",
    "delete",
    "throttled",
    "lost",
    "stale",
    "trailed",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_kind_has_every_property() {
    let ground = Arc::new(Ground::make().await);
    let cells: Arc<Mutex<Cells>> = Arc::default();
    // `SHOPKEEPER_MATRIX=RdsInstance` for one kind, `RdsInstance/lost` for one life of it.
    let only = std::env::var("SHOPKEEPER_MATRIX").unwrap_or_default();
    let (only_kind, only_life) = only.split_once('/').unwrap_or((&only, ""));
    let mut tasks = Vec::new();
    for (name, live) in LIVES {
        for kind in AwsKind::ALL {
            let skipped = |only: &str, name: &str| !only.is_empty() && only != name;
            if skipped(only_kind, kind.id()) || skipped(only_life, name) {
                continue;
            }
            let (ground, cells) = (ground.clone(), cells.clone());
            tasks.push(async move {
                let told = cells.clone();
                let life = tokio::spawn(async move { live(*kind, &ground, &cells).await });
                if let Err(panic) = life.await {
                    let mut told = told.lock().unwrap();
                    told.entry((*kind, name))
                        .or_default()
                        .push(panic.to_string());
                }
            });
        }
    }
    stream::iter(tasks)
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
    let cells = std::mem::take(&mut *cells.lock().unwrap());
    println!("{}", table(&cells));
    let mut wrong: Vec<String> = Vec::new();
    for ((kind, property), failures) in &cells {
        let expected = EXPECTED_FAILURES
            .iter()
            .any(|(of, name, _)| of == kind && name == property);
        match (failures.is_empty(), expected) {
            (true, true) => wrong.push(format!(
                "{}/{property} holds: it is no expected failure any more",
                kind.id()
            )),
            (false, false) => wrong.extend(
                failures
                    .iter()
                    .map(|failure| format!("{}/{property}: {failure}", kind.id())),
            ),
            _ => {}
        }
    }
    if only.is_empty() {
        for kind in AwsKind::ALL {
            for property in PROPERTIES {
                let may_lack = *property == "immutable"
                    // Of what cannot be changed no drift is left as it is.
                    || *property == "reported" && !lives::has_mutable_fields(*kind);
                if !cells.contains_key(&(*kind, *property)) && !may_lack {
                    wrong.push(format!("{}/{property} was not looked at", kind.id()));
                }
            }
        }
    }
    if ground.double.crashes() > 0 {
        wrong.push(format!(
            "the double failed {} times",
            ground.double.crashes()
        ));
    }
    assert!(
        wrong.is_empty(),
        "{} failures:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Kinds by properties.
fn table(cells: &Cells) -> String {
    let mut rows: BTreeMap<&str, String> = BTreeMap::new();
    for kind in AwsKind::ALL {
        let row = rows.entry(kind.id()).or_default();
        for property in PROPERTIES {
            let mark = match cells.get(&(*kind, *property)) {
                Some(failures) if failures.is_empty() => "ok",
                Some(_) => "FAILS",
                None => "-",
            };
            let _ = write!(row, " {mark:>width$}", width = property.len().max(5));
        }
    }
    let mut text = format!("\n{:24}", "");
    for property in PROPERTIES {
        let _ = write!(text, " {property:>5}");
    }
    for (kind, row) in rows {
        let _ = write!(text, "\n{kind:24}{row}");
    }
    text
}

/// A field that a specimen leaves out by mistake would be looked at by no cell.
pub fn unset_fields(resource: &AwsResource) -> Vec<&'static str> {
    let kind = resource.kind();
    let value = resource.to_value();
    kind.fields()
        .iter()
        .map(|field| field.name)
        .filter(|name| {
            let set = match &value[*name] {
                serde_json::Value::Null => false,
                serde_json::Value::String(text) => !text.is_empty(),
                serde_json::Value::Array(list) => !list.is_empty(),
                serde_json::Value::Object(map) => !map.is_empty(),
                _ => true,
            };
            let excused = NOT_SET
                .iter()
                .any(|(of, field, _)| *of == kind && field == name);
            set == excused
        })
        .collect()
}

#[test]
fn no_reason_is_left_over() {
    for (kind, field, reason) in NOT_SET {
        assert!(!reason.is_empty());
        assert!(
            kind.fields().iter().any(|known| known.name == *field),
            "{} has no field {field}",
            kind.id()
        );
    }
    for (kind, property, reason) in EXPECTED_FAILURES {
        assert!(!reason.is_empty());
        assert!(
            PROPERTIES.contains(property),
            "{} has no {property}",
            kind.id()
        );
    }
}

/// The specimen of a kind in a life.
pub fn of_life(kind: AwsKind, ground: &Ground, life: &str) -> (specimen::Specimen, String) {
    let name = format!("{}-{life}", kind.id().to_lowercase());
    (specimen(kind, ground, &name), name)
}
