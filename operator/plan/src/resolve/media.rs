//! S3 bucket for media, with the archive of what nobody reads.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shopkeeper_api::{Toggle, defaults, media as api};

use super::{Context, DataResource};
use crate::{
    aws::{CorsRule, IntelligentTiering, LifecycleRule, S3Bucket},
    blueprint::{Remark, Section},
    facts::PlatformFacts,
    failure::Failure,
    sensitive::fingerprint,
};

/// Longest name of a bucket.
const LONGEST_NAME: usize = 63;

/// The field that names the distributions that may read.
const DISTRIBUTIONS: &str = "spec.media.cloudFrontDistributionArns";

/// A private bucket.
pub(super) fn media(context: Context<'_>, declared: &api::Media) -> Result<DataResource, Failure> {
    let distributions = distributions(context.platform, declared)?;
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
        policy: Some(policy(platform.partition(), &name, &distributions)),
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
    let mut media = DataResource::bound("media", "", "media", bucket);
    if !distributions.is_empty() && !platform.key_is_managed {
        media.remarks.push(Remark {
            section: Section::Data,
            reason: "KeyPolicyNotManaged",
            text: format!(
                "{DISTRIBUTIONS} needs the key of Platform {}, which is brought along and is not changed: see that its policy lets \
                 cloudfront.amazonaws.com use kms:Decrypt for these distributions",
                platform.name
            ),
        });
    }
    Ok(media)
}

/// The distributions that may read. Those of other accounts would be let in by the bucket and kept out by the key, which decrypts for
/// its own account alone: every request would be answered with 403.
fn distributions<'a>(
    platform: &PlatformFacts,
    declared: &'a api::Media,
) -> Result<BTreeSet<&'a str>, Failure> {
    let ours = platform.distribution_arn("");
    let named = &declared.cloud_front_distribution_arns;
    match named.iter().find(|arn| !arn.starts_with(&ours)) {
        None => Ok(named.iter().map(String::as_str).collect()),
        Some(other) => Err(Failure::invalid(
            &format!("{DISTRIBUTIONS}[{other}]"),
            &format!(
                "is not of account {} ({}), which Platform {} is in, and whose key decrypts for its own distributions alone",
                platform.account_id,
                platform.partition(),
                platform.name
            ),
            "name a distribution of that account, or take it out",
        )),
    }
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

/// Nobody without TLS, and the distributions by their origin access control. The principal is a service and the sources are named, so
/// that the policy is not public, and the public access block lets it pass.
fn policy(partition: &str, bucket: &str, distributions: &BTreeSet<&str>) -> Value {
    let objects = format!("arn:{partition}:s3:::{bucket}/*");
    let mut statements = vec![json!({
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [format!("arn:{partition}:s3:::{bucket}"), &objects],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    })];
    if !distributions.is_empty() {
        statements.push(json!({
            "Sid": "CloudFront",
            "Effect": "Allow",
            "Principal": {"Service": "cloudfront.amazonaws.com"},
            "Action": "s3:GetObject",
            "Resource": objects,
            "Condition": {"StringEquals": {"AWS:SourceArn": distributions}},
        }));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
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
