//! SQS queues.

use std::{collections::HashMap, str::FromStr};

use async_trait::async_trait;
use aws_sdk_sqs::types::QueueAttributeName as Name;
use serde_json::{Value, json};
use shopkeeper_plan::{
    aws::{RedrivePolicy, SqsQueue, Tags},
    failure::{Class, Failure},
    observed::Lifecycle,
    outputs::Outputs,
    plan::DeleteMode,
};

use crate::{
    account::{Account, Scope},
    arn,
    error::{classify, is_code},
    parts::{setting, trailed_setting},
    request::{differs, document, nothing_to_change, unreadable},
    resource::{DeletionToken, Found, ResourceApi},
    resourcegroupstagging::tags,
};

/// Queues. [`Found::id`] is the URL of the queue.
pub(crate) struct QueueApi<'a>(pub(crate) &'a Account);

/// The code of the JSON protocol, and the one of the query protocol that SQS still sends beside it.
const MISSING: &[&str] = &[
    "QueueDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
];

type Attributes = HashMap<Name, String>;

#[async_trait]
impl ResourceApi<SqsQueue> for QueueApi<'_> {
    async fn observe(&self, name: &str, scope: &Scope) -> Result<Option<Found<SqsQueue>>, Failure> {
        let url = self
            .0
            .sqs
            .get_queue_url()
            .queue_name(name)
            .queue_owner_aws_account_id(&scope.account_id)
            .send();
        let url = trailed_setting("GetQueueUrl", url).await;
        let url = match url {
            Ok(answer) => answer
                .queue_url
                .ok_or_else(|| unreadable("GetQueueUrl", "URL"))?,
            Err(error) if is_code(&error, MISSING) => return Ok(None),
            Err(error) => return Err(classify("GetQueueUrl", &error)),
        };
        let arn = arn::regional(scope, "sqs", name);
        let (attributes, tags) = futures::join!(
            setting("GetQueueAttributes", self.attributes(&url)),
            tags(self.0, &arn, "ListQueueTags", self.tags(&url))
        );
        // It went between two calls.
        let (Some(attributes), Some(tags)) = (attributes?, tags?) else {
            return Ok(None);
        };
        found(name, &scope.region, url, &attributes, tags).map(Some)
    }

    /// CreateQueue of a queue with the same attributes succeeds, and refuses one with others.
    async fn create(&self, desired: &SqsQueue) -> Result<(), Failure> {
        let mut attributes = settings(desired, |_| true);
        if desired.fifo {
            // `false` is refused.
            attributes.insert(Name::FifoQueue, "true".into());
        }
        // What is empty takes a setting away, and there is nothing to take away yet.
        attributes.retain(|_, value| !value.is_empty());
        let tags = desired.tags.clone().into_iter().collect::<HashMap<_, _>>();
        self.0
            .sqs
            .create_queue()
            .queue_name(&desired.name)
            .set_attributes(Some(attributes))
            .set_tags(Some(tags))
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("CreateQueue", &error))
    }

    async fn update(
        &self,
        desired: &SqsQueue,
        found: &Found<SqsQueue>,
        fields: &[String],
    ) -> Result<(), Failure> {
        let attributes = settings(desired, |field| differs(fields, field));
        if !attributes.is_empty() {
            return self
                .0
                .sqs
                .set_queue_attributes()
                .set_queue_url(found.id.clone())
                .set_attributes(Some(attributes))
                .send()
                .await
                .map(drop)
                .map_err(|error| classify("SetQueueAttributes", &error));
        }
        if differs(fields, "tags") {
            let tags = desired.tags.clone().into_iter().collect::<HashMap<_, _>>();
            return self
                .0
                .sqs
                .tag_queue()
                .set_queue_url(found.id.clone())
                .set_tags(Some(tags))
                .send()
                .await
                .map(drop)
                .map_err(|error| classify("TagQueue", &error));
        }
        Err(nothing_to_change("SQS queue", fields))
    }

    /// SQS has no copy of messages: a queue that is to lose nothing only goes once it has been empty for as long as its counts may lag, and
    /// a message may have come since it was looked at.
    async fn delete(
        &self,
        found: &Found<SqsQueue>,
        mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        if let (DeleteMode::Snapshot, Some(url)) = (mode, &found.id) {
            match self.attributes(url).await? {
                None => return Ok(()),
                Some(attributes) if messages(&attributes)? > 0 => {
                    self.0.emptied.forget(url);
                    return Err(Failure::new(
                        Class::NotReady,
                        "the queue holds messages by now, and SQS has no copy of them",
                    ));
                }
                Some(_) if !self.0.emptied.has_lasted(url) => {
                    return Err(Failure::new(
                        Class::NotReady,
                        "is empty as SQS counts, a minute late: it goes once it was so for as long",
                    ));
                }
                Some(_) => self.0.emptied.forget(url),
            }
        }
        match self
            .0
            .sqs
            .delete_queue()
            .set_queue_url(found.id.clone())
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, MISSING) => Ok(()),
            Err(error) => Err(classify("DeleteQueue", &error)),
        }
    }
}

impl QueueApi<'_> {
    async fn attributes(&self, url: &str) -> Result<Option<Attributes>, Failure> {
        match self
            .0
            .sqs
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(Name::All)
            .send()
            .await
        {
            Ok(answer) => Ok(Some(answer.attributes.unwrap_or_default())),
            Err(error) if is_code(&error, MISSING) => Ok(None),
            Err(error) => Err(classify("GetQueueAttributes", &error)),
        }
    }

    async fn tags(&self, url: &str) -> Result<Option<Tags>, Failure> {
        match self.0.sqs.list_queue_tags().queue_url(url).send().await {
            Ok(answer) => Ok(Some(answer.tags.unwrap_or_default().into_iter().collect())),
            Err(error) if is_code(&error, MISSING) => Ok(None),
            Err(error) => Err(classify("ListQueueTags", &error)),
        }
    }
}

