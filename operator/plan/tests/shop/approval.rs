//! Which changes wait for a person, and what exactly a person approves.

use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, TransitEncryption},
    kubernetes::KubernetesKind,
    outputs::Outputs,
    plan::{Blocker, Effect, Operation, Plan},
    planner::ChangePolicy,
    resource::ResourceKey,
    sensitive::Sensitive,
};

use crate::{
    fixture::{read, want},
    world::{World, gravest},
};

fn with(changes: &[(&str, Value)]) -> Value {
    let mut object = read("octank", "orders");
    for (member, value) in changes {
        object["spec"]["database"]["rds"][*member] = value.clone();
    }
    object
}

/// A settled world in which these members of the database are about to change.
fn about_to(changes: &[(&str, Value)]) -> World {
    let mut world = World::settled(want("octank", &with(&[])));
    world.wanted = want("octank", &with(changes));
    world
}

#[test]
fn a_disruptive_change_waits_and_a_harmless_one_beside_it_does_not() {
    let mut world = about_to(&[
        ("instanceClass", json!("db.r7g.xlarge")),
        ("backupRetentionDays", json!(21)),
    ]);
    let plan = world.run();
    let [step] = plan.steps.as_slice() else {
        panic!("{plan:#?}")
    };
    assert_eq!(
        (step.effect, step.blocked_by.as_slice()),
        (Effect::Failover, [Blocker::Approval].as_slice())
    );
    assert_eq!(step.changes.len(), 1);
    let database = world.key(AwsKind::RdsInstance, "");
    let AwsResource::RdsInstance(found) = &world.thing(&database).present.resource else {
        unreachable!()
    };
    assert_eq!(
        (found.backup_retention_days, found.instance_class.as_str()),
        (21, "db.r7g.large")
    );

    world.approved = plan.approval_hash();
    assert!(world.run().is_empty());
}

#[test]
fn an_approval_is_used_once() {
    let mut world = about_to(&[("instanceClass", json!("db.r7g.xlarge"))]);
    let database = world.key(AwsKind::RdsInstance, "");
    let first = world.run().approval_hash();
    world.approved.clone_from(&first);
    assert!(world.run().is_empty());
    // Months later, and the annotation is still there.
    let set_back = |world: &mut World| {
        let AwsResource::RdsInstance(found) = &mut world.thing(&database).present.resource else {
            unreachable!()
        };
        found.instance_class = "db.r7g.large".into();
    };
    set_back(&mut world);
    let second = world.run().approval_hash();
    assert!(second.is_some() && second != first, "{first:?} {second:?}");
    world.approved = second;
    assert!(world.run().is_empty());
    // Nor does the first one count again.
    set_back(&mut world);
    world.approved = first;
    assert!(world.run().approval_hash().is_some());
}

#[test]
fn the_hash_stays_while_the_change_stays_and_differs_when_it_differs() {
    let class = |name: &str| ("instanceClass", json!(name));
    let hash = |world: &World| world.plan().approval_hash().expect("it asks");
    let mut world = about_to(&[class("db.r7g.xlarge")]);
    let first = hash(&world);
    assert_eq!(
        first,
        hash(&about_to(&[class("db.r7g.xlarge")])),
        "the same in another process"
    );
    assert_eq!(
        first,
        hash(&about_to(&[
            class("db.r7g.xlarge"),
            ("backupRetentionDays", json!(21))
        ])),
        "harmless changes are not part of it"
    );
    world.kubernetes.clear();
    assert_eq!(first, hash(&world), "whatever else is going on");
    let other = hash(&about_to(&[class("db.r7g.2xlarge")]));
    assert_ne!(first, other, "another value");
    assert_ne!(
        first,
        hash(&about_to(&[class("db.r7g.xlarge"), ("port", json!(5433))])),
        "another field"
    );

    let mut world = about_to(&[class("db.r7g.2xlarge")]);
    world.approved = Some(first);
    let plan = world.run();
    assert_eq!(
        plan.approval_hash().as_ref(),
        Some(&other),
        "approving one plan does not approve another"
    );
    assert!(
        !world.log.iter().any(|line| line.contains("RdsInstance")),
        "{:#?}",
        world.log
    );
    world.approved = Some(other);
    assert!(world.run().is_empty());
}

