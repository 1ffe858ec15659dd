//! The AWS resources: what can be desired of each, and what changing a field does. One file a kind.
//!
//! Adding a kind means one file here, one in `shopkeeper-aws`, and one line in [`registry!`] below. The planner, the
//! inventory, the metrics and the test matrix are driven by the registry.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{plan::Effect, resource::ResourceKey, sensitive::fingerprint, version::Newer};

mod cache_parameter_group;
mod cache_replication_group;
mod cache_subnet_group;
mod cache_user;
mod cache_user_group;
mod dynamodb_table;
mod fargate_profile;
mod field;
mod iam_role;
mod kms_key;
mod node_group;
mod pod_identity_association;
mod rds_instance;
mod rds_parameter_group;
mod rds_subnet_group;
mod s3_bucket;
mod scalable_target;
mod secrets_manager_secret;
pub mod sns_subscription;
mod sns_topic;
mod sqs_queue;

pub use cache_parameter_group::CacheParameterGroup;
pub use cache_replication_group::{CacheEngine, CacheReplicationGroup, TransitEncryption};
pub use cache_subnet_group::CacheSubnetGroup;
pub use cache_user::{
    AccessString, CacheAuthentication, CacheUser, DEFAULT_USER_NAME, password_secret,
};
pub use cache_user_group::CacheUserGroup;
pub use dynamodb_table::{
    AutoscaledUnits, Capacity, Contradictory, DynamoDbTable, Key, KeyAttribute, KeyType,
    PointInTimeRecovery, Projection, SecondaryIndex, StreamView, TableClass, Throughput, Units,
};
pub use fargate_profile::{FargateProfile, FargateSelector};
pub use field::{Change, Field};
pub use iam_role::IamRole;
pub use kms_key::KmsKey;
pub use node_group::{CapacityType, NodeGroup, NodeGroupUpdate, Taint, TaintEffect};
pub use pod_identity_association::PodIdentityAssociation;
pub use rds_instance::RdsInstance;
pub use rds_parameter_group::RdsParameterGroup;
pub use rds_subnet_group::RdsSubnetGroup;
pub use s3_bucket::{CorsRule, IntelligentTiering, LifecycleRule, S3Bucket};
pub use scalable_target::{ScalableDimension, ScalableTarget};
pub use secrets_manager_secret::SecretsManagerSecret;
pub use sns_subscription::{SnsSubscription, SubscriptionProtocol};
pub use sns_topic::SnsTopic;
pub use sqs_queue::{RedrivePolicy, SqsQueue};

/// Tags of an AWS resource.
pub type Tags = BTreeMap<String, String>;

/// What a kind holds, which decides what a deletion policy means for it (`docs/decisions/0004-deletion.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Data that AWS can save in a snapshot or backup.
    Data,
    /// Data that AWS cannot save: kept under `Snapshot` unless it is empty.
    UnsavedData,
    /// The key that encrypts the data and its snapshots: only deleted under `Delete`.
    Key,
    /// Something that data needs to exist: kept where the data is kept.
    Support,
    /// Connections between resources and to subscribers, and what scales data: kept where data is retained, and lost without harm
    /// otherwise.
    Wiring,
    /// Nothing: always deleted with its owner.
    Nothing,
}

/// What is desired of one AWS resource. The same type describes what AWS reports of it, so that the two can be compared
/// field by field. A field that is `None` (or an empty `Option`) is not managed.
pub trait AwsSpecification:
    Clone + std::fmt::Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// The kind.
    const KIND: AwsKind;
    /// Every field that is compared, and what a difference means. Names and tags are not listed.
    const FIELDS: &'static [Field];

    /// The name AWS knows it by; unique in its kind, account and region.
    fn name(&self) -> String;
    /// Its tags.
    fn tags(&self) -> &Tags;
    /// Its tags, to be filled in.
    fn tags_mut(&mut self) -> &mut Tags;
    /// The effect of changing a field where it depends on other values; `None` leaves it at the field's own.
    fn effect(&self, _observed: &Self, _field: &str) -> Option<Effect> {
        None
    }
    /// The value that a field has for a while on its way to the desired one, where AWS does not go there at once.
    fn on_the_way(&self, _observed: &Self, _field: &str) -> Option<serde_json::Value> {
        None
    }
    /// What is desired once what others own is taken as it is: what an autoscaler sets is only ours to begin with, and a version that
    /// is newer than declared stays.
    #[must_use]
    fn yielding_to(&self, _observed: &Self) -> Self {
        self.clone()
    }
    /// The versions that are newer than declared. `yielding_to` takes them as they are.
    fn newer(&self, _observed: &Self) -> Vec<Newer> {
        Vec::new()
    }
    /// Whether a resource that it depends on, as observed, is such that AWS lets this one be made and changed. That it exists and is
    /// ours is looked at elsewhere.
    fn can_rest_on(&self, _other: &AwsResource) -> bool {
        true
    }
}

