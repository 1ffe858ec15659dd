//! SNS topics and subscriptions against the double.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod double;

use std::collections::BTreeSet;

use double::{
    ACCOUNT_ID, Double, REGION, change, converge, differing, look, owner_tags, remove, scope, token,
};
use serde_json::{Value, json};
use shopkeeper_aws::{Account, Age, Observer};
use shopkeeper_plan::{
    aws::{
        AwsKind, AwsResource, AwsSpecification as _, SnsSubscription, SnsTopic,
        SubscriptionProtocol, Tags,
    },
    failure::Class,
    observed::{Lifecycle, Observation},
    plan::DeleteMode,
    resource::ResourceKey,
};

fn topic(name: &str) -> SnsTopic {
    SnsTopic {
        arn: format!("arn:aws:sns:{REGION}:{ACCOUNT_ID}:{name}"),
        name: name.into(),
        display_name: String::new(),
        fifo: name.ends_with(".fifo"),
        content_based_deduplication: false,
        kms_key_arn: None,
        policy: None,
        tags: owner_tags(),
    }
}

fn policy(name: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "publish", "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish",
        "Resource": format!("arn:aws:sns:{REGION}:{ACCOUNT_ID}:{name}"),
    }]})
}

fn subscription(protocol: SubscriptionProtocol, endpoint: &str) -> SnsSubscription {
    SnsSubscription {
        topic_arn: topic("buy").arn,
        protocol,
        endpoint: endpoint.into(),
        filter_policy: None,
        raw_delivery: false,
        dead_letter_arn: None,
        tags: Tags::new(),
    }
}

#[tokio::test]
async fn a_topic_is_made_changed_and_removed() {
    let double = Double::start();
    let account = double.account();
    let mut buy = topic("buy");
    let present = converge(&double, &account, buy.clone()).await;
    assert_eq!(double.writes(), ["CreateTopic"]);
    assert_eq!(present.outputs.plain("topicArn"), Some(buy.arn.as_str()));

    change(&double, &account, &mut buy, |topic| {
        topic.display_name = "Octank".into()
    })
    .await;
    change(&double, &account, &mut buy, |topic| {
        topic.display_name = String::new()
    })
    .await;
    change(&double, &account, &mut buy, |topic| {
        topic.kms_key_arn = Some("alias/aws/sns".into())
    })
    .await;
    change(&double, &account, &mut buy, |topic| {
        topic.policy = Some(policy("buy"))
    })
    .await;
    change(&double, &account, &mut buy, |topic| topic.policy = None).await;
    change(&double, &account, &mut buy, |topic| {
        topic.tags.insert("team".into(), "shop".into());
    })
    .await;
    remove(&double, &account, buy, DeleteMode::Snapshot).await;

    let mut ordered = topic("buy.fifo");
    ordered.content_based_deduplication = true;
    converge(&double, &account, ordered.clone()).await;
    change(&double, &account, &mut ordered, |topic| {
        topic.content_based_deduplication = false
    })
    .await;
    remove(&double, &account, ordered, DeleteMode::Everything).await;
}

#[tokio::test]
async fn a_topic_of_others_is_a_conflict_and_not_taken() {
    let double = Double::start();
    let account = double.account();
    let client = aws_sdk_sns::Client::new(&double.configuration());
    let tag = aws_sdk_sns::types::Tag::builder()
        .key("team")
        .value("others")
        .build()
        .unwrap();
    client
        .create_topic()
        .name("buy")
        .tags(tag)
        .send()
        .await
        .unwrap();
    let buy = AwsResource::from(topic("buy"));
    let failure = account.create(&buy).await.unwrap_err();
    assert_eq!(failure.class, Class::Conflict, "{failure:?}");
}

async fn queue(double: &Double, name: &str) -> String {
    aws_sdk_sqs::Client::new(&double.configuration())
        .create_queue()
        .queue_name(name)
        .send()
        .await
        .unwrap();
    format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}")
}

#[tokio::test]
async fn a_subscription_is_made_changed_and_removed() {
    let double = Double::start();
    let account = double.account();
    converge(&double, &account, topic("buy")).await;
    let orders = queue(&double, "orders").await;
    let dead = queue(&double, "orders-dead").await;

    let mut subscribed = subscription(SubscriptionProtocol::Sqs, &orders);
    subscribed.filter_policy = Some(json!({"event": ["buy"]}));
    double.forget_calls();
    converge(&double, &account, subscribed.clone()).await;
    assert_eq!(double.writes(), ["Subscribe"]);

    change(&double, &account, &mut subscribed, |subscription| {
        subscription.filter_policy = Some(json!({"event": ["buy", "return"]}))
    })
    .await;
    change(&double, &account, &mut subscribed, |subscription| {
        subscription.filter_policy = None
    })
    .await;
    change(&double, &account, &mut subscribed, |subscription| {
        subscription.raw_delivery = true
    })
    .await;
    change(&double, &account, &mut subscribed, |subscription| {
        subscription.raw_delivery = false
    })
    .await;
    change(&double, &account, &mut subscribed, |subscription| {
        subscription.dead_letter_arn = Some(dead)
    })
    .await;
    change(&double, &account, &mut subscribed, |subscription| {
        subscription.dead_letter_arn = None
    })
    .await;
    remove(&double, &account, subscribed.clone(), DeleteMode::Snapshot).await;

    converge(&double, &account, subscribed.clone()).await;
    remove(&double, &account, topic("buy"), DeleteMode::Everything).await;
    assert!(
        absent(&account, &subscribed).await,
        "a subscription does not outlive its topic"
    );
}

