//! Subscriptions that wait for their owner's consent: SNS neither changes nor removes them.

use serde_json::json;
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource},
    names::{OWNER_TAG, OWNER_UID_TAG},
    planner::{ChangePolicy, DeletionPolicy},
    resource::ResourceKey,
};

use crate::{
    fixture::{read, want},
    world::World,
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

    // Somebody confirmed and then took the filter off.
    confirm(&mut world);
    assert!(world.run().is_empty());
    assert_eq!(world.log, [format!("update SnsSubscription/{}", key.name)]);
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
            !world.log.iter().any(|line| line.contains("|sms|")),
            "{deleting}: {:#?}",
            world.log
        );
        assert!(world.aws.contains_key(&key) && world.aws.contains_key(&topic));
    }
}
