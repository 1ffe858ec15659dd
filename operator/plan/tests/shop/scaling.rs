//! Tables whose capacity is scaled: the autoscaler's numbers are its own, it comes when there is something to scale, and goes before
//! anybody else sets them.

use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, Capacity, DynamoDbTable, ScalableTarget, Throughput},
    names::{OWNER_TAG, OWNER_UID_TAG},
    plan::{Action, Blocker},
    planner::{AdoptionPolicy, DeletionPolicy, DriftPolicy},
    resource::ResourceKey,
};

use crate::{
    fixture::{read, want, without},
    world::{Thing, World},
};

const BY_CATEGORY: &str = "by-category";

fn catalog(capacity: Value) -> Value {
    let mut object = read("octank", "catalog");
    object["spec"]["products"]["capacity"] = capacity;
    object
}

fn on_demand() -> Value {
    json!({"type": "OnDemand"})
}

fn fixed(read: i64, write: i64) -> Value {
    json!({"type": "Provisioned", "provisioned": {"read": read, "write": write}})
}

fn scaled(read: (i64, i64), write: (i64, i64)) -> Value {
    let range = |(min, max)| json!({"min": min, "max": max});
    json!({"type": "Provisioned", "provisioned": {"autoscale": {"read": range(read), "write": range(write)}}})
}

fn settled(capacity: Value) -> World {
    World::settled(want("octank", &catalog(capacity)))
}

fn switch(world: &mut World, capacity: Value) {
    world.wanted = want("octank", &catalog(capacity));
}

fn table(world: &mut World) -> &mut DynamoDbTable {
    let key = world.key(AwsKind::DynamoDbTable, "");
    match &mut world.thing(&key).present.resource {
        AwsResource::DynamoDbTable(table) => table,
        _ => unreachable!(),
    }
}

/// Of the table, and of its index.
fn units(world: &mut World) -> (Option<Throughput>, Option<Throughput>) {
    let table = table(world);
    (table.throughput(None), table.throughput(Some(BY_CATEGORY)))
}

const fn throughput(read: i64, write: i64) -> Option<Throughput> {
    Some(Throughput { read, write })
}

fn scale_to(world: &mut World, read: i64, write: i64) {
    let units = Throughput { read, write };
    let table = table(world);
    table.capacity = Capacity::Provisioned(units);
    table
        .global_indexes
        .get_mut(BY_CATEGORY)
        .unwrap()
        .provisioned = Some(units);
}

fn targets(world: &World) -> Vec<String> {
    world
        .aws
        .keys()
        .filter(|key| key.kind.id() == "ScalableTarget")
        .map(|key| key.name.clone())
        .collect()
}

/// The target of the reads of the table.
fn target(world: &mut World) -> &mut ScalableTarget {
    let key = reads(world);
    match &mut world.thing(&key).present.resource {
        AwsResource::ScalableTarget(target) => target,
        _ => unreachable!(),
    }
}

fn reads(world: &World) -> ResourceKey {
    world.key(AwsKind::ScalableTarget, "dynamodb:table:ReadCapacityUnits")
}

/// Positions in the log of what begins so.
fn all(world: &World, entry: &str) -> Vec<usize> {
    world
        .log
        .iter()
        .enumerate()
        .filter(|(_, line)| line.starts_with(entry))
        .map(|(position, _)| position)
        .collect()
}

