//! What a bucket holds, and its removal.

use aws_sdk_s3::{Client, types as sdk};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use shopkeeper_plan::{
    aws::S3Bucket,
    failure::{Class, Failure},
};

use super::bucket::MISSING;
use crate::{
    error::{classify, is_code},
    request::incomplete,
    resource::Found,
};

/// Unfinished uploads that are given up in one step; S3 has no call for several of them.
const UPLOADS: i32 = 100;

/// How many of them at once.
const AT_ONCE: usize = 8;

/// Removes a page of versions and delete markers or, where there are none, of unfinished uploads. `false` where there was
/// nothing to remove, or no bucket.
pub(super) async fn remove_page(client: &Client, found: &Found<S3Bucket>) -> Result<bool, Failure> {
    Ok(remove_versions(client, found).await? || give_up_uploads(client, found).await?)
}

async fn remove_versions(client: &Client, found: &Found<S3Bucket>) -> Result<bool, Failure> {
    let bucket = &found.resource.name;
    let page = match client
        .list_object_versions()
        .bucket(bucket)
        .set_expected_bucket_owner(found.id.clone())
        .send()
        .await
    {
        Ok(page) => page,
        Err(error) if is_code(&error, MISSING) => return Ok(false),
        Err(error) => return Err(classify("ListObjectVersions", &error)),
    };
    let versions = page
        .versions()
        .iter()
        .map(|version| (version.key(), version.version_id()));
    let markers = page
        .delete_markers()
        .iter()
        .map(|marker| (marker.key(), marker.version_id()));
    let identifiers = versions
        .chain(markers)
        .filter_map(|(key, version)| Some((key?, version)))
        .map(|(key, version)| {
            sdk::ObjectIdentifier::builder()
                .key(key)
                .set_version_id(version.map(str::to_owned))
                .build()
                .map_err(incomplete)
        })
        .collect::<Result<Vec<_>, _>>()?;
    if identifiers.is_empty() {
        return Ok(false);
    }
    let delete = sdk::Delete::builder()
        .set_objects(Some(identifiers))
        .quiet(true)
        .build()
        .map_err(incomplete)?;
    let answer = client
        .delete_objects()
        .bucket(bucket)
        .delete(delete)
        .set_expected_bucket_owner(found.id.clone())
        .send()
        .await;
    match answer {
        // S3 answers 200 also where it kept some of them.
        Ok(answer) => answer
            .errors()
            .first()
            .map_or(Ok(true), |error| Err(kept(error))),
        Err(error) if is_code(&error, MISSING) => Ok(false),
        Err(error) => Err(classify("DeleteObjects", &error)),
    }
}

/// An object that S3 did not remove.
fn kept(error: &sdk::Error) -> Failure {
    let code = error.code().unwrap_or("Unknown");
    let (class, remedy) = match code {
        "AccessDenied" => (
            Class::Denied,
            "allow s3:DeleteObjectVersion, and lift locks and denials of the bucket policy",
        ),
        "SlowDown" => (Class::Throttled, ""),
        _ => (Class::Transient, ""),
    };
    Failure::new(
        class,
        format!(
            "DeleteObjects: {}",
            error.message().unwrap_or("an object was kept")
        ),
    )
    .with_code(code)
    .with_remedy(remedy)
}

async fn give_up_uploads(client: &Client, found: &Found<S3Bucket>) -> Result<bool, Failure> {
    let bucket = &found.resource.name;
    let answer = client
        .list_multipart_uploads()
        .bucket(bucket)
        .max_uploads(UPLOADS)
        .set_expected_bucket_owner(found.id.clone())
        .send()
        .await;
    let page = match answer {
        Ok(page) => page,
        Err(error) if is_code(&error, MISSING) => return Ok(false),
        Err(error) => return Err(classify("ListMultipartUploads", &error)),
    };
    let uploads: Vec<_> = page
        .uploads()
        .iter()
        .filter_map(|upload| Some((upload.key()?, upload.upload_id()?)))
        .collect();
    let abortions: Vec<_> = uploads
        .iter()
        .map(|(key, id)| give_up(client, found, key, id))
        .collect();
    stream::iter(abortions)
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    Ok(!uploads.is_empty())
}

async fn give_up(
    client: &Client,
    found: &Found<S3Bucket>,
    key: &str,
    id: &str,
) -> Result<(), Failure> {
    let call = client
        .abort_multipart_upload()
        .bucket(&found.resource.name)
        .key(key)
        .upload_id(id);
    match call
        .set_expected_bucket_owner(found.id.clone())
        .send()
        .await
    {
        Ok(_) => Ok(()),
        Err(error) if is_code(&error, &["NoSuchUpload"]) => Ok(()),
        Err(error) => Err(classify("AbortMultipartUpload", &error)),
    }
}
