//! The operator is killed, told to go, doubled and cut off from the API server, and the shop stands in the end.
//!
//! Proves that a SIGKILL in the middle of making a shop leaves nothing behind that is made twice or forgotten, that SIGTERM ends it
//! in time with the Lease given back, that a second replica waits and then takes over, and that a restart of the API server
//! is survived without a restart of the operator. And that no password was told on the way.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use shopkeeper_e2e::{OPERATOR_NAMESPACE, PATIENCE, Shop, Subject, equals, includes};

const NAMESPACE: &str = "shop";

#[tokio::test]
async fn operator_survives() -> Result<()> {
    let mut shop = Shop::open("survives").await?;
    shop.namespace(NAMESPACE).await?;
    it_is_killed_while_it_makes_a_shop(&mut shop).await?;
    the_api_server_is_restarted(&shop).await?;
    a_second_replica_takes_over(&mut shop).await?;
    let secrets = shop.secrets().await?;
    it_is_killed_while_it_takes_the_shop_down(&mut shop).await?;
    shop.no_secret_is_told(&secrets).await?;
    shop.close().await
}

fn everything() -> [Subject; 4] {
    [
        Subject::new("Platform", "", "octank"),
        Subject::new("CatalogService", NAMESPACE, "catalog"),
        Subject::new("OrderService", NAMESPACE, "orders"),
        Subject::new("Storefront", NAMESPACE, "octank"),
    ]
}

async fn restart(shop: &mut Shop) -> Result<()> {
    shop.operator
        .as_mut()
        .context("the operator does not run")?
        .restart()
}

/// Killed again and again while it writes to AWS. Each time the Lease has to run out before work goes on, as in a cluster.
async fn it_is_killed_while_it_makes_a_shop(shop: &mut Shop) -> Result<()> {
    let mark = shop.mark().await?;
    shop.apply_example("octank").await?;
    for writes in [3, 12, 30] {
        shop.until(&format!("{writes} writes to AWS"), PATIENCE, async || {
            let made = shop.aws_writes_since(mark).await?.len();
            ensure!(made >= writes, "there are {made}");
            Ok(())
        })
        .await?;
        restart(shop).await?;
        println!("killed after {writes} writes");
    }
    for subject in everything() {
        shop.until_ready(&subject).await?;
    }
    // One of each: a resource that was forgotten would have been made again, under the same name or another.
    let [platform, catalog, orders, storefront] = everything();
    let count = |owned: &[String], kind: &str| {
        owned
            .iter()
            .filter(|resource| resource.starts_with(kind))
            .count()
    };
    let of_platform = shop.owned_in_aws(&platform).await?;
    equals("the keys", count(&of_platform, "kms:key "), 1)?;
    let of_catalog = shop.owned_in_aws(&catalog).await?;
    for (kind, expected) in [
        ("eks:nodegroup ", 1),
        ("dynamodb:table ", 1),
        ("s3:bucket ", 1),
        ("elasticache:replication-group ", 1),
        ("iam:role ", 2),
    ] {
        equals(
            &format!("{kind}of the catalog, of {of_catalog:?}"),
            count(&of_catalog, kind),
            expected,
        )?;
    }
    let of_orders = shop.owned_in_aws(&orders).await?;
    for (kind, expected) in [
        ("eks:nodegroup ", 1),
        ("rds:db-instance ", 1),
        ("sns:topic ", 3),
        // One with its dead letters, and those of the two topics that have other subscribers than queues.
        ("sqs:queue ", 4),
        ("iam:role ", 2),
    ] {
        equals(
            &format!("{kind}of the orders, of {of_orders:?}"),
            count(&of_orders, kind),
            expected,
        )?;
    }
    equals(
        "the groups of the storefront",
        count(&shop.owned_in_aws(&storefront).await?, "eks:nodegroup "),
        2,
    )?;
    let associations = shop
        .aws
        .pod_identity_associations("octank-prod", NAMESPACE, "orders")
        .await?;
    equals("the associations of the orders", associations.len(), 1)?;
    let buy = shop
        .aws
        .topic("arn:aws:sns:eu-west-1:123456789012:octank-shop-orders-buy")
        .await?;
    equals(
        "the subscriptions of buy",
        buy["subscriptions"].as_object().map(serde_json::Map::len),
        Some(2),
    )?;
    // Everything that carries its owner's tag is known to the owner, and would go with it.
    for subject in [catalog, orders, storefront] {
        let object = shop
            .get(subject.kind, &subject.namespace, &subject.name)
            .await?;
        let inventory = object["status"]["inventory"].to_string();
        for resource in shop.owned_in_aws(&subject).await? {
            let name = resource.split(' ').nth(1).unwrap_or_default();
            // Members of a replication group, the secret of a password and automatic backups come and go with what they belong to.
            let by_aws = [
                "elasticache:cache-cluster",
                "eks:podidentity",
                "secretsmanager:",
                "rds:db-snapshot",
            ];
            ensure!(
                by_aws.iter().any(|kind| resource.starts_with(kind)) || inventory.contains(name),
                "{subject} has forgotten {resource}"
            );
        }
    }
    Ok(())
}

