//! Users of caches, their groups and their passwords against the double.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod double;

use std::collections::BTreeSet;

use double::{Double, Seed, change, converge, differing, look, owner_tags, remove, token};
use shopkeeper_plan::{
    aws::{
        AccessString, AwsKind, AwsResource, CacheAuthentication, CacheEngine,
        CacheReplicationGroup, CacheSubnetGroup, CacheUser, CacheUserGroup, SecretsManagerSecret,
        TransitEncryption, password_secret,
    },
    failure::Class,
    observed::{Lifecycle, Present},
    outputs::Output,
    plan::DeleteMode,
};

const APP: &str = "shop-carts-app";

fn access(text: &str) -> AccessString {
    AccessString::from(text.to_owned())
}

fn app(authentication: CacheAuthentication) -> CacheUser {
    CacheUser {
        id: APP.into(),
        user_name: APP.into(),
        access_string: access("on ~* &* +@all"),
        authentication,
        password_current: (authentication == CacheAuthentication::Password).then_some(true),
        tags: owner_tags(),
    }
}

fn nobody() -> CacheUser {
    CacheUser {
        id: "shop-carts-default".into(),
        user_name: "default".into(),
        access_string: AccessString::nothing(),
        authentication: CacheAuthentication::Password,
        password_current: None,
        tags: owner_tags(),
    }
}

fn secret(double_key: &str) -> SecretsManagerSecret {
    SecretsManagerSecret {
        name: password_secret(APP),
        description: "of the carts".into(),
        username: APP.into(),
        kms_key_arn: double_key.into(),
        policy: None,
        tags: owner_tags(),
    }
}

fn group(users: &[&str]) -> CacheUserGroup {
    CacheUserGroup {
        id: "shop-carts".into(),
        users: users.iter().map(|id| (*id).to_owned()).collect(),
        tags: owner_tags(),
    }
}

async fn key(double: &Double) -> String {
    let client = aws_sdk_kms::Client::new(&double.configuration());
    let key = client.create_key().send().await.unwrap();
    key.key_metadata().unwrap().arn().unwrap().to_owned()
}

fn password(present: &Present) -> Option<String> {
    match present.outputs.get("password") {
        Some(Output::Secret(password)) => Some(password.expose().to_owned()),
        Some(Output::Plain(_)) => panic!("a password is shown"),
        None => None,
    }
}

async fn present(double: &Double, kind: AwsKind, name: &str) -> Present {
    // Another process, which knows no password yet.
    look(&double.account(), kind, name)
        .await
        .expect("it exists")
}

async fn subnets(double: &Double, seed: &Seed) {
    let group = CacheSubnetGroup {
        name: "shop-carts".into(),
        description: "carts of the shop".into(),
        subnets: seed.private_subnets().into_iter().collect(),
        tags: owner_tags(),
    };
    converge(double, &double.account(), group).await;
}

fn carts() -> CacheReplicationGroup {
    CacheReplicationGroup {
        id: "shop-carts".into(),
        description: "carts of the shop".into(),
        engine: CacheEngine::Valkey,
        engine_version: Some("8.0".into()),
        node_type: "cache.t4g.small".into(),
        replicas: 1,
        multi_az: true,
        transit_encryption: TransitEncryption::Required,
        kms_key_arn: None,
        subnet_group: "shop-carts".into(),
        parameter_group: None,
        security_groups: BTreeSet::new(),
        user_group: None,
        other_user_group: None,
        port: 6379,
        snapshot_retention_days: 0,
        snapshot_window: None,
        maintenance_window: None,
        auto_minor_version_upgrade: None,
        tags: owner_tags(),
    }
}

