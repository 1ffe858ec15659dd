//! Any specification in any world: what holds for every plan, and that it comes to an end.

use std::collections::HashSet;

use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, Change},
    blueprint::Wanted,
    failure::{Class, Failure},
    names::{OWNER_TAG, OWNER_UID_TAG},
    observed::{
        Lifecycle, NodeGroupNodes, Observation, Observed, ObservedNode, ObservedObject, ObservedPod,
    },
    plan::{Action, Blocker, Step},
    planner::{
        AdoptionPolicy, ChangePolicy, DeletionPolicy, DriftPolicy, Inventory, InventoryEntry,
        Policies,
    },
    resource::{ResourceKey, ResourceKind},
};

use crate::{
    fixture::{read, want, without},
    invariants,
    world::{Thing, World, as_reported},
};

/// A specification: one of the examples with some of it left out and some of it changed.
fn specification() -> impl Strategy<Value = Value> {
    (
        any::<bool>(),
        proptest::collection::vec(any::<bool>(), 4),
        1..4_i32,
        prop_oneof!["m7g.large", "m7g.xlarge", "m7i.large"],
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
        prop_oneof!["db.r7g.large", "db.r7g.xlarge"],
        prop_oneof!["cache.r7g.large", "cache.r7g.xlarge"],
        prop_oneof!["Required", "Preferred", "Disabled"],
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

fn policies() -> impl Strategy<Value = Policies> {
    (
        prop_oneof![
            Just(DeletionPolicy::Retain),
            Just(DeletionPolicy::Snapshot),
            Just(DeletionPolicy::Delete)
        ],
        prop_oneof![
            Just(AdoptionPolicy::Never),
            Just(AdoptionPolicy::IfTagged),
            Just(AdoptionPolicy::Adopt)
        ],
        prop_oneof![Just(DriftPolicy::Repair), Just(DriftPolicy::Report)],
        prop_oneof![
            Just(ChangePolicy::Automatic),
            Just(ChangePolicy::ApproveDisruptive),
            Just(ChangePolicy::ApproveAll)
        ],
    )
        .prop_map(|(deletion, adoption, drift, changes)| Policies {
            deletion,
            adoption,
            drift,
            changes,
        })
}

/// What became of one resource.
#[derive(Clone, Debug)]
struct Fortune {
    state: u8,
    lifecycle: u8,
    drifted: Vec<(Index, u8)>,
    known: bool,
    empty: Option<bool>,
}

fn fortunes() -> impl Strategy<Value = Vec<Fortune>> {
    let one = (
        0..12_u8,
        0..12_u8,
        proptest::collection::vec((any::<Index>(), any::<u8>()), 0..3),
        any::<bool>(),
        any::<Option<bool>>(),
    )
        .prop_map(|(state, lifecycle, drifted, known, empty)| Fortune {
            state,
            lifecycle,
            drifted,
            known,
            empty,
        });
    proptest::collection::vec(one, 40)
}

/// Changes a field to some other value of its type; leaves the resource where that gives none.
fn drift(
    resource: &AwsResource,
    which: &Index,
    how: u8,
    may: impl Fn(&Change) -> bool,
) -> AwsResource {
    let fields: Vec<_> = resource
        .kind()
        .fields()
        .iter()
        .filter(|field| may(&field.change))
        .collect();
    if fields.is_empty() {
        return resource.clone();
    }
    let field = fields[which.index(fields.len())];
    let mut value = serde_json::to_value(resource).unwrap();
    let other = match &value[field.name] {
        Value::Bool(value) => json!(!value),
        Value::Number(number) if number.is_f64() => json!(f64::from(how)),
        Value::Number(number) => json!(number.as_i64().unwrap() + i64::from(how % 5) - 2),
        Value::String(text) if how.is_multiple_of(2) => json!(format!("{text}x")),
        Value::String(_) => json!("Redis"),
        Value::Array(list) if how.is_multiple_of(2) && !list.is_empty() => json!(list[1..]),
        Value::Array(_) => json!(["other"]),
        Value::Object(_) if how.is_multiple_of(2) => json!({}),
        Value::Object(_) => json!({"other": "1"}),
        Value::Null => json!(how),
    };
    value[field.name] = other;
    serde_json::from_value(value).unwrap_or_else(|_| resource.clone())
}

fn lifecycle(number: u8) -> Lifecycle {
    match number {
        0 => Lifecycle::Creating,
        1 => Lifecycle::Modifying,
        2 => Lifecycle::Deleting,
        3 => Lifecycle::Failed("it does not work".into()),
        _ => Lifecycle::Available,
    }
}

/// A world in which a settled `before` met these fortunes.
fn observed(world: &World, fortunes: &[Fortune]) -> (Observed, Inventory) {
    let mut observed = Observed::default();
    let mut inventory = Inventory::new();
    for ((key, thing), fortune) in world.aws.iter().zip(fortunes.iter().cycle()) {
        let mut present = thing.present.clone();
        for (which, how) in &fortune.drifted {
            present.resource = drift(&present.resource, which, *how, |_| true);
        }
        present.lifecycle = lifecycle(fortune.lifecycle);
        present.empty = fortune.empty;
        if key.kind == ResourceKind::Aws(AwsKind::SnsSubscription) {
            if fortune.empty.is_none() {
                present.arn = None;
            }
        } else if fortune.state >= 9 {
            let tags = present.resource.tags_mut();
            tags.remove(OWNER_UID_TAG);
            match fortune.state {
                9 => drop(tags.remove(OWNER_TAG)),
                10 => drop(tags.insert(OWNER_TAG.into(), "OrderService/other/orders".into())),
                _ => drop(tags.insert(OWNER_UID_TAG.into(), "earlier".into())),
            }
        }
        match fortune.state {
            0 => {}
            1 => drop(observed.aws.insert(
                key.clone(),
                Observation::Unknown(Failure::new(Class::Transient, "no answer")),
            )),
            2 => drop(observed.aws.insert(key.clone(), Observation::Absent)),
            _ => drop(
                observed
                    .aws
                    .insert(key.clone(), Observation::Present(Box::new(present))),
            ),
        }
        if key.kind == ResourceKind::Aws(AwsKind::NodeGroup) {
            observed.nodes.insert(
                key.name.clone(),
                NodeGroupNodes {
                    nodes: (0..12)
                        .map(|nth| ObservedNode {
                            name: format!("node-{nth}"),
                            ready: nth < fortune.lifecycle,
                            unschedulable: nth < fortune.state,
                            cordoned_by_us: fortune.lifecycle == 3 && nth == 0,
                            resource_version: "1".into(),
                        })
                        .collect(),
                    pods: (0..u8::from(fortune.known))
                        .map(|nth| ObservedPod {
                            namespace: "shop".into(),
                            name: format!("pod-{nth}"),
                            uid: format!("pod-{nth}-uid"),
                            is_ending: fortune.empty == Some(true),
                        })
                        .collect(),
                },
            );
        }
        if fortune.known {
            let applied = fortune
                .empty
                .and_then(|_| world.inventory.get(key)?.applied.clone());
            inventory.insert(
                key.clone(),
                InventoryEntry {
                    adopted: false,
                    role: world.inventory[key].role.clone(),
                    applied,
                    remade_for: None,
                },
            );
        }
    }
    for ((key, object), fortune) in world.kubernetes.iter().zip(fortunes.iter().rev().cycle()) {
        let mut object: ObservedObject = object.clone();
        object.ours = fortune.state != 9;
        if fortune.state == 8 {
            object.body["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        if !fortune.drifted.is_empty() {
            object.body["spec"] = json!({"replicas": fortune.state});
        }
        if fortune.known {
            inventory.insert(key.clone(), world.inventory[key].clone());
        }
        if fortune.state != 2 {
            observed.kubernetes.insert(key.clone(), object);
        }
    }
    (observed, inventory)
}

/// A world that was settled under one specification and is now asked for another.
fn between(before: &Value, after: &Value) -> World {
    let mut world = World::settled(want("octank", before));
    if before["kind"] == after["kind"] {
        world.wanted = want("octank", after);
    }
    world
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

    /// `plan_for` holds every plan against the invariants.
    #[test]
    fn every_plan_keeps_the_rules(before in specification(), after in specification(), fortunes in fortunes(), policies in policies(), deleting: bool, approved: bool) {
        let mut world = between(&before, &after);
        let (observed, inventory) = observed(&world, &fortunes);
        world.inventory = inventory;
        world.policies = policies;
        world.deleting = deleting;
        let blueprint = (world.wanted.blueprint)(&observed);
        let plan = world.plan_for(&observed, &blueprint);
        invariants::scrutinise(&plan, &world.input(&observed, &blueprint));
        if approved {
            world.approved = plan.approval_hash();
            let approved = world.plan_for(&observed, &blueprint);
            prop_assert_eq!(approved.approval_hash(), None, "what was approved is not asked for again");
        }
    }

    /// Where nothing is foreign, unknown or refused, any state of the world ends in what is wanted.
    #[test]
    fn every_world_converges(before in specification(), after in specification(), fortunes in fortunes()) {
        let mut world = between(&before, &after);
        world.policies.changes = ChangePolicy::Automatic;
        let blueprint = world.draft();
        let keys: Vec<_> = world.aws.keys().cloned().collect();
        for (key, fortune) in keys.iter().zip(fortunes.iter().cycle()) {
            // What others rest on does not go by itself: AWS would not let it.
            let alone = !matches!(key.kind.teardown_stage(), 50..);
            if fortune.state == 2 && alone {
                let removed = world.aws.remove(key);
                world.pods.remove(&key.name);
                // SNS takes the subscriptions of a topic away with it.
                if let Some(topic) = removed.filter(|it| it.present.resource.kind() == AwsKind::SnsTopic) {
                    world.aws.retain(|_, thing| !matches!(&thing.present.resource, AwsResource::SnsSubscription(it) if Some(&it.topic_arn) == topic.present.arn.as_ref()));
                }
                continue;
            }
            // Gone with its topic.
            let Some(thing) = world.aws.get_mut(key) else {
                continue;
            };
            for (which, how) in &fortune.drifted {
                thing.present.resource = drift(&thing.present.resource, which, *how, |change| matches!(change, Change::InPlace { .. }));
            }
            if !fortune.known && blueprint.get(key).is_some() {
                world.inventory.remove(key);
            }
        }
        for (key, node) in blueprint.iter() {
            if let (Wanted::Aws(desired), None) = (&node.wanted, world.aws.get(key)) {
                // Made by a process that ended before it could tell; the others are made now.
                if key.kind == ResourceKind::Aws(AwsKind::IamRole) {
                    world.aws.insert(key.clone(), Thing::new(as_reported(desired)));
                }
            }
        }
        let gone: Vec<_> = world.kubernetes.keys().zip(fortunes.iter().rev().cycle()).filter(|(_, fortune)| fortune.state < 2).map(|(key, _)| key.clone()).collect();
        for key in gone {
            world.kubernetes.remove(&key);
        }
        let plan = world.run();
        prop_assert!(plan.is_empty(), "{plan:#?}");
        let observed = world.observe();
        prop_assert_eq!(plan.unchanged, (world.wanted.blueprint)(&observed).len());
        for key in world.aws.keys() {
            prop_assert!(blueprint.get(key).is_some() || world.aws[key].present.is_unconfirmed() || world.aws[key].present.empty == Some(false), "{key} is left behind");
        }
    }

    /// Taking down ends too, from anywhere.
    #[test]
    fn every_end_comes(before in specification(), fortunes in fortunes(), policies in policies()) {
        let mut world = World::settled(want("octank", &before));
        world.policies = policies;
        world.deleting = true;
        let keys: Vec<_> = world.aws.keys().cloned().collect();
        for (key, fortune) in keys.iter().zip(fortunes.iter().cycle()) {
            let thing = world.thing(key);
            thing.present.empty = fortune.empty;
            if fortune.lifecycle == 3 {
                // RDS lifts no protection of an instance that failed.
                if let AwsResource::RdsInstance(found) = &mut thing.present.resource {
                    found.deletion_protection = false;
                }
                thing.present.lifecycle = Lifecycle::Failed("it does not work".into());
            }
            if fortune.state == 2 && key.kind.teardown_stage() < 50 {
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
        let mut world = between(&before, &after);
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
