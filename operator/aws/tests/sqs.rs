//! SQS queues against the double.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod double;

use double::{ACCOUNT_ID, Double, REGION, change, converge, look, owner_tags, remove};
use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{AwsKind, RedrivePolicy, SqsQueue},
    plan::DeleteMode,
};

fn queue(name: &str) -> SqsQueue {
    SqsQueue {
        name: name.into(),
        fifo: name.ends_with(".fifo"),
        content_based_deduplication: false,
        visibility_timeout_seconds: 30,
        retention_seconds: 345_600,
        delay_seconds: 0,
        receive_wait_seconds: 0,
        kms_key_arn: None,
        redrive: None,
        policy: None,
        tags: owner_tags(),
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}")
}

fn policy(name: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "topic", "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn(name),
    }]})
}

#[tokio::test]
async fn a_queue_is_made_changed_and_removed() {
    let double = Double::start();
    let account = double.account();
    let dead = converge(&double, &account, queue("orders-dead")).await;
    assert_eq!(dead.outputs.plain("arn"), Some(arn("orders-dead").as_str()));

    let mut orders = queue("orders");
    let present = converge(&double, &account, orders.clone()).await;
    assert_eq!(
        double
            .writes()
            .iter()
            .filter(|write| *write != "CreateQueue")
            .count(),
        0,
        "CreateQueue takes everything"
    );
    assert!(
        present
            .outputs
            .plain("queueUrl")
            .unwrap()
            .ends_with("/orders")
    );
    assert_eq!(present.empty, Some(true));

    change(&double, &account, &mut orders, |queue| {
        queue.visibility_timeout_seconds = 45
    })
    .await;
    change(&double, &account, &mut orders, |queue| {
        queue.retention_seconds = 86_400
    })
    .await;
    change(&double, &account, &mut orders, |queue| {
        queue.delay_seconds = 5
    })
    .await;
    change(&double, &account, &mut orders, |queue| {
        queue.receive_wait_seconds = 20
    })
    .await;
    change(&double, &account, &mut orders, |queue| {
        queue.kms_key_arn = Some("alias/aws/sqs".into())
    })
    .await;
    change(&double, &account, &mut orders, |queue| {
        queue.policy = Some(policy("orders"))
    })
    .await;
    change(&double, &account, &mut orders, |queue| queue.policy = None).await;
    change(&double, &account, &mut orders, |queue| {
        queue.policy = Some(policy("orders"))
    })
    .await;
    change(&double, &account, &mut orders, |queue| {
        queue.redrive = Some(RedrivePolicy {
            dead_letter_arn: arn("orders-dead"),
            max_receives: 5,
        });
    })
    .await;
    change(&double, &account, &mut orders, |queue| queue.redrive = None).await;
    change(&double, &account, &mut orders, |queue| {
        queue.tags.insert("team".into(), "shop".into());
    })
    .await;

    double.forget_calls();
    change(&double, &account, &mut orders, |queue| {
        queue.visibility_timeout_seconds = 60;
        queue.delay_seconds = 0;
        queue.retention_seconds = 3600;
    })
    .await;
    assert_eq!(
        double.writes(),
        ["SetQueueAttributes"],
        "one call takes all"
    );

    remove(&double, &account, orders, DeleteMode::Snapshot).await;
    remove(
        &double,
        &account,
        queue("orders-dead"),
        DeleteMode::Everything,
    )
    .await;
}

#[tokio::test]
async fn a_queue_in_order_keeps_its_type() {
    let double = Double::start();
    let account = double.account();
    let mut orders = queue("orders.fifo");
    orders.content_based_deduplication = true;
    converge(&double, &account, orders.clone()).await;
    change(&double, &account, &mut orders, |queue| {
        queue.content_based_deduplication = false
    })
    .await;
    remove(&double, &account, orders, DeleteMode::Everything).await;
}

#[tokio::test]
async fn a_queue_with_a_message_is_not_empty() {
    let double = Double::start();
    let account = double.account();
    let present = converge(&double, &account, queue("orders")).await;
    let client = aws_sdk_sqs::Client::new(&double.configuration());
    client
        .send_message()
        .queue_url(present.id.unwrap())
        .message_body("order 1")
        .send()
        .await
        .unwrap();
    assert_eq!(
        look(&account, AwsKind::SqsQueue, "orders")
            .await
            .unwrap()
            .empty,
        Some(false)
    );
    remove(&double, &account, queue("orders"), DeleteMode::Everything).await;
}
