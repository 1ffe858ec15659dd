//! S3 bucket for media, with the archive of what nobody reads.

use std::collections::BTreeSet;

use serde_json::json;
use shopkeeper_api::{Toggle, defaults, media as api};

use super::{Context, DataResource};
use crate::{
    aws::{CorsRule, IntelligentTiering, LifecycleRule, S3Bucket},
    sensitive::fingerprint,
};

/// Longest name of a bucket.
const LONGEST_NAME: usize = 63;

/// A private bucket.
pub(super) fn media(context: Context<'_>, declared: &api::Media) -> DataResource {
    let name = declared
        .bucket_name
        .clone()
        .unwrap_or_else(|| bucket_name(context));
    let platform = context.platform;
    let bucket = S3Bucket {
        region: platform.region.clone(),
        versioning: declared.versioning.is_none_or(Toggle::is_enabled),
        kms_key_arn: Some(platform.key_arn.clone()),
        public_access_blocked: true,
        owner_enforced: true,
        policy: Some(tls_only(platform.partition(), &name)),
        lifecycle: lifecycle(declared),
        intelligent_tiering: Some(IntelligentTiering {
            archive_days: declared
                .archive_after_inactive_days
                .unwrap_or(defaults::ARCHIVE_AFTER_INACTIVE_DAYS),
            deep_archive_days: declared.deep_archive_after_inactive_days,
        }),
        cors: declared.cors.iter().map(cors_rule).collect(),
        tags: context.tags(),
        name,
    };
    DataResource::bound("media", "", "media", bucket)
}

/// Unique in the world: account and region come first, and a hash of everything last, since a name that is too long loses
/// its end.
fn bucket_name(context: Context<'_>) -> String {
    let platform = context.platform;
    let text = format!(
        "{}-{}-{}-media",
        platform.account_id,
        platform.region,
        context.name("", LONGEST_NAME)
    );
    if text.len() <= LONGEST_NAME {
        return text;
    }
    let hash = &fingerprint(text.as_bytes())[..8];
    let kept: String = text.chars().take(LONGEST_NAME - 9).collect();
    format!("{}-{hash}", kept.trim_end_matches('-'))
}

/// Everything moves to Intelligent-Tiering at once: only there does S3 count days without access. What is there after 180
/// of them is archived by the bucket's tiering configuration; a lifecycle rule by age could not tell.
fn lifecycle(declared: &api::Media) -> Vec<LifecycleRule> {
    let noncurrent = declared
        .noncurrent_version_days
        .unwrap_or(defaults::NONCURRENT_VERSION_DAYS);
    vec![LifecycleRule {
        id: "shopkeeper".to_owned(),
        prefix: String::new(),
        intelligent_tiering_after_days: Some(0),
        noncurrent_expiration_days: Some(noncurrent),
        abort_multipart_days: Some(7),
    }]
}

fn tls_only(partition: &str, bucket: &str) -> serde_json::Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [format!("arn:{partition}:s3:::{bucket}"), format!("arn:{partition}:s3:::{bucket}/*")],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }],
    })
}

fn cors_rule(declared: &api::CorsRule) -> CorsRule {
    let methods: BTreeSet<String> = declared
        .allowed_methods
        .iter()
        .map(|method| method.as_str().to_owned())
        .collect();
    CorsRule {
        allowed_origins: declared.allowed_origins.iter().cloned().collect(),
        allowed_methods: if methods.is_empty() {
            ["GET".to_owned(), "HEAD".to_owned()].into()
        } else {
            methods
        },
        allowed_headers: declared.allowed_headers.iter().cloned().collect(),
        expose_headers: BTreeSet::new(),
        max_age_seconds: Some(
            declared
                .max_age_seconds
                .unwrap_or(defaults::CORS_MAX_AGE_SECONDS),
        ),
    }
}
