//! KMS key and alias.

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};

/// A symmetric customer-managed key, found by its alias. KMS has no client token and no name: a key whose alias was not
/// made yet is found by its owner tags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KmsKey {
    /// The alias with its prefix: `alias/shopkeeper-octank`. As observed: `None` until the alias exists.
    pub alias: Option<String>,
    /// What it is for.
    pub description: String,
    /// The key policy, as a JSON document.
    pub policy: Option<serde_json::Value>,
    /// Days between rotations of its material, 90 to 2560; `None` where it is not rotated.
    pub rotation_period_days: Option<i32>,
    /// Whether it can be used. Always desired; observed as false when somebody disabled it or scheduled its deletion.
    pub enabled: bool,
    /// Tags.
    pub tags: Tags,
}

impl AwsSpecification for KmsKey {
    const KIND: AwsKind = AwsKind::KmsKey;
    const FIELDS: &'static [Field] = &[
        Field::harmless("alias"),
        Field::harmless("description"),
        Field::harmless("policy"),
        Field::harmless("rotationPeriodDays").clearable(),
        Field::harmless("enabled"),
    ];

    fn name(&self) -> String {
        self.alias.clone().unwrap_or_default()
    }
    tagged!();
}
