//! S3 buckets against the double.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod double;

use double::{Double, REGION, change, converge, look, owner_tags, remove, scope, token};
use serde_json::json;
use shopkeeper_aws::Scope;
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, CorsRule, IntelligentTiering, LifecycleRule, S3Bucket},
    failure::Class,
    observed::Observation,
    plan::DeleteMode,
};

const NAME: &str = "octank-media";

fn bucket() -> S3Bucket {
    S3Bucket {
        name: NAME.into(),
        region: REGION.into(),
        versioning: true,
        kms_key_arn: None,
        public_access_blocked: true,
        owner_enforced: true,
        policy: None,
        lifecycle: vec![],
        intelligent_tiering: None,
        cors: vec![],
        tags: owner_tags(),
    }
}

fn cors(origin: &str) -> CorsRule {
    let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    CorsRule {
        allowed_origins: set(&[origin]),
        allowed_methods: set(&["GET", "HEAD"]),
        allowed_headers: set(&["*"]),
        expose_headers: set(&["ETag"]),
        max_age_seconds: Some(3600),
    }
}

fn rule(id: &str) -> LifecycleRule {
    LifecycleRule {
        id: id.into(),
        prefix: String::new(),
        intelligent_tiering_after_days: Some(30),
        noncurrent_expiration_days: Some(90),
        abort_multipart_days: Some(7),
    }
}

#[tokio::test]
async fn a_bucket_is_made_changed_and_removed() {
    let double = Double::start();
    let account = double.account();
    let kms = aws_sdk_kms::Client::new(&double.configuration());
    let key = kms
        .create_key()
        .send()
        .await
        .unwrap()
        .key_metadata
        .unwrap()
        .arn
        .unwrap();

    let mut media = bucket();
    double.forget_calls();
    let present = converge(&double, &account, media.clone()).await;
    assert_eq!(
        double.writes(),
        ["CreateBucket", "PutBucketVersioning"],
        "tags and ownership come with the bucket"
    );
    assert_eq!(present.outputs.plain("bucket"), Some(NAME));
    assert_eq!(present.outputs.plain("region"), Some(REGION));
    assert_eq!(present.empty, Some(true));

    change(&double, &account, &mut media, |bucket| {
        bucket.versioning = false
    })
    .await;
    change(&double, &account, &mut media, |bucket| {
        bucket.kms_key_arn = Some(key)
    })
    .await;
    change(&double, &account, &mut media, |bucket| {
        bucket.public_access_blocked = false
    })
    .await;
    change(&double, &account, &mut media, |bucket| {
        bucket.public_access_blocked = true
    })
    .await;
    change(&double, &account, &mut media, |bucket| {
        bucket.owner_enforced = false
    })
    .await;
    change(&double, &account, &mut media, |bucket| {
        bucket.owner_enforced = true
    })
    .await;
    change(&double, &account, &mut media, |bucket| {
        bucket.policy = Some(json!({"Version": "2012-10-17", "Statement": [{
            "Sid": "tls", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
            "Resource": [format!("arn:aws:s3:::{NAME}"), format!("arn:aws:s3:::{NAME}/*")],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }]}));
    })
    .await;
    change(&double, &account, &mut media, |bucket| {
        bucket.lifecycle = vec![rule("a"), rule("b")]
    })
    .await;
    change(&double, &account, &mut media, |bucket| {
        bucket.lifecycle = vec![]
    })
    .await;
    change(&double, &account, &mut media, |bucket| {
        bucket.intelligent_tiering = Some(IntelligentTiering {
            archive_days: 90,
            deep_archive_days: Some(180),
        });
    })
    .await;
    change(&double, &account, &mut media, |bucket| {
        bucket.intelligent_tiering = None
    })
    .await;
    change(&double, &account, &mut media, |bucket| {
        bucket.cors = vec![cors("https://shop.example"), cors("https://b.example")]
    })
    .await;
    change(&double, &account, &mut media, |bucket| bucket.cors = vec![]).await;
    remove(&double, &account, media, DeleteMode::Snapshot).await;
}

#[tokio::test]
async fn tags_and_tiers_of_others_stay() {
    let double = Double::start();
    let account = double.account();
    let mut media = bucket();
    media.intelligent_tiering = Some(IntelligentTiering {
        archive_days: 90,
        deep_archive_days: None,
    });
    converge(&double, &account, media.clone()).await;

    let client = aws_sdk_s3::Client::from_conf(
        aws_sdk_s3::config::Builder::from(&double.configuration())
            .force_path_style(true)
            .build(),
    );
    let tag = aws_sdk_s3::types::Tag::builder()
        .key("costs")
        .value("media")
        .build()
        .unwrap();
    let tagging = aws_sdk_s3::types::Tagging::builder()
        .tag_set(tag)
        .build()
        .unwrap();
    client
        .put_bucket_tagging()
        .bucket(NAME)
        .tagging(tagging)
        .send()
        .await
        .unwrap();

    let present = converge(&double, &account, media.clone()).await;
    assert_eq!(
        present.tags().get("costs").map(String::as_str),
        Some("media")
    );
    let expected = owner_tags();
    assert!(
        expected
            .iter()
            .all(|(key, value)| present.tags().get(key) == Some(value))
    );
}

#[tokio::test]
async fn a_bucket_with_versions_goes_only_with_its_data() {
    let double = Double::start();
    let account = double.account();
    converge(&double, &account, bucket()).await;
    let client = aws_sdk_s3::Client::from_conf(
        aws_sdk_s3::config::Builder::from(&double.configuration())
            .force_path_style(true)
            .build(),
    );
    for body in ["one", "two"] {
        client
            .put_object()
            .bucket(NAME)
            .key("picture")
            .body(body.as_bytes().to_vec().into())
            .send()
            .await
            .unwrap();
    }
    client
        .delete_object()
        .bucket(NAME)
        .key("picture")
        .send()
        .await
        .unwrap();
    client
        .create_multipart_upload()
        .bucket(NAME)
        .key("film")
        .send()
        .await
        .unwrap();

    let present = look(&account, AwsKind::S3Bucket, NAME).await.unwrap();
    assert_eq!(
        present.empty,
        Some(false),
        "a delete marker hides versions, it does not remove them"
    );
    let desired = AwsResource::from(bucket());
    let failure = account
        .delete(&present, DeleteMode::Snapshot, &token(&desired))
        .await
        .unwrap_err();
    assert_eq!(failure.class, Class::NotReady, "{failure:?}");

    double.forget_calls();
    remove(&double, &account, bucket(), DeleteMode::Everything).await;
    assert_eq!(
        double.writes(),
        ["DeleteObjects", "AbortMultipartUpload", "DeleteBucket"]
    );
}

#[tokio::test]
async fn a_bucket_that_is_refused_is_never_taken_for_ours() {
    let double = Double::start();
    let account = double.account();
    converge(&double, &account, bucket()).await;
    let other = Scope {
        account_id: "999999999999".into(),
        ..scope()
    };
    match account.observe(AwsKind::S3Bucket, NAME, &other).await {
        Observation::Unknown(failure) => {
            assert_eq!(failure.class, Class::Denied);
            assert!(failure.remedy.contains("another name"), "{failure:?}");
        }
        observation => panic!("{observation:?}"),
    }
}
