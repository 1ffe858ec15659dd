//! Budgets and unfinished looks against the double: what is called, and what is not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod double;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use double::{Double, bucket, converge, differing, look, owner_tags, scope};
use serde_json::json;
use shopkeeper_aws::{Age, Observer, budget::Budgets, calls::noting_writes};
use shopkeeper_plan::{
    aws::{
        AccessString, AwsKind, AwsResource, CacheAuthentication, CacheUser, KmsKey,
        RdsParameterGroup, SecretsManagerSecret, password_secret,
    },
    budget::{AwsApi, Limit},
    failure::{Class, Failure},
    observed::Observation,
    resource::ResourceKey,
};

const BUCKET: &str = "octank-media";
/// Calls that tell everything of a bucket.
const READS_OF_A_BUCKET: usize = 11;
const MOST_LOOKS: usize = 200;

fn limited(api: AwsApi, per_second: u32, burst: u32) -> Budgets {
    let budgets = Budgets::default();
    budgets.set_limits(&BTreeMap::from([(api, Limit { per_second, burst })]));
    budgets
}

fn a_key(alias: &str) -> KmsKey {
    KmsKey {
        alias: Some(alias.into()),
        description: "Data of Platform octank".into(),
        policy: None,
        rotation_period_days: None,
        enabled: true,
        tags: owner_tags(),
    }
}

/// Looks until everything is seen, as passes do that are sent away; gives what was seen, and the failures before that.
async fn look_on(observer: &Observer, key: &ResourceKey) -> (Observation, Vec<Failure>) {
    let (keys, age) = (BTreeSet::from([key.clone()]), Age::now());
    let mut failures = Vec::new();
    for _ in 0..MOST_LOOKS {
        let mut observed = observer.observe(&keys, &scope(), age).await;
        match observed.remove(key).unwrap() {
            Observation::Unknown(failure) => {
                // What the queue does between two passes.
                tokio::time::sleep(failure.retry_after.unwrap_or_default()).await;
                failures.push(failure);
            }
            seen => return (seen, failures),
        }
    }
    panic!("not seen in {MOST_LOOKS} looks: {failures:?}");
}

#[tokio::test]
async fn a_bucket_that_needs_more_calls_than_there_are_tokens_is_seen_all_the_same() {
    let double = Double::start();
    converge(&double, &double.account(), bucket(BUCKET)).await;
    let account = double.account_within("frugal", limited(AwsApi::S3, 20, 4));
    let observer = Observer::new(account);
    let key = ResourceKey::aws(AwsKind::S3Bucket, BUCKET);
    let before = double.position();
    let (seen, failures) = look_on(&observer, &key).await;
    assert!(matches!(seen, Observation::Present(_)));
    assert!(!failures.is_empty());
    for failure in &failures {
        assert_eq!(failure.class, Class::Throttled, "{failure}");
        assert!(failure.is_budget_spent(), "{failure}");
        assert!(
            failure.retry_after.unwrap() < Duration::from_secs(2),
            "{failure}"
        );
    }
    let calls = double.calls_since(before, "frugal");
    let distinct: BTreeSet<&String> = calls.iter().collect();
    assert_eq!(distinct.len(), READS_OF_A_BUCKET, "{calls:?}");
    assert_eq!(
        calls.len(),
        READS_OF_A_BUCKET,
        "none was made twice: {calls:?}"
    );
}

#[tokio::test]
async fn what_no_token_was_left_for_has_written_nothing() {
    let double = Double::start();
    let account = double.account_within("frugal", limited(AwsApi::S3, 1, 1));
    let before = double.writes().len();
    // On a slow machine there may be another token for the next one.
    for made in 0..MOST_LOOKS {
        let wanted = bucket(&format!("octank-{made}"));
        let (created, has_written) = noting_writes(account.create(&wanted)).await;
        assert_eq!(
            double.writes().len() - before,
            made + usize::from(created.is_ok())
        );
        assert_eq!(has_written, created.is_ok());
        if let Err(failure) = created {
            assert!(failure.is_budget_spent() && made > 0, "{failure}");
            return;
        }
    }
    panic!("there was always a token");
}

/// Two reads of the secret, the change and its tag: each of them finds no token now and then, and none is made twice for that.
#[tokio::test]
async fn a_password_is_changed_by_one_call_at_a_time() {
    let double = Double::start();
    let plain = double.account();
    let key = converge(&double, &plain, a_key("alias/shop")).await;
    let user = CacheUser {
        id: "shop-carts-app".into(),
        user_name: "shop-carts-app".into(),
        access_string: AccessString::from("on ~* &* +@all".to_owned()),
        authentication: CacheAuthentication::Password,
        password_current: Some(true),
        tags: owner_tags(),
    };
    let secret = SecretsManagerSecret {
        name: password_secret(&user.id),
        description: "of the carts".into(),
        username: user.id.clone(),
        kms_key_arn: key.arn.unwrap(),
        policy: None,
        tags: owner_tags(),
    };
    converge(&double, &plain, secret).await;
    converge(&double, &plain, user.clone()).await;
    let rotated = json!({"username": user.id, "password": "r".repeat(40)});
    aws_sdk_secretsmanager::Client::new(&double.configuration())
        .put_secret_value()
        .secret_id(password_secret(&user.id))
        .secret_string(rotated.to_string())
        .send()
        .await
        .unwrap();

    let limit = Limit {
        per_second: 1,
        burst: 1,
    };
    let budgets = Budgets::default();
    budgets.set_limits(&BTreeMap::from([
        (AwsApi::SecretsManager, limit),
        (AwsApi::ElastiCache, limit),
    ]));
    let frugal = double.account_within("frugal", budgets);
    let other = double.account_of("other");
    let present = look(&other, AwsKind::CacheUser, &user.id).await.unwrap();
    let desired = AwsResource::from(user);
    let fields = ["passwordCurrent".to_owned()];
    let before = double.position();
    let mut refused = 0;
    while let Err(failure) = frugal.update(&desired, &present, &fields).await {
        assert!(failure.is_budget_spent(), "{failure}");
        refused += 1;
        assert!(refused < 10, "it comes to no end");
        tokio::time::sleep(failure.retry_after.unwrap_or_default()).await;
    }
    assert_eq!(
        double.calls_since(before, "frugal"),
        [
            "GetSecretValue",
            "GetSecretValue",
            "ModifyUser",
            "AddTagsToResource"
        ]
    );
    double.settle();
    let present = look(
        &double.account_of("third"),
        AwsKind::CacheUser,
        &desired.name(),
    )
    .await
    .unwrap();
    assert_eq!(differing(&desired, &present), Vec::<String>::new());
}

