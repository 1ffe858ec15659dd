//! The largest custom resource that admission lets through fits into its status: one that did not could never be written down.

use serde_json::{Value, json};
use shopkeeper_api::{all_crds, status::Status};
use shopkeeper_plan::{
    aws::AwsResource,
    decisions, inventory,
    planner::{ChangePolicy, Policies},
};

use crate::{
    fixture::{read, want},
    world::World,
};

/// What of a value goes beyond the bounds of a schema.
fn beyond(path: &str, schema: &Value, value: &Value, found: &mut Vec<String>) {
    let mut over = |bound: &str, size: usize| {
        let bound = schema[bound].as_u64();
        if bound.is_some_and(|bound| size as u64 > bound) {
            found.push(format!("{path}: {size} of {}", bound.unwrap()));
        }
    };
    match value {
        Value::String(text) => over("maxLength", text.chars().count()),
        Value::Array(items) => {
            over("maxItems", items.len());
            for item in items {
                beyond(&format!("{path}[]"), &schema["items"], item, found);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let known = &schema["properties"][name];
                assert!(known.is_object(), "{path} has no {name} in the schema");
                beyond(&format!("{path}.{name}"), known, member, found);
            }
        }
        _ => {}
    }
}

fn status_schema(kind: &str) -> Value {
    let crds = all_crds().unwrap();
    let crd = crds.iter().find(|crd| crd.spec.names.kind == kind).unwrap();
    let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
    schema["openAPIV3Schema"]["properties"]["status"].clone()
}

/// Text of exactly so many characters that begins with `start`.
fn long(start: &str, length: usize) -> String {
    format!("{start:x<length$}")
}

/// An example with names as long as they may be.
fn named(example: &str) -> Value {
    let mut object = read("octank", example);
    object["metadata"]["namespace"] = json!(long("shop", 63));
    object["metadata"]["name"] = json!(long(example, 40));
    object["spec"]["callers"] = json!([]);
    object["spec"]["endpoints"] = json!([]);
    object
}

/// 256 subscriptions to 32 topics, all of another owner for another `generation`, and 32 queues.
fn orders(generation: &str) -> Value {
    let names = || (0..32).map(|number| long(&format!("n{number}-"), 40));
    let topics: Vec<Value> = names()
        .map(|name| {
            let subscribers: Vec<Value> = (0..8)
                .map(|number| {
                    let start = format!("https://{generation}{number}.example/");
                    json!({"type": "HTTPS", "https": long(&start, 1024)})
                })
                .collect();
            json!({"name": name, "subscribers": subscribers})
        })
        .collect();
    let queues: Vec<Value> = names().map(|name| json!({"name": name})).collect();
    let mut object = named("orders");
    object["spec"]["notifications"] = json!({"topics": topics, "queues": queues});
    object["spec"]["bindings"] = json!([]);
    object
}

/// Eight tables and the products, each with 20 indexes of the longest names, every capacity scaled; and a cache with 16 users.
fn catalog() -> Value {
    let scaled =
        json!({"autoscale": {"read": {"min": 5, "max": 50}, "write": {"min": 5, "max": 50}}});
    let table = |number: usize| {
        let indexes: Vec<Value> = (0..20)
            .map(|index| {
                let name = long(&format!("index-{index}-"), 255);
                json!({"name": name, "partition": {"name": "category", "type": "String"}, "provisioned": scaled})
            })
            .collect();
        json!({
            "tableName": long(&format!("table-{number}-"), 255),
            "keys": {"partition": {"name": "id", "type": "String"}},
            "indexes": indexes,
            "capacity": {"type": "Provisioned", "provisioned": scaled},
            "stream": "NewAndOldImages",
        })
    };
    let tables: Vec<Value> = (1..=8)
        .map(|number| json!({"name": long(&format!("n{number}-"), 40), "table": table(number)}))
        .collect();
    let users: Vec<Value> = (0..16)
        .map(
            |number| json!({"name": long(&format!("u{number}"), 20), "authentication": "Password"}),
        )
        .collect();
    let mut object = named("catalog");
    object["spec"]["products"] = table(0);
    object["spec"]["tables"] = json!(tables);
    object["spec"]["cache"]["users"] = json!(users);
    object["spec"]["cache"]["applicationUser"] = users[0]["name"].clone();
    object["spec"]["bindings"] = json!([]);
    object
}

fn storefront() -> Value {
    let frontends: Vec<Value> = (0..8)
        .map(|number| {
            json!({
                "name": long(&format!("f{number}-"), 20),
                "exposure": "Internal",
                "workload": {"image": "registry.example/web:1", "ports": [{"name": "http", "containerPort": 8080}]},
            })
        })
        .collect();
    let mut object = named("storefront");
    object["spec"]["frontends"] = json!(frontends);
    object["spec"]["routes"] = json!([]);
    object
}

/// What of the statuses on the way to what is wanted is more than they hold.
fn beyond_the_status(world: &mut World, kind: &str) -> Vec<String> {
    let schema = status_schema(kind);
    let mut found = Vec::new();
    let mut most = 0;
    for _ in 0..60 {
        let plan = world.pass();
        let status = Status {
            inventory: inventory::to_status(&world.inventory, &world.plan(), &world.observe(), &[]),
            plan: decisions::to_status(&plan, &world.wanted.owner),
            ..Status::default()
        };
        most = most.max(status.inventory.len());
        let status = serde_json::to_value(status).unwrap();
        beyond("status", &schema, &status, &mut found);
        if let Some(hash) = plan.approval_hash() {
            world.approved = Some(hash);
        } else if plan.free_steps().next().is_none() && !world.tick() {
            break;
        }
    }
    println!("{kind}: at most {most} resources");
    found.sort();
    found.dedup();
    found
}

#[test]
fn the_largest_custom_resources_fit_into_their_status() {
    for object in [
        catalog(),
        orders("a"),
        storefront(),
        read("octank", "platform"),
    ] {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let mut world = World::new(want("octank", &object));
        world.policies = Policies {
            changes: ChangePolicy::ApproveAll,
            ..Policies::default()
        };
        let found = beyond_the_status(&mut world, &kind);
        assert!(found.is_empty(), "{kind}: {found:#?}");
    }
}

#[test]
fn subscriptions_that_are_all_replaced_fit_beside_those_that_replace_them() {
    let mut world = World::settled(want("octank", &orders("a")));
    world.wanted = want("octank", &orders("b"));
    let found = beyond_the_status(&mut world, "OrderService");
    assert!(found.is_empty(), "{found:#?}");
}

/// IAM counts the characters of all inline policies of a role without white space, and refuses more; nobody can have that raised.
const MOST_OF_A_ROLE: usize = 10_240;

#[test]
fn the_role_of_the_largest_custom_resource_is_one_that_iam_takes() {
    for object in [catalog(), orders("a")] {
        let world = World::settled(want("octank", &object));
        let policies: Vec<usize> = world
            .aws
            .values()
            .filter_map(|thing| match &thing.present.resource {
                AwsResource::IamRole(role) if !role.inline_policies.is_empty() => Some(role),
                _ => None,
            })
            .map(|role| {
                let texts = role.inline_policies.values().map(Value::to_string);
                texts.map(|text| text.chars().count()).sum()
            })
            .collect();
        assert_eq!(policies.len(), 1, "{}", object["kind"]);
        assert!(
            policies[0] <= MOST_OF_A_ROLE,
            "{}: {} characters",
            object["kind"],
            policies[0]
        );
    }
}
