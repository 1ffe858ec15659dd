//! The end of a custom resource: stage by stage, and what remains of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use shopkeeper_plan::{
    attempts::attempts,
    aws::{AwsKind, AwsResource},
    failure::{Class, Failure},
    observed::{Lifecycle, Note, Observed},
    plan::{Action, Blocker, Plan},
    planner::{ChangePolicy, DeletionPolicy, DriftPolicy, leaves_data},
    report,
    resolve::platform::{self, KeyNeed},
    resource::{ResourceKey, ResourceKind},
};

use crate::{
    fixture::{EXAMPLES, read, typed, want},
    world::World,
};

pub fn ending(shop: &str, name: &str, policy: DeletionPolicy) -> World {
    let mut world = World::settled(want(shop, &read(shop, name)));
    world.policies.deletion = policy;
    world.deleting = true;
    world
}

/// The kinds that the log deletes, as stages in order.
pub fn stages(world: &World) -> Vec<u8> {
    world
        .log
        .iter()
        .filter(|line| line.contains("delete ") || line.starts_with("remove "))
        .map(|line| {
            let id = line
                .trim_start_matches("save and ")
                .split(' ')
                .nth(1)
                .unwrap()
                .split('/')
                .next()
                .unwrap();
            ResourceKind::from_id(id).unwrap().teardown_stage()
        })
        .collect()
}

#[test]
fn it_ends_in_order_under_every_policy() {
    for (shop, name) in EXAMPLES {
        for policy in [
            DeletionPolicy::Retain,
            DeletionPolicy::Snapshot,
            DeletionPolicy::Delete,
        ] {
            let mut world = ending(shop, name, policy);
            let last = world.run();
            assert!(
                last.steps.iter().all(|step| step.action == Action::Retain),
                "{shop}/{name} {policy:?}: {last:#?}"
            );
            assert!(world.kubernetes.is_empty(), "{shop}/{name} {policy:?}");
            let stages = stages(&world);
            assert!(
                stages.is_sorted(),
                "{shop}/{name} {policy:?}: {:#?}",
                world.log
            );
        }
    }
}

#[test]
fn what_remains_is_what_the_policy_says() {
    let remains = |name: &str, policy: DeletionPolicy| {
        let mut world = ending("octank", name, policy);
        for (key, thing) in &mut world.aws {
            // The queue is not, and its dead letters are: it needs them all the same.
            thing.present.empty = Some(key.name.contains("dead"));
        }
        let last = world.run();
        let retained: BTreeSet<_> = last.steps.iter().map(|step| step.key.clone()).collect();
        // One that waits for consent goes by itself.
        let there: BTreeSet<_> = world
            .aws
            .iter()
            .filter(|(_, thing)| !thing.present.is_unconfirmed())
            .map(|(key, _)| key.clone())
            .collect();
        assert_eq!(retained, there, "what is kept is what is said to be kept");
        world
            .aws
            .keys()
            .map(|key| key.kind.id())
            .collect::<Vec<_>>()
    };
    use DeletionPolicy::{Delete, Retain, Snapshot};
    assert_eq!(remains("catalog", Delete), Vec::<&str>::new());
    assert_eq!(remains("orders", Delete), Vec::<&str>::new());
    assert_eq!(remains("platform", Delete), Vec::<&str>::new());
    assert_eq!(remains("catalog", Snapshot), ["S3Bucket"]);
    assert_eq!(remains("orders", Snapshot), ["SqsQueue", "SqsQueue"]);
    assert_eq!(remains("platform", Snapshot), ["KmsKey"]);
    assert_eq!(
        remains("catalog", Retain),
        [
            "DynamoDbTable",
            "CacheSubnetGroup",
            "CacheReplicationGroup",
            "CacheUserGroup",
            // Of the application, and of those who do not authenticate.
            "CacheUser",
            "CacheUser",
            "SecretsManagerSecret",
            "S3Bucket"
        ]
    );
    let kinds: BTreeSet<&str> = remains("orders", Retain).into_iter().collect();
    assert_eq!(
        kinds,
        [
            "RdsSubnetGroup",
            "RdsParameterGroup",
            "RdsInstance",
            "SnsTopic",
            "SnsSubscription",
            "SqsQueue"
        ]
        .into()
    );
}