async fn absent(account: &Account, subscription: &SnsSubscription) -> bool {
    look(account, AwsKind::SnsSubscription, &subscription.name())
        .await
        .is_none()
}

#[tokio::test]
async fn a_subscription_that_nobody_confirmed_is_left_alone() {
    let double = Double::start();
    let account = double.account();
    converge(&double, &account, topic("buy")).await;
    let mail = subscription(SubscriptionProtocol::Email, "owner@shop.example");
    let present = converge(&double, &account, mail.clone()).await;
    assert_eq!(present.lifecycle, Lifecycle::Available);
    assert_eq!(present.arn, None);
    assert_eq!(
        present.note.as_ref().map(ToString::to_string).as_deref(),
        Some("waits for confirmation by its owner")
    );

    let filtered = AwsResource::from(SnsSubscription {
        filter_policy: Some(json!({"event": ["buy"]})),
        ..mail
    });
    double.forget_calls();
    let failure = account
        .update(&filtered, &present, &differing(&filtered, &present))
        .await
        .unwrap_err();
    assert_eq!(failure.class, Class::NotReady);
    account
        .delete(&present, DeleteMode::Everything, &token(&filtered))
        .await
        .unwrap();
    assert_eq!(
        double.writes(),
        Vec::<String>::new(),
        "no mail is sent again"
    );
}

/// How often an operation was asked for by this caller since a position.
fn asked_for(double: &Double, position: u64, operation: &str) -> usize {
    let calls = double.calls_since(position, "shop");
    calls.iter().filter(|call| *call == operation).count()
}

#[tokio::test]
async fn one_listing_of_a_topic_serves_all_of_its_subscriptions_also_once_it_is_gone() {
    const LISTING: &str = "ListSubscriptionsByTopic";
    let double = Double::start();
    let account = double.account_of("shop");
    converge(&double, &account, topic("buy")).await;
    let mut keys = BTreeSet::new();
    for number in 0..24 {
        let subscribed = subscription(SubscriptionProtocol::Sms, &format!("+3110000{number:04}"));
        account.create(&subscribed.clone().into()).await.unwrap();
        keys.insert(ResourceKey::aws(
            AwsKind::SnsSubscription,
            subscribed.name(),
        ));
    }
    let observer = Observer::new(account.clone());
    let count = async |age: Age| {
        let seen = observer.observe(&keys, &scope(), age).await;
        let of = |wanted: fn(&Observation) -> bool| seen.values().filter(|it| wanted(it)).count();
        (
            of(|seen| matches!(seen, Observation::Present(_))),
            of(|seen| matches!(seen, Observation::Absent)),
        )
    };
    let mark = double.position();
    let look = Age::now();
    assert_eq!(count(look).await, (24, 0));
    assert_eq!(asked_for(&double, mark, LISTING), 1);
    // What was changed is asked for anew in a look that goes on, by one call for all that were.
    for key in keys.iter().take(2) {
        observer.forget(key);
    }
    assert_eq!(count(look).await, (24, 0));
    assert_eq!(asked_for(&double, mark, LISTING), 2);

    let client = aws_sdk_sns::Client::new(&double.configuration());
    let gone = client.delete_topic().topic_arn(topic("buy").arn);
    gone.send().await.unwrap();
    let mark = double.position();
    assert_eq!(count(Age::now()).await, (0, 24));
    assert_eq!(asked_for(&double, mark, LISTING), 1);
}

#[tokio::test]
async fn a_subscription_is_found_behind_a_page_of_others() {
    let double = Double::start();
    let account = double.account();
    converge(&double, &account, topic("buy")).await;
    let client = aws_sdk_sns::Client::new(&double.configuration());
    for number in 0..101 {
        let endpoint = format!("+3110000{number:04}");
        client
            .subscribe()
            .topic_arn(topic("buy").arn)
            .protocol("sms")
            .endpoint(endpoint)
            .send()
            .await
            .unwrap();
    }
    for number in [0, 100] {
        let wanted = subscription(SubscriptionProtocol::Sms, &format!("+3110000{number:04}"));
        assert!(!absent(&account, &wanted).await, "{number}");
    }
    assert!(
        absent(
            &account,
            &subscription(SubscriptionProtocol::Sms, "+31109999999")
        )
        .await
    );
}
