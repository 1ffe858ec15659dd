//! S3 bucket.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};
use crate::plan::Effect;

/// A rule of the lifecycle configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LifecycleRule {
    /// Id, unique in the bucket.
    pub id: String,
    /// Prefix of the keys it applies to; empty for all.
    pub prefix: String,
    /// Days after creation at which objects move to Intelligent-Tiering.
    pub intelligent_tiering_after_days: Option<i32>,
    /// Days after which a version that is not current any more is removed.
    pub noncurrent_expiration_days: Option<i32>,
    /// Days after which an unfinished upload is removed.
    pub abort_multipart_days: Option<i32>,
}

/// Archive tiers by days WITHOUT ACCESS, which a lifecycle rule cannot say: it counts from creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IntelligentTiering {
    /// Days without access until Archive Access, 90 to 730.
    pub archive_days: i32,
    /// Days without access until Deep Archive Access, 180 to 730.
    pub deep_archive_days: Option<i32>,
}

/// A rule for requests from other origins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CorsRule {
    /// Origins.
    pub allowed_origins: BTreeSet<String>,
    /// Methods.
    pub allowed_methods: BTreeSet<String>,
    /// Request headers.
    pub allowed_headers: BTreeSet<String>,
    /// Response headers that scripts may read.
    pub expose_headers: BTreeSet<String>,
    /// Seconds a browser may keep the answer.
    pub max_age_seconds: Option<i32>,
}

/// A private bucket with all its settings. S3 has one call for each: creating one takes as many passes as it has
/// settings, each of which can be interrupted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Bucket {
    /// Name, 3 to 63 characters, unique in the world.
    pub name: String,
    /// Region.
    pub region: String,
    /// Whether old versions are kept.
    pub versioning: bool,
    /// ARN of the KMS key; `None` for the key that S3 owns.
    pub kms_key_arn: Option<String>,
    /// Whether the four public access blocks are all on.
    pub public_access_blocked: bool,
    /// Whether access control lists are off (bucket owner enforced).
    pub owner_enforced: bool,
    /// Bucket policy, as a policy document.
    pub policy: Option<serde_json::Value>,
    /// Lifecycle rules, in order of their ids.
    pub lifecycle: Vec<LifecycleRule>,
    /// Archive tiers by inactivity; `None` removes our configuration.
    pub intelligent_tiering: Option<IntelligentTiering>,
    /// Rules for other origins; empty removes them.
    pub cors: Vec<CorsRule>,
    /// Tags.
    pub tags: Tags,
}

impl S3Bucket {
    /// Id of the Intelligent-Tiering configuration that belongs to us; others are left alone.
    pub const TIERING_ID: &'static str = "shopkeeper-archive";
}

impl AwsSpecification for S3Bucket {
    const KIND: AwsKind = AwsKind::S3Bucket;
    const FIELDS: &'static [Field] = &[
        Field::refused("region", "restore the region; a bucket cannot move"),
        Field::harmless("publicAccessBlocked"),
        Field::harmless("ownerEnforced"),
        Field::harmless("versioning"),
        Field::harmless("kmsKeyArn"),
        Field::harmless("policy"),
        Field::harmless("lifecycle"),
        Field::harmless("intelligentTiering").clearable(),
        Field::harmless("cors"),
    ];

    fn name(&self) -> String {
        self.name.clone()
    }
    tagged!();

    /// Without versioning what is overwritten or deleted is lost at once, and an expiration that comes earlier removes versions that are
    /// kept so far.
    fn effect(&self, observed: &Self, field: &str) -> Option<Effect> {
        let loses = match field {
            "versioning" => observed.versioning && !self.versioning,
            // While a rule of somebody else empties the bucket, no day is to be lost.
            "lifecycle" => {
                !observed
                    .lifecycle
                    .iter()
                    .any(LifecycleRule::deletes_objects)
                    && self
                        .lifecycle
                        .iter()
                        .any(|rule| rule.expires_earlier_than(&observed.lifecycle))
            }
            _ => false,
        };
        loses.then_some(Effect::DataLoss)
    }
}

impl LifecycleRule {
    /// Appended to the id of an observed rule that says more than we can: it differs from every rule that we want, so that it is seen,
    /// and goes when the rules are written.
    pub const SAYS_MORE: &'static str = " (changed outside)";
    /// The same, of a rule that deletes current objects. Ours never do.
    pub const DELETES_OBJECTS: &'static str = " (changed outside: deletes objects)";

    fn deletes_objects(&self) -> bool {
        self.id.ends_with(Self::DELETES_OBJECTS)
    }

    /// Whether it removes versions that none of the other rules removes as early.
    fn expires_earlier_than(&self, others: &[Self]) -> bool {
        self.noncurrent_expiration_days.is_some_and(|days| {
            !others.iter().any(|other| {
                self.prefix.starts_with(&other.prefix)
                    && other
                        .noncurrent_expiration_days
                        .is_some_and(|theirs| theirs <= days)
            })
        })
    }
}