#[test]
fn an_old_approval_does_not_approve_what_comes_later() {
    let mut world = about_to(&[("instanceClass", json!("db.r7g.xlarge"))]);
    world.approved = world.plan().approval_hash();
    assert!(world.run().is_empty());
    // Back again is another change.
    world.wanted = want("octank", &with(&[]));
    assert!(world.run().approval_hash().is_some());
}

#[test]
fn policies_differ_in_what_waits() {
    for (policy, creates, rolls, disrupts) in [
        (ChangePolicy::Automatic, true, true, true),
        (ChangePolicy::ApproveDisruptive, true, true, false),
        (ChangePolicy::ApproveAll, false, false, false),
    ] {
        let mut new = World::new(want("octank", &with(&[])));
        new.policies.changes = policy;
        assert_eq!(
            new.plan()
                .free_steps()
                .any(|step| matches!(step.operation, Operation::AwsCreate { .. })),
            creates,
            "{policy:?}"
        );

        let mut object = with(&[]);
        object["spec"]["workload"]["image"] = json!("registry.example/octank/orders:4");
        let mut rolling = World::settled(want("octank", &with(&[])));
        rolling.wanted = want("octank", &object);
        rolling.policies.changes = policy;
        let plan = rolling.plan();
        assert_eq!(gravest(&plan), Effect::Rolling);
        assert_eq!(plan.free_steps().count() == 1, rolls, "{policy:?}");

        let mut disruptive = about_to(&[("instanceClass", json!("db.r7g.xlarge"))]);
        disruptive.policies.changes = policy;
        assert_eq!(
            disruptive.plan().free_steps().count() == 1,
            disrupts,
            "{policy:?}"
        );
    }
}

#[test]
fn everything_can_be_approved_step_by_step() {
    let mut world = World::new(want("octank", &read("octank", "catalog")));
    world.policies.changes = ChangePolicy::ApproveAll;
    assert!(world.run_approving().is_empty());
}

#[test]
fn the_end_of_a_custom_resource_was_approved_by_deleting_it() {
    let mut world = World::settled(want("octank", &with(&[])));
    world.policies.changes = ChangePolicy::ApproveAll;
    world.policies.deletion = shopkeeper_plan::planner::DeletionPolicy::Delete;
    world.deleting = true;
    world.run();
    assert!(world.aws.is_empty(), "{:?}", world.kinds());
}

#[test]
fn the_hash_that_is_told_is_the_one_that_is_compared() {
    // A database that changes and queues that go: what is wanted and what is left over, both with approval.
    let mut before = with(&[]);
    before["spec"]["notifications"]["queues"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "audit"}));
    let mut world = World::settled(want("octank", &before));
    world.policies.deletion = shopkeeper_plan::planner::DeletionPolicy::Delete;
    world.wanted = want(
        "octank",
        &with(&[
            ("instanceClass", json!("db.r7g.xlarge")),
            ("backupRetentionDays", json!(21)),
        ]),
    );
    let plan = world.plan();
    let waiting = plan
        .steps
        .iter()
        .filter(|step| step.blocked_by.contains(&Blocker::Approval))
        .count();
    assert!(waiting > 1, "{plan:#?}");
    world.approved = plan.approval_hash();
    assert_eq!(world.plan().approval_hash(), None);
}

/// A catalog whose cache gets larger nodes and whose table loses an index: two disruptive changes of two resources.
fn two_changes() -> World {
    let mut world = World::settled(want("octank", &read("octank", "catalog")));
    let mut object = read("octank", "catalog");
    object["spec"]["cache"]["nodeType"] = json!("cache.r7g.xlarge");
    object["spec"]["products"]["indexes"] = json!([]);
    world.wanted = want("octank", &object);
    world
}

fn waiting(plan: &Plan) -> Vec<&ResourceKey> {
    plan.steps
        .iter()
        .filter(|step| step.blocked_by.contains(&Blocker::Approval))
        .map(|step| &step.key)
        .collect()
}