#[test]
fn a_scaled_table_is_made_with_targets_for_it_and_its_indexes() {
    let mut object = catalog(scaled((5, 500), (2, 50)));
    object["spec"]["products"]["capacity"]["provisioned"]["autoscale"]["read"] = json!({
        "min": 5, "max": 500, "targetUtilization": 60, "scaleInCooldownSeconds": 120, "scaleOutCooldownSeconds": 30, "scaleIn": "Disabled",
    });
    object["spec"]["products"]["indexes"][0]["provisioned"] =
        json!({"write": 7, "autoscale": {"read": {"min": 1, "max": 9}}});
    let mut world = World::new(want("octank", &object));
    assert!(world.run().is_empty());
    let name = table(&mut world).name.clone();
    assert_eq!(
        targets(&world),
        [
            format!("table/{name}/index/{BY_CATEGORY}|dynamodb:index:ReadCapacityUnits"),
            format!("table/{name}|dynamodb:table:ReadCapacityUnits"),
            format!("table/{name}|dynamodb:table:WriteCapacityUnits"),
        ]
    );
    assert!(world.at("create DynamoDbTable") < world.at("create ScalableTarget"));
    assert_eq!(
        units(&mut world),
        (throughput(5, 2), throughput(1, 7)),
        "it begins with the fewest"
    );
    let found = target(&mut world);
    assert_eq!(
        (
            found.min_capacity,
            found.max_capacity,
            found.target_utilization
        ),
        (5, 500, Some(60.0))
    );
    assert_eq!(
        (
            found.scale_in_cooldown_seconds,
            found.scale_out_cooldown_seconds,
            found.scale_in_disabled
        ),
        (120, 30, true)
    );
    let key = world.key(AwsKind::ScalableTarget, "WriteCapacityUnits");
    let AwsResource::ScalableTarget(found) = &world.thing(&key).present.resource else {
        unreachable!()
    };
    assert_eq!(
        (
            found.target_utilization,
            found.scale_in_cooldown_seconds,
            found.scale_in_disabled
        ),
        (Some(70.0), 0, false),
        "the defaults"
    );
    assert_eq!(world.inventory[&key].role, "products.autoscale.write");
}

#[test]
fn what_the_autoscaler_sets_is_left_alone_and_is_no_drift() {
    for drift in [DriftPolicy::Repair, DriftPolicy::Report] {
        let mut world = settled(scaled((5, 500), (2, 50)));
        world.policies.drift = drift;
        scale_to(&mut world, 312, 17);
        assert!(world.run().is_empty(), "{drift:?}");
        assert_eq!(world.log, Vec::<String>::new(), "{drift:?}");
        assert_eq!(
            units(&mut world),
            (throughput(312, 17), throughput(312, 17))
        );
    }
}

#[test]
fn a_table_stays_ready_while_it_is_being_scaled() {
    let mut world = settled(scaled((5, 500), (2, 50)));
    let key = world.key(AwsKind::DynamoDbTable, "");
    world.thing(&key).present.lifecycle = shopkeeper_plan::observed::Lifecycle::Modifying;
    assert!(world.plan().is_empty(), "{:#?}", world.plan());
}

#[test]
fn a_fixed_number_changes_and_the_scaled_one_beside_it_stays() {
    let with = |write: i64| json!({"type": "Provisioned", "provisioned": {"write": write, "autoscale": {"read": {"min": 5, "max": 500}}}});
    let mut world = settled(with(5));
    scale_to(&mut world, 312, 5);
    switch(&mut world, with(6));
    assert!(world.run().is_empty());
    assert_eq!(units(&mut world), (throughput(312, 6), throughput(312, 6)));
    assert_eq!(targets(&world).len(), 2);
}

#[test]
fn from_fixed_numbers_nothing_is_taken_away() {
    let mut world = settled(fixed(100, 40));
    switch(&mut world, scaled((5, 500), (2, 50)));
    assert!(world.run().is_empty());
    assert_eq!(all(&world, "update DynamoDbTable"), Vec::<usize>::new());
    assert_eq!(
        units(&mut world),
        (throughput(100, 40), throughput(100, 40))
    );
    assert_eq!(targets(&world).len(), 4);
}

#[test]
fn a_minimum_above_what_is_there_is_the_autoscalers_to_reach() {
    let mut world = settled(scaled((5, 500), (2, 50)));
    switch(&mut world, scaled((50, 500), (20, 50)));
    assert!(world.run().is_empty());
    assert_eq!(all(&world, "update DynamoDbTable"), Vec::<usize>::new());
    assert_eq!(units(&mut world), (throughput(50, 20), throughput(50, 20)));
}

