//! What somebody deleted in AWS: told, and made anew with a person's leave where it held data.

use serde_json::json;
use shopkeeper_api::status::{condition, reason};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, LifecycleRule},
    inventory,
    plan::{Action, Blocker, Effect, Plan},
    planner::{ChangePolicy, DeletionPolicy, DriftPolicy},
    report::{self, Report},
    resource::{ResourceKey, ResourceKind},
};

use crate::{
    fixture::{read, want},
    world::World,
};

fn catalog() -> World {
    World::settled(want("octank", &read("octank", "catalog")))
}

fn orders() -> World {
    World::settled(want("octank", &read("octank", "orders")))
}

fn report(world: &World, plan: &Plan) -> Report {
    let observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    report::of_plan(plan, &blueprint, &observed, false)
}

fn said<'a>(report: &'a Report, r#type: &str) -> (&'a str, &'a str, &'a str) {
    let condition = report
        .conditions
        .iter()
        .find(|condition| condition.r#type == r#type)
        .unwrap();
    (condition.status, condition.reason, &condition.message)
}

/// What was made, in the log of a world.
fn made(world: &World) -> Vec<&str> {
    let is_made = |line: &&str| line.starts_with("create ");
    world
        .log
        .iter()
        .map(String::as_str)
        .filter(is_made)
        .collect()
}

#[test]
fn a_table_that_somebody_deleted_is_made_anew_with_a_persons_leave() {
    let mut world = catalog();
    let table = world.key(AwsKind::DynamoDbTable, "");
    world.aws.remove(&table);
    let plan = world.run();
    assert_eq!(made(&world), [""; 0], "{plan:#?}");
    let step = plan.steps.iter().find(|step| step.key == table).unwrap();
    assert_eq!(
        (step.action, step.effect, step.blocked_by.as_slice()),
        (
            Action::Create,
            Effect::DataLoss,
            [Blocker::Approval].as_slice()
        )
    );
    assert!(
        report::change(step).contains("restore its last backup"),
        "{step:?}"
    );
    let report = report(&world, &plan);
    let (status, why, message) = said(&report, condition::READY);
    assert_eq!((status, why), ("False", reason::APPROVAL_REQUIRED));
    assert!(
        message.contains("is gone from AWS") && message.contains("1 data loss"),
        "{message}"
    );
    let (status, why, message) = said(&report, condition::DATA_READY);
    assert_eq!(
        (status, why),
        ("False", reason::APPROVAL_REQUIRED),
        "{message}"
    );
    assert!(!report.ready);

    let plan = world.run_approving();
    assert!(plan.is_empty(), "{plan:#?}");
    let AwsResource::DynamoDbTable(found) = &world.aws[&table].present.resource else {
        unreachable!()
    };
    assert!(found.point_in_time_recovery.enabled, "it is complete");
}

