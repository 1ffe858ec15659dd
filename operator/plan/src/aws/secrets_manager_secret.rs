//! Secrets Manager secret with a password.

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};

/// A secret that holds a password, generated when the secret is made and known to no plan. Somebody who puts another one in its
/// place has rotated it: it is used from then on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretsManagerSecret {
    /// Name, at most 512 characters.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The user whose password it is, which stands beside it in the form that AWS's rotation functions read.
    pub username: String,
    /// ARN of the key that encrypts it.
    pub kms_key_arn: String,
    /// Policy by which somebody lets others in, as a policy document. None is ever wished for: who may use it has a role for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<serde_json::Value>,
    /// Tags.
    pub tags: Tags,
}

impl AwsSpecification for SecretsManagerSecret {
    const KIND: AwsKind = AwsKind::SecretsManagerSecret;
    const FIELDS: &'static [Field] = &[
        Field::harmless("description"),
        Field::create_only("username"),
        Field::harmless("kmsKeyArn"),
        Field::harmless("policy").clearable(),
    ];

    fn name(&self) -> String {
        self.name.clone()
    }
    tagged!();
}
