//! Versions that are newer than declared: AWS installs them, or somebody does, and nothing brings them back.

use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource},
    plan::{Effect, Operation, Plan},
    planner::{ChangePolicy, DriftPolicy},
    report,
};

use crate::{
    fixture::{read, want},
    world::World,
};

fn orders(version: &str) -> Value {
    let mut object = read("octank", "orders");
    object["spec"]["database"]["rds"]["version"] = json!(version);
    object
}

fn catalog(version: &str) -> Value {
    let mut object = read("octank", "catalog");
    object["spec"]["cache"]["version"] = json!(version);
    object
}

/// The orders, of whose declared version the database has another by now.
fn database(declared: &str, installed: &str) -> World {
    let mut world = World::settled(want("octank", &orders(declared)));
    let key = world.key(AwsKind::RdsInstance, "");
    let AwsResource::RdsInstance(found) = &mut world.thing(&key).present.resource else {
        unreachable!()
    };
    found.engine_version = installed.into();
    world
}

fn cache(declared: &str, installed: &str) -> World {
    let mut world = World::settled(want("octank", &catalog(declared)));
    let key = world.key(AwsKind::CacheReplicationGroup, "");
    let AwsResource::CacheReplicationGroup(found) = &mut world.thing(&key).present.resource else {
        unreachable!()
    };
    found.engine_version = Some(installed.into());
    world
}

fn note(world: &World, kind: AwsKind) -> String {
    report::note(&world.key(kind, ""), &world.observe()).unwrap_or_default()
}

