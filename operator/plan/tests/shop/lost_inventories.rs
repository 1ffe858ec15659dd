//! A status that was lost, and what is found by its tags.

use std::collections::BTreeMap;

use serde_json::json;
use shopkeeper_plan::{
    aws::AwsKind,
    blueprint::Blueprint,
    found,
    names::{OWNER_UID_TAG, RETAINED_TAG},
    observed::Observation,
    planner::{DeletionPolicy, Inventory},
    resource::{ResourceKey, ResourceKind},
};

use crate::{
    fixture::{EXAMPLES, read, want, without},
    world::World,
};

/// What AWS has, each looked at by its name.
fn seen(world: &World) -> BTreeMap<ResourceKey, Observation> {
    let things = world.aws.iter();
    things
        .map(|(key, thing)| {
            let present = Box::new(thing.present.clone());
            (key.clone(), Observation::Present(present))
        })
        .collect()
}

fn found(world: &World) -> Inventory {
    found::entries(
        &seen(world),
        &world.inventory,
        &world.draft(),
        &world.wanted.owner,
    )
}

#[test]
fn what_is_declared_joins_an_inventory_that_was_lost() {
    for (shop, name) in EXAMPLES {
        let mut world = World::settled(want(shop, &read(shop, name)));
        let whole = std::mem::take(&mut world.inventory);
        assert!(world.run().is_empty(), "{shop}/{name}");
        assert!(world.log.is_empty(), "{shop}/{name}: {:?}", world.log);
        assert_eq!(world.inventory, whole, "{shop}/{name}");
    }
}

#[test]
fn what_is_not_declared_any_more_goes_as_if_the_inventory_had_it() {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    let mut object = read("octank", "orders");
    without(&mut object, "/spec/database");
    object["spec"]["bindings"].as_array_mut().unwrap().remove(0);
    world.wanted = want("octank", &object);
    world.inventory.clear();
    // Nobody knows of it.
    world.run();
    assert!(world.kinds().contains(&"RdsInstance"));
    assert!(
        world
            .inventory
            .keys()
            .all(|key| key.kind.id() != "RdsInstance")
    );

    let lost = found(&world);
    let kinds: Vec<&str> = lost.keys().map(|key| key.kind.id()).collect();
    assert_eq!(
        kinds,
        ["RdsSubnetGroup", "RdsParameterGroup", "RdsInstance"]
    );
    world.inventory.extend(lost);
    let plan = world.run();
    assert!(world.kinds().contains(&"RdsInstance"), "without approval");
    world.approved = plan.approval_hash();
    assert!(world.run().is_empty());
    world.at("save and delete RdsInstance");
    assert!(!world.kinds().contains(&"RdsInstance"));
}

#[test]
fn at_the_end_all_that_is_found_goes_whatever_is_declared() {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    world.policies.deletion = DeletionPolicy::Delete;
    world.deleting = true;
    world.inventory.clear();
    world.wanted.blueprint = Box::new(|_| Blueprint::default());
    let lost = found(&world);
    world.inventory.extend(lost);
    world.run();
    assert!(world.aws.is_empty(), "{:?}", world.kinds());
}

#[test]
fn what_is_anothers_or_was_kept_on_purpose_is_not_taken_back() {
    for (tag, value) in [(OWNER_UID_TAG, "another"), (RETAINED_TAG, "true")] {
        let mut world = World::settled(want("octank", &read("octank", "catalog")));
        world.inventory.clear();
        for thing in world.aws.values_mut() {
            let tags = thing.present.resource.tags_mut();
            tags.insert(tag.to_owned(), value.to_owned());
        }
        let lost = found(&world);
        assert!(lost.is_empty(), "{tag}: {lost:?}");
    }
}

#[test]
fn a_name_that_aws_writes_in_small_letters_is_no_other() {
    let world = World::settled(want("octank", &read("octank", "orders")));
    let key = |name: &str| ResourceKey::aws(AwsKind::RdsInstance, name);
    let mut inventory = world.inventory.clone();
    inventory.retain(|key, _| key.kind != ResourceKind::Aws(AwsKind::RdsInstance));
    let (_, entry) = world.inventory.first_key_value().unwrap();
    inventory.insert(key("Orders"), entry.clone());
    let draft = Blueprint::default();
    assert!(found::is_known(&key("orders"), &inventory, &draft));
    assert!(found::is_known(&key("Orders"), &inventory, &draft));
    assert!(!found::is_known(&key("others"), &inventory, &draft));
}

#[test]
fn a_node_group_in_other_subnets_is_known_for_what_it_was() {
    let mut object = read("octank", "catalog");
    object["spec"]["nodes"] = json!({"type": "NodeGroup", "nodeGroup": {"instanceTypes": ["m7g.large"], "min": 1, "max": 3}});
    let world = World::settled(want("octank", &object));
    let draft = world.draft();
    let group = draft
        .keys()
        .find(|key| key.kind == ResourceKind::Aws(AwsKind::NodeGroup))
        .unwrap();
    let present = world.aws[group].present.clone();
    let (base, _) = group.name.rsplit_once('-').unwrap();
    let looked_at = |name: String| {
        let other = ResourceKey::aws(AwsKind::NodeGroup, name);
        let seen = [(
            other.clone(),
            Observation::Present(Box::new(present.clone())),
        )]
        .into();
        let entries = found::entries(&seen, &Inventory::new(), &draft, &world.wanted.owner);
        entries[&other].role.clone()
    };
    let role = &draft.get(group).unwrap().role;
    assert_eq!(looked_at(format!("{base}-abc123")), *role);
    assert_eq!(looked_at("another-abc123".to_owned()), found::LEFT);
}
