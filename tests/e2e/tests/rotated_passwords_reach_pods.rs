//! A password that is rotated in AWS reaches the Secret and the pods, and nothing else tells it.
//!
//! Proves for the master password, which RDS rotates by itself, that its rotation is followed while RDS says that it goes on; and for the
//! password of a cache's user, which people and rotation functions change in Secrets Manager, that the user takes it and the pods
//! have it once it is read again, as after a restart. Pods read their environment once: each of them is replaced.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use futures::FutureExt as _;
use serde_json::json;
use shopkeeper_e2e::{
    PATIENCE, Shop, Subject, equals, includes, order_service_with_database, read_example,
    run_together,
};

const NAMESPACE: &str = "rotation";
/// Long enough that somebody looks before a rotation has ended.
const ROTATION: Duration = Duration::from_secs(60);

#[tokio::test]
async fn rotated_passwords_reach_pods() -> Result<()> {
    let mut shop = Shop::open("rotation").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    let (orders, catalog) = (
        Subject::new("OrderService", NAMESPACE, "orders"),
        Subject::new("CatalogService", NAMESPACE, "catalog"),
    );
    run_together(vec![
        (
            "the master password of a database",
            of_a_database(&shop, &orders).boxed_local(),
        ),
        (
            "a cache with a user",
            a_cache_with_a_user(&shop, &catalog).boxed_local(),
        ),
    ])
    .await?;
    let first = shop.secrets().await?;
    of_a_user(&mut shop, &catalog).await?;
    for subject in [&orders, &catalog] {
        shop.second_pass_is_silent(subject).await?;
    }
    shop.no_secret_is_told(&first).await?;
    shop.no_secret_is_told(&shop.secrets().await?).await?;
    shop.close().await
}

async fn of_a_database(shop: &Shop, subject: &Subject) -> Result<()> {
    shop.apply(&order_service_with_database(subject, ""))
        .await?;
    shop.until_ready(subject).await?;
    let database = shop.made(subject, "RdsInstance", "database").await?;
    let before = shop.aws.master_password(&database).await?;
    given(shop, subject, &before).await?;
    let old = shop.pods(&subject.namespace, &subject.name).await?;

    shop.environment
        .aws_control()?
        .set_transition_of("rds.*.rotating", ROTATION)
        .await?;
    shop.aws
        .rds
        .modify_db_instance()
        .db_instance_identifier(&database)
        .rotate_master_user_password(true)
        .apply_immediately(true)
        .send()
        .await?;
    let rotated = shop.aws.master_password(&database).await?;
    ensure!(rotated != before, "RDS has not rotated the password");
    shop.request_pass(subject, "2026-11-24T09:00:00Z").await?;
    replaced(shop, subject, &old, &rotated).await
}

async fn a_cache_with_a_user(shop: &Shop, subject: &Subject) -> Result<()> {
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {{name: catalog, namespace: {NAMESPACE}}}
spec:
  workload: {{image: registry.example/catalog:1, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: None}}
  cache: {{engine: Valkey, nodeType: cache.t4g.small, replicas: 1, users: [{{name: app, authentication: Password}}]}}
  bindings:
    - {{resource: cache, env: [{{name: PASSWORD, template: '{{{{password}}}}'}}]}}
"
    ))
    .await?;
    shop.until_ready(subject).await.map(drop)
}

/// Nobody says that a secret has another version: it is read again after five minutes, or by another operator.
async fn of_a_user(shop: &mut Shop, subject: &Subject) -> Result<()> {
    let user = shop.made(subject, "CacheUser", "cache.users.app").await?;
    let before = shop.aws.cache_password(&user).await?;
    given(shop, subject, &before).await?;
    let old = shop.pods(&subject.namespace, &subject.name).await?;

    shop.stop_operator().await?;
    let rotated = "rotated-by-somebody-else-1234567890";
    let secret = format!("shopkeeper/elasticache/{user}");
    let value = json!({"username": user, "password": rotated}).to_string();
    let put = shop.aws.secretsmanager.put_secret_value();
    put.secret_id(secret).secret_string(value).send().await?;
    let mark = shop.mark().await?;
    shop.operator = Some(shop.start_operator("second").await?);
    replaced(shop, subject, &old, rotated).await?;
    equals(
        "what was done to the user",
        shop.steps_since(mark, &user).await?,
        vec![
            "elasticache:ModifyUser".to_owned(),
            // A tag says which version of the secret the user has.
            "elasticache:AddTagsToResource".to_owned(),
        ],
    )
}

/// Waits until the pods are given this password, and are others than those that were given the one before.
async fn replaced(
    shop: &Shop,
    subject: &Subject,
    old: &BTreeSet<String>,
    password: &str,
) -> Result<()> {
    shop.until("every pod has the new password", PATIENCE, async || {
        given(shop, subject, password).await?;
        let now = shop.pods(&subject.namespace, &subject.name).await?;
        equals("the number of pods", now.len(), old.len())?;
        ensure!(now.is_disjoint(old), "pods of before still run");
        Ok(())
    })
    .await?;
    shop.until_ready(subject).await.map(drop)
}

/// Fails unless new pods are given this password, which stays out of the message.
async fn given(shop: &Shop, subject: &Subject, password: &str) -> Result<()> {
    let deployment = shop.get("Deployment", NAMESPACE, &subject.name).await?;
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    includes(
        "the variable",
        &container["env"][0],
        &json!({"name": "PASSWORD", "value": null}),
    )?;
    let variables = shop.variables(NAMESPACE, container).await?;
    ensure!(
        variables["PASSWORD"].as_str() == Some(password),
        "{subject} gives its pods another password"
    );
    Ok(())
}
