//! SNS subscription.

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};
use crate::sensitive::fingerprint;

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

/// Stands for what is left out of a person's data.
const LEFT_OUT: &str = "•••";
/// Digits of the hash that tells two shortened endpoints apart: 32 bits.
const DIGITS: usize = 8;

/// The name of a subscription in its parts: topic, protocol and endpoint, as [`AwsSpecification::name`] writes it or with the
/// endpoint in full, as it was written before. An endpoint may have a bar in it, the others not.
#[must_use]
pub fn parse_name(name: &str) -> Option<(&str, SubscriptionProtocol, &str)> {
    let mut parts = name.splitn(3, '|');
    Some((
        parts.next()?,
        SubscriptionProtocol::parse(parts.next()?)?,
        parts.next()?,
    ))
}

/// The name of a subscription as it is written today, where an earlier version wrote the endpoint in full.
#[must_use]
pub fn shortened_name(name: &str) -> String {
    match parse_name(name) {
        // No endpoint has a space in it.
        Some((topic, protocol, endpoint)) if !endpoint.contains(" #") => format!(
            "{topic}|{}|{}",
            protocol.as_str(),
            shown(topic, protocol, endpoint)
        ),
        _ => name.to_owned(),
    }
}

/// An endpoint for names. Telephone numbers, addresses, and what a URL may have of passwords and tokens are left out; the hash is
/// enough to tell two of a topic apart, and no secret: whoever tries every number finds the one.
fn shown(topic: &str, protocol: SubscriptionProtocol, endpoint: &str) -> String {
    let first = |count: usize| endpoint.chars().take(count).collect::<String>();
    let kept = match protocol {
        SubscriptionProtocol::Sqs | SubscriptionProtocol::Application => {
            return endpoint.to_owned();
        }
        SubscriptionProtocol::Sms => {
            // Of a short number hardly anything may be shown, or the rest were guessed.
            let length = endpoint.chars().count();
            let hidden_and_last = 7;
            if length <= hidden_and_last + 1 {
                format!("{}{LEFT_OUT}", first(2))
            } else {
                let last: String = endpoint.chars().skip(length - 2).collect();
                format!(
                    "{}{LEFT_OUT}{last}",
                    first((length - hidden_and_last).min(5))
                )
            }
        }
        SubscriptionProtocol::Email => {
            let domain = endpoint.rsplit_once('@').map_or("", |(_, domain)| domain);
            format!("{}{LEFT_OUT}@{domain}", first(1))
        }
        SubscriptionProtocol::Https => {
            let rest = endpoint
                .split_once("://")
                .map_or(endpoint, |(_, rest)| rest);
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let host = authority
                .rsplit_once('@')
                .map_or(authority, |(_, host)| host);
            format!("https://{host}/{LEFT_OUT}")
        }
    };
    let whole = format!("{topic}|{}|{endpoint}", protocol.as_str());
    format!("{kept} #{}", &fingerprint(whole.as_bytes())[..DIGITS])
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

    /// `topic|protocol|endpoint`: the subscription's own ARN is chosen by SNS, and is not there before confirmation. Where the
    /// endpoint is a person's, it is shortened: names stand in inventories, events and logs.
    fn name(&self) -> String {
        format!(
            "{}|{}|{}",
            self.topic_arn,
            self.protocol.as_str(),
            shown(&self.topic_arn, self.protocol, &self.endpoint)
        )
    }
    tagged!();
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:ship";

    fn end(protocol: &str, endpoint: &str) -> String {
        let name = shortened_name(&format!("{TOPIC}|{protocol}|{endpoint}"));
        let (kept, hash) = name.rsplit_once(" #").expect("it is shortened");
        assert_eq!(hash.len(), DIGITS);
        kept.rsplit_once('|').unwrap().1.to_owned()
    }

    #[test]
    fn what_is_a_persons_is_left_out() {
        assert_eq!(end("sms", "+15551234500"), "+1555•••00");
        assert_eq!(end("sms", "+15550100"), "+1•••00");
        assert_eq!(end("sms", "+112"), "+1•••");
        assert_eq!(
            end("email", "jane.doe@octank.example"),
            "j•••@octank.example"
        );
        assert_eq!(
            end(
                "https",
                "https://user:secret@shop.example:8443/hook?token=1|2"
            ),
            "https://shop.example:8443/•••"
        );
    }

    #[test]
    fn what_is_no_persons_is_shown() {
        let name = format!("{TOPIC}|sqs|arn:aws:sqs:eu-west-1:123456789012:fulfilment");
        assert_eq!(shortened_name(&name), name);
    }

    #[test]
    fn two_of_a_topic_are_told_apart_and_one_stays_what_it_is() {
        let of = |endpoint: &str| shortened_name(&format!("{TOPIC}|sms|{endpoint}"));
        assert_ne!(of("+15551234500"), of("+15559876500"));
        assert_eq!(of("+15551234500"), of("+15551234500"));
        assert_eq!(shortened_name(&of("+15551234500")), of("+15551234500"));
        let subscription = SnsSubscription {
            topic_arn: TOPIC.into(),
            protocol: SubscriptionProtocol::Sms,
            endpoint: "+15551234500".into(),
            filter_policy: None,
            raw_delivery: false,
            dead_letter_arn: None,
            tags: Tags::new(),
        };
        assert_eq!(subscription.name(), of("+15551234500"));
    }
}