/// The message of a condition, behind its status.
fn condition(world: &World, r#type: &str) -> String {
    let observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    let plan = world.plan_for(&observed, &blueprint);
    let report = report::of_plan(&plan, &blueprint, &observed, false);
    let mut conditions = report.conditions.into_iter();
    let found = conditions.find(|condition| condition.r#type == r#type);
    let found = found.expect("it is told");
    format!("{} {}", found.status, found.message)
}

fn fields(plan: &Plan, kind: &str) -> Vec<String> {
    plan.steps
        .iter()
        .filter(|step| step.key.kind.id() == kind)
        .flat_map(|step| step.changes.iter().map(|change| change.field.clone()))
        .collect()
}

#[test]
fn a_minor_version_that_rds_installed_is_told_and_left() {
    for (changes, drift) in [
        (ChangePolicy::ApproveDisruptive, DriftPolicy::Repair),
        (ChangePolicy::Automatic, DriftPolicy::Repair),
        (ChangePolicy::ApproveAll, DriftPolicy::Report),
    ] {
        let mut world = database("17.4", "17.6");
        world.policies.changes = changes;
        world.policies.drift = drift;
        let plan = world.run();
        assert!(plan.is_empty(), "{changes:?}: {plan:#?}");
        assert!(world.log.is_empty(), "{:#?}", world.log);
        let note = note(&world, AwsKind::RdsInstance);
        assert!(
            note.contains("runs version 17.6, a newer version than 17.4 as declared")
                && note.contains("write 17.6 in database.rds.version"),
            "{note}"
        );
        assert!(condition(&world, "Ready").starts_with("True "));
        assert!(!condition(&world, "DataReady").contains("17.6"));
    }
    for (declared, installed) in [("17.6", "17.6"), ("17", "17.9")] {
        let world = database(declared, installed);
        assert!(world.plan().is_empty());
        assert_eq!(note(&world, AwsKind::RdsInstance), "");
    }
}

#[test]
fn an_edit_beside_it_does_not_carry_the_older_version() {
    let mut world = database("17.4", "17.6");
    let mut object = orders("17.4");
    object["spec"]["database"]["rds"]["storage"] = json!("400Gi");
    world.wanted = want("octank", &object);
    let plan = world.plan();
    assert_eq!(fields(&plan, "RdsInstance"), ["allocatedStorage"]);
    let [step] = plan.steps.as_slice() else {
        panic!("{plan:#?}")
    };
    assert!(step.is_free(), "{step:#?}");
    let Operation::AwsUpdate { desired, .. } = &step.operation else {
        panic!("{step:#?}")
    };
    let AwsResource::RdsInstance(sent) = desired.as_ref() else {
        unreachable!()
    };
    assert_eq!(sent.engine_version, "17.6");
    assert!(world.run().is_empty());
}

#[test]
fn a_newer_version_that_is_written_is_an_upgrade() {
    let mut world = database("17.4", "17.6");
    world.wanted = want("octank", &orders("17.6"));
    assert!(world.plan().is_empty());
    assert_eq!(note(&world, AwsKind::RdsInstance), "");
    world.wanted = want("octank", &orders("17.7"));
    let plan = world.plan();
    assert_eq!(fields(&plan, "RdsInstance"), ["engineVersion"]);
    assert_eq!(plan.steps[0].effect, Effect::Downtime);
    assert!(world.run_approving().is_empty());
}

#[test]
fn a_newer_major_version_is_a_danger_and_its_parameters_stay() {
    let mut world = database("16", "17.6");
    let key = world.key(AwsKind::RdsInstance, "");
    let AwsResource::RdsInstance(found) = &mut world.thing(&key).present.resource else {
        unreachable!()
    };
    // A group of PostgreSQL 16 does not fit an instance of 17: RDS gave it another one.
    found.parameter_group = "default.postgres17".into();
    assert!(world.run().is_empty());
    assert!(world.log.is_empty(), "{:#?}", world.log);
    let told = condition(&world, "DataReady");
    assert!(
        told.starts_with("True ")
            && told.contains("runs version 17.6, a newer major version than 16 as declared")
            && told.contains("parameters"),
        "{told}"
    );

    let mut object = orders("16");
    object["spec"]["database"]["rds"]["storage"] = json!("400Gi");
    world.wanted = want("octank", &object);
    assert_eq!(fields(&world.plan(), "RdsInstance"), ["allocatedStorage"]);
    assert!(world.run().is_empty());

    // Whoever writes it gets its parameters.
    world.wanted = want("octank", &orders("17"));
    assert_eq!(fields(&world.plan(), "RdsInstance"), ["parameterGroup"]);
    assert!(world.run_approving().is_empty());
    assert!(!condition(&world, "DataReady").contains("17.6"));
}

#[test]
fn a_version_that_elasticache_installed_is_told_and_left() {
    let mut world = cache("8.0", "8.1");
    assert!(world.run().is_empty());
    assert!(world.log.is_empty(), "{:#?}", world.log);
    let told = note(&world, AwsKind::CacheReplicationGroup);
    assert!(told.contains("write 8.1 in cache.version"), "{told}");
    let mut object = catalog("8.0");
    object["spec"]["cache"]["snapshotRetentionDays"] = json!(9);
    world.wanted = want("octank", &object);
    assert_eq!(
        fields(&world.plan(), "CacheReplicationGroup"),
        ["snapshotRetentionDays"]
    );
    assert!(world.run().is_empty());

    // As ElastiCache reports what was declared.
    assert_eq!(
        note(&cache("8.0", "8.0.1"), AwsKind::CacheReplicationGroup),
        ""
    );
    let older = cache("8.1", "8.0").plan();
    assert_eq!(fields(&older, "CacheReplicationGroup"), ["engineVersion"]);
}

#[test]
fn a_newer_major_version_of_a_cache_is_a_danger_and_its_parameters_stay() {
    let mut world = cache("7.2", "8.1");
    let key = world.key(AwsKind::CacheReplicationGroup, "");
    let AwsResource::CacheReplicationGroup(found) = &mut world.thing(&key).present.resource else {
        unreachable!()
    };
    found.parameter_group = Some("default.valkey8".into());
    assert!(world.run().is_empty());
    assert!(world.log.is_empty(), "{:#?}", world.log);
    let told = condition(&world, "DataReady");
    assert!(told.contains("a newer major version than 7.2"), "{told}");
}

#[test]
fn nodes_that_somebody_upgraded_are_told_and_left() {
    let mut object = read("octank", "orders");
    object["spec"]["nodes"]["nodeGroup"]["version"] = json!("1.35");
    object["spec"]["nodes"]["nodeGroup"]["releaseVersion"] = json!("1.35.2-20260101");
    let mut world = World::settled(want("octank", &object));
    let key = world.key(AwsKind::NodeGroup, "");
    let AwsResource::NodeGroup(found) = &mut world.thing(&key).present.resource else {
        unreachable!()
    };
    found.version = Some("1.36".into());
    found.release_version = Some("1.36.0-20260301".into());
    assert!(world.run().is_empty());
    assert!(world.log.is_empty(), "{:#?}", world.log);
    let told = note(&world, AwsKind::NodeGroup);
    for part in [
        "write 1.36 in nodes.nodeGroup.version",
        "write 1.36.0-20260301 in nodes.nodeGroup.releaseVersion",
    ] {
        assert!(told.contains(part), "{told}");
    }
    // With the next version EKS takes the newest release of it.
    object["spec"]["nodes"]["nodeGroup"]["version"] = json!("1.37");
    world.wanted = want("octank", &object);
    let plan = world.plan();
    assert_eq!(fields(&plan, "NodeGroup"), ["version"]);
    let Operation::AwsUpdate { desired, .. } = &plan.steps[0].operation else {
        panic!("{plan:#?}")
    };
    let AwsResource::NodeGroup(sent) = desired.as_ref() else {
        unreachable!()
    };
    assert_eq!(sent.release_version, None);
}

#[test]
fn the_parameters_of_a_newer_major_version_stay_with_it() {
    // Somebody declares an older one than was made.
    let mut world = World::settled(want("octank", &orders("17")));
    let group = world.key(AwsKind::RdsParameterGroup, "");
    world.wanted = want("octank", &orders("16"));
    let plan = world.run();
    assert!(plan.is_empty(), "{plan:#?}");
    assert!(world.aws.contains_key(&group) && world.inventory.contains_key(&group));
    assert!(condition(&world, "DataReady").contains("write 17"));
    // And takes it back.
    world.wanted = want("octank", &orders("17"));
    assert!(world.run().is_empty());
    let groups = world.aws.keys();
    let groups = groups.filter(|key| key.kind == group.kind).count();
    assert_eq!(groups, 1);

    let with_parameters = |version: &str| {
        let mut object = catalog(version);
        object["spec"]["cache"]["parameters"] =
            json!([{"name": "maxmemory-policy", "value": "allkeys-lru"}]);
        want("octank", &object)
    };
    let mut world = World::settled(with_parameters("8.0"));
    let group = world.key(AwsKind::CacheParameterGroup, "");
    world.wanted = with_parameters("7.2");
    let plan = world.run();
    assert!(plan.is_empty(), "{plan:#?}");
    assert!(world.aws.contains_key(&group));
}
