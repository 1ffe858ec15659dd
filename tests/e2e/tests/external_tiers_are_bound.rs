//! A database, a broker and a cache that somebody else runs reach the pods as those do that Shopkeeper makes.
//!
//! Proves that a Secret which is not there, or lacks an entry, is named with its field and what to do, and waited for; that it takes
//! hold by itself once it is there; that another password replaces the pods and reaches them, and is told nowhere; that a Secret
//! which goes leaves the pods as they are; and that at the end nothing is left but what was there before.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals, includes, read_example, says};

const NAMESPACE: &str = "outside";
const FIRST: &str = "first-password:of/the@database";
const SECOND: &str = "second-password:of/the@database";
const BROKER: &str = "the-password-of-the-broker";

#[tokio::test]
async fn external_tiers_are_bound() -> Result<()> {
    let shop = Shop::open("external").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    let orders = Subject::new("OrderService", NAMESPACE, "orders");
    let front = Subject::new("Storefront", NAMESPACE, "front");
    declare(&shop).await?;

    a_missing_secret_is_named(&shop, &orders).await?;
    credentials(&shop, FIRST).await?;
    for subject in [&orders, &front] {
        shop.until_ready(subject).await?;
    }
    the_pods_are_told(&shop).await?;
    let first = shop.secrets().await?;
    another_password_reaches_the_pods(&shop, &orders).await?;
    a_secret_that_goes_changes_nothing(&shop, &orders).await?;
    for subject in [&orders, &front] {
        shop.second_pass_is_silent(subject).await?;
    }
    shop.no_secret_is_told(&first).await?;
    shop.no_secret_is_told(&shop.secrets().await?).await?;
    nothing_else_is_left(&shop, &[&orders, &front]).await?;
    shop.close().await
}

async fn declare(shop: &Shop) -> Result<()> {
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {{name: orders, namespace: {NAMESPACE}}}
spec:
  workload: {{image: registry.example/orders:1, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: None}}
  external:
    - {{name: legacy, type: PostgreSQL, host: db.legacy.example, database: orders, secretRef: {{name: legacy-db}}}}
    - {{name: broker, type: RabbitMQ, provider: amazon-mq, host: mq.legacy.example, port: 5671, scheme: amqps,
        secretRef: {{name: legacy-mq}}, keys: {{username: user, password: pass}}}}
  bindings:
    - {{resource: external.legacy, env: [
        {{name: ENDPOINT, template: '{{{{endpoint}}}}'}},
        {{name: PASSWORD, template: '{{{{password}}}}'}}]}}
    - {{resource: external.broker, env: [{{name: AMQP, template: '{{{{uri}}}}'}}]}}
---
apiVersion: shopkeeper.dev/v1alpha1
kind: Storefront
metadata: {{name: front, namespace: {NAMESPACE}}}
spec:
  frontends:
    - name: web
      workload: {{image: registry.example/web:1, ports: [{{name: http, containerPort: 8080}}]}}
      nodes: {{type: None}}
      external: [{{name: sessions, type: Valkey, host: cache.legacy.example, secretRef: {{name: legacy-db}}}}]
      bindings: [{{resource: external.sessions, env: [{{name: PASSWORD, template: '{{{{password}}}}'}}]}}]
"
    ))
    .await
}

/// Makes the Secrets, or gives the database another password.
async fn credentials(shop: &Shop, password: &str) -> Result<()> {
    let secret = |name: &str, data: Value| {
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "stringData": data,
        })
    };
    let database = secret(
        "legacy-db",
        json!({"username": "orders", "password": password}),
    );
    shop.apply(&database.to_string()).await?;
    let broker = secret("legacy-mq", json!({"user": "shop", "pass": BROKER}));
    shop.apply(&broker.to_string()).await
}

