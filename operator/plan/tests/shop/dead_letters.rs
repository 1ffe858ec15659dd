//! What SNS gives up delivering: the dead letters of a topic, beside those of queues.

use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, SnsSubscription, SqsQueue},
    plan::{Action, Blocker, Effect, Operation},
    planner::DeletionPolicy,
    resource::ResourceKey,
};

use crate::{
    fixture::{read, want},
    world::World,
};

const LETTERS: &str = "arn:aws:sqs:eu-west-1:123456789012:octank-shop-orders-";

fn queue(world: &World, name: &str) -> Option<SqsQueue> {
    let key = ResourceKey::aws(AwsKind::SqsQueue, format!("octank-shop-orders-{name}"));
    match &world.aws.get(&key)?.present.resource {
        AwsResource::SqsQueue(queue) => Some(queue.clone()),
        _ => None,
    }
}

fn subscription(world: &World, part: &str) -> SnsSubscription {
    let key = world.key(AwsKind::SnsSubscription, part);
    match &world.aws[&key].present.resource {
        AwsResource::SnsSubscription(subscription) => subscription.clone(),
        _ => unreachable!(),
    }
}

/// The orders with these members in the topic `ship`, which an SMS is sent for.
fn orders(members: &[(&str, Value)]) -> Value {
    let mut object = read("octank", "orders");
    for (member, value) in members {
        object["spec"]["notifications"]["topics"][2][*member] = value.clone();
    }
    object
}

fn settled(members: &[(&str, Value)]) -> World {
    World::settled(want("octank", &orders(members)))
}

/// Sets whether the dead letters of `ship` are empty.
fn fill(world: &mut World, empty: bool) -> ResourceKey {
    let key = world.key(AwsKind::SqsQueue, "ship_dead");
    world.thing(&key).present.empty = Some(empty);
    key
}

#[test]
fn nothing_that_cannot_be_delivered_is_lost() {
    let world = settled(&[]);
    let sms = subscription(&world, "|sms|");
    assert_eq!(sms.dead_letter_arn, Some(format!("{LETTERS}ship_dead")));
    let dead = queue(&world, "ship_dead").unwrap();
    assert_eq!(dead.retention_seconds, 1_209_600);
    let bought = queue(&world, "buy_dead").unwrap();
    assert_eq!(dead.kms_key_arn, bought.kms_key_arn);
    assert!(dead.kms_key_arn.is_some() && !dead.fifo && dead.redrive.is_none());
    // SNS sends for the topic alone.
    let statements = dead.policy.unwrap()["Statement"].take();
    assert_eq!(statements.as_array().unwrap().len(), 1);
    let statement = &statements[0];
    assert_eq!(
        statement["Principal"],
        json!({"Service": "sns.amazonaws.com"})
    );
    assert_eq!(statement["Action"], "sqs:SendMessage");
    assert_eq!(statement["Resource"], format!("{LETTERS}ship_dead"));
    assert_eq!(
        statement["Condition"]["ArnEquals"]["aws:SourceArn"],
        json!(["arn:aws:sns:eu-west-1:123456789012:octank-shop-orders-ship"])
    );
    // A queue keeps what does not reach it itself, and a topic that nobody hears loses nothing.
    let to_queue = subscription(&world, "|sqs|").dead_letter_arn.unwrap();
    assert!(to_queue.starts_with(&format!("{LETTERS}fulfilment-dead")));
    assert_eq!(queue(&world, "sell_dead"), None);
}

#[test]
fn a_topic_that_only_queues_hear_needs_no_dead_letters_of_its_own() {
    let hears = json!([{"type": "Queue", "queue": "fulfilment"}]);
    let world = settled(&[("subscribers", hears)]);
    assert_eq!(queue(&world, "ship_dead"), None);
    let world = settled(&[("deadLetterRetentionSeconds", json!(600))]);
    assert_eq!(queue(&world, "ship_dead").unwrap().retention_seconds, 600);
}

#[test]
fn the_dead_letters_of_a_topic_meet_no_queue_whatever_that_is_called() {
    for name in ["ship", "ship-dead", "dead"] {
        let mut object = orders(&[]);
        let queues = &mut object["spec"]["notifications"]["queues"];
        queues.as_array_mut().unwrap().push(json!({"name": name}));
        assert!(
            World::new(want("octank", &object)).run().is_empty(),
            "{name}"
        );
    }
    // Names have room in SQS, and stay apart, however long they are.
    let mut object = orders(&[("name", json!("s".repeat(40)))]);
    object["metadata"]["name"] = json!("o".repeat(40));
    object["spec"]["notifications"]["queues"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "s".repeat(40)}));
    let world = World::settled(want("octank", &object));
    let queues = world.aws.keys().filter(|key| key.kind.id() == "SqsQueue");
    let names: Vec<&String> = queues.map(|key| &key.name).collect();
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(names.iter().all(|name| name.len() <= 80), "{names:?}");
}

