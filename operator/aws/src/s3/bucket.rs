//! S3 buckets.

use async_trait::async_trait;
use aws_sdk_s3::types as sdk;
use shopkeeper_plan::{aws::S3Bucket, failure::Failure, plan::DeleteMode};

use super::{content, observation, settings};
use crate::{
    account::{Account, Scope},
    error::{classify, is_code},
    request::nothing_to_change,
    resource::{DeletionToken, Found, ResourceApi},
};

/// Buckets. [`Found::id`] is the account that owns the bucket, which every call names: a bucket of that name in another
/// account is refused by S3 instead of being taken for ours.
pub(crate) struct BucketApi<'a>(pub(crate) &'a Account);

/// The code for a bucket that does not exist.
pub(super) const MISSING: &[&str] = &["NoSuchBucket"];

/// The region that S3 refuses to be told of, since it is where buckets are made that name none.
const UNNAMED_REGION: &str = "us-east-1";

#[async_trait]
impl ResourceApi<S3Bucket> for BucketApi<'_> {
    async fn observe(&self, name: &str, scope: &Scope) -> Result<Option<Found<S3Bucket>>, Failure> {
        observation::observe(self.0, name, scope).await
    }

    /// S3 takes the tags with the bucket, and every other setting by a call of its own. Since 2023 a new bucket blocks
    /// public access, has no access control lists and is encrypted, so that there is no moment in which it is open.
    async fn create(&self, desired: &S3Bucket) -> Result<(), Failure> {
        let region = (desired.region != UNNAMED_REGION)
            .then(|| sdk::BucketLocationConstraint::from(desired.region.as_str()));
        let configuration = sdk::CreateBucketConfiguration::builder()
            .set_location_constraint(region)
            .set_tags(Some(settings::tag_list(&desired.tags)?).filter(|tags| !tags.is_empty()))
            .build();
        self.0
            .s3
            .create_bucket()
            .bucket(&desired.name)
            .create_bucket_configuration(configuration)
            .object_ownership(settings::ownership(desired.owner_enforced))
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("CreateBucket", &error))
    }

    async fn update(
        &self,
        desired: &S3Bucket,
        found: &Found<S3Bucket>,
        fields: &[String],
    ) -> Result<(), Failure> {
        for field in fields {
            if settings::change(&self.0.s3, desired, found, field).await? {
                return Ok(());
            }
        }
        Err(nothing_to_change("S3 bucket", fields))
    }

    /// S3 has no snapshot of a bucket: with its data it goes a page at a time, else only when it is empty.
    async fn delete(
        &self,
        found: &Found<S3Bucket>,
        mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        if mode == DeleteMode::Everything && content::remove_page(&self.0.s3, found).await? {
            return Ok(());
        }
        let answer = self
            .0
            .s3
            .delete_bucket()
            .bucket(&found.resource.name)
            .set_expected_bucket_owner(found.id.clone())
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, MISSING) => Ok(()),
            Err(error) => Err(classify("DeleteBucket", &error)),
        }
    }
}
