//! SQS queue.

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};
use crate::plan::Effect;

/// Where a message goes that was received too often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedrivePolicy {
    /// ARN of the queue for dead letters.
    pub dead_letter_arn: String,
    /// Receives before a message is moved there, 1 to 1000.
    pub max_receives: i32,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SqsQueue {
    /// Name, at most 80 characters; ends in `.fifo` where order matters.
    pub name: String,
    /// Whether order and exactly-once matter.
    pub fifo: bool,
    /// Whether a FIFO queue drops repeats of the same body.
    pub content_based_deduplication: bool,
    /// Seconds a received message stays hidden, 0 to 43200.
    pub visibility_timeout_seconds: i32,
    /// Seconds a message is kept, 60 to 1209600.
    pub retention_seconds: i32,
    /// Seconds until a message can be received, 0 to 900.
    pub delay_seconds: i32,
    /// Seconds a receive waits for a message, 0 to 20.
    pub receive_wait_seconds: i32,
    /// ARN of the KMS key; `None` for the key that SQS owns.
    pub kms_key_arn: Option<String>,
    /// Dead letters.
    pub redrive: Option<RedrivePolicy>,
    /// Queue policy, as a policy document; `None` for none.
    pub policy: Option<serde_json::Value>,
    /// Tags.
    pub tags: Tags,
}

impl AwsSpecification for SqsQueue {
    const KIND: AwsKind = AwsKind::SqsQueue;
    const FIELDS: &'static [Field] = &[
        Field::refused(
            "fifo",
            "restore the type, or declare another queue and drain this one",
        ),
        Field::harmless("contentBasedDeduplication"),
        Field::harmless("visibilityTimeoutSeconds"),
        Field::harmless("retentionSeconds"),
        Field::harmless("delaySeconds"),
        Field::harmless("receiveWaitSeconds"),
        Field::harmless("kmsKeyArn"),
        Field::harmless("redrive").clearable(),
        Field::harmless("policy").clearable(),
    ];

    fn name(&self) -> String {
        self.name.clone()
    }
    tagged!();

    /// Messages that are older than the new retention are dropped.
    fn effect(&self, observed: &Self, field: &str) -> Option<Effect> {
        (field == "retentionSeconds" && self.retention_seconds < observed.retention_seconds)
            .then_some(Effect::DataLoss)
    }
}
