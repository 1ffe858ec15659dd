//! SNS.

mod default_policy;
mod subscription;
mod topic;

pub(crate) use subscription::SubscriptionApi;
pub(crate) use topic::TopicApi;
