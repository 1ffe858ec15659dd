//! SNS subscription.

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};

/// How a subscriber is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubscriptionProtocol {
    /// An SQS queue, by ARN.
    Sqs,
    /// An address; SNS asks it for consent first.
    Email,
    /// A phone number in E.164.
    Sms,
    /// A URL; SNS asks it for consent first.
    Https,
    /// A mobile push endpoint, by ARN.
    Application,
}

impl SubscriptionProtocol {
    /// SNS's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Https => "https",
            Self::Application => "application",
        }
    }

    /// From SNS's spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Sqs,
            Self::Email,
            Self::Sms,
            Self::Https,
            Self::Application,
        ]
        .into_iter()
        .find(|protocol| protocol.as_str() == text)
    }

    /// Whether a person or a server has to confirm it before anything is delivered.
    #[must_use]
    pub const fn needs_confirmation(self) -> bool {
        matches!(self, Self::Email | Self::Https)
    }
}

/// A subscription. SNS allows one for a topic, protocol and endpoint, which is what it is found by, and gives it no tags:
/// it belongs to whom the topic belongs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnsSubscription {
    /// ARN of the topic.
    pub topic_arn: String,
    /// How it is reached.
    pub protocol: SubscriptionProtocol,
    /// Where it is reached.
    pub endpoint: String,
    /// Which messages it wants, as a filter policy; `None` for all.
    pub filter_policy: Option<serde_json::Value>,
    /// Whether the message comes without SNS's envelope.
    pub raw_delivery: bool,
    /// ARN of the queue for messages that could not be delivered.
    pub dead_letter_arn: Option<String>,
    /// Always empty: SNS has no tags for subscriptions.
    pub tags: Tags,
}

impl AwsSpecification for SnsSubscription {
    const KIND: AwsKind = AwsKind::SnsSubscription;
    const FIELDS: &'static [Field] = &[
        Field::harmless("filterPolicy").clearable(),
        Field::harmless("rawDelivery"),
        Field::harmless("deadLetterArn").clearable(),
    ];

    /// `topic|protocol|endpoint`: the subscription's own ARN is chosen by SNS, and is not there before confirmation.
    fn name(&self) -> String {
        format!(
            "{}|{}|{}",
            self.topic_arn,
            self.protocol.as_str(),
            self.endpoint
        )
    }
    tagged!();
}
