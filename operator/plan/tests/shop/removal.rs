//! A block that is taken out of a specification: what it made goes last, and with leave.

use serde_json::json;
use shopkeeper_plan::{
    aws::AwsKind,
    plan::{Action, Blocker, Effect, Operation},
    planner::{ChangePolicy, DeletionPolicy},
};

use crate::{
    fixture::{read, want, without},
    world::World,
};

/// The orders without their database, whose pods are at a new version at the same time.
fn without_database() -> serde_json::Value {
    let mut object = read("octank", "orders");
    without(&mut object, "/spec/database");
    object["spec"]["bindings"].as_array_mut().unwrap().remove(0);
    object["spec"]["workload"]["image"] = json!("registry.example/octank/orders:4");
    object
}

fn removing() -> World {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    world.wanted = want("octank", &without_database());
    world
}

#[test]
fn nothing_goes_before_all_that_is_wanted_works_and_a_person_agrees() {
    let mut world = removing();
    let first = world.plan();
    let database = first
        .steps
        .iter()
        .find(|step| step.key.kind.id() == "RdsInstance")
        .unwrap();
    assert_eq!(
        (database.action, database.effect, database.reversible),
        (Action::Delete, Effect::Downtime, false)
    );
    assert!(database.blocked_by.contains(&Blocker::Approval));
    assert!(
        database.blocked_by.iter().any(
            |blocker| matches!(blocker, Blocker::Resource(key) if key.kind.id() == "Deployment")
        ),
        "{database:#?}"
    );

    let plan = world.run();
    assert!(
        world.log.iter().all(|line| !line.contains("Rds")),
        "{:#?}",
        world.log
    );
    world.at("remove Secret/orders-database");
    assert!(world.at("apply Deployment") < world.at("remove Secret/orders-database"));
    world.approved = plan.approval_hash();
    assert!(world.approved.is_some(), "{plan:#?}");
    assert!(world.run().is_empty());
    assert!(world.at("save and delete RdsInstance") < world.at("save and delete RdsSubnetGroup"));
    for kind in ["RdsInstance", "RdsSubnetGroup", "RdsParameterGroup"] {
        assert!(
            !world.kinds().contains(&kind)
                && !world.inventory.keys().any(|key| key.kind.id() == kind),
            "{kind}"
        );
    }
}

#[test]
fn an_approval_from_before_is_good_for_what_it_named() {
    let mut world = removing();
    let hash = world.plan().approval_hash();
    world.run();
    assert_eq!(
        world.plan().approval_hash(),
        hash,
        "the same change, whatever else was done meanwhile"
    );
}

#[test]
fn nothing_goes_while_something_that_is_wanted_is_refused() {
    let mut world = removing();
    world.policies.changes = ChangePolicy::Automatic;
    let group = world.key(AwsKind::SnsTopic, "buy");
    world.unknown.insert(
        group,
        shopkeeper_plan::failure::Failure::new(shopkeeper_plan::failure::Class::Denied, "no"),
    );
    world.run();
    assert!(
        !world
            .log
            .iter()
            .any(|line| line.contains("delete") || line.contains("remove")),
        "{:#?}",
        world.log
    );
}

#[test]
fn under_retain_it_is_handed_back() {
    let mut world = removing();
    world.policies.deletion = DeletionPolicy::Retain;
    world.run();
    assert!(world.plan().is_empty(), "{:#?}", world.plan());
    world.at("forget RdsInstance");
    assert!(
        world.kinds().contains(&"RdsInstance")
            && !world.log.iter().any(|line| line.contains("delete")),
        "{:#?}",
        world.log
    );
    assert!(
        !world
            .inventory
            .keys()
            .any(|key| key.kind.id().starts_with("Rds"))
    );
}

#[test]
fn data_is_only_destroyed_under_delete_and_with_leave() {
    let mut world = removing();
    world.policies.deletion = DeletionPolicy::Delete;
    let step = world
        .plan()
        .steps
        .into_iter()
        .find(|step| step.key.kind.id() == "RdsInstance")
        .unwrap();
    assert_eq!(step.effect, Effect::DataLoss);
    assert!(matches!(
        step.operation,
        Operation::AwsDelete {
            mode: shopkeeper_plan::plan::DeleteMode::Everything
        }
    ));
    assert!(world.run_approving().is_empty());
    world.at("delete RdsInstance");
}

#[test]
fn a_bucket_that_is_not_empty_is_kept_under_snapshot_and_an_empty_one_goes() {
    for (empty, kept) in [(Some(false), true), (None, true), (Some(true), false)] {
        let mut object = read("octank", "catalog");
        let mut world = World::settled(want("octank", &object));
        let bucket = world.key(AwsKind::S3Bucket, "");
        world.thing(&bucket).present.empty = empty;
        without(&mut object, "/spec/media");
        object["spec"]["bindings"].as_array_mut().unwrap().remove(2);
        world.wanted = want("octank", &object);
        assert!(world.run_approving().is_empty());
        assert_eq!(world.aws.contains_key(&bucket), kept, "{empty:?}");
        assert!(!world.inventory.contains_key(&bucket));
    }
}

#[test]
fn a_leftover_whose_tags_are_somebody_elses_by_now_stays() {
    let mut world = removing();
    world.policies.changes = ChangePolicy::Automatic;
    let database = world.key(AwsKind::RdsInstance, "");
    world
        .thing(&database)
        .present
        .resource
        .tags_mut()
        .insert(shopkeeper_plan::names::OWNER_UID_TAG.into(), "other".into());
    // RDS would not let its groups go.
    world.policies.deletion = DeletionPolicy::Retain;
    world.run();
    assert!(world.aws.contains_key(&database));
    assert!(
        world
            .log
            .iter()
            .all(|line| !line.contains("RdsInstance") || line.starts_with("leave")),
        "{:#?}",
        world.log
    );
}

#[test]
fn an_autoscaler_that_is_not_wanted_any_more_does_not_fight_over_the_replicas() {
    let mut object = read("octank", "orders");
    let mut world = World::settled(want("octank", &object));
    object["spec"]["scaling"] = json!({"type": "Fixed", "fixed": {"replicas": 2}});
    world.wanted = want("octank", &object);
    assert!(world.run().is_empty(), "{:#?}", world.log);
    assert_eq!(world.log[0], "remove HorizontalPodAutoscaler/orders");
}
