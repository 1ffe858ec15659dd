//! SNS topics.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_sns::types::Tag;
use serde_json::Value;
use shopkeeper_plan::{
    aws::{SnsTopic, Tags},
    failure::{Class, Failure},
    observed::Lifecycle,
    outputs::Outputs,
    plan::DeleteMode,
};

use super::default_policy;
use crate::{
    account::{Account, Scope},
    arn,
    error::{classify, is_code},
    parts::trailed_setting,
    request::{differs, document, incomplete, nothing_to_change},
    resource::{DeletionToken, Found, ResourceApi},
    resourcegroupstagging::tags,
};

/// Topics, found by the ARN that SNS derives from the name.
pub(crate) struct TopicApi<'a>(pub(crate) &'a Account);

/// The code of the topic calls, and the one of the tag calls.
const MISSING: &[&str] = &["NotFound", "ResourceNotFound"];

#[async_trait]
impl ResourceApi<SnsTopic> for TopicApi<'_> {
    async fn observe(&self, name: &str, scope: &Scope) -> Result<Option<Found<SnsTopic>>, Failure> {
        let arn = arn::regional(scope, "sns", name);
        let (attributes, tags) = futures::join!(
            trailed_setting("GetTopicAttributes", self.attributes(&arn)),
            tags(self.0, &arn, "ListTagsForResource", self.tags(&arn))
        );
        let (Some(attributes), Some(tags)) = (attributes?, tags?) else {
            return Ok(None);
        };
        let text = |name: &str| {
            attributes
                .get(name)
                .filter(|text| !text.is_empty())
                .cloned()
        };
        let resource = SnsTopic {
            arn: arn.clone(),
            name: name.to_owned(),
            display_name: text("DisplayName").unwrap_or_default(),
            fifo: text("FifoTopic").is_some_and(|value| value == "true"),
            content_based_deduplication: text("ContentBasedDeduplication")
                .is_some_and(|value| value == "true"),
            kms_key_arn: text("KmsMasterKeyId"),
            policy: text("Policy")
                .map(|text| document("GetTopicAttributes", &text))
                .transpose()?
                .filter(|policy| !default_policy::is_default(policy, &arn, &scope.account_id)),
            tags,
        };
        let outputs = Outputs::new()
            .with("topicArn", &arn)
            .with("arn", &arn)
            .with("topicName", name)
            .with("region", &scope.region);
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

    /// CreateTopic of a topic with the same attributes and tags succeeds, and refuses one with others.
    async fn create(&self, desired: &SnsTopic) -> Result<(), Failure> {
        let mut attributes: HashMap<_, _> = settings(desired)
            .into_iter()
            // SNS makes its own.
            .filter(|(field, ..)| *field != "policy" || desired.policy.is_some())
            .map(|(_, name, value)| (name.to_owned(), value))
            .collect();
        if desired.fifo {
            // Topics without an order refuse the attribute.
            attributes.insert("FifoTopic".into(), "true".into());
        }
        let answer = self
            .0
            .sns
            .create_topic()
            .name(&desired.name)
            .set_attributes(Some(attributes))
            .set_tags(Some(tag_list(&desired.tags)?))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) => Err(as_conflict(classify("CreateTopic", &error))),
        }
    }

    /// SetTopicAttributes takes one attribute.
    async fn update(
        &self,
        desired: &SnsTopic,
        _found: &Found<SnsTopic>,
        fields: &[String],
    ) -> Result<(), Failure> {
        let next = settings(desired)
            .into_iter()
            .find(|(field, ..)| differs(fields, field));
        if let Some((_, name, value)) = next {
            return self
                .0
                .sns
                .set_topic_attributes()
                .topic_arn(&desired.arn)
                .attribute_name(name)
                .attribute_value(value)
                .send()
                .await
                .map(drop)
                .map_err(|error| classify("SetTopicAttributes", &error));
        }
        if differs(fields, "tags") {
            return self
                .0
                .sns
                .tag_resource()
                .resource_arn(&desired.arn)
                .set_tags(Some(tag_list(&desired.tags)?))
                .send()
                .await
                .map(drop)
                .map_err(|error| classify("TagResource", &error));
        }
        Err(nothing_to_change("SNS topic", fields))
    }

    async fn delete(
        &self,
        found: &Found<SnsTopic>,
        _mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        match self
            .0
            .sns
            .delete_topic()
            .topic_arn(&found.resource.arn)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, MISSING) => Ok(()),
            Err(error) => Err(classify("DeleteTopic", &error)),
        }
    }
}

impl TopicApi<'_> {
    async fn attributes(&self, arn: &str) -> Result<Option<HashMap<String, String>>, Failure> {
        match self
            .0
            .sns
            .get_topic_attributes()
            .topic_arn(arn)
            .send()
            .await
        {
            Ok(answer) => Ok(Some(answer.attributes.unwrap_or_default())),
            Err(error) if is_code(&error, MISSING) => Ok(None),
            Err(error) => Err(classify("GetTopicAttributes", &error)),
        }
    }

    async fn tags(&self, arn: &str) -> Result<Option<Tags>, Failure> {
        match self
            .0
            .sns
            .list_tags_for_resource()
            .resource_arn(arn)
            .send()
            .await
        {
            Ok(answer) => Ok(Some(
                answer
                    .tags
                    .unwrap_or_default()
                    .into_iter()
                    .map(|tag| (tag.key, tag.value))
                    .collect(),
            )),
            Err(error) if is_code(&error, MISSING) => Ok(None),
            Err(error) => Err(classify("ListTagsForResource", &error)),
        }
    }
}

/// The attributes that can be set at any time: field, attribute, value.
fn settings(desired: &SnsTopic) -> Vec<(&'static str, &'static str, String)> {
    let deduplication = desired
        .fifo
        .then(|| desired.content_based_deduplication.to_string());
    [
        (
            "displayName",
            "DisplayName",
            Some(desired.display_name.clone()),
        ),
        // Topics without an order refuse the attribute.
        (
            "contentBasedDeduplication",
            "ContentBasedDeduplication",
            deduplication,
        ),
        ("kmsKeyArn", "KmsMasterKeyId", desired.kms_key_arn.clone()),
        (
            "policy",
            "Policy",
            // SNS takes no policy away: what it makes itself takes the place of another.
            desired
                .policy
                .as_ref()
                .map(Value::to_string)
                .or_else(|| Some(default_policy::of(&desired.arn)?.to_string())),
        ),
    ]
    .into_iter()
    .filter_map(|(field, name, value)| Some((field, name, value?)))
    .collect()
}

fn tag_list(tags: &Tags) -> Result<Vec<Tag>, Failure> {
    tags.iter()
        .map(|(key, value)| {
            Tag::builder()
                .key(key)
                .value(value)
                .build()
                .map_err(incomplete)
        })
        .collect()
}

/// SNS says `InvalidParameter` of a topic that exists with other attributes or tags: the next pass sees whose it is.
fn as_conflict(failure: Failure) -> Failure {
    let class = if failure.message.contains("already exists") {
        Class::Conflict
    } else {
        failure.class
    };
    Failure { class, ..failure }
}
