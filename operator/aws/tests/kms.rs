//! KMS keys against the double.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod double;

use double::{ACCOUNT_ID, Double, change, converge, differing, look, owner_tags, remove, token};
use serde_json::{Value, json};
use shopkeeper_aws::Account;
use shopkeeper_plan::{
    aws::{AwsKind, AwsResource, KmsKey},
    failure::Class,
    plan::DeleteMode,
};

const ALIAS: &str = "alias/shopkeeper-octank";

fn policy(statement: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": statement,
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT_ID}:root")},
            "Action": "kms:*",
            "Resource": "*",
        }],
    })
}

fn key() -> KmsKey {
    KmsKey {
        alias: Some(ALIAS.into()),
        description: "Data of Platform octank".into(),
        policy: Some(policy("Owner")),
        rotation_period_days: Some(365),
        enabled: true,
        tags: owner_tags(),
    }
}

fn client(double: &Double) -> aws_sdk_kms::Client {
    aws_sdk_kms::Client::new(&double.configuration())
}

async fn key_count(double: &Double) -> usize {
    client(double)
        .list_keys()
        .send()
        .await
        .unwrap()
        .keys()
        .len()
}

async fn found(account: &Account) -> shopkeeper_plan::observed::Present {
    look(account, AwsKind::KmsKey, ALIAS)
        .await
        .expect("the key is found")
}

#[tokio::test]
async fn a_key_follows_what_is_desired_in_every_field() {
    let double = Double::start();
    let account = double.account();
    let mut desired = key();
    let present = converge(&double, &account, desired.clone()).await;
    assert_eq!(present.outputs.plain("arn"), present.arn.as_deref());

    change(&double, &account, &mut desired, |key| {
        key.description = "Data of octank".into()
    })
    .await;
    change(&double, &account, &mut desired, |key| {
        key.policy = Some(policy("Other"))
    })
    .await;
    change(&double, &account, &mut desired, |key| {
        key.rotation_period_days = Some(90)
    })
    .await;
    change(&double, &account, &mut desired, |key| {
        key.rotation_period_days = None;
    })
    .await;
    change(&double, &account, &mut desired, |key| {
        key.rotation_period_days = Some(180);
    })
    .await;
    change(&double, &account, &mut desired, |key| {
        drop(key.tags.insert("team".into(), "platform".into()))
    })
    .await;
    assert_eq!(key_count(&double).await, 1);

    remove(&double, &account, desired.clone(), DeleteMode::Everything).await;
    // The name is free again; what is pending deletion stays as it is.
    let again = converge(&double, &account, desired).await;
    assert_ne!(again.id, present.id);
    assert_eq!(key_count(&double).await, 2);
}

#[tokio::test]
async fn a_key_without_its_alias_is_found_by_its_tags() {
    let double = Double::start();
    let account = double.account();
    let desired: AwsResource = key().into();
    // The key was made, and the answer lost, so that nothing came after it.
    double.fault(
        &json!({"kind": "lost_response", "service": "kms", "operation": "CreateKey", "count": 1}),
    );
    let failure = account.create(&desired).await.unwrap_err();
    assert_eq!(failure.class, Class::Transient);
    let present = found(&account).await;
    assert!(differing(&desired, &present).contains(&"alias".to_owned()));
    converge(&double, &account, desired).await;
    assert_eq!(key_count(&double).await, 1);
}

#[tokio::test]
async fn a_key_that_lists_do_not_show_yet_is_not_made_again() {
    let double = Double::start();
    let account = double.account();
    let desired: AwsResource = key().into();
    double.fault(
        &json!({"kind": "throttle", "service": "kms", "operation": "CreateAlias", "count": 1}),
    );
    account.create(&desired).await.unwrap_err();
    // A clone, as each pass has one, that saw nothing of it.
    account.clone().create(&desired).await.unwrap();
    assert_eq!(key_count(&double).await, 1);
    // The alias was made, and that is not seen either.
    account.create(&desired).await.unwrap();
    assert_eq!(key_count(&double).await, 1);
    converge(&double, &account, desired).await;
}

#[tokio::test]
async fn a_key_that_may_have_been_made_is_looked_for_before_another_is() {
    let double = Double::start();
    let account = double.account();
    let desired: AwsResource = key().into();
    double.fault(
        &json!({"kind": "lost_response", "service": "kms", "operation": "CreateKey", "count": 1}),
    );
    for class in [Class::Transient, Class::NotReady] {
        let failure = account.create(&desired).await;
        assert_eq!(failure.unwrap_err().class, class);
    }
    assert_eq!(key_count(&double).await, 1);
}

#[tokio::test]
async fn a_second_key_is_told() {
    let double = Double::start();
    let desired: AwsResource = key().into();
    double.fault(
        &json!({"kind": "throttle", "service": "kms", "operation": "CreateAlias", "count": 2}),
    );
    for _ in 0..2 {
        // Two processes, of which neither knows what the other made.
        let account = double.account();
        account.create(&desired).await.unwrap_err();
    }
    let present = found(&double.account()).await;
    let text = present.note.unwrap().to_string();
    assert!(text.contains("schedule its deletion"), "{text}");
    assert!(!text.contains(&present.id.unwrap()), "{text}");
}

