//! Any specification in any world: what holds for every plan, and that it comes to an end.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::AwsResource,
    failure::{Class, Failure},
    observed::Lifecycle,
    plan::{Action, Blocker, Step},
    planner::{ChangePolicy, DeletionPolicy},
    resource::ResourceKey,
};
use shopkeeper_specifications::Choices;
use shopkeeper_worlds::{
    fortunes::{Found, fortunes, policies},
    properties,
};

use crate::{
    fixture::{read, want, without},
    world::World,
};

/// A specification: one of the examples with some of it left out and some of it changed.
fn specification() -> impl Strategy<Value = Value> {
    (
        any::<bool>(),
        proptest::collection::vec(any::<bool>(), 4),
        1..4_i32,
        prop_oneof![Just("m7g.large"), Just("m7g.xlarge"), Just("m7i.large")],
        1..30_i32,
        capacity(),
    )
        .prop_map(
            |(orders, removed, replicas, instance_type, days, capacity)| {
                let mut object = read("octank", if orders { "orders" } else { "catalog" });
                let blocks: &[&str] = if orders {
                    &["database", "notifications"]
                } else {
                    &["products", "cache", "media"]
                };
                for (block, gone) in blocks.iter().zip(&removed) {
                    if *gone {
                        without(&mut object, &format!("/spec/{block}"));
                        object["spec"]["bindings"]
                            .as_array_mut()
                            .unwrap()
                            .retain(|binding| binding["resource"] != json!(block));
                    }
                }
                if removed[3] {
                    object["spec"]["scaling"] =
                        json!({"type": "Fixed", "fixed": {"replicas": replicas}});
                }
                object["spec"]["nodes"]["nodeGroup"]["instanceTypes"] = json!([instance_type]);
                if let Some(products) = object.pointer_mut("/spec/products") {
                    products["capacity"] = capacity;
                }
                if let Some(rds) = object.pointer_mut("/spec/database/rds") {
                    rds["backupRetentionDays"] = json!(days);
                }
                if let Some(queue) = object.pointer_mut("/spec/notifications/queues/0") {
                    queue["maxReceives"] = json!(days);
                }
                object
            },
        )
}

/// How the capacity of a table is bought: by request, as fixed numbers, or scaled, in all mixtures.
fn capacity() -> impl Strategy<Value = Value> {
    let units = || {
        prop_oneof![
            (1..50_i32).prop_map(|number| (Some(number), None)),
            (1..50_i32, 0..50_i32, 20..90_i32).prop_map(|(min, more, target)| {
                (
                    None,
                    Some(json!({"min": min, "max": min + more, "targetUtilization": target})),
                )
            }),
        ]
    };
    prop_oneof![
        Just(json!({"type": "OnDemand"})),
        (units(), units()).prop_map(|((read, reads), (write, writes))| {
            let mut provisioned = json!({"autoscale": {}});
            for (name, fixed, range) in [("read", read, reads), ("write", write, writes)] {
                if let Some(fixed) = fixed {
                    provisioned[name] = json!(fixed);
                }
                if let Some(range) = range {
                    provisioned["autoscale"][name] = range;
                }
            }
            json!({"type": "Provisioned", "provisioned": provisioned})
        }),
    ]
}

/// A specification with much in it that only changes with approval.
fn approvable() -> impl Strategy<Value = Value> {
    (
        specification(),
        prop_oneof![Just("db.r7g.large"), Just("db.r7g.xlarge")],
        prop_oneof![Just("cache.r7g.large"), Just("cache.r7g.xlarge")],
        prop_oneof![Just("Required"), Just("Preferred"), Just("Disabled")],
        any::<bool>(),
    )
        .prop_map(|(mut object, class, node_type, tls, indexes)| {
            if let Some(rds) = object.pointer_mut("/spec/database/rds") {
                rds["instanceClass"] = json!(class);
            }
            if let Some(cache) = object.pointer_mut("/spec/cache") {
                cache["nodeType"] = json!(node_type);
                cache["transitEncryption"] = json!(tls);
            }
            if let (false, Some(products)) = (indexes, object.pointer_mut("/spec/products")) {
                products["indexes"] = json!([]);
            }
            object
        })
}

/// What chance brings, for all resources of a world.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..600)
}

