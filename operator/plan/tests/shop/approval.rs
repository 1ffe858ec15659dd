//! Which changes wait for a person, and what exactly a person approves.

use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource},
    plan::{Blocker, Effect, Operation},
    planner::ChangePolicy,
};

use crate::{
    fixture::{read, want},
    world::World,
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
        assert_eq!(plan.effect(), Effect::Rolling);
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