#[tokio::test]
async fn a_user_with_iam_is_made_changed_and_removed() {
    let double = Double::start();
    let account = double.account();
    let mut user = app(CacheAuthentication::Iam);
    double.forget_calls();
    let made = converge(&double, &account, user.clone()).await;
    assert_eq!(double.writes(), ["CreateUser"]);
    assert_eq!(made.outputs.plain("username"), Some(APP));
    assert_eq!(password(&made), None);
    change(&double, &account, &mut user, |user| {
        user.access_string = access("on ~carts:* +@read");
    })
    .await;
    change(&double, &account, &mut user, |user| {
        user.tags.insert("team".into(), "shop".into());
    })
    .await;
    remove(&double, &account, user, DeleteMode::Snapshot).await;
}

#[tokio::test]
async fn a_password_is_forgotten_with_its_secret() {
    let double = Double::start();
    let account = double.account();
    let user = app(CacheAuthentication::Password);
    converge(&double, &account, secret(&key(&double).await)).await;
    let made = converge(&double, &account, user).await;
    assert!(password(&made).is_some());
    let client = aws_sdk_secretsmanager::Client::new(&double.configuration());
    client
        .delete_secret()
        .secret_id(password_secret(APP))
        .force_delete_without_recovery(true)
        .send()
        .await
        .unwrap();
    let kind = AwsKind::SecretsManagerSecret;
    assert!(look(&account, kind, &password_secret(APP)).await.is_none());
    let seen = look(&account, AwsKind::CacheUser, APP).await.unwrap();
    assert_eq!(password(&seen), None);
}

#[tokio::test]
async fn a_password_is_generated_once_and_given_to_the_user() {
    let double = Double::start();
    let account = double.account();
    let key = key(&double).await;
    let user = app(CacheAuthentication::Password);
    let failure = account.create(&user.clone().into()).await.unwrap_err();
    assert!(failure.message.starts_with("GetSecretValue"), "{failure:?}");

    let mut secret = secret(&key);
    double.forget_calls();
    converge(&double, &account, secret.clone()).await;
    let made = converge(&double, &account, user.clone()).await;
    assert_eq!(double.writes(), ["CreateSecret", "CreateUser"]);
    let first = password(&made).expect("a password");
    assert_eq!(first.len(), 64);
    let other = present(&double, AwsKind::CacheUser, APP).await;
    assert_eq!(
        password(&other),
        Some(first.clone()),
        "another process reads the same"
    );

    change(&double, &account, &mut secret, |secret| {
        secret.description = "of the carts of the shop".into();
    })
    .await;
    change(&double, &account, &mut secret, |secret| {
        secret.tags.insert("team".into(), "shop".into());
    })
    .await;
    let same = present(&double, AwsKind::CacheUser, APP).await;
    assert_eq!(password(&same), Some(first));
    remove(&double, &account, user, DeleteMode::Snapshot).await;
    remove(&double, &account, secret, DeleteMode::Snapshot).await;
}

