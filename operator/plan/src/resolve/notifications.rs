//! Topics, subscriptions and queues.

use serde_json::{Value, json};
use shopkeeper_api::{
    Toggle, defaults,
    notifications::{DeliveryType, Notifications, Queue, Subscriber, SubscriberType, Topic},
};

use super::{Context, DataResource};
use crate::{
    aws::{AwsKind, RedrivePolicy, SnsSubscription, SnsTopic, SqsQueue, SubscriptionProtocol},
    blueprint::{Remark, Section},
    failure::Failure,
    resource::ResourceKey,
};

/// Longest name of a queue; topics take 256.
const LONGEST_NAME: usize = 80;

/// Everything that is declared under `notifications`.
pub(super) fn notifications(
    context: Context<'_>,
    declared: &Notifications,
) -> Result<Vec<DataResource>, Failure> {
    let mut resources = Vec::new();
    for queue in &declared.queues {
        queue_with_dead_letters(context, queue, declared, &mut resources);
    }
    for topic in &declared.topics {
        topic_with_subscriptions(context, topic, declared, &mut resources)?;
    }
    Ok(resources)
}

fn is_fifo(declared: Option<DeliveryType>) -> bool {
    declared == Some(DeliveryType::FIFO)
}

fn name(context: Context<'_>, role: &str, fifo: bool) -> String {
    if fifo {
        format!("{}.fifo", context.name(role, LONGEST_NAME - 5))
    } else {
        context.name(role, LONGEST_NAME)
    }
}

fn queue_name(context: Context<'_>, queue: &Queue) -> String {
    name(context, &queue.name, is_fifo(queue.type_))
}

fn topic_arn(context: Context<'_>, topic: &Topic) -> String {
    context
        .platform
        .arn("sns", &name(context, &topic.name, is_fifo(topic.type_)))
}

/// What the role of the queue for dead letters has behind that of its queue or topic.
pub(crate) const DEAD_LETTERS: &str = ".dead";

fn queue_with_dead_letters(
    context: Context<'_>,
    declared: &Queue,
    all: &Notifications,
    resources: &mut Vec<DataResource>,
) {
    let fifo = is_fifo(declared.type_);
    let dead_letter_name = name(context, &format!("{}-dead", declared.name), fifo);
    let queue = |name: String, role: String| {
        (
            SqsQueue {
                name,
                fifo,
                content_based_deduplication: fifo,
                visibility_timeout_seconds: declared
                    .visibility_timeout_seconds
                    .unwrap_or(defaults::VISIBILITY_TIMEOUT_SECONDS),
                retention_seconds: declared
                    .retention_seconds
                    .unwrap_or(defaults::QUEUE_RETENTION_SECONDS),
                delay_seconds: declared.delay_seconds.unwrap_or(0),
                receive_wait_seconds: declared
                    .receive_wait_seconds
                    .unwrap_or(defaults::RECEIVE_WAIT_SECONDS),
                kms_key_arn: Some(context.platform.key_arn.clone()),
                redrive: None,
                policy: None,
                tags: context.tags(),
            },
            role,
        )
    };
    let (mut dead, dead_role) = queue(
        dead_letter_name.clone(),
        format!("queues.{}{DEAD_LETTERS}", declared.name),
    );
    dead.retention_seconds = declared
        .dead_letter_retention_seconds
        .unwrap_or(defaults::DEAD_LETTER_RETENTION_SECONDS);
    dead.delay_seconds = 0;
    let publishers: Vec<String> = all
        .topics
        .iter()
        .filter(|topic| {
            topic
                .subscribers
                .iter()
                .any(|subscriber| subscriber.queue.as_ref() == Some(&declared.name))
        })
        .map(|topic| topic_arn(context, topic))
        .collect();
    // SNS moves what it cannot deliver to the same dead letters, and needs leave to.
    dead.policy = (!publishers.is_empty()).then(|| send_policy(context, &dead.name, &publishers));
    let (mut main, role) = queue(
        queue_name(context, declared),
        format!("queues.{}", declared.name),
    );
    main.redrive = Some(RedrivePolicy {
        dead_letter_arn: context.platform.arn("sqs", &dead_letter_name),
        max_receives: declared.max_receives.unwrap_or(defaults::MAX_RECEIVES),
    });
    main.policy = (!publishers.is_empty()).then(|| send_policy(context, &main.name, &publishers));
    let remark = gone_on_arrival(&declared.name, &main, &dead);
    let dead = DataResource::hidden(dead_role, dead);
    let after = [dead.key()];
    resources.push(dead);
    let mut main = DataResource::bound("notifications", role.clone(), role, main).after(&after);
    main.remarks.extend(remark);
    resources.push(main);
}

/// Tells of dead letters that are kept for less time than the messages of their queue. SQS counts from when a message was sent, and only
/// in FIFO queues from when it became a dead letter: one that was tried for longer is gone when it arrives.
fn gone_on_arrival(name: &str, main: &SqsQueue, dead: &SqsQueue) -> Option<Remark> {
    let (of_queue, of_dead) = (main.retention_seconds, dead.retention_seconds);
    (!main.fifo && of_dead < of_queue).then(|| Remark {
        section: Section::Data,
        reason: "DeadLettersExpire",
        text: format!(
            "spec.notifications.queues[{name}].deadLetterRetentionSeconds is {of_dead} and retentionSeconds {of_queue}: SQS counts from when a \
             message was sent, so that one which is given up after {of_dead} seconds is gone at once; set it to {of_queue} or more"
        ),
    })
}

