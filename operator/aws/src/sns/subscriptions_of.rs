//! The subscriptions of a topic, by the names that inventories know them by.

use shopkeeper_plan::{
    aws::{AwsSpecification as _, SnsSubscription, SubscriptionProtocol, Tags},
    failure::Failure,
};

use crate::{
    account::Account,
    error::{classify, is_code},
};

/// What SNS answers where there is no such topic.
const MISSING: &[&str] = &["NotFound", "ResourceNotFound"];

/// What stands in the place of the ARN for a while after the end.
const DELETED: &str = "Deleted";

/// The names of the subscriptions of a topic, of protocols that we make some of.
pub(crate) async fn subscriptions_of(
    account: &Account,
    topic_arn: &str,
) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    let mut pages = account
        .sns
        .list_subscriptions_by_topic()
        .topic_arn(topic_arn)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = match page {
            Ok(page) => page,
            Err(error) if is_code(&error, MISSING) => return Ok(names),
            Err(error) => return Err(classify("ListSubscriptionsByTopic", &error)),
        };
        let listed = page.subscriptions.unwrap_or_default().into_iter();
        names.extend(listed.filter_map(|subscription| {
            if subscription.subscription_arn() == Some(DELETED) {
                return None;
            }
            let protocol = SubscriptionProtocol::parse(subscription.protocol()?)?;
            let named = SnsSubscription {
                topic_arn: topic_arn.to_owned(),
                protocol,
                endpoint: subscription.endpoint?,
                filter_policy: None,
                raw_delivery: false,
                dead_letter_arn: None,
                tags: Tags::new(),
            };
            Some(named.name())
        }));
    }
    Ok(names)
}
