//! The account and region of a Platform, and how many calls are made there.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pattern;

/// Account and region, which are immutable, and how many calls Shopkeeper makes there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Aws {
    /// Number of the account, which is checked before the first change. Immutable.
    #[schemars(length(equal = 12), regex(pattern = pattern::ACCOUNT_ID))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("accountId is immutable: make another Platform for another account"))]
    pub account_id: String,
    /// Region. Immutable.
    #[schemars(length(min = 5, max = 32), regex(pattern = pattern::REGION))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("region is immutable: make another Platform for another region"))]
    pub region: String,
    /// How many calls Shopkeeper makes to the APIs of AWS, where that is to be other than the default: about half of what AWS lets an
    /// account do, since people and other tools share it. All Platforms of an account and region share one budget for each API; where
    /// several name one, the least holds. IAM has one for all regions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["api"]))]
    pub budgets: Vec<AwsBudget>,
}

/// How many calls Shopkeeper makes to one API of AWS: a token bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.burst) || self.burst >= self.callsPerSecond")
    .message("burst must be callsPerSecond or more: a bucket that holds less never gives that many"))]
pub struct AwsBudget {
    /// The API.
    pub api: AwsApi,
    /// Calls a second, in the long run.
    #[schemars(range(min = 1, max = 1000))]
    pub calls_per_second: i32,
    /// Calls at once, after a time with fewer. Default: twice callsPerSecond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5000))]
    pub burst: Option<i32>,
}

/// An API of AWS that has a limit of its own.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[schemars(transform = crate::schema::without_description)]
#[allow(
    clippy::upper_case_acronyms,
    reason = "the names that AWS gives to them, which are also the values in the API"
)]
pub enum AwsApi {
    /// Capacity of tables.
    ApplicationAutoScaling,
    /// Who changed what.
    CloudTrail,
    /// Tables.
    DynamoDB,
    /// VPCs and subnets.
    EC2,
    /// Node groups and Pod Identity associations.
    EKS,
    /// Caches and their users.
    ElastiCache,
    /// Roles.
    IAM,
    /// Keys.
    KMS,
    /// Databases.
    RDS,
    /// Tags of everything, by the hundred.
    ResourceGroupsTaggingAPI,
    /// Buckets.
    S3,
    /// Passwords.
    SecretsManager,
    /// Quotas of the account.
    ServiceQuotas,
    /// Topics and subscriptions.
    SNS,
    /// Queues.
    SQS,
}

impl AwsApi {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::ApplicationAutoScaling,
        Self::CloudTrail,
        Self::DynamoDB,
        Self::EC2,
        Self::EKS,
        Self::ElastiCache,
        Self::IAM,
        Self::KMS,
        Self::RDS,
        Self::ResourceGroupsTaggingAPI,
        Self::S3,
        Self::SecretsManager,
        Self::ServiceQuotas,
        Self::SNS,
        Self::SQS,
    ];

    /// The value in the API, and of the metric label `api`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApplicationAutoScaling => "ApplicationAutoScaling",
            Self::CloudTrail => "CloudTrail",
            Self::DynamoDB => "DynamoDB",
            Self::EC2 => "EC2",
            Self::EKS => "EKS",
            Self::ElastiCache => "ElastiCache",
            Self::IAM => "IAM",
            Self::KMS => "KMS",
            Self::RDS => "RDS",
            Self::ResourceGroupsTaggingAPI => "ResourceGroupsTaggingAPI",
            Self::S3 => "S3",
            Self::SecretsManager => "SecretsManager",
            Self::ServiceQuotas => "ServiceQuotas",
            Self::SNS => "SNS",
            Self::SQS => "SQS",
        }
    }
}