/// The queue for what SNS gives up on, where the topic has subscribers that keep nothing themselves. The name has an underscore, which no
/// name in a specification has: `buy-dead` are the dead letters of a queue `buy`.
fn dead_letters_of_topic(context: Context<'_>, declared: &Topic) -> Option<SqsQueue> {
    let is_needed = declared.dead_letters.is_none_or(Toggle::is_enabled)
        && declared
            .subscribers
            .iter()
            .any(|subscriber| subscriber.type_ != SubscriberType::Queue);
    if !is_needed {
        return None;
    }
    let fifo = is_fifo(declared.type_);
    let name = name(context, &format!("{}_dead", declared.name), fifo);
    Some(SqsQueue {
        policy: Some(send_policy(context, &name, &[topic_arn(context, declared)])),
        name,
        fifo,
        content_based_deduplication: fifo,
        visibility_timeout_seconds: defaults::VISIBILITY_TIMEOUT_SECONDS,
        retention_seconds: declared
            .dead_letter_retention_seconds
            .unwrap_or(defaults::DEAD_LETTER_RETENTION_SECONDS),
        delay_seconds: 0,
        receive_wait_seconds: defaults::RECEIVE_WAIT_SECONDS,
        kms_key_arn: Some(context.platform.key_arn.clone()),
        redrive: None,
        tags: context.tags(),
    })
}

/// Lets these topics, and nobody else's, send to the queue.
fn send_policy(context: Context<'_>, queue: &str, topics: &[String]) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "Topics",
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": context.platform.arn("sqs", queue),
            "Condition": {"ArnEquals": {"aws:SourceArn": topics}},
        }],
    })
}

fn topic_with_subscriptions(
    context: Context<'_>,
    declared: &Topic,
    all: &Notifications,
    resources: &mut Vec<DataResource>,
) -> Result<(), Failure> {
    let fifo = is_fifo(declared.type_);
    let arn = topic_arn(context, declared);
    let role = format!("topics.{}", declared.name);
    let topic = SnsTopic {
        arn: arn.clone(),
        name: name(context, &declared.name, fifo),
        display_name: declared.display_name.clone().unwrap_or_default(),
        fifo,
        content_based_deduplication: fifo,
        kms_key_arn: Some(context.platform.key_arn.clone()),
        policy: None,
        tags: context.tags(),
    };
    let topic = DataResource::bound("notifications", role.clone(), role.clone(), topic);
    let topic_key = topic.key();
    resources.push(topic);
    let dead = dead_letters_of_topic(context, declared)
        .map(|dead| DataResource::hidden(format!("{role}{DEAD_LETTERS}"), dead));
    resources.extend(dead.clone());
    for (index, subscriber) in declared.subscribers.iter().enumerate() {
        let field = format!(
            "spec.notifications.topics[{}].subscribers[{index}]",
            declared.name
        );
        let mut after = vec![topic_key.clone()];
        // A queue has dead letters of its own.
        let of_topic = |after: &mut Vec<ResourceKey>| {
            let dead = dead.as_ref()?;
            after.push(dead.key());
            Some(context.platform.arn("sqs", &dead.resource.name()))
        };
        let (protocol, endpoint, dead_letter_arn) = match subscriber.type_ {
            SubscriberType::Queue => {
                let queue = all
                    .queues
                    .iter()
                    .find(|queue| Some(&queue.name) == subscriber.queue.as_ref())
                    .ok_or_else(|| {
                        Failure::invalid(
                            &format!("{field}.queue"),
                            "names no queue",
                            "add it to spec.notifications.queues",
                        )
                    })?;
                let queue_name = queue_name(context, queue);
                after.push(ResourceKey::aws(AwsKind::SqsQueue, queue_name.clone()));
                let dead = context.platform.arn(
                    "sqs",
                    &name(
                        context,
                        &format!("{}-dead", queue.name),
                        is_fifo(queue.type_),
                    ),
                );
                (
                    SubscriptionProtocol::Sqs,
                    context.platform.arn("sqs", &queue_name),
                    Some(dead),
                )
            }
            SubscriberType::Email => (
                SubscriptionProtocol::Email,
                required(&field, "email", subscriber.email.as_ref())?,
                of_topic(&mut after),
            ),
            SubscriberType::SMS => (
                SubscriptionProtocol::Sms,
                required(&field, "sms", subscriber.sms.as_ref())?,
                of_topic(&mut after),
            ),
            SubscriberType::HTTPS => (
                SubscriptionProtocol::Https,
                required(&field, "https", subscriber.https.as_ref())?,
                of_topic(&mut after),
            ),
            SubscriberType::Push => (
                SubscriptionProtocol::Application,
                required(&field, "push", subscriber.push.as_ref())?,
                of_topic(&mut after),
            ),
        };
        let subscription = SnsSubscription {
            topic_arn: arn.clone(),
            protocol,
            endpoint,
            filter_policy: filter_policy(subscriber),
            raw_delivery: subscriber.raw.is_some_and(Toggle::is_enabled),
            dead_letter_arn,
            tags: crate::aws::Tags::new(),
        };
        resources.push(
            DataResource::hidden(format!("{role}.subscribers.{index}"), subscription).after(&after),
        );
    }
    Ok(())
}

fn required(field: &str, member: &str, value: Option<&String>) -> Result<String, Failure> {
    value.cloned().ok_or_else(|| {
        Failure::invalid(
            &format!("{field}.{member}"),
            "is missing",
            "set it, or choose another type",
        )
    })
}

fn filter_policy(subscriber: &Subscriber) -> Option<Value> {
    (!subscriber.filter_policy.is_empty()).then(|| json!(subscriber.filter_policy))
}
