//! At the end of a custom resource: what is left in AWS keeps what it needs, and nothing else; what is stuck holds up what it needs, and
//! nothing else.

use serde_json::json;
use shopkeeper_api::status::{InventoryItem, Status};
use shopkeeper_plan::{
    aws::AwsKind,
    failure::Class,
    inventory,
    names::{OWNER_TAG, OWNER_UID_TAG},
    plan::{Blocker, Effect, Operation},
    planner::DeletionPolicy,
    resource::{ResourceKey, ResourceKind},
};

use crate::{
    fixture::{read, want},
    world::World,
};

/// What is left of the catalog of the example when it is deleted after somebody took the tags off one of its resources.
fn left_with_a_foreign(kind: AwsKind) -> Vec<&'static str> {
    let mut world = World::settled(want("octank", &read("octank", "catalog")));
    let key = world.key(kind, "");
    for tag in [OWNER_TAG, OWNER_UID_TAG] {
        world.thing(&key).present.resource.tags_mut().remove(tag);
    }
    world.deleting = true;
    world.policies.deletion = DeletionPolicy::Delete;
    world.run();
    world.kinds()
}

#[test]
fn a_bucket_that_is_left_keeps_nothing_of_the_cache() {
    assert_eq!(left_with_a_foreign(AwsKind::S3Bucket), ["S3Bucket"]);
}

#[test]
fn a_cache_that_is_left_keeps_its_users() {
    assert_eq!(
        left_with_a_foreign(AwsKind::CacheReplicationGroup),
        [
            "CacheSubnetGroup",
            "CacheReplicationGroup",
            "CacheUserGroup",
            "CacheUser",
            "SecretsManagerSecret"
        ]
    );
}

#[test]
fn what_aws_refuses_to_delete_holds_up_only_what_it_needs() {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    let (nodes, database) = (
        world.key(AwsKind::NodeGroup, ""),
        world.key(AwsKind::RdsInstance, ""),
    );
    world.deleting = true;
    let is_deleted = |world: &World| {
        let plan = world.plan();
        let mut free = plan.free_steps();
        free.any(|step| step.key == nodes && matches!(step.operation, Operation::AwsDelete { .. }))
    };
    for _ in 0..100 {
        if is_deleted(&world) {
            break;
        }
        world.pass();
        world.tick();
    }
    assert!(is_deleted(&world));
    let mut observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    let holders = |observed: &_, key: &ResourceKey| {
        let plan = world.plan_for(observed, &blueprint);
        let step = plan.steps.iter().find(|step| step.key == *key).unwrap();
        step.blocked_by.clone()
    };
    let waits = Blocker::Resource(nodes.clone());
    assert!(holders(&observed, &database).contains(&waits));
    observed.refused_deletions.insert(nodes.clone());
    assert!(!holders(&observed, &database).contains(&waits));
    let role = world
        .aws
        .keys()
        .find(|key| key.kind == ResourceKind::Aws(AwsKind::IamRole) && key.name.contains("nodes"));
    assert!(holders(&observed, role.unwrap()).contains(&waits));
}

#[test]
fn a_topic_that_is_taken_out_waits_for_approval() {
    let orders = read("octank", "orders");
    let mut with_more = orders.clone();
    let topics = with_more["spec"]["notifications"]["topics"].as_array_mut();
    topics.unwrap().push(json!({"name": "returned"}));
    let mut world = World::settled(want("octank", &with_more));
    world.wanted = want("octank", &orders);
    world.policies.changes = shopkeeper_plan::planner::ChangePolicy::ApproveDisruptive;
    let plan = world.run();
    let topic = plan
        .steps
        .iter()
        .find(|step| step.key.kind == ResourceKind::Aws(AwsKind::SnsTopic));
    let topic = topic.unwrap();
    assert_eq!(topic.effect, Effect::Downtime);
    assert!(topic.blocked_by.contains(&Blocker::Approval), "{topic:#?}");
    // No pass need come after the one that sees that it is gone: nothing is left to be told of it.
    world.approved = plan.approval_hash();
    assert!(world.run().is_empty());
    assert_eq!(world.decisions, []);
}

#[test]
fn what_a_later_version_made_stays_in_the_inventory_and_holds_the_end_up() {
    let world = World::settled(want("octank", &read("octank", "orders")));
    let unknown: InventoryItem = serde_json::from_value(
        json!({"kind": "OpenSearchDomain", "name": "orders", "role": "search"}),
    )
    .unwrap();
    let items = |before: &[InventoryItem]| {
        inventory::to_status(&world.inventory, &world.plan(), &world.observe(), before)
    };
    let status = Status {
        inventory: items(std::slice::from_ref(&unknown)),
        ..Status::default()
    };
    assert!(status.inventory.contains(&unknown));
    let failure = inventory::made_by_a_newer_version(&status).unwrap();
    assert_eq!(failure.class, Class::Invalid);
    assert!(failure.message.contains("OpenSearchDomain orders"));
    let without = Status {
        inventory: items(&[]),
        ..Status::default()
    };
    assert_eq!(inventory::made_by_a_newer_version(&without), None);
}
