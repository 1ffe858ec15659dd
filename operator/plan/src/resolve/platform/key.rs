//! The key that everything on a Platform is encrypted with: made, brought along, and kept.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use shopkeeper_api::{Platform, defaults, platform::EncryptionType};

use super::cluster_arn;
use crate::{
    aws::KmsKey,
    facts::{KeyFacts, distribution_arn, partition},
    failure::{Class, Failure},
    names::Owner,
    planner::DeletionPolicy,
};

/// The ARN of the key that is brought along.
#[must_use]
pub fn existing_key_arn(platform: &Platform) -> Option<&str> {
    let encryption = platform.spec.encryption.as_ref()?;
    let existing = encryption.existing.as_ref()?;
    (encryption.type_ == EncryptionType::Existing).then_some(existing.key_arn.as_str())
}

/// The refusal to describe the key that is brought along, with its field. Other failures stay as they are.
#[must_use]
pub fn existing_key_denied(failure: Failure) -> Failure {
    if failure.class != Class::Denied {
        return failure;
    }
    Failure {
        message: format!("spec.encryption.existing.keyArn: {}", failure.message),
        ..failure
    }
    .with_remedy(
        "let the role of the operator describe the key (kms:DescribeKey): in its IAM policy, and in the policy of the key, which is \
         left to you",
    )
}

/// A key that cannot be used shows in the errors of everything that is encrypted with it, and nowhere else. Its policy is its owner's: it
/// is neither read nor changed.
pub(super) fn check_existing_key(arn: &str, found: Option<&KeyFacts>) -> Result<(), Failure> {
    let refuse = |problem: &str, remedy: &str| {
        Err(Failure::invalid(
            "spec.encryption.existing.keyArn",
            &format!("{arn} {problem}"),
            remedy,
        ))
    };
    let Some(key) = found else {
        return refuse(
            "is no key that KMS has",
            "correct the ARN. The key of a Platform is immutable: make the Platform again with another one",
        );
    };
    if key.is_managed_by_aws {
        return refuse(
            "is managed by AWS for one service, and no other can be let use it",
            "make the Platform again with a customer managed key",
        );
    }
    if key.usage != "ENCRYPT_DECRYPT" || key.spec != "SYMMETRIC_DEFAULT" {
        return refuse(
            &format!("is a key {} for {}", key.spec, key.usage),
            "make the Platform again with a key SYMMETRIC_DEFAULT for ENCRYPT_DECRYPT, which is what AWS services encrypt with",
        );
    }
    let state = format!("is {}, and nothing that it encrypts can be read", key.state);
    match key.state.as_str() {
        // It is for a moment only.
        "Enabled" | "Creating" | "Updating" => Ok(()),
        "Disabled" => refuse(&state, "enable it in KMS"),
        "PendingDeletion" | "PendingReplicaDeletion" => refuse(
            &state,
            "cancel its deletion in KMS and enable it, before its waiting period is over",
        ),
        "PendingImport" => refuse(&state, "import its key material"),
        _ => refuse(&state, "see to its key store, or to its replica, in KMS"),
    }
}

/// One key for everything at rest.
pub(super) fn managed_key(platform: &Platform, owner: &Owner) -> KmsKey {
    let spec = &platform.spec;
    let partition = partition(&spec.aws.region);
    let account = &spec.aws.account_id;
    let managed = spec
        .encryption
        .as_ref()
        .and_then(|encryption| encryption.managed.as_ref());
    let mut tags = spec
        .defaults
        .as_ref()
        .map(|defaults| defaults.tags.clone())
        .unwrap_or_default();
    tags.extend(owner.tags(&cluster_arn(platform)));
    KmsKey {
        alias: Some(key_alias(&owner.name)),
        description: format!("Everything at rest of {}", owner.path()),
        policy: Some(key_policy(partition, account)),
        rotation_period_days: Some(
            managed
                .and_then(|key| key.rotation_period_days)
                .unwrap_or(defaults::KEY_ROTATION_PERIOD_DAYS),
        ),
        enabled: true,
        tags,
    }
}

/// Services that use the key for themselves (SNS into an encrypted queue, CloudFront for encrypted objects) need to be named in its
/// policy: an IAM policy cannot give a service principal access to a key. `docs/decisions/0040-the-key-and-cloudfront.md`.
fn key_policy(partition: &str, account: &str) -> serde_json::Value {
    let mut statements = vec![
        json!({
            "Sid": "Account",
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:{partition}:iam::{account}:root")},
            "Action": "kms:*",
            "Resource": "*",
        }),
        json!({
            "Sid": "Topics",
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        }),
    ];
    // GovCloud has no CloudFront, and KMS refuses principals that it does not know.
    if partition != "aws-us-gov" {
        statements.push(json!({
            "Sid": "CloudFront",
            "Effect": "Allow",
            "Principal": {"Service": "cloudfront.amazonaws.com"},
            "Action": "kms:Decrypt",
            "Resource": "*",
            "Condition": {"StringLike": {"aws:SourceArn": distribution_arn(partition, account, "*")}},
        }));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// Why the key of a Platform stays although its deletion is asked for: without the key what it encrypts is lost, and a key that waits for
/// its deletion cannot be used already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyNeed {
    /// Custom resources are known to have left data behind, each with the policy under which it did.
    Retained(BTreeMap<String, String>),
    /// Resources are encrypted by it.
    Encrypts(BTreeSet<String>),
    /// It is older than the Platform: what was left under an earlier one of this name is not known.
    IsOlder,
    /// The status is lost, and with it what is known to be left.
    StatusIsLost,
    /// AWS does not let us see what there is.
    Unseen(Failure),
}

impl KeyNeed {
    /// In words that follow "the KMS key is kept although policy.deletion is Delete, since".
    #[must_use]
    pub fn describe(&self) -> String {
        /// How many are named before the rest is counted.
        const NAMED: usize = 8;
        let named = |all: Vec<String>| {
            let more = match all.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let named: Vec<String> = all.into_iter().take(NAMED).collect();
            format!("{}{more}", named.join(", "))
        };
        match self {
            Self::Retained(retained) => {
                let owners = retained.iter();
                let owners = owners.map(|(owner, policy)| format!("{owner} (under {policy})"));
                format!(
                    "what these left in AWS cannot be read without it: {}",
                    named(owners.collect())
                )
            }
            Self::Encrypts(resources) => format!(
                "these are encrypted by it: {}",
                named(resources.iter().cloned().collect())
            ),
            Self::IsOlder => "it is older than this Platform, and what an earlier one of this name left in AWS is not known".to_owned(),
            Self::StatusIsLost => {
                "the status of this Platform was lost, and with it what others left in AWS".to_owned()
            }
            Self::Unseen(failure) => {
                format!("whether anything needs it could not be seen: {failure}")
            }
        }
    }
}

/// What becomes of the key of a Platform that is deleted.
#[must_use]
pub fn deletion_of_key(declared: DeletionPolicy, need: Option<&KeyNeed>) -> DeletionPolicy {
    match (declared, need) {
        (DeletionPolicy::Delete, Some(_)) => DeletionPolicy::Snapshot,
        (declared, _) => declared,
    }
}

/// The alias of the key that a Platform of this name makes.
#[must_use]
pub fn key_alias(platform: &str) -> String {
    format!("alias/shopkeeper-{platform}")
}