async fn the_api_server_is_restarted(shop: &Shop) -> Result<()> {
    let pid = shop
        .operator
        .as_ref()
        .context("the operator does not run")?
        .pid();
    shop.environment.restart_api_server().await?;
    let catalog = Subject::new("CatalogService", NAMESPACE, "catalog");
    shop.merge(
        &catalog,
        json!({"spec": {"workload": {"image": "registry.example/octank/catalog:2.0.0"}}}),
    )
    .await?;
    shop.until_ready(&catalog).await?;
    let deployment = shop.get("Deployment", NAMESPACE, "catalog").await?;
    let expected = json!([{"image": "registry.example/octank/catalog:2.0.0"}]);
    includes(
        "the containers",
        &deployment["spec"]["template"]["spec"]["containers"],
        &expected,
    )?;
    let operator = shop
        .operator
        .as_ref()
        .context("the operator does not run")?;
    operator.ensure_running()?;
    equals("the operator's process", operator.pid(), pid)
}

async fn holder(shop: &Shop) -> Result<String> {
    let lease = shop.get("Lease", OPERATOR_NAMESPACE, "shopkeeper").await?;
    Ok(lease["spec"]["holderIdentity"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

async fn a_second_replica_takes_over(shop: &mut Shop) -> Result<()> {
    let first_holder = holder(shop).await?;
    let second = shop.start_operator("second").await?;
    equals(
        "the leader beside a second replica",
        holder(shop).await?,
        first_holder.clone(),
    )?;
    ensure!(
        !second.log()?.contains("leading"),
        "the second replica leads as well"
    );
    shop.stop_operator().await?;
    // The Lease was given back: nobody has to wait until it runs out.
    second.wait_for_log("leading", PATIENCE).await?;
    ensure!(
        holder(shop).await? != first_holder,
        "the Lease is still held by {first_holder}"
    );
    shop.operator = Some(second);
    let orders = Subject::new("OrderService", NAMESPACE, "orders");
    shop.merge(
        &orders,
        json!({"spec": {"workload": {"image": "registry.example/octank/orders:4.0.0"}}}),
    )
    .await?;
    shop.until_ready(&orders).await?;
    let deployment = shop.get("Deployment", NAMESPACE, "orders").await?;
    let expected = json!([{"image": "registry.example/octank/orders:4.0.0"}]);
    includes(
        "the containers",
        &deployment["spec"]["template"]["spec"]["containers"],
        &expected,
    )
}

/// Killed while it deletes: what was deleted once is not missed, and nothing is left.
async fn it_is_killed_while_it_takes_the_shop_down(shop: &mut Shop) -> Result<()> {
    let [platform, catalog, orders, storefront] = everything();
    let mark = shop.mark().await?;
    for subject in [&storefront, &orders, &catalog] {
        shop.delete(subject).await?;
    }
    for writes in [2, 8] {
        shop.until(
            &format!("{writes} deletions in AWS"),
            PATIENCE,
            async || {
                let made = shop.aws_writes_since(mark).await?.len();
                ensure!(made >= writes, "there are {made}");
                Ok(())
            },
        )
        .await?;
        restart(shop).await?;
    }
    for subject in [&storefront, &orders, &catalog] {
        shop.until_gone(subject).await?;
        let left: Vec<String> = shop
            .owned_in_aws(subject)
            .await?
            .into_iter()
            .filter(|resource| !resource.contains("snapshot") && !resource.contains("backup"))
            .collect();
        equals(
            &format!("what is left of {subject}"),
            left,
            Vec::<String>::new(),
        )?;
    }
    equals(
        "the last snapshots of the database",
        shop.aws
            .database_snapshots("octank-shop-orders")
            .await?
            .len(),
        1,
    )?;
    equals(
        "the backups of the table",
        shop.aws
            .table_backups("octank-shop-catalog-products")
            .await?
            .len(),
        1,
    )?;
    shop.delete(&platform).await?;
    shop.until_gone(&platform).await
}
