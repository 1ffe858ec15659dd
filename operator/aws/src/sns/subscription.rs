//! SNS subscriptions.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_sns::{Client, types::Subscription};
use serde_json::json;
use shopkeeper_plan::{
    aws::{AwsSpecification as _, SnsSubscription, Tags, sns_subscription::parse_name},
    failure::{Class, Failure},
    observed::Lifecycle,
    outputs::Outputs,
    plan::DeleteMode,
};

use crate::{
    account::{Account, Scope},
    error::{classify, is_code},
    parts::setting,
    request::{differs, document, nothing_to_change},
    resource::{DeletionToken, Found, ResourceApi},
};

/// Subscriptions. [`Found::arn`] is `None` until the endpoint has confirmed: SNS shows no ARN before, and without one a
/// subscription can neither be read nor changed nor removed; an unconfirmed one goes by itself after two days.
pub(crate) struct SubscriptionApi<'a>(pub(crate) &'a Account);

const MISSING: &[&str] = &["NotFound", "ResourceNotFound"];

/// What stands in the place of the ARN while the endpoint has not confirmed.
const PENDING: &str = "PendingConfirmation";

/// What stands there for a while after the end.
const DELETED: &str = "Deleted";

/// What a person should know of a subscription without confirmation.
const WAITS: &str = "waits for confirmation by its owner";

#[async_trait]
impl ResourceApi<SnsSubscription> for SubscriptionApi<'_> {
    async fn observe(
        &self,
        name: &str,
        _scope: &Scope,
    ) -> Result<Option<Found<SnsSubscription>>, Failure> {
        let Some((subscription, unattributed)) = self.find(name).await? else {
            return Ok(None);
        };
        let arn = subscription.subscription_arn.filter(|arn| arn != PENDING);
        let Some(arn) = arn else {
            return Ok(Some(Found {
                note: Some(WAITS.into()),
                ..Found::available(unattributed)
            }));
        };
        // One that was made anew has another ARN.
        let attributes = setting(
            format!("GetSubscriptionAttributes {arn}"),
            self.attributes(&arn),
        );
        let Some(attributes) = attributes.await? else {
            return Ok(None);
        };
        let text = |name: &str| attributes.get(name).filter(|text| !text.is_empty());
        let redrive = text("RedrivePolicy")
            .map(|text| document("GetSubscriptionAttributes", text))
            .transpose()?;
        let filter = text("FilterPolicy")
            .map(|text| document("GetSubscriptionAttributes", text))
            .transpose()?;
        let resource = SnsSubscription {
            // `{}` lets everything through, which is what no policy does.
            filter_policy: filter
                .filter(|policy| policy.as_object().is_none_or(|policy| !policy.is_empty())),
            raw_delivery: text("RawMessageDelivery").is_some_and(|value| value == "true"),
            dead_letter_arn: redrive
                .as_ref()
                .and_then(|policy| policy["deadLetterTargetArn"].as_str())
                .map(str::to_owned),
            ..unattributed
        };
        let outputs = Outputs::new()
            .with("arn", &arn)
            .with("topicArn", &resource.topic_arn);
        Ok(Some(Found {
            resource,
            lifecycle: Lifecycle::Available,
            arn: Some(arn),
            id: None,
            outputs,
            empty: None,
            note: None,
        }))
    }

    async fn create(&self, desired: &SnsSubscription) -> Result<(), Failure> {
        // Only what differs from SNS's defaults: some protocols refuse an attribute whatever its value.
        let attributes: HashMap<_, _> = settings(desired)
            .into_iter()
            .filter_map(|(_, name, value)| {
                Some((
                    name.to_owned(),
                    value.filter(|value| value != "{}" && value != "false")?,
                ))
            })
            .collect();
        self.0
            .sns
            .subscribe()
            .topic_arn(&desired.topic_arn)
            .protocol(desired.protocol.as_str())
            .endpoint(&desired.endpoint)
            .set_attributes(Some(attributes))
            .send()
            .await
            .map(drop)
            .map_err(|error| without_endpoint(classify("Subscribe", &error), desired))
    }

    /// SetSubscriptionAttributes takes one attribute.
    async fn update(
        &self,
        desired: &SnsSubscription,
        found: &Found<SnsSubscription>,
        fields: &[String],
    ) -> Result<(), Failure> {
        let Some(arn) = &found.arn else {
            // What was asked for when it was made takes hold with the confirmation. To subscribe again would only ask
            // the owner again.
            return Err(Failure::new(
                Class::NotReady,
                format!("the subscription {WAITS}"),
            ));
        };
        let Some((_, name, value)) = settings(desired)
            .into_iter()
            .find(|(field, ..)| differs(fields, field))
        else {
            return Err(nothing_to_change("SNS subscription", fields));
        };
        self.0
            .sns
            .set_subscription_attributes()
            .subscription_arn(arn)
            .attribute_name(name)
            .set_attribute_value(value)
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("SetSubscriptionAttributes", &error))
    }

    async fn delete(
        &self,
        found: &Found<SnsSubscription>,
        _mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        let Some(arn) = &found.arn else { return Ok(()) };
        match self.0.sns.unsubscribe().subscription_arn(arn).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, MISSING) => Ok(()),
            Err(error) => Err(classify("Unsubscribe", &error)),
        }
    }
}

