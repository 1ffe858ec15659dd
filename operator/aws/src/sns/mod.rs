//! SNS.

mod default_policy;
mod subscription;
mod subscriptions_of;
mod topic;
mod topic_subscriptions;

pub(crate) use subscription::SubscriptionApi;
pub(crate) use subscriptions_of::subscriptions_of;
pub(crate) use topic::TopicApi;
pub(crate) use topic_subscriptions::TopicSubscriptions;
