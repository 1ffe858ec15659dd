//! Budgets: how many calls Shopkeeper makes to AWS. See `docs/decisions/0022-budgets.md`.
//!
//! AWS limits the calls of an account in a region, whoever makes them: people, pipelines and other controllers share the limit. A
//! budget is about half of it where AWS publishes one, so that they are not throttled on our account.

use std::collections::BTreeMap;

use shopkeeper_api::Platform;
pub use shopkeeper_api::platform::AwsApi;

/// The code of a [`Failure`](crate::failure::Failure) of a call that was not made, since the budget was spent.
pub const SPENT: &str = "BudgetSpent";

/// A token bucket: a call takes a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Tokens that come in a second.
    pub per_second: u32,
    /// Tokens that it holds.
    pub burst: u32,
}

impl Limit {
    const fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst }
    }
}

/// The budget for an API where a Platform names none.
#[must_use]
pub const fn default_limit(api: AwsApi) -> Limit {
    match api {
        // "Request throttling for the Amazon EC2 API": each Describe operation has 100 tokens, and 20 come in a second.
        AwsApi::EC2 => Limit::new(10, 50),
        // "Quotas in Amazon RDS": 300 requests at once, 12 a second.
        AwsApi::RDS => Limit::new(6, 150),
        // "Quotas in Amazon DynamoDB": 2500 control plane requests a second, of which far fewer are ever needed. Operations with less
        // are in [`operation_limit`].
        AwsApi::DynamoDB => Limit::new(100, 200),
        // "Request quotas" of KMS: 500 a second or more for each operation that only reads; see [`operation_limit`] for the others.
        AwsApi::KMS => Limit::new(50, 100),
        // "Quotas of AWS Secrets Manager": 10000 a second of DescribeSecret and GetSecretValue, 50 of those that change something.
        AwsApi::SecretsManager => Limit::new(25, 50),
        // The API reference of SNS: 30 a second of ListSubscriptionsByTopic, 100 of Subscribe and Unsubscribe.
        AwsApi::SNS => Limit::new(15, 30),
        // AWS publishes none for those below: experience says tens a second. IAM has one limit for all regions. S3 publishes some for
        // objects (thousands a second for each prefix), none for the settings of buckets, of which each has ten.
        AwsApi::EKS | AwsApi::IAM | AwsApi::ElastiCache | AwsApi::ApplicationAutoScaling => {
            Limit::new(10, 100)
        }
        AwsApi::S3 => Limit::new(50, 200),
        AwsApi::SQS => Limit::new(25, 100),
        // "Service quotas" of Resource Groups: 15 a second of GetResources.
        AwsApi::ResourceGroupsTaggingAPI => Limit::new(5, 15),
        AwsApi::ServiceQuotas => Limit::new(2, 10),
        // The API reference of CloudTrail: 2 a second of LookupEvents.
        AwsApi::CloudTrail => Limit::new(1, 2),
    }
}

/// The budget of one operation, beside that of its API, where AWS limits it by itself.
#[must_use]
pub fn operation_limit(api: AwsApi, operation: &str) -> Option<Limit> {
    let limit = match (api, operation) {
        // The API reference of DynamoDB: 10 a second, and 5 of those that change.
        (AwsApi::DynamoDB, "DescribeContinuousBackups" | "ListTagsOfResource") => Limit::new(5, 10),
        (AwsApi::DynamoDB, "TagResource" | "ListBackups") => Limit::new(2, 5),
        // The API reference of SNS: "Tagging actions are limited to 10 TPS".
        (AwsApi::SNS, "ListTagsForResource" | "TagResource") => Limit::new(5, 10),
        // "Request quotas" of KMS: 5 a second.
        (
            AwsApi::KMS,
            "CreateKey" | "CreateAlias" | "CancelKeyDeletion" | "UpdateKeyDescription",
        ) => Limit::new(2, 5),
        _ => return None,
    };
    Some(limit)
}

/// The budgets that the Platforms of a region name. Where several name one, the least holds: they share the account. IAM has one
/// for all regions.
pub fn limits<'a>(
    platforms: impl IntoIterator<Item = &'a Platform>,
    region: &str,
) -> BTreeMap<AwsApi, Limit> {
    let mut limits: BTreeMap<AwsApi, Limit> = BTreeMap::new();
    for platform in platforms {
        let aws = &platform.spec.aws;
        for budget in &aws.budgets {
            if aws.region != region && !is_global(budget.api) {
                continue;
            }
            let per_second = budget.calls_per_second;
            let burst = budget.burst.unwrap_or(per_second.saturating_mul(2));
            let limit = Limit::new(positive(per_second), positive(burst));
            limits
                .entry(budget.api)
                .and_modify(|least| {
                    least.per_second = least.per_second.min(limit.per_second);
                    least.burst = least.burst.min(limit.burst);
                })
                .or_insert(limit);
        }
    }
    limits
}

/// The schema lets nothing less in; a bucket that never has a token would stop everything.
fn positive(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default().max(1)
}

/// Whether all regions share one limit.
#[must_use]
pub const fn is_global(api: AwsApi) -> bool {
    matches!(api, AwsApi::IAM)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn platform(region: &str, budgets: &serde_json::Value) -> Platform {
        serde_json::from_value(json!({
            "apiVersion": "shopkeeper.dev/v1alpha1",
            "kind": "Platform",
            "metadata": {"name": "octank"},
            "spec": {
                "aws": {"accountId": "123456789012", "region": region, "budgets": budgets},
                "cluster": {"name": "octank"},
                "network": {"type": "Existing"},
            },
        }))
        .unwrap()
    }

    #[test]
    fn of_several_platforms_the_least_holds() {
        let platforms = [
            platform(
                "eu-west-1",
                &json!([{"api": "EKS", "callsPerSecond": 4}, {"api": "RDS", "callsPerSecond": 3, "burst": 5}]),
            ),
            platform(
                "eu-west-1",
                &json!([{"api": "EKS", "callsPerSecond": 2, "burst": 9}]),
            ),
            platform(
                "us-east-1",
                &json!([{"api": "EKS", "callsPerSecond": 1}, {"api": "IAM", "callsPerSecond": 1}]),
            ),
        ];
        assert_eq!(
            limits(&platforms, "eu-west-1"),
            BTreeMap::from([
                (AwsApi::EKS, Limit::new(2, 8)),
                (AwsApi::RDS, Limit::new(3, 5)),
                (AwsApi::IAM, Limit::new(1, 2)),
            ])
        );
    }

    #[test]
    fn no_operation_has_more_than_its_api() {
        for api in AwsApi::ALL {
            for operation in [
                "ListTagsOfResource",
                "TagResource",
                "CreateKey",
                "ListTagsForResource",
            ] {
                if let Some(limit) = operation_limit(api, operation) {
                    assert!(
                        limit.per_second < default_limit(api).per_second,
                        "{api:?} {operation}"
                    );
                }
            }
        }
    }
}
