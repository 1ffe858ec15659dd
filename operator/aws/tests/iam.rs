//! IAM roles against the double.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod double;

use double::{CLUSTER, Double, change, converge, look, owner_tags, remove};
use serde_json::{Value, json};
use shopkeeper_aws::{eks::cluster_facts, iam::oidc_provider};
use shopkeeper_plan::{
    aws::{AwsKind, IamRole},
    facts::OidcProvider,
    plan::DeleteMode,
};

const READ_ONLY: &str = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
const WORKER: &str = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy";
const REGISTRY: &str = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly";

fn trust(service: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": ["sts:AssumeRole", "sts:TagSession"]}],
    })
}

fn allow(action: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": [action], "Resource": ["*"]}]})
}

fn role() -> IamRole {
    IamRole {
        name: "octank-shop-orders".into(),
        description: "Pods of OrderService shop/orders".into(),
        trust_policy: trust("pods.eks.amazonaws.com"),
        inline_policies: [
            ("orders".to_owned(), allow("sns:Publish")),
            ("keys+more".to_owned(), allow("kms:Decrypt")),
        ]
        .into(),
        managed_policy_arns: [WORKER.to_owned(), REGISTRY.to_owned()].into(),
        tags: owner_tags(),
    }
}

#[tokio::test]
async fn a_role_follows_what_is_desired_in_every_field() {
    let double = Double::start();
    let account = double.account();
    let mut desired = role();
    let present = converge(&double, &account, desired.clone()).await;
    assert_eq!(present.outputs.plain("arn"), present.arn.as_deref());
    assert!(present.arn.unwrap().ends_with(":role/octank-shop-orders"));

    change(&double, &account, &mut desired, |role| {
        role.description = "Orders, and what they need".into()
    })
    .await;
    change(&double, &account, &mut desired, |role| {
        role.trust_policy = trust("ec2.amazonaws.com")
    })
    .await;
    change(&double, &account, &mut desired, |role| {
        role.inline_policies = [
            ("orders".to_owned(), allow("sqs:SendMessage")),
            ("tables".to_owned(), allow("dynamodb:Query")),
        ]
        .into();
    })
    .await;
    change(&double, &account, &mut desired, |role| {
        role.managed_policy_arns = [WORKER.to_owned(), READ_ONLY.to_owned()].into()
    })
    .await;
    change(&double, &account, &mut desired, |role| {
        drop(role.tags.insert("team".into(), "orders".into()))
    })
    .await;

    for mode in [DeleteMode::Snapshot, DeleteMode::Everything] {
        remove(&double, &account, desired.clone(), mode).await;
        converge(&double, &account, desired.clone()).await;
    }
    remove(&double, &account, desired, DeleteMode::Everything).await;
}

#[tokio::test]
async fn one_pass_makes_one_change() {
    let double = Double::start();
    let account = double.account();
    converge(&double, &account, role()).await;
    double.forget_calls();
    let mut desired = role();
    desired.description = "other".into();
    desired.trust_policy = trust("ec2.amazonaws.com");
    let desired: shopkeeper_plan::aws::AwsResource = desired.into();
    let present = look(&account, AwsKind::IamRole, &desired.name())
        .await
        .unwrap();
    account
        .update(&desired, &present, &double::differing(&desired, &present))
        .await
        .unwrap();
    assert_eq!(double.writes().len(), 1, "{:?}", double.writes());
}

#[tokio::test]
async fn a_deletion_that_was_interrupted_goes_on() {
    let double = Double::start();
    let account = double.account();
    let desired = role();
    let present = converge(&double, &account, desired.clone()).await;
    // Denied after the policies are gone: the next pass starts over with what is left.
    double.fault(
        &json!({"kind": "access_denied", "service": "iam", "operation": "DeleteRole", "count": 1}),
    );
    let token = double::token(&desired.clone().into());
    account
        .delete(&present, DeleteMode::Everything, &token)
        .await
        .unwrap_err();
    // Deleting by what was seen before the interruption is a success too.
    account
        .delete(&present, DeleteMode::Everything, &token)
        .await
        .unwrap();
    assert!(
        look(&account, AwsKind::IamRole, &desired.name)
            .await
            .is_none()
    );
    account
        .delete(&present, DeleteMode::Everything, &token)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_role_of_that_name_is_a_conflict() {
    let double = Double::start();
    let account = double.account();
    converge(&double, &account, role()).await;
    let desired = role().into();
    let failure = account.create(&desired).await.unwrap_err();
    assert_eq!(failure.class, shopkeeper_plan::failure::Class::Conflict);
}

#[tokio::test]
async fn the_identity_provider_of_a_cluster_is_there_and_takes_tokens_for_sts_or_not() {
    let (double, _seed) = Double::start_seeded();
    let account = double.account();
    let cluster = cluster_facts(&account, CLUSTER).await.unwrap().unwrap();
    let state = async || oidc_provider(&account, &cluster).await.unwrap();
    assert_eq!(state().await, Some(OidcProvider::Missing));
    let iam = aws_sdk_iam::Client::new(&double.configuration());
    let made = iam
        .create_open_id_connect_provider()
        .url(cluster.oidc_issuer.clone().unwrap())
        .client_id_list("another.audience")
        .send()
        .await
        .unwrap();
    assert_eq!(state().await, Some(OidcProvider::WrongAudience));
    iam.add_client_id_to_open_id_connect_provider()
        .open_id_connect_provider_arn(made.open_id_connect_provider_arn().unwrap())
        .client_id("sts.amazonaws.com")
        .send()
        .await
        .unwrap();
    assert_eq!(state().await, Some(OidcProvider::Active));
    let mut without = cluster.clone();
    without.oidc_issuer = None;
    assert_eq!(oidc_provider(&account, &without).await.unwrap(), None);
}