impl SubscriptionApi<'_> {
    /// The one of this name among those of its topic. With what its name says of it: all but the attributes.
    async fn find(&self, name: &str) -> Result<Option<(Subscription, SnsSubscription)>, Failure> {
        let (topic_arn, protocol, _) = parse_name(name).ok_or_else(|| {
            Failure::new(Class::Bug, format!("{name} does not name a subscription"))
        })?;
        let named = |subscription: &Subscription| {
            let found = SnsSubscription {
                topic_arn: topic_arn.to_owned(),
                protocol,
                endpoint: subscription.endpoint()?.to_owned(),
                filter_policy: None,
                raw_delivery: false,
                dead_letter_arn: None,
                tags: Tags::new(),
            };
            (subscription.protocol() == Some(protocol.as_str())
                && subscription.subscription_arn() != Some(DELETED)
                && found.name() == name)
                .then_some(found)
        };
        let list = || list(self.0.sns.clone(), topic_arn.to_owned());
        let of_topic = self.0.topic_subscriptions.of(topic_arn, list).await?;
        Ok(of_topic.iter().find_map(|subscription| {
            let named = named(subscription)?;
            Some((subscription.clone(), named))
        }))
    }

    async fn attributes(&self, arn: &str) -> Result<Option<HashMap<String, String>>, Failure> {
        let call = self.0.sns.get_subscription_attributes();
        match call.subscription_arn(arn).send().await {
            Ok(answer) => Ok(Some(answer.attributes.unwrap_or_default())),
            Err(error) if is_code(&error, MISSING) => Ok(None),
            Err(error) => Err(classify("GetSubscriptionAttributes", &error)),
        }
    }
}

/// The subscriptions of a topic; none where there is no such topic.
async fn list(sns: Client, topic_arn: String) -> Result<Vec<Subscription>, Failure> {
    let mut all = Vec::new();
    let mut next = None;
    loop {
        let call = sns.list_subscriptions_by_topic().topic_arn(&topic_arn);
        let page = match call.set_next_token(next).send().await {
            Ok(page) => page,
            Err(error) if is_code(&error, MISSING) => return Ok(Vec::new()),
            Err(error) => return Err(classify("ListSubscriptionsByTopic", &error)),
        };
        all.extend(page.subscriptions.unwrap_or_default());
        next = page.next_token;
        if next.is_none() {
            return Ok(all);
        }
    }
}

/// SNS repeats the endpoint that it refuses, and failures stand in conditions, events and logs.
fn without_endpoint(mut failure: Failure, desired: &SnsSubscription) -> Failure {
    let name = desired.name();
    if let Some((_, _, shown)) = parse_name(&name) {
        failure.message = failure.message.replace(&desired.endpoint, shown);
    }
    failure
}

/// The attributes of a subscription: field, attribute, value. The policy `{}` takes a filter away; a redrive policy goes
/// by leaving the value out, since the empty string is refused.
fn settings(desired: &SnsSubscription) -> [(&'static str, &'static str, Option<String>); 3] {
    let filter = desired
        .filter_policy
        .as_ref()
        .map_or_else(|| "{}".to_owned(), ToString::to_string);
    let redrive = desired
        .dead_letter_arn
        .as_ref()
        .map(|arn| json!({"deadLetterTargetArn": arn}).to_string());
    [
        ("filterPolicy", "FilterPolicy", Some(filter)),
        (
            "rawDelivery",
            "RawMessageDelivery",
            Some(desired.raw_delivery.to_string()),
        ),
        ("deadLetterArn", "RedrivePolicy", redrive),
    ]
}

#[cfg(test)]
mod tests {
    use shopkeeper_plan::aws::SubscriptionProtocol;

    use super::*;

    #[test]
    fn a_refusal_does_not_repeat_a_persons_number() {
        let desired = SnsSubscription {
            topic_arn: "arn:aws:sns:eu-west-1:123456789012:ship".into(),
            protocol: SubscriptionProtocol::Sms,
            endpoint: "+15551234500".into(),
            filter_policy: None,
            raw_delivery: false,
            dead_letter_arn: None,
            tags: Tags::new(),
        };
        let refusal = Failure::new(
            Class::Invalid,
            "Subscribe: Invalid parameter: Invalid SMS endpoint: +15551234500",
        );
        let told = without_endpoint(refusal, &desired).message;
        assert!(
            told.starts_with("Subscribe: Invalid parameter: Invalid SMS endpoint: +1555•••00 #"),
            "{told}"
        );
    }
}
