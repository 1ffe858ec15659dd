//! Subscriptions that wait for their owner's consent: SNS neither changes nor removes them.

use serde_json::json;
use shopkeeper_api::status::Status;
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource},
    decisions,
    failure::{Class, Failure},
    inventory,
    last_seen::LastSeen,
    names::{OWNER_TAG, OWNER_UID_TAG},
    plan::{Blocker, Plan},
    planner::{ChangePolicy, DeletionPolicy},
    report,
    resource::ResourceKey,
};

use crate::{
    fixture::{read, want},
    world::{Thing, World},
};

/// The orders, whose sales department wants large orders only.
fn filtered() -> serde_json::Value {
    let mut object = read("octank", "orders");
    object["spec"]["notifications"]["topics"][0]["subscribers"][1]["filterPolicy"] =
        json!({"size": ["large"]});
    object
}

fn email(world: &World) -> ResourceKey {
    world.key(AwsKind::SnsSubscription, "|email|")
}

fn confirm(world: &mut World) {
    let key = email(world);
    world.thing(&key).present.arn = Some("arn:aws:sns:eu-west-1:123456789012:buy:1".into());
}

#[test]
fn one_without_consent_is_as_good_as_it_gets() {
    let mut world = World::settled(want("octank", &filtered()));
    let key = email(&world);
    assert!(world.thing(&key).present.is_unconfirmed());
    let AwsResource::SnsSubscription(found) = &world.thing(&key).present.resource else {
        unreachable!()
    };
    assert_eq!(
        found.filter_policy, None,
        "SNS does not show what was asked for"
    );

    // Somebody confirmed, and then took the filter off and the dead letters away, which is set back in a call for each.
    confirm(&mut world);
    assert!(world.run().is_empty());
    let update = format!("update SnsSubscription/{}", key.name);
    assert_eq!(world.log, [update.clone(), update]);
}

#[test]
fn the_end_does_not_wait_for_consent() {
    for policy in [DeletionPolicy::Snapshot, DeletionPolicy::Delete] {
        let mut world = World::settled(want("octank", &filtered()));
        world.policies.deletion = policy;
        world.deleting = true;
        let key = email(&world);
        world.run();
        assert!(
            !world.log.iter().any(|line| line.contains("|email|")),
            "{:#?}",
            world.log
        );
        assert!(!world.aws.contains_key(&key), "it went with its topic");
    }
    let mut world = World::settled(want("octank", &filtered()));
    world.policies.deletion = DeletionPolicy::Retain;
    world.deleting = true;
    let key = email(&world);
    assert!(
        world.run().steps.iter().all(|step| step.key != key),
        "it is not told to be kept"
    );
}

#[test]
fn one_that_is_not_wanted_any_more_holds_nothing_up_and_goes_once_it_can() {
    let mut object = read("octank", "orders");
    let mut world = World::settled(want("octank", &object));
    world.policies.changes = ChangePolicy::Automatic;
    let key = email(&world);
    object["spec"]["notifications"]["topics"][0]["subscribers"]
        .as_array_mut()
        .unwrap()
        .remove(1);
    world.wanted = want("octank", &object);
    assert!(world.run().is_empty(), "nothing to be done about it");
    assert!(world.inventory.contains_key(&key), "it is still known");
    confirm(&mut world);
    assert!(world.run().is_empty());
    assert!(
        !world.aws.contains_key(&key) && !world.inventory.contains_key(&key),
        "{:#?}",
        world.log
    );
}

#[test]
fn one_that_sns_dropped_is_asked_for_again() {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    let key = email(&world);
    world.aws.remove(&key);
    assert!(world.run().is_empty());
    assert_eq!(world.log, [format!("create SnsSubscription/{}", key.name)]);
}

#[test]
fn a_subscription_of_somebody_elses_topic_is_not_ours() {
    for deleting in [false, true] {
        let mut world = World::settled(want("octank", &read("octank", "orders")));
        let topic = world.key(AwsKind::SnsTopic, "ship");
        let key = world.key(AwsKind::SnsSubscription, "|sms|");
        let tags = world.thing(&topic).present.resource.tags_mut();
        tags.insert(OWNER_UID_TAG.into(), "other".into());
        tags.insert(OWNER_TAG.into(), "OrderService/other/orders".into());
        let AwsResource::SnsSubscription(found) = &mut world.thing(&key).present.resource else {
            unreachable!()
        };
        found.filter_policy = Some(json!({"theirs": ["1"]}));
        world.deleting = deleting;
        world.policies.deletion = DeletionPolicy::Delete;
        world.policies.changes = ChangePolicy::Automatic;
        world.run();
        assert!(
            world
                .log
                .iter()
                .all(|line| !line.contains("|sms|") || line.starts_with("leave")),
            "{deleting}: {:#?}",
            world.log
        );
        assert!(world.aws.contains_key(&key) && world.aws.contains_key(&topic));
    }
}

/// A subscription between a topic and a queue of somebody else, which a status says is ours.
fn forge(world: &mut World) -> ResourceKey {
    let ours = world.key(AwsKind::SnsSubscription, "|sms|");
    let mut forged = world.aws[&ours].present.resource.clone();
    let AwsResource::SnsSubscription(found) = &mut forged else {
        unreachable!()
    };
    found.topic_arn = "arn:aws:sns:eu-west-1:123456789012:foreign".into();
    let key = forged.key();
    let entry = world.inventory[&ours].clone();
    world.aws.insert(key.clone(), Thing::new(forged));
    world.inventory.insert(key.clone(), entry);
    key
}

