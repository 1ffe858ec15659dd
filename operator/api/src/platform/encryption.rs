//! The key of a Platform.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pattern;

/// Key that everything at rest is encrypted with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.existing) == (self.type == 'Existing')")
        .message("existing must be set when type is Existing, and left out otherwise"),
    validation = Rule::new("!has(self.managed) || self.type == 'Managed'")
        .message("managed may only be set when type is Managed")
)]
pub struct Encryption {
    /// `Managed` makes a KMS key with rotation, `Existing` uses one of yours.
    #[serde(rename = "type")]
    pub type_: EncryptionType,
    /// Your key, for type Existing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<ExistingKey>,
    /// The key to make, for type Managed. Everything in it has a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedKey>,
}

/// Where the key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum EncryptionType {
    /// Shopkeeper makes it.
    Managed,
    /// It is there.
    Existing,
}

/// A key that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExistingKey {
    /// ARN of the key (not of an alias, which can be pointed elsewhere). For topics that deliver to queues, its policy must let
    /// `sns.amazonaws.com` use it, and for media behind CloudFront `cloudfront.amazonaws.com` (`kms:Decrypt`).
    #[schemars(length(min = 20, max = 256), regex(pattern = pattern::KEY_ARN))]
    pub key_arn: String,
}

/// A key that Shopkeeper makes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedKey {
    /// Days between rotations. Default: 365.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 90, max = 2560))]
    pub rotation_period_days: Option<i32>,
}