#[tokio::test]
async fn what_was_answered_between_throttled_calls_is_kept() {
    let double = Double::start();
    converge(&double, &double.account(), bucket(BUCKET)).await;
    // A key that only its tags tell of, among others.
    let kms = aws_sdk_kms::Client::new(&double.configuration());
    let alias = "alias/shopkeeper-octank";
    for _ in 0..20 {
        kms.create_key().send().await.unwrap();
    }
    converge(&double, &double.account(), a_key(alias)).await;
    kms.delete_alias().alias_name(alias).send().await.unwrap();

    let observer = Observer::new(double.account_of("patient"));
    double.fault(&json!({
        "kind": "throttle", "operation": "*", "caller": "*app/patient*", "probability": 0.3, "seed": 7,
    }));
    for key in [
        ResourceKey::aws(AwsKind::S3Bucket, BUCKET),
        ResourceKey::aws(AwsKind::KmsKey, alias),
    ] {
        let (seen, failures) = look_on(&observer, &key).await;
        assert!(matches!(seen, Observation::Present(_)), "{key}");
        // Whole looks of eleven or of twenty-five calls would see it once in fifty, or in seven thousand.
        assert!(failures.len() < 15, "{key}: {} looks", failures.len());
    }
}

#[tokio::test]
async fn at_rest_many_are_described_at_once_and_settings_are_not_asked_again() {
    let double = Double::start();
    let names: Vec<String> = (0..12).map(|number| format!("octank-{number}")).collect();
    for name in &names {
        let desired = RdsParameterGroup {
            name: name.clone(),
            family: "postgres17".into(),
            description: "Of a shop".into(),
            parameters: BTreeMap::new(),
            tags: owner_tags(),
        };
        converge(&double, &double.account(), desired).await;
    }
    let observer = Observer::new(double.account_of("idle"));
    let keys: BTreeSet<ResourceKey> = names
        .iter()
        .map(|name| ResourceKey::aws(AwsKind::RdsParameterGroup, name.clone()))
        .collect();
    let hour = Duration::from_secs(3600);
    let resync = || Age {
        settings: hour,
        listings: hour,
        ..Age::now()
    };
    let look = async |age: Age| {
        let before = double.position();
        let observed = observer.observe(&keys, &scope(), age).await;
        for (key, observation) in &observed {
            assert!(matches!(observation, Observation::Present(_)), "{key}");
        }
        double.calls_since(before, "idle")
    };
    let first = look(resync()).await;
    let of = |calls: &[String], name: &str| calls.iter().filter(|call| *call == name).count();
    // One by its name, and then one page for all.
    assert_eq!(of(&first, "DescribeDBParameterGroups"), 2, "{first:?}");
    assert_eq!(of(&first, "ListTagsForResource"), 1, "{first:?}");
    assert_eq!(of(&first, "GetResources"), 1, "{first:?}");
    assert_eq!(look(resync()).await, Vec::<String>::new());
    // Whoever waits for it is told what is so now, of each.
    let edit = look(Age::now()).await;
    assert_eq!(of(&edit, "DescribeDBParameterGroups"), names.len());
    assert_eq!(of(&edit, "ListTagsForResource"), names.len());

    // What was made behind our back is seen as soon as it is about to be changed.
    let key = keys.first().unwrap();
    observer.forget(key);
    let one = BTreeSet::from([key.clone()]);
    let before = double.position();
    observer.observe(&one, &scope(), resync()).await;
    let calls = double.calls_since(before, "idle");
    assert_eq!(of(&calls, "DescribeDBParameterGroups"), 1, "{calls:?}");
    assert_eq!(of(&calls, "ListTagsForResource"), 1, "{calls:?}");
}

#[tokio::test]
async fn after_throttling_no_call_is_made_until_the_bucket_has_filled() {
    let double = Double::start();
    let account = double.account_within("frugal", limited(AwsApi::SQS, 1, 100));
    let scope = scope();
    let look = || account.observe(AwsKind::SqsQueue, "octank", &scope);
    let rule = double.fault(&json!({"kind": "throttle", "operation": "GetQueueUrl"}));
    let before = double.position();
    let throttled = look().await;
    assert!(!throttled.failure().unwrap().is_budget_spent());
    double.remove_fault(&rule);
    let refused = look().await;
    let failure = refused.failure().unwrap();
    assert!(failure.is_budget_spent(), "{failure}");
    assert_eq!(failure.message, "GetQueueUrl: the budget for SQS is spent");
    assert_eq!(double.calls_since(before, "frugal").len(), 1);
    // AWS's other services are not held up.
    let other = account.observe(AwsKind::SnsTopic, "octank", &scope).await;
    assert_eq!(other, Observation::Absent);
}