#[test]
fn under_report_nothing_is_made_anew_and_all_of_it_is_told() {
    for kind in [
        AwsKind::DynamoDbTable,
        AwsKind::S3Bucket,
        AwsKind::CacheReplicationGroup,
        AwsKind::RdsInstance,
        AwsKind::SqsQueue,
        AwsKind::NodeGroup,
    ] {
        let mut world = match kind {
            AwsKind::RdsInstance | AwsKind::SqsQueue => orders(),
            _ => catalog(),
        };
        world.policies.drift = DriftPolicy::Report;
        let key = world
            .aws
            .keys()
            .find(|key| key.kind == ResourceKind::Aws(kind))
            .unwrap()
            .clone();
        world.aws.remove(&key);
        let plan = world.run();
        assert_eq!(world.log, [""; 0], "{kind:?}");
        let step = plan.steps.iter().find(|step| step.key == key).unwrap();
        assert!(
            step.blocked_by.contains(&Blocker::DriftReported),
            "{step:?}"
        );
        let report = report(&world, &plan);
        for r#type in [condition::READY, condition::STALLED] {
            let (status, why, message) = said(&report, r#type);
            assert_eq!(why, reason::DRIFTED, "{kind:?}");
            assert_eq!(status == "True", r#type == condition::STALLED);
            assert!(message.contains("is gone from AWS"), "{message}");
        }
        assert!(!report.ready);

        // And once it may be repaired, it is complete.
        world.policies.drift = DriftPolicy::Repair;
        world.run_approving();
        assert!(world.plan().is_empty(), "{kind:?}: {:#?}", world.plan());
    }
}

#[test]
fn what_was_let_through_is_completed_under_report() {
    let mut world = catalog();
    let bucket = world.key(AwsKind::S3Bucket, "");
    world.aws.remove(&bucket);
    world.policies.changes = ChangePolicy::Automatic;
    world.pass();
    assert_eq!(made(&world).len(), 1);
    world.policies.drift = DriftPolicy::Report;
    let plan = world.run();
    assert!(plan.is_empty(), "{plan:#?}");
    let AwsResource::S3Bucket(found) = &world.aws[&bucket].present.resource else {
        unreachable!()
    };
    assert!(found.versioning && found.policy.is_some() && !found.lifecycle.is_empty());
}

#[test]
fn what_holds_nothing_comes_back_at_once() {
    for kind in [
        AwsKind::NodeGroup,
        AwsKind::IamRole,
        AwsKind::SqsQueue,
        AwsKind::SnsTopic,
        AwsKind::PodIdentityAssociation,
    ] {
        let mut world = orders();
        let key = world
            .aws
            .keys()
            .find(|key| key.kind == ResourceKind::Aws(kind))
            .unwrap()
            .clone();
        world.aws.remove(&key);
        let plan = world.plan();
        let step = plan.steps.iter().find(|step| step.key == key).unwrap();
        assert!(step.is_repair && step.is_free(), "{step:?}");
        assert!(report::describe(step).contains("was deleted by somebody"));
        assert!(world.run().is_empty(), "{kind:?}");
    }
}

#[test]
fn automatic_asks_nobody_and_approve_all_asks_for_everything() {
    let mut world = orders();
    let database = world.key(AwsKind::RdsInstance, "");
    world.aws.remove(&database);
    world.policies.changes = ChangePolicy::Automatic;
    assert!(world.run().is_empty());
    assert_eq!(
        made(&world),
        [format!("create RdsInstance/{}", database.name)]
    );

    let mut world = orders();
    let queue = world
        .aws
        .keys()
        .find(|key| key.kind == ResourceKind::Aws(AwsKind::SqsQueue))
        .unwrap()
        .clone();
    world.aws.remove(&queue);
    world.policies.changes = ChangePolicy::ApproveAll;
    let plan = world.run();
    let step = plan.steps.iter().find(|step| step.key == queue).unwrap();
    assert_eq!(step.blocked_by, [Blocker::Approval]);
}

#[test]
fn what_was_taken_away_by_ourselves_is_not_missed() {
    let without = read("octank", "catalog");
    let mut object = without.clone();
    object["spec"]["tables"] = json!([
        {"name": "carts", "table": {"keys": {"partition": {"name": "id", "type": "String"}}}}
    ]);
    let mut world = World::settled(want("octank", &object));
    world.policies.deletion = DeletionPolicy::Delete;
    world.policies.changes = ChangePolicy::Automatic;
    let table = world.key(AwsKind::DynamoDbTable, "carts");
    world.wanted = want("octank", &without);
    // Until it is being deleted; then it is wanted again.
    while world.aws[&table].present.lifecycle != shopkeeper_plan::observed::Lifecycle::Deleting {
        world.pass();
        world.tick();
    }
    world.wanted = want("octank", &object);
    world.policies.changes = ChangePolicy::ApproveDisruptive;
    world.policies.drift = DriftPolicy::Report;
    let plan = world.run();
    assert!(plan.is_empty(), "{plan:#?}");
}

#[test]
fn a_loss_is_news_once() {
    let mut world = catalog();
    let key: ResourceKey = world.key(AwsKind::DynamoDbTable, "");
    let before = inventory::to_status(&world.inventory, &Plan::default(), &world.observe(), &[]);
    world.aws.remove(&key);
    let plan = world.plan();
    let news: Vec<_> = inventory::new_losses(&before, &plan)
        .map(|step| &step.key)
        .collect();
    assert_eq!(news, [&key]);
    let known = inventory::to_status(&world.inventory, &plan, &world.observe(), &before);
    assert_eq!(inventory::new_losses(&known, &plan).count(), 0);
}

/// What repairing a difference would do, where somebody changed what is observed of the only resource of a kind.
fn effect_of(mut world: World, kind: AwsKind, change: impl Fn(&mut AwsResource)) -> Effect {
    let key = world
        .aws
        .keys()
        .find(|key| key.kind == ResourceKind::Aws(kind) && !key.name.contains("dead"))
        .unwrap()
        .clone();
    change(&mut world.thing(&key).present.resource);
    let plan = world.run();
    let Some(step) = plan.steps.iter().find(|step| step.key == key) else {
        return Effect::None;
    };
    assert!(step.is_repair, "{step:?}");
    assert_eq!(step.blocked_by, [Blocker::Approval], "{step:?}");
    assert_eq!(world.log, [""; 0]);
    assert!(world.run_approving().is_empty());
    step.effect
}

#[test]
fn what_a_person_raised_is_not_lowered_at_once_where_that_loses_something() {
    let of_database = |days| {
        effect_of(orders(), AwsKind::RdsInstance, move |found| {
            let AwsResource::RdsInstance(found) = found else {
                unreachable!()
            };
            found.backup_retention_days = days;
        })
    };
    assert_eq!(
        (of_database(35), of_database(1)),
        (Effect::DataLoss, Effect::None)
    );

    let of_queue = |seconds| {
        effect_of(orders(), AwsKind::SqsQueue, move |found| {
            let AwsResource::SqsQueue(found) = found else {
                unreachable!()
            };
            found.retention_seconds = seconds;
        })
    };
    assert_eq!(
        (of_queue(1_209_600), of_queue(60)),
        (Effect::DataLoss, Effect::None)
    );

    let of_bucket = |days| {
        effect_of(catalog(), AwsKind::S3Bucket, move |found| {
            let AwsResource::S3Bucket(found) = found else {
                unreachable!()
            };
            for rule in &mut found.lifecycle {
                rule.noncurrent_expiration_days = days;
            }
        })
    };
    assert_eq!(
        (of_bucket(Some(900)), of_bucket(None), of_bucket(Some(1))),
        (Effect::DataLoss, Effect::DataLoss, Effect::None)
    );

    let of_cache = |days, replicas| {
        effect_of(catalog(), AwsKind::CacheReplicationGroup, move |found| {
            let AwsResource::CacheReplicationGroup(found) = found else {
                unreachable!()
            };
            found.snapshot_retention_days += days;
            found.replicas += replicas;
        })
    };
    assert_eq!(
        (of_cache(9, 0), of_cache(0, 2), of_cache(0, -1)),
        (Effect::DataLoss, Effect::Restart, Effect::None)
    );
}

#[test]
fn an_edit_that_loses_something_waits_for_approval() {
    for (name, path, value) in [
        (
            "catalog",
            "/spec/products/pointInTimeRecovery",
            json!("Disabled"),
        ),
        ("catalog", "/spec/products/recoveryPeriodDays", json!(1)),
        (
            "catalog",
            "/spec/products/timeToLive",
            json!({"attribute": "expires"}),
        ),
        ("catalog", "/spec/media/versioning", json!("Disabled")),
        ("orders", "/spec/database/rds/backupRetentionDays", json!(1)),
    ] {
        let mut object = read("octank", name);
        let mut world = World::settled(want("octank", &object));
        let (parent, field) = path.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[field] = value;
        world.wanted = want("octank", &object);
        let plan = world.run();
        assert_eq!(world.log, [""; 0], "{path}");
        assert!(
            plan.steps
                .iter()
                .any(|step| step.effect == Effect::DataLoss
                    && step.blocked_by == [Blocker::Approval]),
            "{path}: {plan:#?}"
        );
        assert!(world.run_approving().is_empty(), "{path}");
    }
}

#[test]
fn a_rule_that_empties_a_bucket_goes_at_once_and_any_other_of_somebody_else_with_leave() {
    for (rule, waits) in [
        (LifecycleRule::DELETES_OBJECTS, false),
        (LifecycleRule::SAYS_MORE, true),
    ] {
        let mut world = catalog();
        let bucket = world.key(AwsKind::S3Bucket, "");
        let AwsResource::S3Bucket(found) = &mut world.thing(&bucket).present.resource else {
            unreachable!()
        };
        found.lifecycle = vec![LifecycleRule {
            id: format!("kill{rule}"),
            prefix: String::new(),
            intelligent_tiering_after_days: None,
            noncurrent_expiration_days: None,
            abort_multipart_days: None,
        }];
        let plan = world.run();
        assert_eq!(plan.approval_hash().is_some(), waits, "{rule}: {plan:#?}");
    }
}