macro_rules! registry {
    ($($(#[doc = $doc:literal])+ $kind:ident, $title:literal, stage $stage:literal, $holding:ident, minutes $minutes:literal;)+) => {
        /// A kind of AWS resource.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AwsKind { $($(#[doc = $doc])+ $kind,)+ }

        impl AwsKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            /// Stable identifier.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind),)+ }
            }

            /// The name a person uses.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)+ }
            }

            /// See [`crate::resource::ResourceKind::teardown_stage`].
            #[must_use]
            pub const fn teardown_stage(self) -> u8 {
                match self { $(Self::$kind => $stage,)+ }
            }

            /// What it holds.
            #[must_use]
            pub const fn holding(self) -> Holding {
                match self { $(Self::$kind => Holding::$holding,)+ }
            }

            /// Usual time AWS takes to make one, in minutes; 0 where it is immediate.
            #[must_use]
            pub const fn usual_minutes(self) -> u16 {
                match self { $(Self::$kind => $minutes,)+ }
            }

            /// The fields that are compared.
            #[must_use]
            pub const fn fields(self) -> &'static [Field] {
                match self { $(Self::$kind => <$kind as AwsSpecification>::FIELDS,)+ }
            }
        }

        /// An AWS resource of any kind: desired, or as AWS reports it.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        pub enum AwsResource { $($(#[doc = $doc])+ $kind($kind),)+ }

        impl AwsResource {
            /// Its kind.
            #[must_use]
            pub const fn kind(&self) -> AwsKind {
                match self { $(Self::$kind(_) => AwsKind::$kind,)+ }
            }

            /// Its name.
            #[must_use]
            pub fn name(&self) -> String {
                match self { $(Self::$kind(resource) => resource.name(),)+ }
            }

            /// Its tags.
            #[must_use]
            pub fn tags(&self) -> &Tags {
                match self { $(Self::$kind(resource) => resource.tags(),)+ }
            }

            /// Its tags, to be filled in.
            pub fn tags_mut(&mut self) -> &mut Tags {
                match self { $(Self::$kind(resource) => resource.tags_mut(),)+ }
            }

            /// The effect of changing a field where it depends on other values.
            #[must_use]
            pub fn effect(&self, observed: &Self, field: &str) -> Option<Effect> {
                match (self, observed) {
                    $((Self::$kind(desired), Self::$kind(observed)) => desired.effect(observed, field),)+
                    _ => None,
                }
            }

            /// The value that a field has for a while on its way to the desired one.
            #[must_use]
            pub fn on_the_way(&self, observed: &Self, field: &str) -> Option<serde_json::Value> {
                match (self, observed) {
                    $((Self::$kind(desired), Self::$kind(observed)) => desired.on_the_way(observed, field),)+
                    _ => None,
                }
            }

            /// What is desired once what others own is taken as it is. See [`AwsSpecification::yielding_to`].
            #[must_use]
            pub fn yielding_to(&self, observed: &Self) -> Self {
                match (self, observed) {
                    $((Self::$kind(desired), Self::$kind(observed)) => Self::$kind(desired.yielding_to(observed)),)+
                    _ => self.clone(),
                }
            }

            /// The versions that are newer than declared. See [`AwsSpecification::newer`].
            #[must_use]
            pub fn newer(&self, observed: &Self) -> Vec<Newer> {
                match (self, observed) {
                    $((Self::$kind(desired), Self::$kind(observed)) => desired.newer(observed),)+
                    _ => Vec::new(),
                }
            }

            /// Whether AWS lets it be made on another as that is now. See [`AwsSpecification::can_rest_on`].
            #[must_use]
            pub fn can_rest_on(&self, other: &Self) -> bool {
                match self { $(Self::$kind(resource) => resource.can_rest_on(other),)+ }
            }

            /// Its fields by name.
            #[must_use]
            pub fn to_value(&self) -> serde_json::Value {
                // None of these types has a map with keys that are not strings, the only thing that could fail.
                match self { $(Self::$kind(resource) => serde_json::to_value(resource).unwrap_or_default(),)+ }
            }
        }

        $(impl From<$kind> for AwsResource {
            fn from(resource: $kind) -> Self { Self::$kind(resource) }
        })+

        $(impl TryFrom<AwsResource> for $kind {
            type Error = AwsResource;
            fn try_from(resource: AwsResource) -> Result<Self, AwsResource> {
                match resource { AwsResource::$kind(resource) => Ok(resource), other => Err(other) }
            }
        })+
    };
}

