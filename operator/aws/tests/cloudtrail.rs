//! What CloudTrail spares, against the double: settings that nobody changed are not read again.

#![allow(clippy::unwrap_used, clippy::panic)]

mod double;

use std::{collections::BTreeSet, time::Duration};

use double::{Double, bucket, converge, scope};
use serde_json::json;
use shopkeeper_aws::{Age, Observer};
use shopkeeper_plan::{aws::AwsKind, observed::Observation, resource::ResourceKey};

const BUCKET: &str = "octank-media";
/// Who looks, as the double tells callers apart.
const CALLER: &str = "trailing";
/// How old settings may be in these looks.
const AGE: Duration = Duration::from_millis(20);

/// What is seen in a look whose settings may be so old, and what was called for it.
async fn look(double: &Double, observer: &Observer) -> (bool, Vec<String>) {
    let key = ResourceKey::aws(AwsKind::S3Bucket, BUCKET);
    let position = double.position();
    let age = Age {
        settings: AGE,
        ..Age::now()
    };
    let keys = BTreeSet::from([key.clone()]);
    let mut observed = observer.observe(&keys, &scope(), age).await;
    let calls = double.calls_since(position, CALLER);
    tokio::time::sleep(AGE).await;
    match observed.remove(&key) {
        Some(Observation::Present(present)) => {
            (present.resource.to_value()["versioning"] == true, calls)
        }
        other => panic!("not seen: {other:?}"),
    }
}

fn reads_settings(calls: &[String]) -> bool {
    calls.iter().any(|call| call == "GetBucketCors")
}

#[tokio::test]
async fn settings_that_nobody_changed_are_not_read_again() {
    let double = Double::start();
    converge(&double, &double.account(), bucket(BUCKET)).await;
    let observer = Observer::new(double.trailing_account_of(CALLER));
    // CloudTrail tells whole seconds: what is read in the second of its making may have been changed after that.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let (_, calls) = look(&double, &observer).await;
    assert!(reads_settings(&calls), "{calls:?}");
    // The first settings that are too old are read, as CloudTrail is not asked for the sake of two; the others are not.
    look(&double, &observer).await;
    for _ in 0..3 {
        let (is_versioned, calls) = look(&double, &observer).await;
        assert!(is_versioned);
        assert!(!reads_settings(&calls), "{calls:?}");
        // Objects come and go without a word of CloudTrail.
        assert!(
            calls.iter().any(|call| call.starts_with("ListObject")),
            "{calls:?}"
        );
    }
    let s3 = aws_sdk_s3::Client::from_conf(
        aws_sdk_s3::config::Builder::from(&double.configuration())
            .force_path_style(true)
            .build(),
    );
    let suspended = aws_sdk_s3::types::VersioningConfiguration::builder()
        .status(aws_sdk_s3::types::BucketVersioningStatus::Suspended)
        .build();
    s3.put_bucket_versioning()
        .bucket(BUCKET)
        .versioning_configuration(suspended)
        .send()
        .await
        .unwrap();
    let (is_versioned, calls) = look(&double, &observer).await;
    assert!(!is_versioned, "{calls:?}");
}

#[tokio::test]
async fn where_cloudtrail_does_not_answer_settings_are_read() {
    let double = Double::start();
    converge(&double, &double.account(), bucket(BUCKET)).await;
    double.fault(&json!({"kind": "access_denied", "service": "cloudtrail", "operation": "*"}));
    let observer = Observer::new(double.trailing_account_of(CALLER));
    let mut asked = 0;
    for _ in 0..5 {
        let (_, calls) = look(&double, &observer).await;
        assert!(reads_settings(&calls), "{calls:?}");
        asked += calls.iter().filter(|call| *call == "LookupEvents").count();
    }
    assert_eq!(
        asked, 1,
        "whoever is refused does not come back for an hour"
    );
}
