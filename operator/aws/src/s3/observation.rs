//! Everything that S3 tells of a bucket: one call for each setting, all at the same time. S3 has no call that tells more.

use aws_sdk_s3::{Client, error::SdkError, types as sdk};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde_json::Value;
use shopkeeper_plan::{
    aws::{CorsRule, IntelligentTiering, LifecycleRule, S3Bucket, Tags},
    facts::partition,
    failure::{Class, Failure},
    observed::Lifecycle,
    outputs::Outputs,
};

use super::{bucket::MISSING, rules};
use crate::{
    account::{Account, Scope},
    error::{ALLOW_IT, classify, is_code},
    parts::{setting, trailed_setting},
    request::document,
    resource::Found,
    resourcegroupstagging::tags,
};

/// Why a setting could not be read.
enum Obstacle {
    /// There is no bucket.
    NoBucket,
    /// Anything else.
    Failed(Failure),
}

impl From<Failure> for Obstacle {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Reads the settings of one bucket of one account.
struct Reader<'a> {
    client: &'a Client,
    bucket: &'a str,
    owner: &'a str,
}

pub(super) async fn observe(
    account: &Account,
    name: &str,
    scope: &Scope,
) -> Result<Option<Found<S3Bucket>>, Failure> {
    let arn = format!("arn:{}:s3:::{name}", partition(&scope.region));
    let reader = Reader {
        client: &account.s3,
        bucket: name,
        owner: &scope.account_id,
    };
    // Each to its end, whatever becomes of the others: what was answered is not asked again.
    let (
        region,
        versioning,
        kms_key_arn,
        public_access_blocked,
        owner_enforced,
        policy,
        lifecycle,
        intelligent_tiering,
        cors,
        tags,
        empty,
    ) = futures::join!(
        trailed_setting("region", reader.region()),
        trailed_setting("versioning", reader.is_versioned()),
        trailed_setting("kms_key_arn", reader.kms_key_arn()),
        trailed_setting("public_access_blocked", reader.is_public_access_blocked()),
        trailed_setting("owner_enforced", reader.is_owner_enforced()),
        trailed_setting("policy", reader.policy()),
        trailed_setting("lifecycle", reader.lifecycle()),
        trailed_setting("intelligent_tiering", reader.intelligent_tiering()),
        trailed_setting("cors", reader.cors()),
        tags(account, &arn, "tags", reader.tags()),
        setting("empty", reader.is_empty()),
    );
    let resource = || {
        Ok(S3Bucket {
            name: name.to_owned(),
            region: region?,
            versioning: versioning?,
            kms_key_arn: kms_key_arn?,
            public_access_blocked: public_access_blocked?,
            owner_enforced: owner_enforced?,
            policy: policy?,
            lifecycle: lifecycle?,
            intelligent_tiering: intelligent_tiering?,
            cors: cors?,
            tags: tags?,
        })
    };
    let (resource, empty) = match resource().and_then(|resource| Ok((resource, empty?))) {
        Ok(seen) => seen,
        Err(Obstacle::NoBucket) => return Ok(None),
        Err(Obstacle::Failed(failure)) => return Err(failure),
    };
    let outputs = Outputs::new()
        .with("bucket", name)
        .with("region", &resource.region)
        .with("arn", &arn);
    Ok(Some(Found {
        resource,
        lifecycle: Lifecycle::Available,
        arn: Some(arn),
        id: Some(scope.account_id.clone()),
        outputs,
        empty: Some(empty),
        note: None,
    }))
}

/// The answer, or `None` where `unset` says that the bucket has no such setting.
fn unless_unset<T, E>(
    operation: &str,
    unset: &str,
    answer: Result<T, SdkError<E>>,
) -> Result<Option<T>, Obstacle>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if is_code(&error, MISSING) => Err(Obstacle::NoBucket),
        Err(error) if is_code(&error, &[unset]) => Ok(None),
        Err(error) => Err(Obstacle::Failed(explained(classify(operation, &error)))),
    }
}

/// The same for a setting that every bucket has.
fn always<T, E>(operation: &str, answer: Result<T, SdkError<E>>) -> Result<T, Obstacle>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    answer.map_err(|error| {
        if is_code(&error, MISSING) {
            Obstacle::NoBucket
        } else {
            Obstacle::Failed(explained(classify(operation, &error)))
        }
    })
}

/// Names are unique in the world: what S3 refuses may be somebody else's bucket, and what it sends elsewhere is in
/// another region.
fn explained(failure: Failure) -> Failure {
    match failure.code.as_deref() {
        Some("AccessDenied") => failure.with_remedy(format!(
            "if the bucket belongs to another account, choose another name; else {ALLOW_IT}"
        )),
        Some(
            "PermanentRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException",
        ) => Failure {
            class: Class::Invalid,
            ..failure
        }
        .with_remedy("the bucket is in another region: choose another name"),
        _ => failure,
    }
}