#[test]
fn targets_come_once_the_table_is_provisioned_which_begins_with_the_most() {
    let mut world = settled(on_demand());
    switch(&mut world, scaled((5, 500), (2, 50)));
    let key = world.key(AwsKind::DynamoDbTable, "");
    let plan = world.pass();
    let waiting: Vec<_> = plan
        .steps
        .iter()
        .filter(|step| step.key.kind.id() == "ScalableTarget")
        .collect();
    assert_eq!(waiting.len(), 4);
    for step in waiting {
        assert_eq!(
            step.blocked_by,
            [Blocker::Resource(key.clone())],
            "{step:#?}"
        );
    }
    assert!(world.run().is_empty());
    assert_eq!(
        units(&mut world),
        (throughput(500, 50), throughput(500, 50))
    );
    assert_eq!(targets(&world).len(), 4);
}

#[test]
fn targets_go_before_the_table_is_on_demand_or_fixed() {
    for (after, expected) in [
        (on_demand(), (None, None)),
        (fixed(1, 1), (throughput(1, 1), throughput(1, 1))),
    ] {
        for deletion in [DeletionPolicy::Retain, DeletionPolicy::Snapshot] {
            let mut world = settled(scaled((5, 500), (2, 50)));
            world.policies.deletion = deletion;
            switch(&mut world, after.clone());
            // The world refuses to change a number that is scaled.
            assert!(world.run().is_empty(), "{after} {deletion:?}");
            assert_eq!(targets(&world), Vec::<String>::new());
            assert!(
                all(&world, "delete ScalableTarget").last()
                    < all(&world, "update DynamoDbTable").first(),
                "{:#?}",
                world.log
            );
            assert_eq!(units(&mut world), expected);
        }
    }
}

#[test]
fn an_index_is_scaled_for_as_long_as_it_serves() {
    let mut world = settled(scaled((5, 500), (2, 50)));
    let mut object = catalog(scaled((5, 500), (2, 50)));
    without(&mut object, "/spec/products/indexes");
    world.wanted = want("octank", &object);
    world.run();
    assert_eq!(targets(&world).len(), 4, "its removal waits for approval");
    assert!(world.run_approving().is_empty());
    assert_eq!(targets(&world).len(), 2);
    assert!(world.at("update DynamoDbTable") < world.at("delete ScalableTarget"));
}

#[test]
fn an_index_that_comes_takes_the_writes_of_its_table() {
    let mut object = catalog(scaled((5, 500), (2, 50)));
    without(&mut object, "/spec/products/indexes");
    let mut world = World::settled(want("octank", &object));
    table(&mut world).capacity = Capacity::Provisioned(Throughput {
        read: 312,
        write: 17,
    });
    switch(&mut world, scaled((5, 500), (2, 50)));
    assert!(world.run().is_empty());
    assert_eq!(units(&mut world), (throughput(312, 17), throughput(5, 17)));
    assert_eq!(targets(&world).len(), 4);
}

#[test]
fn a_table_that_waits_for_approval_to_go_is_scaled_until_then_and_asks_once() {
    let mut object = catalog(scaled((5, 500), (2, 50)));
    let mut world = World::settled(want("octank", &object));
    without(&mut object, "/spec/products");
    object["spec"]["bindings"].as_array_mut().unwrap().remove(0);
    world.wanted = want("octank", &object);
    let plan = world.run();
    assert_eq!(targets(&world).len(), 4, "{:#?}", world.log);
    assert!(
        plan.steps.iter().all(|step| plan.waits_for_a_person(step)),
        "{plan:#?}"
    );
    world.approved = plan.approval_hash();
    assert!(world.run().is_empty());
    assert!(
        all(&world, "delete ScalableTarget").last()
            < all(&world, "save and delete DynamoDbTable").first()
    );
}