// Teardown stages: 20 what routes identity and messages, 30 compute and what scales data, 40 data, 50 to 52 what data and compute need,
// 60 keys.
// Kubernetes objects have stages 0 to 10 (see `kubernetes::KubernetesKind`), pods among them, so that nothing uses a resource any
// more when it goes.
registry! {
    /// A KMS key with its alias.
    KmsKey, "KMS key", stage 60, Key, minutes 0;
    /// An IAM role with its inline policies.
    IamRole, "IAM role", stage 50, Nothing, minutes 0;
    /// An EKS managed node group.
    NodeGroup, "EKS node group", stage 30, Nothing, minutes 4;
    /// An EKS Fargate profile.
    FargateProfile, "Fargate profile", stage 30, Nothing, minutes 2;
    /// An EKS Pod Identity association.
    PodIdentityAssociation, "Pod Identity association", stage 20, Nothing, minutes 0;
    /// A DynamoDB table.
    DynamoDbTable, "DynamoDB table", stage 40, Data, minutes 1;
    /// A scalable target with its target tracking policy.
    ScalableTarget, "scalable target", stage 30, Wiring, minutes 0;
    /// An ElastiCache subnet group.
    CacheSubnetGroup, "ElastiCache subnet group", stage 50, Support, minutes 0;
    /// An ElastiCache parameter group.
    CacheParameterGroup, "ElastiCache parameter group", stage 50, Support, minutes 0;
    /// An ElastiCache replication group.
    CacheReplicationGroup, "ElastiCache replication group", stage 40, Data, minutes 10;
    /// An ElastiCache user group.
    CacheUserGroup, "ElastiCache user group", stage 50, Support, minutes 1;
    /// An ElastiCache user.
    CacheUser, "ElastiCache user", stage 51, Support, minutes 0;
    /// A Secrets Manager secret with a password.
    SecretsManagerSecret, "Secrets Manager secret", stage 52, Support, minutes 0;
    /// An RDS subnet group.
    RdsSubnetGroup, "RDS subnet group", stage 50, Support, minutes 0;
    /// An RDS parameter group.
    RdsParameterGroup, "RDS parameter group", stage 50, Support, minutes 0;
    /// An RDS instance.
    RdsInstance, "RDS instance", stage 40, Data, minutes 12;
    /// An S3 bucket with its settings.
    S3Bucket, "S3 bucket", stage 40, UnsavedData, minutes 0;
    /// An SNS topic.
    SnsTopic, "SNS topic", stage 30, Wiring, minutes 0;
    /// A subscription of an SNS topic.
    SnsSubscription, "SNS subscription", stage 20, Wiring, minutes 0;
    /// An SQS queue.
    SqsQueue, "SQS queue", stage 40, UnsavedData, minutes 0;
}