#[test]
fn a_subscription_is_made_after_the_queue_that_takes_what_it_loses() {
    let mut world = World::new(want("octank", &orders(&[])));
    world.run();
    let sms = world.key(AwsKind::SnsSubscription, "|sms|").name;
    let made = world.at("create SqsQueue/octank-shop-orders-ship_dead");
    assert!(made < world.at(&format!("create SnsSubscription/{sms}")));
}

#[test]
fn a_redrive_policy_that_somebody_changed_is_drift() {
    for found in [None, Some(format!("{LETTERS}other"))] {
        let mut world = settled(&[]);
        let key = world.key(AwsKind::SnsSubscription, "|sms|");
        let AwsResource::SnsSubscription(sms) = &mut world.thing(&key).present.resource else {
            unreachable!()
        };
        sms.dead_letter_arn = found;
        let plan = world.plan();
        let [step] = plan.steps.as_slice() else {
            panic!("{plan:#?}")
        };
        assert!(step.is_repair && step.is_free(), "{step:#?}");
        assert!(world.run().is_empty());
        let sms = subscription(&world, "|sms|");
        assert_eq!(sms.dead_letter_arn, Some(format!("{LETTERS}ship_dead")));
    }
}

/// That a topic has its dead letters no more: `members` of the topic `ship` are changed.
fn without_dead_letters(members: &[(&str, Value)], empty: bool) -> World {
    let mut world = settled(&[]);
    fill(&mut world, empty);
    world.wanted = want("octank", &orders(members));
    world
}

#[test]
fn who_does_not_want_them_has_none() {
    let off = [("deadLetters", json!("Disabled"))];
    assert_eq!(queue(&settled(&off), "ship_dead"), None);
    assert_eq!(subscription(&settled(&off), "|sms|").dead_letter_arn, None);
    let nobody = [("subscribers", json!([]))];
    for (members, before) in [
        (&off, "update SnsSubscription"),
        (&nobody, "save and delete SnsSubscription"),
    ] {
        // Empty, it goes without being asked for: nobody uses it, and the subscription does not lead to it any more.
        let mut world = without_dead_letters(members, true);
        assert!(world.run().is_empty());
        assert!(
            world.at(before) < world.at("save and delete SqsQueue/octank-shop-orders-ship_dead")
        );
        // With letters in it it stays in AWS.
        let mut world = without_dead_letters(members, false);
        assert!(world.run().is_empty());
        world.at("forget SqsQueue/octank-shop-orders-ship_dead");
        assert!(queue(&world, "ship_dead").is_some());
    }
    // Under Delete the letters go with it, and with leave alone.
    for empty in [true, false] {
        let mut world = without_dead_letters(&off, empty);
        world.policies.deletion = DeletionPolicy::Delete;
        let plan = world.run();
        let [step] = plan.steps.as_slice() else {
            panic!("{plan:#?}")
        };
        assert_eq!(
            (step.effect, step.blocked_by.as_slice()),
            (Effect::DataLoss, [Blocker::Approval].as_slice())
        );
        assert!(world.run_approving().is_empty());
        assert_eq!(queue(&world, "ship_dead"), None);
    }
}

#[test]
fn letters_outlive_the_custom_resource_and_the_topic_goes_first() {
    for (policy, empty, kept) in [
        (DeletionPolicy::Snapshot, true, false),
        (DeletionPolicy::Snapshot, false, true),
        (DeletionPolicy::Retain, true, true),
        (DeletionPolicy::Delete, false, false),
    ] {
        let mut world = settled(&[]);
        let dead = fill(&mut world, empty);
        world.policies.deletion = policy;
        world.deleting = true;
        let last = world.run();
        assert_eq!(world.aws.contains_key(&dead), kept, "{policy:?} {empty}");
        let told = last.steps.iter().any(|step| {
            step.key == dead
                && step.action == Action::Retain
                && matches!(step.operation, Operation::Forget)
        });
        assert_eq!(told, kept, "{policy:?} {empty}: {last:#?}");
        if !kept {
            let gone = |kind: &str| {
                let mut lines = world.log.iter();
                lines.position(|line| line.contains("delete ") && line.contains(kind))
            };
            assert!(gone("SnsTopic/octank-shop-orders-ship") < gone("ship_dead"));
        }
    }
}