#[test]
fn dead_letters_go_after_their_queue_and_stay_with_it() {
    let under_snapshot = |empty: &dyn Fn(&str) -> bool| {
        let mut world = ending("octank", "orders", DeletionPolicy::Snapshot);
        for (key, thing) in &mut world.aws {
            // Those of topics are another matter.
            thing.present.empty = Some(key.name.ends_with("_dead") || empty(&key.name));
        }
        world
    };
    let queues = |world: &World| -> Vec<String> {
        let queues = world.aws.keys().filter(|key| key.kind.id() == "SqsQueue");
        let queues = queues.filter(|key| key.name.contains("fulfilment"));
        queues.map(|key| key.name.clone()).collect()
    };
    let is_dead = |name: &str| name.contains("-dead");
    let mut world = under_snapshot(&is_dead);
    let last = world.run();
    let kept = last.steps.iter().find(|step| is_dead(&step.key.name));
    let told = format!("{:?}", kept.unwrap().operation);
    assert!(told.contains("moves messages to it"), "{told}");
    assert_eq!(queues(&world).len(), 2);
    let notes = report::staying(&last.steps, DeletionPolicy::Snapshot);
    assert!(
        notes.iter().any(|staying| is_dead(&staying.note)),
        "{notes:?}"
    );

    let mut world = under_snapshot(&|name| !is_dead(name));
    world.run();
    assert!(matches!(&queues(&world)[..], [only] if is_dead(only)));

    // As long as AWS does not tell of the queue, nobody knows.
    let mut world = under_snapshot(&|_| true);
    let queue = world
        .aws
        .keys()
        .find(|key| key.kind.id() == "SqsQueue" && key.name.ends_with("fulfilment"))
        .cloned()
        .unwrap();
    let silence = Failure::new(Class::Transient, "no answer");
    world.unknown.insert(queue, silence);
    world.run();
    assert_eq!(queues(&world).len(), 2, "{:#?}", world.log);
    world.unknown.clear();
    world.run();
    assert_eq!(queues(&world), Vec::<String>::new());
    // Of a block that is taken out nothing is handed back before both are seen.
    let mut world = under_snapshot(&is_dead);
    world.deleting = false;
    world.policies.changes = ChangePolicy::Automatic;
    let mut object = read("octank", "orders");
    object["spec"]
        .as_object_mut()
        .unwrap()
        .remove("notifications");
    object["spec"]["bindings"].as_array_mut().unwrap().remove(1);
    world.wanted = want("octank", &object);
    let dead = world.aws.keys().find(|key| is_dead(&key.name));
    let silence = Failure::new(Class::Transient, "no answer");
    world.unknown.insert(dead.unwrap().clone(), silence);
    world.run();
    world.unknown.clear();
    world.run();
    assert_eq!(queues(&world).len(), 2, "{:#?}", world.log);

    let mut world = under_snapshot(&|_| true);
    world.run();
    let at = |name: &dyn Fn(&str) -> bool| {
        let mut deleted = world.log.iter();
        deleted
            .position(|line| line.contains("delete SqsQueue/octank-shop-orders-fulf") && name(line))
    };
    assert!(
        at(&|line| !is_dead(line)) < at(&is_dead),
        "{:#?}",
        world.log
    );
}