async fn a_missing_secret_is_named(shop: &Shop, orders: &Subject) -> Result<()> {
    let message = shop
        .until_condition(orders, "WorkloadReady", "False", "ProgressingWithRetry")
        .await?;
    says(
        &message,
        &[
            "spec.external[",
            "secretRef: Secret legacy-",
            "does not exist",
            "create it with the entries",
        ],
    )?;
    let pods = shop
        .find(&Subject::new("Deployment", NAMESPACE, "orders"))
        .await?;
    ensure!(pods.is_none(), "pods were made without their credentials");
    // One that comes without the entry that is named is told by that.
    let incomplete = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "legacy-mq", "namespace": NAMESPACE},
        "stringData": {"user": "shop"},
    });
    shop.apply(&incomplete.to_string()).await?;
    shop.until("the entry is named", PATIENCE, async || {
        let object = shop.get(orders.kind, NAMESPACE, &orders.name).await?;
        let conditions = object["status"]["conditions"].to_string();
        ensure!(
            conditions.contains("spec.external[broker].keys.password")
                && conditions.contains("no text in its entry pass"),
            "{conditions}"
        );
        Ok(())
    })
    .await
}

async fn the_pods_are_told(shop: &Shop) -> Result<()> {
    let orders = variables(shop, "orders").await?;
    includes(
        "what the orders are told",
        &json!({"ENDPOINT": orders["ENDPOINT"]}),
        &json!({"ENDPOINT": "db.legacy.example:5432"}),
    )?;
    let address = format!("amqps://shop:{BROKER}@mq.legacy.example:5671");
    ensure!(
        orders["PASSWORD"] == FIRST && orders["AMQP"] == address.as_str(),
        "the orders are told other credentials"
    );
    let front = variables(shop, "front-web").await?;
    ensure!(
        front["PASSWORD"] == FIRST,
        "the frontend is told another password"
    );
    let binding = shop
        .get("Secret", NAMESPACE, "orders-external-broker")
        .await?;
    equals(
        "the type of the binding",
        &binding["type"],
        &json!("servicebinding.io/rabbitmq"),
    )?;
    // In base64.
    includes(
        "the binding",
        &binding["data"],
        &json!({"type": "cmFiYml0bXE=", "provider": "YW1hem9uLW1x", "host": "bXEubGVnYWN5LmV4YW1wbGU=", "port": "NTY3MQ=="}),
    )
}

async fn another_password_reaches_the_pods(shop: &Shop, orders: &Subject) -> Result<()> {
    let old = shop.pods(NAMESPACE, "orders").await?;
    credentials(shop, SECOND).await?;
    shop.until("every pod has the new password", PATIENCE, async || {
        ensure!(
            variables(shop, "orders").await?["PASSWORD"] == SECOND,
            "the Secret has another one"
        );
        let now = shop.pods(NAMESPACE, "orders").await?;
        equals("the number of pods", now.len(), old.len())?;
        ensure!(now.is_disjoint(&old), "pods of before still run");
        Ok(())
    })
    .await?;
    shop.until_ready(orders).await.map(drop)
}

async fn a_secret_that_goes_changes_nothing(shop: &Shop, orders: &Subject) -> Result<()> {
    let before = shop.pods(NAMESPACE, "orders").await?;
    shop.delete(&Subject::new("Secret", NAMESPACE, "legacy-db"))
        .await?;
    let message = shop
        .until_condition(orders, "Ready", "False", "ProgressingWithRetry")
        .await?;
    ensure!(
        message.contains("spec.external[legacy].secretRef: Secret legacy-db does not exist"),
        "{message}"
    );
    ensure!(
        variables(shop, "orders").await?["PASSWORD"] == SECOND,
        "the pods would be told nothing any more"
    );
    credentials(shop, SECOND).await?;
    shop.until_ready(orders).await?;
    equals("the pods", shop.pods(NAMESPACE, "orders").await?, before)
}

async fn nothing_else_is_left(shop: &Shop, subjects: &[&Subject]) -> Result<()> {
    for subject in subjects {
        shop.delete(subject).await?;
    }
    for subject in subjects {
        shop.until_gone(subject).await?;
    }
    let names: BTreeSet<String> = shop
        .list("Secret", NAMESPACE, "")
        .await?
        .iter()
        .filter_map(|secret| secret["metadata"]["name"].as_str().map(str::to_owned))
        .collect();
    equals(
        "the Secrets that are left",
        names,
        BTreeSet::from(["legacy-db".to_owned(), "legacy-mq".to_owned()]),
    )
}

async fn variables(shop: &Shop, deployment: &str) -> Result<Value> {
    let deployment = shop.get("Deployment", NAMESPACE, deployment).await?;
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    Ok(Value::Object(shop.variables(NAMESPACE, container).await?))
}