/// Takes only the free steps of one kind, as when AWS refuses the others.
fn pass_of(world: &mut World, kind: AwsKind) {
    let plan = world.plan();
    world.pass_cut_short(0);
    for step in plan
        .free_steps()
        .filter(|step| step.key.kind.id() == kind.id())
    {
        world.take(step);
    }
    while world.tick() {}
}

#[test]
fn what_was_approved_stays_so_while_another_step_is_done() {
    for (first, second) in [
        (AwsKind::DynamoDbTable, AwsKind::CacheReplicationGroup),
        (AwsKind::CacheReplicationGroup, AwsKind::DynamoDbTable),
    ] {
        let mut world = two_changes();
        let plan = world.run();
        assert_eq!(waiting(&plan).len(), 2, "{plan:#?}");
        assert_eq!(plan.decisions.steps.len(), 2);
        world.approved = plan.approval_hash();
        pass_of(&mut world, first);
        // The annotation is gone, or is about something else by now.
        world.approved = None;
        let plan = world.plan();
        assert_eq!(plan.approval_hash(), None, "{plan:#?}");
        let [decision] = plan.decisions.steps.as_slice() else {
            panic!("{plan:#?}")
        };
        assert!(decision.approved && decision.key.kind.id() == second.id());
        assert!(world.run().is_empty());
        assert!(world.decisions.is_empty(), "what is done is forgotten");
    }
}

#[test]
fn what_comes_beside_an_approved_step_waits_for_its_own_approval() {
    let mut world = two_changes();
    world.approved = world.run().approval_hash();
    world.pass_cut_short(0);
    let cache = world.key(AwsKind::CacheReplicationGroup, "");
    let AwsResource::CacheReplicationGroup(found) = &mut world.thing(&cache).present.resource
    else {
        unreachable!()
    };
    // Somebody changed another thing by hand, which takes a restart to set back.
    found.transit_encryption = TransitEncryption::Preferred;
    let plan = world.run();
    assert_eq!(waiting(&plan), [&cache], "{plan:#?}");
    let AwsResource::CacheReplicationGroup(found) = &world.thing(&cache).present.resource else {
        unreachable!()
    };
    assert_eq!(
        (found.node_type.as_str(), found.transit_encryption),
        ("cache.r7g.xlarge", TransitEncryption::Preferred),
        "what was approved is done, what was not is not"
    );
    world.approved = plan.approval_hash();
    assert!(world.run().is_empty());
}

#[test]
fn a_value_that_somebody_changed_meanwhile_is_asked_for_again() {
    let mut world = about_to(&[("instanceClass", json!("db.r7g.xlarge"))]);
    let plan = world.run();
    world.approved = plan.approval_hash();
    world.pass_cut_short(0);
    let database = world.key(AwsKind::RdsInstance, "");
    let class = |world: &mut World, name: &str| {
        let AwsResource::RdsInstance(found) = &mut world.thing(&database).present.resource else {
            unreachable!()
        };
        found.instance_class = name.into();
    };
    class(&mut world, "db.r7g.8xlarge");
    let again = world.run();
    assert!(again.approval_hash().is_some() && again.approval_hash() != plan.approval_hash());
    assert_eq!(world.log, Vec::<String>::new(), "nothing was done");
    assert!(world.decisions.is_empty(), "what was approved is void");
}

#[test]
fn a_change_that_aws_makes_in_two_steps_is_approved_once() {
    let tls = |mode: &str| {
        let mut object = read("octank", "catalog");
        object["spec"]["cache"]["transitEncryption"] = json!(mode);
        object
    };
    let mut world = World::settled(want("octank", &tls("Disabled")));
    world.wanted = want("octank", &tls("Required"));
    world.approved = world.run().approval_hash();
    assert!(world.approved.is_some());
    world.pass_cut_short(1);
    world.approved = None;
    let plan = world.run();
    assert!(plan.is_empty(), "{plan:#?}");
    assert_eq!(
        world
            .log
            .iter()
            .filter(|line| line.contains("Cache"))
            .count(),
        2,
        "{:#?}",
        world.log
    );
}

