//! What is built for the examples, in full: a change of any field is a change of a snapshot.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shopkeeper_plan::blueprint::Wanted;

use crate::{
    fixture::{EXAMPLES, read, want},
    invariants::CANARY,
    world::World,
};

/// Everything that is built once all outputs are known: what is sent to the API server, and what is asked of AWS.
fn built(shop: &str, object: &Value) -> BTreeMap<String, Value> {
    let world = World::settled(want(shop, object));
    let blueprint = (world.wanted.blueprint)(&world.observe());
    blueprint
        .iter()
        .map(|(key, node)| {
            let desired = match &node.wanted {
                Wanted::Aws(resource) => resource.to_value(),
                // The values of a Secret are fingerprints of theirs.
                Wanted::Kubernetes(object) => object.comparable(),
                Wanted::Pending(missing) => panic!("{key} waits for {missing:?}"),
                Wanted::Held(failure) => panic!("{key} is held: {failure}"),
            };
            let depends_on: Vec<_> = node.depends_on.iter().map(ToString::to_string).collect();
            let node = json!({"role": node.role, "section": node.section.condition(), "dependsOn": depends_on, "desired": desired});
            (serde_json::to_value(key).unwrap().as_str().unwrap().to_owned(), node)
        })
        .collect()
}

#[test]
fn of_every_example() {
    for (shop, name) in EXAMPLES {
        insta::assert_yaml_snapshot!(format!("{shop}-{name}"), built(shop, &read(shop, name)));
    }
}

#[test]
fn of_a_table_that_is_scaled() {
    let mut object = read("octank", "catalog");
    object["spec"]["products"]["capacity"] = json!({
        "type": "Provisioned", "provisioned": {"write": 10, "autoscale": {"read": {"min": 5, "max": 500, "targetUtilization": 60}}},
    });
    let mut built = built("octank", &object);
    built.retain(|key, _| key.starts_with("DynamoDbTable/") || key.starts_with("ScalableTarget/"));
    insta::assert_yaml_snapshot!("octank-catalog-scaled", built);
}

#[test]
fn before_anything_is_known_what_waits_says_for_what() {
    let world = World::new(want("octank", &read("octank", "orders")));
    let waits: BTreeMap<String, Vec<String>> = world
        .draft()
        .iter()
        .filter_map(|(key, node)| match &node.wanted {
            Wanted::Pending(missing) => Some((
                key.to_string(),
                missing
                    .iter()
                    .map(|missing| format!("{} of {}", missing.output, missing.resource))
                    .collect(),
            )),
            _ => None,
        })
        .collect();
    insta::assert_yaml_snapshot!(waits);
}

#[test]
fn a_password_is_in_its_secret_and_nowhere_else() {
    for (name, secret) in [("orders", "orders-database"), ("catalog", "catalog-cache")] {
        of_a_password(name, secret);
    }
}

fn of_a_password(name: &str, secret: &str) {
    let world = World::settled(want("octank", &read("octank", name)));
    let blueprint = (world.wanted.blueprint)(&world.observe());
    let mut found = Vec::new();
    for (key, node) in blueprint.iter() {
        if let Wanted::Kubernetes(object) = &node.wanted {
            let text = object.body.to_string();
            assert!(
                !text.contains(CANARY),
                "{key}: not even there in plain text"
            );
            // The beginning of its base64 form.
            if text.contains("Y2FuYXJ5OnBAc3Mvd") {
                found.push(key.to_string());
            }
            assert!(
                !object.comparable().to_string().contains("Y2FuYXJ5"),
                "{key}"
            );
        }
    }
    assert_eq!(found, [format!("Secret {secret}")]);
}