/// Messages of all states: waiting, received and not deleted, delayed.
fn messages(attributes: &Attributes) -> Result<i64, Failure> {
    [
        Name::ApproximateNumberOfMessages,
        Name::ApproximateNumberOfMessagesNotVisible,
        Name::ApproximateNumberOfMessagesDelayed,
    ]
    .iter()
    .map(|count| number::<i64>(attributes, count))
    .sum()
}

fn found(
    name: &str,
    region: &str,
    url: String,
    attributes: &Attributes,
    tags: Tags,
) -> Result<Found<SqsQueue>, Failure> {
    let arn = attributes.get(&Name::QueueArn).cloned();
    let redrive = attributes
        .get(&Name::RedrivePolicy)
        .filter(|text| !text.is_empty())
        .map(|text| redrive(text))
        .transpose()?;
    let policy = attributes
        .get(&Name::Policy)
        .filter(|text| !text.is_empty());
    let messages = messages(attributes)?;
    let resource = SqsQueue {
        name: name.to_owned(),
        fifo: is_on(attributes, &Name::FifoQueue),
        content_based_deduplication: is_on(attributes, &Name::ContentBasedDeduplication),
        visibility_timeout_seconds: number(attributes, &Name::VisibilityTimeout)?,
        retention_seconds: number(attributes, &Name::MessageRetentionPeriod)?,
        delay_seconds: number(attributes, &Name::DelaySeconds)?,
        receive_wait_seconds: number(attributes, &Name::ReceiveMessageWaitTimeSeconds)?,
        // Empty or absent: SQS encrypts with a key of its own.
        kms_key_arn: attributes
            .get(&Name::KmsMasterKeyId)
            .filter(|key| !key.is_empty())
            .cloned(),
        redrive,
        policy: policy
            .map(|text| document("GetQueueAttributes", text))
            .transpose()?
            // What is left when the last statement was taken away grants nothing.
            .filter(|policy| policy["Statement"] != json!([])),
        tags,
    };
    let outputs = Outputs::new()
        .with("queueUrl", &url)
        .with("queueName", name)
        .with("region", region)
        .with_optional("arn", arn.clone());
    Ok(Found {
        resource,
        lifecycle: Lifecycle::Available,
        arn,
        id: Some(url),
        outputs,
        empty: Some(messages == 0),
        note: None,
    })
}

fn is_on(attributes: &Attributes, name: &Name) -> bool {
    attributes.get(name).is_some_and(|value| value == "true")
}

fn number<T: FromStr>(attributes: &Attributes, name: &Name) -> Result<T, Failure> {
    attributes
        .get(name)
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| unreadable("GetQueueAttributes", name.as_str()))
}

fn redrive(text: &str) -> Result<RedrivePolicy, Failure> {
    let policy = document("GetQueueAttributes", text)?;
    // SQS returns the count as it was written: a number, or a number in quotes.
    let receives = match &policy["maxReceiveCount"] {
        Value::String(count) => count.parse().ok(),
        count => count.as_i64().and_then(|count| i32::try_from(count).ok()),
    };
    match (policy["deadLetterTargetArn"].as_str(), receives) {
        (Some(arn), Some(max_receives)) => Ok(RedrivePolicy {
            dead_letter_arn: arn.to_owned(),
            max_receives,
        }),
        _ => Err(Failure::new(
            Class::Bug,
            "GetQueueAttributes: the redrive policy names no queue or no count",
        )),
    }
}

/// The attributes for the fields that `wanted` names. SQS takes any number in one call.
fn settings(desired: &SqsQueue, wanted: impl Fn(&str) -> bool) -> Attributes {
    let redrive = desired.redrive.as_ref().map(|redrive| {
        json!({"deadLetterTargetArn": redrive.dead_letter_arn, "maxReceiveCount": redrive.max_receives}).to_string()
    });
    [
        // Queues without an order refuse the attribute.
        (
            "contentBasedDeduplication",
            Name::ContentBasedDeduplication,
            desired
                .fifo
                .then(|| desired.content_based_deduplication.to_string()),
        ),
        (
            "visibilityTimeoutSeconds",
            Name::VisibilityTimeout,
            Some(desired.visibility_timeout_seconds.to_string()),
        ),
        (
            "retentionSeconds",
            Name::MessageRetentionPeriod,
            Some(desired.retention_seconds.to_string()),
        ),
        (
            "delaySeconds",
            Name::DelaySeconds,
            Some(desired.delay_seconds.to_string()),
        ),
        (
            "receiveWaitSeconds",
            Name::ReceiveMessageWaitTimeSeconds,
            Some(desired.receive_wait_seconds.to_string()),
        ),
        (
            "kmsKeyArn",
            Name::KmsMasterKeyId,
            desired.kms_key_arn.clone(),
        ),
        // The empty string takes a policy away.
        (
            "redrive",
            Name::RedrivePolicy,
            Some(redrive.unwrap_or_default()),
        ),
        (
            "policy",
            Name::Policy,
            Some(
                desired
                    .policy
                    .as_ref()
                    .map(Value::to_string)
                    .unwrap_or_default(),
            ),
        ),
    ]
    .into_iter()
    .filter(|(field, ..)| wanted(field))
    .filter_map(|(_, name, value)| Some((name, value?)))
    .collect()
}