impl AwsKind {
    /// Whether one of this kind needs one of the other for as long as it is there. A cache without its user group is open to whoever
    /// reaches it; a database without its key cannot be read any more.
    #[must_use]
    pub const fn rests_on(self, other: Self) -> bool {
        match self {
            Self::NodeGroup | Self::FargateProfile | Self::PodIdentityAssociation => {
                matches!(other, Self::IamRole)
            }
            Self::RdsInstance => matches!(
                other,
                Self::RdsSubnetGroup | Self::RdsParameterGroup | Self::KmsKey
            ),
            Self::CacheReplicationGroup => matches!(
                other,
                Self::CacheSubnetGroup
                    | Self::CacheParameterGroup
                    | Self::CacheUserGroup
                    | Self::CacheUser
                    | Self::SecretsManagerSecret
                    | Self::KmsKey
            ),
            Self::CacheUserGroup => matches!(other, Self::CacheUser | Self::SecretsManagerSecret),
            Self::CacheUser => matches!(other, Self::SecretsManagerSecret),
            Self::ScalableTarget => matches!(other, Self::DynamoDbTable),
            // Their dead letters are in queues.
            Self::SnsSubscription => matches!(other, Self::SnsTopic | Self::SqsQueue),
            Self::SnsTopic => matches!(other, Self::SqsQueue | Self::KmsKey),
            Self::DynamoDbTable | Self::S3Bucket | Self::SqsQueue | Self::SecretsManagerSecret => {
                matches!(other, Self::KmsKey)
            }
            Self::KmsKey
            | Self::IamRole
            | Self::CacheSubnetGroup
            | Self::CacheParameterGroup
            | Self::RdsSubnetGroup
            | Self::RdsParameterGroup => false,
        }
    }

    /// Whether pods run on it. It holds nothing, is made again once where EKS gives up on it, and goes after the pods have left.
    #[must_use]
    pub const fn is_place(self) -> bool {
        matches!(self, Self::NodeGroup | Self::FargateProfile)
    }

    /// What brings back the data of one that somebody deleted, in words that follow "unless you"; `None` for kinds that are as good as
    /// before once they are made anew. What a cache and a queue held is lost, and the shop is down without them: nothing is gained by
    /// waiting for a person.
    #[must_use]
    pub const fn way_back(self) -> Option<&'static str> {
        match self {
            Self::RdsInstance => Some(
                "restore its last snapshot or its retained automated backup under this name, with its tags",
            ),
            Self::DynamoDbTable => Some(
                "restore its last backup under this name, with its tags (DynamoDB keeps one for 35 days where point-in-time recovery \
                 was on)",
            ),
            Self::S3Bucket => Some("make it and copy its objects back from where you have them"),
            Self::KmsKey => Some(
                "cancel the deletion of the old key in KMS and give it its alias back: what it encrypts cannot be read without it",
            ),
            _ => None,
        }
    }
}

impl AwsResource {
    /// The subnets of a place for pods.
    #[must_use]
    pub const fn subnets_of_place(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::NodeGroup(group) => Some(&group.subnets),
            Self::FargateProfile(profile) => Some(&profile.subnets),
            _ => None,
        }
    }

    /// A hash of what is desired, tags included.
    #[must_use]
    pub fn intent(&self) -> String {
        let value = serde_json::json!([self.to_value(), self.tags()]);
        fingerprint(value.to_string().as_bytes())[..12].to_owned()
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> ResourceKey {
        ResourceKey::aws(self.kind(), self.name())
    }
}

/// Implements the parts of [`AwsSpecification`] that are the same for every kind with a `tags` field.
macro_rules! tagged {
    () => {
        fn tags(&self) -> &$crate::aws::Tags {
            &self.tags
        }
        fn tags_mut(&mut self) -> &mut $crate::aws::Tags {
            &mut self.tags
        }
    };
}
pub(crate) use tagged;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supports_outlive_the_data_that_needs_them_and_keys_outlive_everything() {
        for kind in AwsKind::ALL {
            match kind.holding() {
                Holding::Key => {
                    assert!(AwsKind::ALL.iter().all(
                        |other| other == kind || other.teardown_stage() < kind.teardown_stage()
                    ))
                }
                Holding::Support => assert!(
                    AwsKind::ALL
                        .iter()
                        .filter(|other| matches!(
                            other.holding(),
                            Holding::Data | Holding::UnsavedData
                        ))
                        .all(|data| data.teardown_stage() < kind.teardown_stage())
                ),
                _ => {}
            }
        }
    }
}
