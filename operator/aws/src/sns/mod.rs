//! SNS.

mod default_policy;
mod subscription;
mod topic;
mod topic_subscriptions;

pub(crate) use subscription::SubscriptionApi;
pub(crate) use topic::TopicApi;
pub(crate) use topic_subscriptions::TopicSubscriptions;