#[tokio::test]
async fn somebody_elses_key_is_not_taken_for_ours() {
    let double = Double::start();
    let account = double.account();
    client(&double).create_key().send().await.unwrap();
    let mut other = key();
    other.alias = Some("alias/another".into());
    converge(&double, &account, other).await;
    client(&double)
        .delete_alias()
        .alias_name("alias/another")
        .send()
        .await
        .unwrap();
    // Ours by its owner, and made for another alias.
    assert!(look(&account, AwsKind::KmsKey, ALIAS).await.is_none());
}

#[tokio::test]
async fn a_disabled_key_is_enabled_and_a_scheduled_deletion_called_off() {
    let double = Double::start();
    let account = double.account();
    let desired: AwsResource = key().into();
    let id = converge(&double, &account, desired.clone())
        .await
        .id
        .unwrap();

    client(&double)
        .disable_key()
        .key_id(&id)
        .send()
        .await
        .unwrap();
    assert_eq!(differing(&desired, &found(&account).await), ["enabled"]);
    converge(&double, &account, desired.clone()).await;

    client(&double)
        .schedule_key_deletion()
        .key_id(&id)
        .pending_window_in_days(7)
        .send()
        .await
        .unwrap();
    assert!(differing(&desired, &found(&account).await).contains(&"enabled".to_owned()));
    assert_eq!(converge(&double, &account, desired).await.id, Some(id));
}

#[tokio::test]
async fn a_deletion_that_was_interrupted_goes_on() {
    let double = Double::start();
    let account = double.account();
    let desired: AwsResource = key().into();
    let present = converge(&double, &account, desired.clone()).await;
    double.fault(&json!({"kind": "5xx", "service": "kms", "operation": "DeleteAlias", "count": 1}));
    account
        .delete(&present, DeleteMode::Everything, &token(&desired))
        .await
        .unwrap_err();
    // Its deletion is scheduled and it still has its alias: there is something left to do.
    assert_eq!(found(&account).await.id, present.id);
    double.forget_calls();
    remove(&double, &account, desired, DeleteMode::Everything).await;
    assert_eq!(double.writes(), ["DeleteAlias"]);
}

#[tokio::test]
async fn a_key_does_not_go_while_snapshots_are_kept() {
    let double = Double::start();
    let account = double.account();
    let desired: AwsResource = key().into();
    let present = converge(&double, &account, desired.clone()).await;
    account
        .delete(&present, DeleteMode::Snapshot, &token(&desired))
        .await
        .unwrap_err();
    assert_eq!(
        differing(&desired, &found(&account).await),
        Vec::<String>::new()
    );
}

/// Schedules the deletion of a key and takes its alias, as we do at the end of a Platform.
async fn end(double: &Double, id: &str) {
    let kms = client(double);
    kms.schedule_key_deletion().key_id(id).send().await.unwrap();
    kms.delete_alias().alias_name(ALIAS).send().await.unwrap();
}

#[tokio::test]
async fn a_key_of_an_earlier_owner_that_is_pending_deletion_is_brought_back() {
    let double = Double::start();
    let account = double.account();
    let mut earlier = key();
    let uid = "shopkeeper.dev/owner-uid".to_owned();
    earlier.tags.insert(uid.clone(), "an-earlier-one".into());
    let id = converge(&double, &account, earlier).await.id.unwrap();
    end(&double, &id).await;

    let desired: AwsResource = key().into();
    // Taking it over: KMS takes no tags before its deletion is called off.
    double.forget_calls();
    for _ in 0..2 {
        let present = found(&account).await;
        assert_eq!(present.id.as_ref(), Some(&id));
        let tags = ["tags".to_owned()];
        account.update(&desired, &present, &tags).await.unwrap();
    }
    assert_eq!(double.writes(), ["CancelKeyDeletion", "TagResource"]);
    assert_eq!(found(&account).await.tags().get(&uid), key().tags.get(&uid));
    assert_eq!(converge(&double, &account, desired).await.id, Some(id));
    assert_eq!(key_count(&double).await, 1);
}

#[tokio::test]
async fn a_key_of_ours_that_is_pending_deletion_without_its_alias_is_gone() {
    let double = Double::start();
    let account = double.account();
    let id = converge(&double, &account, key()).await.id.unwrap();
    end(&double, &id).await;
    assert!(look(&account, AwsKind::KmsKey, ALIAS).await.is_none());
}

#[tokio::test]
async fn a_key_of_an_owner_of_another_name_is_not_brought_back() {
    let double = Double::start();
    for tag in ["shopkeeper.dev/owner", "shopkeeper.dev/cluster"] {
        // Another process: it remembers nothing of the one before.
        let account = double.account();
        let mut another = key();
        another.tags.insert(tag.to_owned(), "another".into());
        let id = converge(&double, &account, another).await.id.unwrap();
        end(&double, &id).await;
        assert!(
            look(&account, AwsKind::KmsKey, ALIAS).await.is_none(),
            "{tag}"
        );
    }
}