#[test]
fn a_retained_table_goes_on_being_scaled() {
    for deleting in [false, true] {
        let mut object = catalog(scaled((5, 500), (2, 50)));
        let mut world = World::settled(want("octank", &object));
        world.policies.deletion = DeletionPolicy::Retain;
        world.deleting = deleting;
        if !deleting {
            without(&mut object, "/spec/products");
            object["spec"]["bindings"].as_array_mut().unwrap().remove(0);
            world.wanted = want("octank", &object);
        }
        world.run();
        assert_eq!(targets(&world).len(), 4, "{deleting}");
        assert_eq!(all(&world, "delete ScalableTarget"), Vec::<usize>::new());
    }
}

#[test]
fn what_somebody_changed_of_a_target_is_set_back() {
    type Change = fn(&mut ScalableTarget);
    let drifts: [Change; 4] = [
        |target| target.min_capacity = 1,
        |target| target.suspended = true,
        |target| target.target_utilization = None,
        |target| target.scale_in_disabled = true,
    ];
    for drift in drifts {
        let mut world = settled(scaled((5, 500), (2, 50)));
        let before = target(&mut world).clone();
        drift(target(&mut world));
        assert!(world.run().is_empty());
        assert_eq!(*target(&mut world), before);
        assert!(
            world
                .log
                .iter()
                .all(|line| line.starts_with("update ScalableTarget")),
            "{:#?}",
            world.log
        );
        let key = reads(&world);
        world.aws.remove(&key);
        assert!(world.run().is_empty());
        assert_eq!(
            *target(&mut world),
            before,
            "and comes back when it was taken away"
        );
    }
}

/// A shop with a fixed table, on which somebody has registered a target for the reads.
fn with_a_foreign_target() -> World {
    let scaled_before = settled(scaled((5, 500), (2, 50)));
    let key = reads(&scaled_before);
    let mut foreign = scaled_before.aws[&key].present.resource.clone();
    foreign
        .tags_mut()
        .retain(|name, _| name != OWNER_TAG && name != OWNER_UID_TAG);
    let mut world = settled(fixed(100, 40));
    world.aws.insert(key, Thing::new(foreign));
    world
}

#[test]
fn a_target_of_somebody_else_is_taken_over_by_the_policy_alone() {
    let mut world = with_a_foreign_target();
    switch(&mut world, scaled((7, 500), (2, 50)));
    let key = reads(&world);
    let plan = world.run();
    let [step] = plan.steps.as_slice() else {
        panic!("{plan:#?}")
    };
    assert_eq!((&step.key, step.action), (&key, Action::Adopt));
    let Blocker::Refused(failure) = &step.blocked_by[0] else {
        panic!("{step:#?}")
    };
    assert_eq!(failure.code.as_deref(), Some("NotOurs"));
    assert_eq!(target(&mut world).min_capacity, 5);
    world.policies.adoption = AdoptionPolicy::Adopt;
    assert!(world.run().is_empty());
    assert_eq!(target(&mut world).min_capacity, 7);
    assert!(world.at("adopt ScalableTarget") < all(&world, "update ScalableTarget").pop().unwrap());
}

#[test]
fn a_target_whose_tags_are_somebody_elses_by_now_holds_up_nothing() {
    let mut world = settled(scaled((5, 500), (2, 50)));
    target(&mut world)
        .tags
        .insert(OWNER_UID_TAG.into(), "other".into());
    switch(&mut world, fixed(9, 9));
    let plan = world.plan();
    let key = reads(&world);
    let step = plan
        .steps
        .iter()
        .find(|step| step.key.kind.id() == "DynamoDbTable")
        .unwrap();
    assert!(
        !step.blocked_by.contains(&Blocker::Resource(key)),
        "{step:#?}"
    );
    assert_eq!(step.blocked_by.len(), 3, "{step:#?}");
}

#[test]
fn pods_do_not_wait_for_autoscaling() {
    let world = World::new(want("octank", &catalog(scaled((5, 500), (2, 50)))));
    for (key, node) in world.draft().iter() {
        if key.kind.id() != "ScalableTarget" {
            assert!(
                node.depends_on
                    .iter()
                    .all(|other| other.kind.id() != "ScalableTarget"),
                "{key}"
            );
        }
    }
}
