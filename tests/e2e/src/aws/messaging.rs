//! Topics, subscriptions and queues.

use anyhow::{Context, Result};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Map, Value, json};

use super::{Aws, tags};

impl Aws {
    /// An SNS topic by its ARN, with its subscriptions by `protocol endpoint`.
    pub async fn topic(&self, arn: &str) -> Result<Value> {
        let answer = self
            .sns
            .get_topic_attributes()
            .topic_arn(arn)
            .send()
            .await?;
        let attributes = answer
            .attributes()
            .context("GetTopicAttributes answered no attributes")?;
        let listed = self
            .sns
            .list_tags_for_resource()
            .resource_arn(arn)
            .send()
            .await?;
        let mut subscriptions = Map::new();
        for subscription in self
            .sns
            .list_subscriptions_by_topic()
            .topic_arn(arn)
            .send()
            .await?
            .subscriptions()
        {
            let name = format!(
                "{} {}",
                subscription.protocol().unwrap_or_default(),
                subscription.endpoint().unwrap_or_default()
            );
            subscriptions.insert(
                name,
                self.subscription(subscription.subscription_arn().unwrap_or_default())
                    .await?,
            );
        }
        Ok(json!({
            "key": attributes.get("KmsMasterKeyId"),
            "displayName": attributes.get("DisplayName"),
            "policy": attributes.get("Policy").map(|text| serde_json::from_str::<Value>(text)).transpose()?,
            "subscriptions": subscriptions,
            "tags": tags(listed.tags().iter().map(|tag| (tag.key(), tag.value()))),
        }))
    }

    async fn subscription(&self, arn: &str) -> Result<Value> {
        // Until it is confirmed a subscription has no ARN, and no attributes that could be asked for.
        if !arn.starts_with("arn:") {
            return Ok(json!({"pending": true}));
        }
        let answer = self
            .sns
            .get_subscription_attributes()
            .subscription_arn(arn)
            .send()
            .await?;
        let attributes = answer
            .attributes()
            .context("GetSubscriptionAttributes answered no attributes")?;
        let parsed = |name: &str| {
            attributes
                .get(name)
                .map(|text| serde_json::from_str::<Value>(text))
                .transpose()
        };
        Ok(json!({
            "deadLetters": parsed("RedrivePolicy")?.map(|policy| policy["deadLetterTargetArn"].clone()),
            "filter": parsed("FilterPolicy")?,
            "raw": attributes.get("RawMessageDelivery"),
        }))
    }

    /// An SQS queue by its name.
    pub async fn queue(&self, name: &str) -> Result<Value> {
        let answer = self.sqs.get_queue_url().queue_name(name).send().await?;
        let url = answer.queue_url().context("GetQueueUrl answered no URL")?;
        let answer = self
            .sqs
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(QueueAttributeName::All)
            .send()
            .await?;
        let attributes = answer
            .attributes()
            .context("GetQueueAttributes answered no attributes")?;
        let get = |name: &str| attributes.get(&QueueAttributeName::from(name));
        let parsed = |name: &str| {
            get(name)
                .map(|text| serde_json::from_str::<Value>(text))
                .transpose()
        };
        let listed = self.sqs.list_queue_tags().queue_url(url).send().await?;
        let pairs = listed
            .tags()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        Ok(json!({
            "url": url,
            "arn": get("QueueArn"),
            "key": get("KmsMasterKeyId"),
            "retention": get("MessageRetentionPeriod"),
            "visibility": get("VisibilityTimeout"),
            "delay": get("DelaySeconds"),
            "receiveWait": get("ReceiveMessageWaitTimeSeconds"),
            "redrive": parsed("RedrivePolicy")?,
            "policy": parsed("Policy")?,
            "tags": tags(pairs),
        }))
    }
}
