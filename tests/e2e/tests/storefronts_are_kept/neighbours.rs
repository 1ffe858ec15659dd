//! A change that reaches those who name what has changed, wherever they are.

use anyhow::{Result, ensure};
use serde_json::json;
use shopkeeper_e2e::{PATIENCE, Shop, Subject};

/// A namespace for each service is how AWS's own retail store is set up. Nothing else happens in these.
const NEAR: &str = "near";
const FAR: &str = "far";

pub async fn hear_of_each_other(shop: &Shop) -> Result<()> {
    let buyer = Subject::new("CatalogService", NEAR, "buyer");
    shop.namespace(NEAR).await?;
    shop.namespace(FAR).await?;
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {{name: buyer, namespace: {NEAR}}}
spec:
  workload: {{image: registry.example/buyer:1}}
  nodes: {{type: None}}
  endpoints:
    - service: {{kind: CatalogService, name: stock, namespace: {FAR}}}
      env: [{{name: STOCK, template: '{{{{endpoint}}}}'}}]
---
apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {{name: stock, namespace: {FAR}}}
spec:
  workload: {{image: registry.example/stock:1, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: None}}
"
    ))
    .await?;
    shop.until_ready(&buyer).await?;
    shop.merge(
        &Subject::new("CatalogService", FAR, "stock"),
        json!({"spec": {"workload": {"ports": [{"name": "http", "containerPort": 8080, "servicePort": 8081}]}}}),
    )
    .await?;
    shop.until(
        "the buyer hears of the stock's new port",
        PATIENCE,
        async || {
            let deployment = shop.get("Deployment", NEAR, "buyer").await?;
            let container = &deployment["spec"]["template"]["spec"]["containers"][0];
            let variables = shop.variables(NEAR, container).await?;
            let expected = format!("stock.{FAR}.svc:8081");
            ensure!(
                variables.get("STOCK") == Some(&json!(expected)),
                "{variables:?}"
            );
            Ok(())
        },
    )
    .await
}
