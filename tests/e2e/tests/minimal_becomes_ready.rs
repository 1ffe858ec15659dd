//! The smallest shop, `examples/minimal`: nothing is written that has a default.
//!
//! Proves that the defaults alone make a shop that works and is safe: encrypted, backed up, protected, in two zones or three,
//! and that a second pass over it writes nothing. The cluster and the network are others than in the other scenarios, so
//! that nothing can hang on their names.

use anyhow::Result;
use serde_json::{Value, json};
use shopkeeper_e2e::{Shop, Subject, equals, includes};

const CLUSTER: &str = "shop";
const NAMESPACE: &str = "shop";

#[tokio::test]
async fn minimal_becomes_ready() -> Result<()> {
    let shop = Shop::open("minimal").await?;
    let account = shop.environment.seed_cluster("shop", CLUSTER).await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply_example("minimal").await?;
    let platform = Subject::new("Platform", "", "shop");
    let catalog = Subject::new("CatalogService", NAMESPACE, "catalog");
    let orders = Subject::new("OrderService", NAMESPACE, "orders");
    let storefront = Subject::new("Storefront", NAMESPACE, "shop");
    let everything = [&platform, &catalog, &orders, &storefront];
    for subject in everything {
        shop.until_ready(subject).await?;
    }
    defaults_are_safe(&shop, &account, &catalog, &orders).await?;
    for subject in everything {
        shop.second_pass_is_silent(subject).await?;
    }
    shop.close().await
}

async fn defaults_are_safe(
    shop: &Shop,
    account: &Value,
    catalog: &Subject,
    orders: &Subject,
) -> Result<()> {
    let key = shop.aws.key("alias/shopkeeper-shop").await?;
    includes(
        "the key",
        &key,
        &json!({"state": "Enabled", "rotation": true}),
    )?;
    let table = shop
        .aws
        .table(&shop.made(catalog, "DynamoDbTable", "products").await?)
        .await?;
    let expected = json!({
        "billing": "PAY_PER_REQUEST", "key": key["arn"], "deletionProtection": true, "recovery": "ENABLED", "recoveryDays": 35,
    });
    includes("the table", &table, &expected)?;
    let database = shop
        .aws
        .database(&shop.made(orders, "RdsInstance", "database").await?)
        .await?;
    let expected = json!({
        "class": "db.t4g.medium", "storage": 20, "multiAZ": true, "encrypted": true, "key": key["arn"], "deletionProtection": true,
        "backupRetention": 7, "managedPassword": true, "public": false,
    });
    includes("the database", &database, &expected)?;

    let mut subnets = account["private_subnets"].clone();
    if let Some(subnets) = subnets.as_array_mut() {
        subnets.sort_by_key(Value::to_string);
    }
    for (owner, deployment) in [(catalog, "catalog"), (orders, "orders")] {
        let group = shop
            .aws
            .node_group(CLUSTER, &shop.made(owner, "NodeGroup", "nodes").await?)
            .await?;
        includes(
            "the node group",
            &group,
            &json!({"instanceTypes": ["m7g.large"], "min": 3, "max": 9, "subnets": subnets}),
        )?;
        let deployment = shop.get("Deployment", NAMESPACE, deployment).await?;
        equals(
            "the available replicas",
            &deployment["status"]["availableReplicas"],
            &json!(2),
        )?;
    }
    let ingress = shop.list("Ingress", NAMESPACE, "").await?;
    equals("the number of load balancers", ingress.len(), 1)?;
    equals(
        "the host",
        &ingress[0]["spec"]["rules"][0]["host"],
        &json!("www.shop.example"),
    )
}