#[tokio::test]
async fn a_rotated_password_is_taken_over_and_the_one_before_is_still_good() {
    let double = Double::start();
    let key = key(&double).await;
    let user = app(CacheAuthentication::Password);
    converge(&double, &double.account(), secret(&key)).await;
    converge(&double, &double.account(), user.clone()).await;
    let secrets = aws_sdk_secretsmanager::Client::new(&double.configuration());
    let rotated = "r".repeat(40);
    let content = format!(r#"{{"username": "{APP}", "password": "{rotated}"}}"#);
    let put = secrets.put_secret_value().secret_id(password_secret(APP));
    put.secret_string(content).send().await.unwrap();

    let account = double.account();
    let found = look(&account, AwsKind::CacheUser, APP).await.unwrap();
    assert_eq!(differing(&user.clone().into(), &found), ["passwordCurrent"]);
    assert_eq!(
        password(&found),
        None,
        "not told before ElastiCache takes it"
    );
    double.forget_calls();
    let taken = converge(&double, &account, user).await;
    assert_eq!(double.writes(), ["ModifyUser", "AddTagsToResource"]);
    assert_eq!(password(&taken), Some(rotated));
    let client = aws_sdk_elasticache::Client::new(&double.configuration());
    let users = client.describe_users().user_id(APP).send().await.unwrap();
    let authentication = users.users()[0].authentication().unwrap();
    assert_eq!(authentication.password_count(), Some(2));
}

#[tokio::test]
async fn a_secret_that_was_made_once_more_gives_its_user_another_password() {
    let double = Double::start();
    let key = key(&double).await;
    let (secret, user) = (secret(&key), app(CacheAuthentication::Password));
    converge(&double, &double.account(), secret.clone()).await;
    let first = converge(&double, &double.account(), user.clone()).await;
    remove(
        &double,
        &double.account(),
        secret.clone(),
        DeleteMode::Everything,
    )
    .await;
    let without = present(&double, AwsKind::CacheUser, APP).await;
    assert_eq!(
        differing(&user.clone().into(), &without),
        ["passwordCurrent"]
    );
    assert_eq!(password(&without), None);
    converge(&double, &double.account(), secret).await;
    let second = converge(&double, &double.account(), user).await;
    assert!(password(&second).is_some());
    assert_ne!(password(&second), password(&first));
}

#[tokio::test]
async fn a_secret_that_is_about_to_go_is_not_made_again() {
    let double = Double::start();
    let key = key(&double).await;
    converge(&double, &double.account(), secret(&key)).await;
    let secrets = aws_sdk_secretsmanager::Client::new(&double.configuration());
    let delete = secrets.delete_secret().secret_id(password_secret(APP));
    delete.recovery_window_in_days(7).send().await.unwrap();
    let found = present(
        &double,
        AwsKind::SecretsManagerSecret,
        &password_secret(APP),
    )
    .await;
    assert!(matches!(found.lifecycle, Lifecycle::Failed(_)), "{found:?}");
    remove(
        &double,
        &double.account(),
        secret(&key),
        DeleteMode::Everything,
    )
    .await;
}

#[tokio::test]
async fn a_user_changes_between_iam_and_password() {
    let double = Double::start();
    let account = double.account();
    let key = key(&double).await;
    let mut user = app(CacheAuthentication::Iam);
    converge(&double, &account, user.clone()).await;
    converge(&double, &account, secret(&key)).await;
    let with = change(&double, &account, &mut user, |user| {
        *user = app(CacheAuthentication::Password);
    })
    .await;
    assert!(password(&with).is_some());
    let without = change(&double, &account, &mut user, |user| {
        *user = app(CacheAuthentication::Iam);
    })
    .await;
    assert_eq!(password(&without), None);
}

#[tokio::test]
async fn who_does_not_authenticate_has_a_password_that_nobody_knows() {
    let double = Double::start();
    let account = double.account();
    let made = converge(&double, &account, nobody()).await;
    assert_eq!(password(&made), None);
    let AwsResource::CacheUser(user) = &made.resource else {
        unreachable!()
    };
    assert_eq!(user.authentication, CacheAuthentication::Password);

    let client = aws_sdk_elasticache::Client::new(&double.configuration());
    let open = client
        .modify_user()
        .user_id(nobody().id)
        .no_password_required(true);
    open.access_string("on ~* +@all").send().await.unwrap();
    double.settle();
    let drifted = present(&double, AwsKind::CacheUser, &nobody().id).await;
    assert_eq!(
        differing(&nobody().into(), &drifted),
        ["accessString", "authentication"]
    );
    double.forget_calls();
    converge(&double, &account, nobody()).await;
    assert_eq!(double.writes(), ["ModifyUser"]);
}

#[tokio::test]
async fn a_group_is_made_changed_and_removed() {
    let double = Double::start();
    let account = double.account();
    converge(&double, &account, nobody()).await;
    converge(&double, &account, app(CacheAuthentication::Iam)).await;
    let mut users = group(&["shop-carts-default", APP]);
    double.forget_calls();
    converge(&double, &account, users.clone()).await;
    assert_eq!(double.writes(), ["CreateUserGroup"]);
    change(&double, &account, &mut users, |group| {
        group.users.remove(APP);
    })
    .await;
    change(&double, &account, &mut users, |group| {
        group.users.insert(APP.into());
    })
    .await;
    change(&double, &account, &mut users, |group| {
        group.tags.insert("team".into(), "shop".into());
    })
    .await;
    // Busy, and in use: both pass.
    let client = aws_sdk_elasticache::Client::new(&double.configuration());
    let busy = client.modify_user_group().user_group_id("shop-carts");
    busy.user_ids_to_remove(APP).send().await.unwrap();
    let found = present(&double, AwsKind::CacheUserGroup, "shop-carts").await;
    assert_eq!(found.lifecycle, Lifecycle::Modifying);
    let desired: AwsResource = group(&["shop-carts-default"]).into();
    let fields = ["users".to_owned()];
    let refused = account.update(&desired, &found, &fields).await;
    assert_eq!(refused.unwrap_err().class, Class::NotReady);
    let nobody_there = present(&double, AwsKind::CacheUser, &nobody().id).await;
    let kept = account
        .delete(
            &nobody_there,
            DeleteMode::Everything,
            &token(&nobody().into()),
        )
        .await;
    assert_eq!(kept.unwrap_err().class, Class::NotReady);

    double.settle();
    remove(&double, &account, users, DeleteMode::Snapshot).await;
    remove(&double, &account, nobody(), DeleteMode::Snapshot).await;
}

#[tokio::test]
async fn a_cache_takes_a_user_group_exchanges_it_and_gives_it_up() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    subnets(&double, &seed).await;
    converge(&double, &account, nobody()).await;
    converge(&double, &account, group(&["shop-carts-default"])).await;
    let mut cache = carts();
    cache.transit_encryption = TransitEncryption::Disabled;
    converge(&double, &account, cache.clone()).await;

    // TLS first, in its two steps.
    double.forget_calls();
    change(&double, &account, &mut cache, |cache| {
        cache.user_group = Some("shop-carts".into());
        cache.transit_encryption = TransitEncryption::Required;
    })
    .await;
    assert_eq!(double.writes(), ["ModifyReplicationGroup"; 3]);

    let client = aws_sdk_elasticache::Client::new(&double.configuration());
    let others = client
        .create_user_group()
        .user_group_id("others")
        .engine("redis");
    others.user_ids("shop-carts-default").send().await.unwrap();
    double.settle();
    let attach = client
        .modify_replication_group()
        .replication_group_id("shop-carts");
    let attach = attach
        .user_group_ids_to_add("others")
        .user_group_ids_to_remove("shop-carts");
    attach.apply_immediately(true).send().await.unwrap();
    double.settle();
    let found = present(&double, AwsKind::CacheReplicationGroup, "shop-carts").await;
    assert_eq!(differing(&cache.clone().into(), &found), ["userGroup"]);
    let back = converge(&double, &account, cache.clone()).await;
    let AwsResource::CacheReplicationGroup(back) = &back.resource else {
        unreachable!()
    };
    assert_eq!(back.other_user_group, None);

    double.forget_calls();
    change(&double, &account, &mut cache, |cache| {
        cache.user_group = None
    })
    .await;
    assert_eq!(double.writes(), ["ModifyReplicationGroup"]);
    remove(
        &double,
        &account,
        group(&["shop-carts-default"]),
        DeleteMode::Snapshot,
    )
    .await;
}

#[tokio::test]
async fn a_cache_is_made_with_its_user_group() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    subnets(&double, &seed).await;
    converge(&double, &account, nobody()).await;
    converge(&double, &account, group(&["shop-carts-default"])).await;
    double.forget_calls();
    let cache = CacheReplicationGroup {
        user_group: Some("shop-carts".into()),
        ..carts()
    };
    converge(&double, &account, cache.clone()).await;
    assert_eq!(double.writes(), ["CreateReplicationGroup"]);
    remove(&double, &account, cache, DeleteMode::Everything).await;
}
