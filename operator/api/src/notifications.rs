//! SNS topics and SQS queues.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Toggle, pattern, schema};

/// SNS topics, who hears of them, and the SQS queues of this service. All are encrypted with the Platform's key. What cannot be delivered
/// to a subscriber, and what was received too often from a queue, is kept in dead-letter queues.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.topics) || self.topics.all(t, !has(t.subscribers) || t.subscribers.all(s, !has(s.queue) || (has(self.queues) && self.queues.exists(q, q.name == s.queue))))")
        .message("subscribers[].queue must name a member of queues: add the queue or correct the name"),
    validation = Rule::new("!has(self.topics) || !has(self.queues) || self.topics.all(t, (has(t.type) && t.type == 'FIFO') || !has(t.subscribers) || t.subscribers.all(s, !has(s.queue) || self.queues.all(q, q.name != s.queue || !has(q.type) || q.type != 'FIFO')))")
        .message("a FIFO queue can only hear a FIFO topic: set the topic's type to FIFO or the queue's to Standard"),
    validation = Rule::new("!has(self.topics) || self.topics.map(t, has(t.subscribers) ? t.subscribers.size() : 0).sum() <= 256")
        .message("all topics together may have 256 subscribers, so that the status has room for them and for those that replace them: let one queue or HTTPS server stand for several, or declare some topics in another OrderService")
)]
pub struct Notifications {
    /// Topics that the service publishes to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub topics: Vec<Topic>,
    /// Queues that the service reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub queues: Vec<Queue>,
}

/// `Standard` delivers at least once and in any order, `FIFO` once and in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum DeliveryType {
    /// At least once, in any order.
    Standard,
    /// Once, in order.
    FIFO,
}

/// An SNS topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.type) ? self.type : 'Standard') == (has(oldSelf.type) ? oldSelf.type : 'Standard')")
        .message("type is immutable: add a topic under a new name"),
    validation = Rule::new("!has(self.type) || self.type != 'FIFO' || !has(self.subscribers) || self.subscribers.all(s, s.type == 'Queue')")
        .message("a FIFO topic delivers to queues only: set the topic's type to Standard, or its subscribers' type to Queue"),
    validation = Rule::new("!has(self.deadLetterRetentionSeconds) || !has(self.deadLetters) || self.deadLetters == 'Enabled'")
        .message("deadLetterRetentionSeconds is for a topic that has dead letters: set deadLetters to Enabled, or leave it out")
)]
pub struct Topic {
    /// Name of the topic within this custom resource. In AWS it is `<platform>-<namespace>-<name>-<topic>`, with a
    /// hash for its end where that is too long, and behind it where a part has a hyphen.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::LABEL))]
    pub name: String,
    /// `Standard` delivers at least once and in any order, `FIFO` once and in order, to queues only. Immutable. Default: Standard.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<DeliveryType>,
    /// Sender's name in SMS and email.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub display_name: Option<String>,
    /// Whether what SNS gives up delivering (an HTTPS server that is down for longer than it tries, a telephone that takes no message) is
    /// kept in a dead-letter queue of the topic, `<platform>-<namespace>-<name>-<topic>_dead`, instead of being dropped. There is one
    /// where the topic has subscribers other than queues: what does not reach a queue of this service goes to the dead letters of that
    /// queue, whatever this says. Default: Enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<Toggle>,
    /// How long a message is kept in the dead-letter queue of the topic, in seconds. Default: 1209600, fourteen days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 1_209_600))]
    pub dead_letter_retention_seconds: Option<i32>,
    /// Who hears of messages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub subscribers: Vec<Subscriber>,
}

/// Someone who hears of messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.queue) == (self.type == 'Queue')").message("queue must be set when type is Queue, and left out otherwise"),
    validation = Rule::new("has(self.email) == (self.type == 'Email')").message("email must be set when type is Email, and left out otherwise"),
    validation = Rule::new("has(self.sms) == (self.type == 'SMS')").message("sms must be set when type is SMS, and left out otherwise"),
    validation = Rule::new("has(self.https) == (self.type == 'HTTPS')").message("https must be set when type is HTTPS, and left out otherwise"),
    validation = Rule::new("has(self.push) == (self.type == 'Push')").message("push must be set when type is Push, and left out otherwise"),
    validation = Rule::new("!has(self.raw) || self.type in ['Queue', 'HTTPS']").message("raw is only known to subscribers of type Queue and HTTPS")
)]
pub struct Subscriber {
    /// How messages are delivered.
    #[serde(rename = "type")]
    pub type_: SubscriberType,
    /// Name of a member of `queues`, for type Queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::LABEL))]
    pub queue: Option<String>,
    /// Address, for type Email. The owner of the address must confirm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 254), regex(pattern = r"^[^@\s]+@[^@\s]+$"))]
    pub email: Option<String>,
    /// Telephone number in E.164 form, such as `+15550100`, for type SMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 5, max = 16), regex(pattern = r"^\+[1-9][0-9]{3,14}$"))]
    pub sms: Option<String>,
    /// URL, for type HTTPS. The server must confirm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 10, max = 1024), regex(pattern = "^https://"))]
    pub https: Option<String>,
    /// ARN of a platform endpoint for mobile push, for type Push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 20, max = 512),
        regex(pattern = "^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:endpoint/.+$")
    )]
    pub push: Option<String>,
    /// Message attributes and the values that let a message pass. The numbers of values of all attributes, multiplied, may be 150: 5
    /// values of one and 30 of another. Default: every message passes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::filter_policy")]
    pub filter_policy: BTreeMap<String, Vec<String>>,
    /// Delivers the message alone, without SNS's envelope. Default: Disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Toggle>,
}

/// How messages are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum SubscriberType {
    /// To a queue of this service.
    Queue,
    /// By email.
    Email,
    /// By text message.
    SMS,
    /// By HTTPS request.
    HTTPS,
    /// By mobile push.
    Push,
}

/// An SQS queue with a dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.type) ? self.type : 'Standard') == (has(oldSelf.type) ? oldSelf.type : 'Standard')")
        .message("type is immutable: add a queue under a new name")
)]
pub struct Queue {
    /// Name of the queue within this custom resource. In AWS it is `<platform>-<namespace>-<name>-<queue>`, with a
    /// hash for its end where that is too long, and behind it where a part has a hyphen.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::LABEL))]
    pub name: String,
    /// `Standard` delivers at least once and in any order, `FIFO` once and in order. Immutable. Default: Standard.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<DeliveryType>,
    /// How often a message is received before it goes to the dead-letter queue. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_receives: Option<i32>,
    /// How long a received message stays hidden from others, in seconds: longer than processing takes. Default: 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 43200))]
    pub visibility_timeout_seconds: Option<i32>,
    /// How long a message is kept, in seconds. Default: 345600, four days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 1_209_600))]
    pub retention_seconds: Option<i32>,
    /// How long a message is kept in the dead-letter queue, in seconds: as long as `retentionSeconds` or longer, since SQS counts from when it
    /// was sent (that of a FIFO queue from when it became a dead letter). Default: 1209600, fourteen days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 1_209_600))]
    pub dead_letter_retention_seconds: Option<i32>,
    /// How long a new message waits before it can be received, in seconds. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 900))]
    pub delay_seconds: Option<i32>,
    /// How long a receive waits for a message, in seconds; long polling costs less. Default: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 20))]
    pub receive_wait_seconds: Option<i32>,
}