/// Few enough for every build; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(32);
    // A case takes a whole life of a world: shrinking for long would take longer than reading what failed.
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_plan_keeps_the_rules(before in specification(), after in specification(), bytes in bytes()) {
        properties::plan(&before, &after, &mut Choices::new(&bytes));
    }

    #[test]
    fn every_world_converges(before in specification(), after in specification(), bytes in bytes()) {
        let plan = properties::converge(&before, &after, &mut Choices::new(&bytes));
        prop_assert!(plan.is_some_and(|plan| plan.is_empty()), "something of an example is refused");
    }

    /// Taking down ends too, from anywhere.
    #[test]
    fn every_end_comes(before in specification(), bytes in bytes()) {
        let mut choices = Choices::new(&bytes);
        let (policies, fortunes) = (policies(&mut choices), fortunes(&mut choices));
        let mut world = World::settled(want("octank", &before));
        world.policies = policies;
        world.deleting = true;
        let keys: Vec<_> = world.aws.keys().cloned().collect();
        for (key, fortune) in keys.iter().zip(fortunes.iter().cycle()) {
            let thing = world.thing(key);
            thing.present.empty = fortune.empty;
            if matches!(fortune.lifecycle, Lifecycle::Failed(_)) {
                // RDS lifts no protection of an instance that failed.
                if let AwsResource::RdsInstance(found) = &mut thing.present.resource {
                    found.deletion_protection = false;
                }
                thing.present.lifecycle = fortune.lifecycle.clone();
            }
            if fortune.found == Found::Absent && key.kind.teardown_stage() < 50 {
                world.aws.remove(key);
                world.pods.remove(&key.name);
            }
        }
        let last = world.run();
        prop_assert!(last.steps.iter().all(|step| step.action == shopkeeper_plan::plan::Action::Retain), "{last:#?}");
        prop_assert!(world.kubernetes.is_empty());
    }

    /// To approve the hash that is shown is enough for all that was shown, whatever fails, in whatever order it is done, and if the
    /// process ends in between; and nothing that has to be approved is done without having been shown.
    #[test]
    fn one_approval_is_enough(before in approvable(), after in approvable(), all: bool, chances in proptest::collection::vec((0..5_u8, 0..1000_usize), 0..30)) {
        let mut world = properties::between(&before, &after).expect("the examples resolve");
        world.policies.changes = if all { ChangePolicy::ApproveAll } else { ChangePolicy::ApproveDisruptive };
        world.policies.deletion = DeletionPolicy::Delete;
        let shown = world.run();
        let Some(hash) = shown.approval_hash() else { return Ok(()) };
        let asked = |step: &Step| step.blocked_by.contains(&Blocker::Approval);
        let what = |step: &Step| -> Vec<(ResourceKey, Action, String, String)> {
            let of = |field: &str, to: &str| (step.key.clone(), step.action, field.to_owned(), to.to_owned());
            // How many pods have to be moved is not what was asked.
            match step.action {
                Action::Update => step.changes.iter().map(|change| of(&change.field, &change.to)).collect(),
                _ => vec![of("", "")],
            }
        };
        let promised: HashSet<_> = shown.steps.iter().filter(|step| asked(step)).flat_map(what).collect();
        world.approved = Some(hash);
        world.pass_cut_short(0);
        world.approved = None;
        let needs = |step: &Step| all || step.effect.is_disruptive() && (step.action != Action::Create || step.is_repair);
        for (chance, which) in chances.into_iter().chain([(0, 0), (1, 0)].into_iter().cycle().take(60)) {
            let observed = world.observe();
            let plan = world.plan_for(&observed, &(world.wanted.blueprint)(&observed));
            for step in plan.free_steps().filter(|step| needs(step)) {
                for change in what(step) {
                    prop_assert!(promised.contains(&change), "{change:?} was not shown");
                }
            }
            let free: Vec<Step> = plan.free_steps().cloned().collect();
            match chance {
                0 => drop(world.pass()),
                1 => drop(world.tick()),
                2 => world.pass_cut_short(which % 4),
                3 if !free.is_empty() => {
                    // All are refused but one.
                    world.pass_cut_short(0);
                    world.take(&free[which % free.len()]);
                }
                _ => {
                    let keys: Vec<_> = world.aws.keys().cloned().collect();
                    let key = keys[which % keys.len()].clone();
                    world.unknown.insert(key.clone(), Failure::new(Class::Transient, "no answer"));
                    world.pass();
                    world.unknown.remove(&key);
                }
            }
        }
        let last = world.run();
        for step in last.steps.iter().filter(|step| asked(step)) {
            for change in what(step) {
                prop_assert!(!promised.contains(&change), "{change:?} is asked for again");
            }
        }
    }
}