#[test]
fn the_key_goes_by_the_policy_of_the_platform_and_not_before_what_needs_it() {
    let policy = |own: Value, defaults: Value| {
        let mut object = read("octank", "platform");
        object["spec"]["policy"] = own;
        object["spec"]["defaults"]["policy"] = defaults;
        platform::policy(&typed(&object))
    };
    let delete = || json!({"deletion": "Delete"});
    let defaults = json!({"deletion": "Delete", "drift": "Report"});
    let inherited = policy(json!({}), defaults);
    assert_eq!(
        inherited.deletion, None,
        "the defaults are for what runs on the Platform"
    );
    assert_eq!(inherited.drift, Some(DriftPolicy::Report));
    let own = policy(delete(), json!({}));
    assert_eq!(own.deletion, Some(DeletionPolicy::Delete));

    let retained = BTreeMap::from([("OrderService/shop/orders".to_owned(), "Snapshot".to_owned())]);
    let retained = KeyNeed::Retained(retained);
    use DeletionPolicy::{Delete, Retain, Snapshot};
    for (declared, retained, expected) in [
        (Delete, None, Delete),
        (Delete, Some(&retained), Snapshot),
        (Delete, Some(&KeyNeed::IsOlder), Snapshot),
        (Snapshot, None, Snapshot),
        (Retain, Some(&retained), Retain),
    ] {
        assert_eq!(platform::deletion_of_key(declared, retained), expected);
    }
    let told = retained.describe();
    assert!(
        told.ends_with("OrderService/shop/orders (under Snapshot)"),
        "{told}"
    );
}

#[test]
fn it_is_known_before_data_is_left_behind() {
    let leaves = |name: &str, policy| {
        let mut world = ending("octank", name, policy);
        for _ in 0..100 {
            if leaves_data(&world.plan()) {
                return true;
            }
            world.pass();
            world.tick();
        }
        false
    };
    use DeletionPolicy::{Delete, Retain, Snapshot};
    for name in ["orders", "catalog"] {
        assert!(leaves(name, Retain) && leaves(name, Snapshot), "{name}");
        assert!(!leaves(name, Delete), "{name}");
    }
    for policy in [Retain, Snapshot, Delete] {
        assert!(!leaves("storefront", policy) && !leaves("platform", policy));
    }
    // What lost its tags is left with all that is in it, whatever the policy.
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    let database = world.key(AwsKind::RdsInstance, "");
    world.thing(&database).present.resource.tags_mut().clear();
    world.policies.deletion = Delete;
    world.deleting = true;
    let mut left = false;
    for _ in 0..100 {
        left |= leaves_data(&world.plan());
        world.pass();
        world.tick();
    }
    assert!(left && world.aws.contains_key(&database));
    // A block that is taken out leaves a snapshot as well.
    let mut object = read("octank", "orders");
    object["spec"].as_object_mut().unwrap().remove("database");
    object["spec"]["bindings"].as_array_mut().unwrap().remove(0);
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    world.wanted = want("octank", &object);
    world.policies.changes = ChangePolicy::Automatic;
    let mut told = false;
    for _ in 0..100 {
        told |= leaves_data(&world.plan());
        world.pass();
        world.tick();
    }
    assert!(told && !world.kinds().contains(&"RdsInstance"));
}

#[test]
fn a_stage_waits_until_the_one_before_is_gone_and_names_what_it_waits_for() {
    let mut world = ending("octank", "storefront", DeletionPolicy::Snapshot);
    let plan = world.pass();
    let free: BTreeSet<&str> = plan.free_steps().map(|step| step.key.kind.id()).collect();
    assert_eq!(
        free,
        ["Ingress", "ServiceMonitor"]
            .into_iter()
            .filter(|kind| plan.steps.iter().any(|step| step.key.kind.id() == *kind))
            .collect()
    );
    // The load balancer's finalizer holds the Ingress: everything else goes on waiting, and it is not deleted again.
    let plan = world.pass();
    assert_eq!(plan.free_steps().count(), 0, "{plan:#?}");
    let pods = plan
        .steps
        .iter()
        .find(|step| step.key.kind.id() == "Deployment")
        .unwrap();
    assert!(
        pods.blocked_by
            .iter()
            .any(|blocker| blocker.to_string().contains("Ingress octank")),
        "{pods:#?}"
    );
    world.run();
    assert!(world.aws.is_empty() && world.kubernetes.is_empty());
}

