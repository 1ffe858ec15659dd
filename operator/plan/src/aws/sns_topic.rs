//! SNS topic.

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};

/// A topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnsTopic {
    /// ARN: derived from the name, the account and the region, as SNS does.
    pub arn: String,
    /// Name, at most 256 characters; ends in `.fifo` where order matters.
    pub name: String,
    /// Name shown in e-mails and SMS; the empty string for none.
    pub display_name: String,
    /// Whether order and exactly-once matter.
    pub fifo: bool,
    /// Whether a FIFO topic drops repeats of the same body.
    pub content_based_deduplication: bool,
    /// ARN of the KMS key.
    pub kms_key_arn: Option<String>,
    /// Topic policy, as a policy document; `None` for the one that SNS gives a new topic, which lets in nobody else.
    pub policy: Option<serde_json::Value>,
    /// Tags.
    pub tags: Tags,
}

impl AwsSpecification for SnsTopic {
    const KIND: AwsKind = AwsKind::SnsTopic;
    const FIELDS: &'static [Field] = &[
        Field::harmless("displayName"),
        Field::replace("fifo"),
        Field::harmless("contentBasedDeduplication"),
        Field::harmless("kmsKeyArn"),
        Field::harmless("policy").clearable(),
    ];

    fn name(&self) -> String {
        self.name.clone()
    }
    tagged!();
}