impl Reader<'_> {
    async fn region(&self) -> Result<String, Obstacle> {
        let answer = self
            .client
            .get_bucket_location()
            .bucket(self.bucket)
            .expected_bucket_owner(self.owner)
            .send()
            .await;
        let answer = always("GetBucketLocation", answer)?;
        // The names of the two oldest regions.
        Ok(
            match answer
                .location_constraint()
                .map(sdk::BucketLocationConstraint::as_str)
            {
                None | Some("") => "us-east-1".to_owned(),
                Some("EU") => "eu-west-1".to_owned(),
                Some(region) => region.to_owned(),
            },
        )
    }

    async fn is_versioned(&self) -> Result<bool, Obstacle> {
        let answer = self
            .client
            .get_bucket_versioning()
            .bucket(self.bucket)
            .expected_bucket_owner(self.owner)
            .send()
            .await;
        Ok(always("GetBucketVersioning", answer)?.status()
            == Some(&sdk::BucketVersioningStatus::Enabled))
    }

    async fn kms_key_arn(&self) -> Result<Option<String>, Obstacle> {
        let answer = self
            .client
            .get_bucket_encryption()
            .bucket(self.bucket)
            .expected_bucket_owner(self.owner)
            .send()
            .await;
        let answer = unless_unset(
            "GetBucketEncryption",
            "ServerSideEncryptionConfigurationNotFoundError",
            answer,
        )?;
        let configuration = answer.and_then(|answer| answer.server_side_encryption_configuration);
        let default = configuration.and_then(|configuration| {
            configuration
                .rules
                .into_iter()
                .find_map(|rule| rule.apply_server_side_encryption_by_default)
        });
        Ok(default.and_then(|default| match default.sse_algorithm {
            // Without an id: the key that AWS manages for S3 in the account.
            sdk::ServerSideEncryption::AwsKms | sdk::ServerSideEncryption::AwsKmsDsse => Some(
                default
                    .kms_master_key_id
                    .unwrap_or_else(|| "alias/aws/s3".to_owned()),
            ),
            _ => None,
        }))
    }

    async fn is_public_access_blocked(&self) -> Result<bool, Obstacle> {
        let answer = self
            .client
            .get_public_access_block()
            .bucket(self.bucket)
            .expected_bucket_owner(self.owner)
            .send()
            .await;
        let answer = unless_unset(
            "GetPublicAccessBlock",
            "NoSuchPublicAccessBlockConfiguration",
            answer,
        )?;
        Ok(answer
            .and_then(|answer| answer.public_access_block_configuration)
            .is_some_and(|blocks| {
                [
                    blocks.block_public_acls,
                    blocks.ignore_public_acls,
                    blocks.block_public_policy,
                    blocks.restrict_public_buckets,
                ]
                .iter()
                .all(|block| *block == Some(true))
            }))
    }

    async fn is_owner_enforced(&self) -> Result<bool, Obstacle> {
        let answer = self
            .client
            .get_bucket_ownership_controls()
            .bucket(self.bucket)
            .expected_bucket_owner(self.owner)
            .send()
            .await;
        let answer = unless_unset(
            "GetBucketOwnershipControls",
            "OwnershipControlsNotFoundError",
            answer,
        )?;
        Ok(answer
            .and_then(|answer| answer.ownership_controls)
            .is_some_and(|controls| {
                controls
                    .rules
                    .iter()
                    .any(|rule| rule.object_ownership == sdk::ObjectOwnership::BucketOwnerEnforced)
            }))
    }

    async fn policy(&self) -> Result<Option<Value>, Obstacle> {
        let answer = self
            .client
            .get_bucket_policy()
            .bucket(self.bucket)
            .expected_bucket_owner(self.owner)
            .send()
            .await;
        let text = unless_unset("GetBucketPolicy", "NoSuchBucketPolicy", answer)?
            .and_then(|answer| answer.policy);
        Ok(text
            .map(|text| document("GetBucketPolicy", &text))
            .transpose()?)
    }

    async fn lifecycle(&self) -> Result<Vec<LifecycleRule>, Obstacle> {
        let answer = self
            .client
            .get_bucket_lifecycle_configuration()
            .bucket(self.bucket)
            .expected_bucket_owner(self.owner)
            .send()
            .await;
        let answer = unless_unset(
            "GetBucketLifecycleConfiguration",
            "NoSuchLifecycleConfiguration",
            answer,
        )?;
        Ok(rules::observed_lifecycle(
            &answer.and_then(|answer| answer.rules).unwrap_or_default(),
        ))
    }

    async fn intelligent_tiering(&self) -> Result<Option<IntelligentTiering>, Obstacle> {
        let answer = self
            .client
            .get_bucket_intelligent_tiering_configuration()
            .bucket(self.bucket)
            .id(S3Bucket::TIERING_ID)
            .expected_bucket_owner(self.owner)
            .send()
            .await;
        let answer = unless_unset(
            "GetBucketIntelligentTieringConfiguration",
            "NoSuchConfiguration",
            answer,
        )?;
        Ok(answer
            .and_then(|answer| answer.intelligent_tiering_configuration)
            .and_then(|configuration| rules::observed_tiering(&configuration)))
    }

    async fn cors(&self) -> Result<Vec<CorsRule>, Obstacle> {
        let answer = self
            .client
            .get_bucket_cors()
            .bucket(self.bucket)
            .expected_bucket_owner(self.owner)
            .send()
            .await;
        let answer = unless_unset("GetBucketCors", "NoSuchCORSConfiguration", answer)?;
        Ok(rules::observed_cors(
            answer
                .and_then(|answer| answer.cors_rules)
                .unwrap_or_default(),
        ))
    }

    async fn tags(&self) -> Result<Tags, Obstacle> {
        let answer = self
            .client
            .get_bucket_tagging()
            .bucket(self.bucket)
            .expected_bucket_owner(self.owner)
            .send()
            .await;
        let answer = unless_unset("GetBucketTagging", "NoSuchTagSet", answer)?;
        Ok(answer
            .map(|answer| answer.tag_set)
            .unwrap_or_default()
            .into_iter()
            .map(|tag| (tag.key, tag.value))
            .collect())
    }

    /// Whether it holds neither objects nor older versions nor delete markers.
    async fn is_empty(&self) -> Result<bool, Obstacle> {
        let answer = self
            .client
            .list_object_versions()
            .bucket(self.bucket)
            .max_keys(1)
            .expected_bucket_owner(self.owner)
            .send()
            .await;
        let answer = always("ListObjectVersions", answer)?;
        Ok(answer.versions().is_empty() && answer.delete_markers().is_empty())
    }
}
