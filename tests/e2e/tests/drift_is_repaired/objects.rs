//! Objects of the cluster that lost what says whose they are, and one that was added to.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals};

use super::NAMESPACE;

const BINDINGS: &str = "watched-over-bindings";

/// A Service without its owner is ours by its labels: it is given back to its owner, and taken down with it even where drift is only told.
pub async fn of_objects(shop: &Shop) -> Result<()> {
    let subject = Subject::new("OrderService", NAMESPACE, "watched-over");
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {name: watched-over, namespace: drift}
spec:
  workload: {image: registry.example/orders:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  notifications: {topics: [{name: buy}]}
  bindings: [{resource: notifications, env: [{name: BUY_TOPIC, template: '{{topics.buy.arn}}'}]}]
",
    )
    .await?;
    shop.until_ready(&subject).await?;
    let service = Subject::new("Service", NAMESPACE, &subject.name);
    disown(shop, &service).await?;
    let bindings = Subject::new("ConfigMap", NAMESPACE, BINDINGS);
    shop.merge(&bindings, json!({"data": {"ADDED": "by hand"}}))
        .await?;
    shop.until("both are as they were", PATIENCE, async || {
        let owner = owner(shop, &service).await?;
        equals("the owner", &owner, &json!("watched-over"))?;
        let map = shop.get("ConfigMap", NAMESPACE, BINDINGS).await?;
        equals("what was added", &map["data"]["ADDED"], &Value::Null)
    })
    .await?;
    shop.until_ready(&subject).await?;

    let told = json!({"spec": {"policy": {"drift": "Report"}}});
    shop.merge(&subject, told).await?;
    shop.until_ready(&subject).await?;
    disown(shop, &service).await?;
    shop.until("the lost owner is told", PATIENCE, async || {
        let message = shop
            .until_condition(&subject, "Ready", "True", "Drifted")
            .await?;
        ensure!(message.contains("ownerReferences"), "{message}");
        Ok(())
    })
    .await?;
    equals("the owner", &owner(shop, &service).await?, &Value::Null)?;
    shop.delete(&subject).await?;
    shop.until_gone(&subject).await?;
    equals(
        "a Service without an owner",
        shop.find(&service).await?,
        None,
    )
}

async fn disown(shop: &Shop, object: &Subject) -> Result<()> {
    shop.merge(object, json!({"metadata": {"ownerReferences": null}}))
        .await
        .map(drop)
}

async fn owner(shop: &Shop, object: &Subject) -> Result<Value> {
    let object = shop
        .get(object.kind, &object.namespace, &object.name)
        .await?;
    let name = object.pointer("/metadata/ownerReferences/0/name");
    Ok(name.cloned().unwrap_or_default())
}