#[test]
fn an_approval_is_good_for_one_generation() {
    let mut world = two_changes();
    world.approved = world.run().approval_hash();
    world.pass_cut_short(0);
    assert_eq!(world.decisions.len(), 2);
    world.approved = None;
    world.wanted.owner.generation += 1;
    assert_eq!(waiting(&world.run()).len(), 2);
    assert!(world.decisions.is_empty());
}

#[test]
fn an_approval_outlives_what_cannot_be_seen_for_a_while() {
    let mut world = two_changes();
    world.approved = world.run().approval_hash();
    world.pass_cut_short(0);
    world.approved = None;
    let cache = world.key(AwsKind::CacheReplicationGroup, "");
    world.unknown.insert(
        cache.clone(),
        shopkeeper_plan::failure::Failure::new(
            shopkeeper_plan::failure::Class::Throttled,
            "Rate exceeded",
        ),
    );
    for _ in 0..5 {
        world.pass();
        world.tick();
    }
    world.unknown.clear();
    assert!(world.run().is_empty());
}

#[test]
fn a_password_that_was_rotated_reaches_the_pods_without_approval_and_nothing_else_does() {
    let about_to = |change: &dyn Fn(&mut Value)| {
        let mut world = World::settled(want("octank", &with(&[])));
        world.policies.changes = ChangePolicy::ApproveAll;
        let mut object = with(&[]);
        change(&mut object);
        world.wanted = want("octank", &object);
        world
    };
    let rotate = |world: &mut World| {
        let database = world.key(AwsKind::RdsInstance, "");
        let thing = world.thing(&database);
        let outputs = std::mem::replace(&mut thing.present.outputs, Outputs::new());
        thing.present.outputs = outputs.with_secret("password", Sensitive::new("rotated"));
    };
    let template = |object: &mut Value, text: &str| {
        object["spec"]["bindings"][0]["env"][0]["template"] = json!(text);
    };
    for policy in [ChangePolicy::ApproveAll, ChangePolicy::ApproveDisruptive] {
        let mut world = about_to(&|_| {});
        world.policies.changes = policy;
        rotate(&mut world);
        assert!(world.run().is_empty(), "{policy:?}");
        world.log.sort_unstable();
        assert_eq!(
            world.log,
            ["apply Deployment/orders", "apply Secret/orders-database"],
            "{policy:?}"
        );
    }
    let changes: [&dyn Fn(&mut Value); 3] = [
        &|object| template(object, "{{uri}}?sslmode=require"),
        &|object| object["spec"]["workload"]["image"] = json!("registry.example/octank/orders:4"),
        // The Secret and the pods without the password are another matter than a rotated one.
        &|object| template(object, "{{host}}"),
    ];
    for change in changes {
        let mut world = about_to(change);
        rotate(&mut world);
        let plan = world.run();
        assert!(
            waiting(&plan)
                .iter()
                .any(|key| key.to_string() == "Deployment orders"),
            "{plan:#?}"
        );
        assert!(
            world.log.iter().all(|line| !line.contains("Deployment")),
            "{:#?}",
            world.log
        );
    }
    // What somebody wrote into the Secret was not rotated.
    let mut world = about_to(&|_| {});
    let key = ResourceKey::kubernetes(KubernetesKind::Secret, "orders-database");
    world.kubernetes.get_mut(&key).unwrap().body["data"]["password"] = json!("somebody's");
    let plan = world.run();
    assert_eq!(waiting(&plan), [&key]);
    // Nor are pods that all end first exchanged without leave.
    let recreate = |object: &mut Value| {
        object["spec"]["workload"]["rollout"] = json!({"type": "Recreate"});
    };
    let mut object = with(&[]);
    recreate(&mut object);
    let mut world = World::settled(want("octank", &object));
    world.policies.changes = ChangePolicy::ApproveAll;
    rotate(&mut world);
    assert_eq!(
        waiting(&world.run())
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["Deployment orders"]
    );
}