#[test]
fn it_needs_neither_a_valid_specification_nor_what_it_refers_to() {
    let mut world = ending("octank", "orders", DeletionPolicy::Delete);
    world.wanted.blueprint = Box::new(|_: &Observed| Default::default());
    world.run();
    assert!(
        world.aws.is_empty() && world.kubernetes.is_empty(),
        "{:?}",
        world.kinds()
    );
}

#[test]
fn what_a_process_made_and_never_noted_is_found_by_the_blueprint() {
    let mut world = ending("octank", "orders", DeletionPolicy::Delete);
    world.inventory.clear();
    world.run();
    assert!(world.aws.is_empty(), "{:?}", world.kinds());
}

#[test]
fn what_cannot_be_observed_holds_up_what_comes_after_it() {
    let mut world = ending("octank", "orders", DeletionPolicy::Delete);
    let database = world.key(shopkeeper_plan::aws::AwsKind::RdsInstance, "");
    world.unknown.insert(
        database.clone(),
        Failure::new(Class::Transient, "no answer"),
    );
    let stuck: Plan = world.run();
    assert!(stuck.steps.iter().any(|step| step.key == database));
    assert!(
        world.kinds().contains(&"RdsSubnetGroup"),
        "the database may still need it"
    );
    world.unknown.clear();
    world.run();
    assert!(world.aws.is_empty());
}

#[test]
fn a_deletion_that_shows_no_effect_is_an_attempt_and_a_page_of_a_bucket_is_none() {
    let mut world = World::settled(want("octank", &read("octank", "catalog")));
    world.policies.deletion = DeletionPolicy::Delete;
    world.deleting = true;
    let of =
        |world: &World, key: &ResourceKey| attempts(&world.plan(), &world.observe())[key].clone();
    let bucket = world.key(AwsKind::S3Bucket, "");
    while !world.plan().free_steps().any(|step| step.key == bucket) {
        world.pass();
        world.tick();
    }
    world.thing(&bucket).present.empty = Some(false);
    assert_eq!(of(&world, &bucket), None, "it is emptied page by page");
    world.thing(&bucket).present.empty = Some(true);
    let deletion = of(&world, &bucket);
    assert!(deletion.is_some(), "the deletion is accepted once");
    assert_eq!(of(&world, &bucket), deletion, "the same is the same");
}

#[test]
fn attempts_differ_by_every_field_and_value_and_not_by_what_people_read_of_them() {
    let object = read("octank", "orders");
    let mut world = World::settled(want("octank", &object));
    let database = world.key(AwsKind::RdsInstance, "");
    let tried = |world: &mut World, rds: Value| {
        let mut changed = object.clone();
        let fields = changed["spec"]["database"]["rds"].as_object_mut().unwrap();
        fields.extend(rds.as_object().unwrap().clone());
        world.wanted = want("octank", &changed);
        attempts(&world.plan(), &world.observe())[&database].clone()
    };
    let windows = json!({"backupWindow": "01:00-02:00", "maintenanceWindow": "sun:03:00-sun:04:00", "backupRetentionDays": 20});
    let first = tried(&mut world, windows.clone());
    assert!(first.is_some());
    // A fourth field, which a message does not name; and another value of the same field.
    let mut more = windows.clone();
    more["performanceInsights"] = json!("Disabled");
    assert_ne!(tried(&mut world, more), first);
    let mut other = windows.clone();
    other["backupRetentionDays"] = json!(21);
    assert_ne!(tried(&mut world, other), first);
    assert_eq!(tried(&mut world, windows), first);
    world.wanted = want("octank", &object);
    assert!(
        attempts(&world.plan(), &world.observe()).is_empty(),
        "it is at rest"
    );
}

