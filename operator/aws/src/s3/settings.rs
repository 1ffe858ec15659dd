//! The settings of a bucket: S3 has one call for each.

use aws_sdk_s3::{Client, types as sdk};
use shopkeeper_plan::{
    aws::{S3Bucket, Tags},
    failure::Failure,
};

use super::rules;
use crate::{error::classify, request::incomplete, resource::Found};

/// Brings one field to what is desired. `false` where no call is needed or possible for it.
pub(super) async fn change(
    client: &Client,
    desired: &S3Bucket,
    found: &Found<S3Bucket>,
    field: &str,
) -> Result<bool, Failure> {
    let writer = Writer {
        client,
        desired,
        found,
    };
    match field {
        "versioning" => writer.versioning().await,
        "kmsKeyArn" => writer.encryption().await,
        "publicAccessBlocked" => writer.public_access().await,
        "ownerEnforced" => writer.ownership().await,
        "policy" => writer.policy().await,
        "lifecycle" => writer.lifecycle().await,
        "intelligentTiering" => writer.intelligent_tiering().await,
        "cors" => writer.cors().await,
        "tags" => writer.tags().await,
        _ => Ok(false),
    }
}

struct Writer<'a> {
    client: &'a Client,
    desired: &'a S3Bucket,
    found: &'a Found<S3Bucket>,
}

/// Sends a call on the bucket of the account that was observed.
macro_rules! send {
    ($writer:ident, $operation:literal, $call:expr) => {
        $call
            .bucket(&$writer.desired.name)
            .set_expected_bucket_owner($writer.found.id.clone())
            .send()
            .await
            .map(|_| true)
            .map_err(|error| classify($operation, &error))
    };
}

impl Writer<'_> {
    async fn versioning(&self) -> Result<bool, Failure> {
        // Once on, it can only be suspended.
        let status = if self.desired.versioning {
            sdk::BucketVersioningStatus::Enabled
        } else {
            sdk::BucketVersioningStatus::Suspended
        };
        let configuration = sdk::VersioningConfiguration::builder()
            .status(status)
            .build();
        send!(
            self,
            "PutBucketVersioning",
            self.client
                .put_bucket_versioning()
                .versioning_configuration(configuration)
        )
    }

    async fn encryption(&self) -> Result<bool, Failure> {
        let Some(key_arn) = &self.desired.kms_key_arn else {
            return Ok(false);
        };
        let default = sdk::ServerSideEncryptionByDefault::builder()
            .sse_algorithm(sdk::ServerSideEncryption::AwsKms)
            .kms_master_key_id(key_arn)
            .build()
            .map_err(incomplete)?;
        let rule = sdk::ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(default)
            // Without it, S3 asks KMS once for every object, which costs and is throttled.
            .bucket_key_enabled(true)
            .build();
        let configuration = sdk::ServerSideEncryptionConfiguration::builder()
            .rules(rule)
            .build()
            .map_err(incomplete)?;
        send!(
            self,
            "PutBucketEncryption",
            self.client
                .put_bucket_encryption()
                .server_side_encryption_configuration(configuration)
        )
    }

    async fn public_access(&self) -> Result<bool, Failure> {
        if !self.desired.public_access_blocked {
            return send!(
                self,
                "DeletePublicAccessBlock",
                self.client.delete_public_access_block()
            );
        }
        let configuration = sdk::PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .ignore_public_acls(true)
            .block_public_policy(true)
            .restrict_public_buckets(true)
            .build();
        send!(
            self,
            "PutPublicAccessBlock",
            self.client
                .put_public_access_block()
                .public_access_block_configuration(configuration)
        )
    }

    async fn ownership(&self) -> Result<bool, Failure> {
        let rule = sdk::OwnershipControlsRule::builder()
            .object_ownership(ownership(self.desired.owner_enforced))
            .build()
            .map_err(incomplete)?;
        let controls = sdk::OwnershipControls::builder()
            .rules(rule)
            .build()
            .map_err(incomplete)?;
        send!(
            self,
            "PutBucketOwnershipControls",
            self.client
                .put_bucket_ownership_controls()
                .ownership_controls(controls)
        )
    }

    async fn policy(&self) -> Result<bool, Failure> {
        let Some(policy) = &self.desired.policy else {
            return Ok(false);
        };
        send!(
            self,
            "PutBucketPolicy",
            self.client.put_bucket_policy().policy(policy.to_string())
        )
    }

    async fn lifecycle(&self) -> Result<bool, Failure> {
        if self.desired.lifecycle.is_empty() {
            // A configuration without rules is refused.
            return send!(
                self,
                "DeleteBucketLifecycle",
                self.client.delete_bucket_lifecycle()
            );
        }
        let configuration = rules::lifecycle(&self.desired.lifecycle)?;
        send!(
            self,
            "PutBucketLifecycleConfiguration",
            self.client
                .put_bucket_lifecycle_configuration()
                .lifecycle_configuration(configuration)
        )
    }

    async fn intelligent_tiering(&self) -> Result<bool, Failure> {
        let Some(wanted) = self.desired.intelligent_tiering else {
            return send!(
                self,
                "DeleteBucketIntelligentTieringConfiguration",
                self.client
                    .delete_bucket_intelligent_tiering_configuration()
                    .id(S3Bucket::TIERING_ID)
            );
        };
        let configuration = rules::tiering(wanted)?;
        send!(
            self,
            "PutBucketIntelligentTieringConfiguration",
            self.client
                .put_bucket_intelligent_tiering_configuration()
                .id(S3Bucket::TIERING_ID)
                .intelligent_tiering_configuration(configuration)
        )
    }

    async fn cors(&self) -> Result<bool, Failure> {
        if self.desired.cors.is_empty() {
            return send!(self, "DeleteBucketCors", self.client.delete_bucket_cors());
        }
        let configuration = rules::cors(&self.desired.cors)?;
        send!(
            self,
            "PutBucketCors",
            self.client
                .put_bucket_cors()
                .cors_configuration(configuration)
        )
    }

    /// PutBucketTagging replaces all tags: those of others, and AWS's own, which S3 refuses to lose, go with ours.
    async fn tags(&self) -> Result<bool, Failure> {
        let mut tags = self.found.resource.tags.clone();
        tags.extend(self.desired.tags.clone());
        let tagging = sdk::Tagging::builder()
            .set_tag_set(Some(tag_list(&tags)?))
            .build()
            .map_err(incomplete)?;
        send!(
            self,
            "PutBucketTagging",
            self.client.put_bucket_tagging().tagging(tagging)
        )
    }
}

pub(super) const fn ownership(enforced: bool) -> sdk::ObjectOwnership {
    if enforced {
        sdk::ObjectOwnership::BucketOwnerEnforced
    } else {
        sdk::ObjectOwnership::BucketOwnerPreferred
    }
}

pub(super) fn tag_list(tags: &Tags) -> Result<Vec<sdk::Tag>, Failure> {
    tags.iter()
        .map(|(key, value)| {
            sdk::Tag::builder()
                .key(key)
                .value(value)
                .build()
                .map_err(incomplete)
        })
        .collect()
}