#[test]
fn a_status_cannot_make_a_subscription_ours() {
    for deleting in [false, true] {
        let mut world = World::settled(want("octank", &read("octank", "orders")));
        let key = forge(&mut world);
        world.deleting = deleting;
        world.policies.deletion = DeletionPolicy::Delete;
        world.policies.changes = ChangePolicy::Automatic;
        world.run();
        assert!(world.aws.contains_key(&key), "{deleting}: {:#?}", world.log);
        let line = format!("delete SnsSubscription/{}", key.name);
        assert!(!world.log.contains(&line), "{:#?}", world.log);
    }
}

#[test]
fn a_topic_of_the_same_name_in_another_account_is_another_one() {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    let key = forge(&mut world);
    let AwsResource::SnsTopic(topic) = &world.aws[&world.key(AwsKind::SnsTopic, "ship")]
        .present
        .resource
    else {
        unreachable!()
    };
    let elsewhere = topic.arn.replace("123456789012", "999999999999");
    assert_ne!(elsewhere, topic.arn);
    let AwsResource::SnsSubscription(found) = &mut world.thing(&key).present.resource else {
        unreachable!()
    };
    found.topic_arn = elsewhere;
    world.policies.changes = ChangePolicy::Automatic;
    world.run();
    assert!(world.aws.contains_key(&key), "{:#?}", world.log);
}

#[test]
fn whose_it_is_waits_for_what_aws_says_of_the_topic() {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    let topic = world.key(AwsKind::SnsTopic, "ship");
    let key = world.key(AwsKind::SnsSubscription, "|sms|");
    let failure = Failure::new(Class::Throttled, "ListTagsForResource: slow down");
    world.unknown.insert(topic.clone(), failure.clone());
    world.lately.insert(topic.clone(), LastSeen::default());
    world.lately.insert(key.clone(), LastSeen::default());
    let plan = world.run();
    assert_eq!(world.log, [""; 0]);
    let step = plan.steps.iter().find(|step| step.key == key).unwrap();
    assert_eq!(step.blocked_by, [Blocker::NotObserved(failure.clone())]);

    world.deleting = true;
    world.policies.deletion = DeletionPolicy::Delete;
    let plan = world.pass();
    let step = plan.steps.iter().find(|step| step.key == key).unwrap();
    assert_eq!(step.blocked_by[0], Blocker::Refused(failure));
    world.unknown.clear();
    world.run();
    assert!(!world.aws.contains_key(&key) && !world.aws.contains_key(&topic));
    assert!(
        world
            .log
            .contains(&format!("delete SnsSubscription/{}", key.name))
    );
}

/// Everything that is told of a plan: in the status, in conditions and in events.
fn told(world: &World, plan: &Plan) -> String {
    let observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    let mut told = format!(
        "{:?} {:?} {:?}",
        inventory::to_status(&world.inventory, &Plan::default(), &observed, &[]),
        decisions::to_status(plan, &world.wanted.owner),
        report::of_plan(plan, &blueprint, &observed, world.deleting)
    );
    for step in &plan.steps {
        told.push_str(&format!(
            "{} {} {:?}",
            report::describe(step),
            report::change(step),
            step.changes
        ));
    }
    told
}

#[test]
fn nobody_is_named() {
    let people = ["+15551234567", "jane.doe@octank.example", "hook-secret"];
    let mut object = read("octank", "orders");
    object["spec"]["notifications"]["topics"][0]["subscribers"] = json!([
        {"type": "SMS", "sms": people[0]},
        {"type": "Email", "email": people[1]},
        {"type": "HTTPS", "https": "https://shop.example/hook-secret"},
    ]);
    for policy in [ChangePolicy::Automatic, ChangePolicy::ApproveAll] {
        let mut world = World::new(want("octank", &object));
        world.policies.changes = policy;
        let mut all = String::new();
        for stage in 0..3 {
            match stage {
                // What is asked for changes; then everything goes.
                1 => {
                    let mut other = object.clone();
                    other["spec"]["notifications"]["topics"][0]["subscribers"][0]["filterPolicy"] =
                        json!({"size": ["large"]});
                    other["spec"]["notifications"]["topics"][0]["subscribers"]
                        .as_array_mut()
                        .unwrap()
                        .remove(2);
                    world.wanted = want("octank", &other);
                }
                2 => world.deleting = true,
                _ => {}
            }
            for _ in 0..40 {
                let plan = world.plan();
                all.push_str(&told(&world, &plan));
                world.approved = plan.approval_hash();
                world.pass();
                world.tick();
            }
        }
        assert!(all.contains("|sms|+1555•••67 #"), "it is not told at all");
        for person in people {
            assert!(!all.contains(person), "{person} is named");
        }
    }
}

#[test]
fn names_of_an_earlier_version_are_read() {
    let mut world = World::settled(want("octank", &read("octank", "orders")));
    let observed = world.observe();
    let mut items = inventory::to_status(&world.inventory, &Plan::default(), &observed, &[]);
    for item in &mut items {
        if let Some((start, _)) = item.name.split_once("|sms|") {
            item.name = format!("{start}|sms|+15550100");
        }
    }
    let status = Status {
        inventory: items,
        ..Status::default()
    };
    assert_eq!(inventory::from_status(&status), world.inventory);
    world.inventory = inventory::from_status(&status);
    assert!(world.plan().is_empty());
}