#[test]
fn what_aws_is_working_on_is_waited_for() {
    use shopkeeper_plan::observed::Lifecycle::{Creating, Deleting, Modifying};
    for lifecycle in [Creating, Modifying, Deleting] {
        let mut world = ending("octank", "orders", DeletionPolicy::Delete);
        let database = world.key(shopkeeper_plan::aws::AwsKind::RdsInstance, "");
        world.kubernetes.clear();
        world.pods.clear();
        world.aws.retain(|key, _| *key == database);
        world.thing(&database).present.lifecycle = lifecycle.clone();
        let plan = world.plan();
        let [step] = plan.steps.as_slice() else {
            panic!("{plan:#?}")
        };
        assert_eq!(step.action, Action::Wait, "{lifecycle:?}");
    }
}

#[test]
fn a_failed_database_that_is_protected_needs_a_person_and_holds_up_only_what_it_needs() {
    let mut world = ending("octank", "orders", DeletionPolicy::Delete);
    let database = world.key(AwsKind::RdsInstance, "");
    let failed = Lifecycle::Failed("RDS reports the instance as incompatible-network".into());
    world.thing(&database).present.lifecycle = failed.clone();
    let stuck = world.run();
    assert_eq!(
        world.kinds(),
        ["RdsSubnetGroup", "RdsParameterGroup", "RdsInstance"],
        "all else is gone"
    );
    let step = stuck
        .steps
        .iter()
        .find(|step| step.key == database)
        .unwrap();
    let [Blocker::Refused(failure)] = step.blocked_by.as_slice() else {
        panic!("{step:#?}")
    };
    assert_eq!(failure.class, Class::Invalid);
    assert!(
        failure.message.contains("deletion protection") && failure.remedy.contains("AWS Support"),
        "{failure:?}"
    );

    // Once it is mended, or its protection is gone, it goes.
    world.thing(&database).present.lifecycle = Lifecycle::Available;
    world.run();
    assert!(world.aws.is_empty());

    let mut world = ending("octank", "orders", DeletionPolicy::Delete);
    let thing = world.thing(&database);
    thing.present.lifecycle = failed;
    let AwsResource::RdsInstance(found) = &mut thing.present.resource else {
        unreachable!()
    };
    found.deletion_protection = false;
    world.run();
    assert!(world.aws.is_empty());
}

#[test]
fn a_database_that_was_stopped_says_so_while_it_holds_up_the_end() {
    let mut world = ending("octank", "orders", DeletionPolicy::Delete);
    let database = world.key(AwsKind::RdsInstance, "");
    let thing = world.thing(&database);
    thing.present.lifecycle = Lifecycle::Modifying;
    let note = Note::outage("the instance was stopped", "start it in RDS");
    thing.present.note = Some(note.into());
    let plan = world.run();
    let report = report::of_plan(&plan, &world.draft(), &world.observe(), true);
    let ready = &report.conditions[0];
    for part in [
        database.name.as_str(),
        "the instance was stopped. To do: start it in RDS",
    ] {
        assert!(ready.message.contains(part), "{}", ready.message);
    }
    assert_eq!(report.conditions[1].r#type, "Stalled");
}

#[test]
fn a_finalizer_of_others_is_named() {
    let mut world = ending("octank", "catalog", DeletionPolicy::Delete);
    let key = ResourceKey::kubernetes(
        shopkeeper_plan::kubernetes::KubernetesKind::Service,
        "catalog",
    );
    let metadata = &mut world.kubernetes.get_mut(&key).unwrap().body["metadata"];
    metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    metadata["finalizers"] = json!(["foregroundDeletion", "example.com/audit"]);
    let plan = world.plan();
    let step = plan.steps.iter().find(|step| step.key == key).unwrap();
    assert_eq!(
        step.changes[0].from,
        "is being deleted, held by the finalizer example.com/audit"
    );
}
