//! An operator with the credentials of another account than the Platform's does nothing there, and takes nothing for gone.
//!
//! Proves that it makes no call but the one that asks whose the credentials are, that it says so, that a custom resource which is
//! deleted meanwhile waits, and that all of it is taken down once the credentials are right again.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use shopkeeper_e2e::{Shop, Subject, equals, read_example, says};
use shopkeeper_localenv::CallFilter;

const ORDERS: &str = "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {name: orders, namespace: shop}
spec:
  workload: {image: registry.example/orders:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  notifications: {topics: [{name: buy}], queues: [{name: fulfilment}]}
";

const CATALOG: &str = "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: catalog, namespace: shop}
spec:
  workload: {image: registry.example/catalog:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  products: {keys: {partition: {name: id, type: String}}}
";

/// Whatever it may do there: it is another account.
const ROLE: &str = "arn:aws:iam::999999999999:role/shopkeeper";

fn platform() -> Subject {
    Subject::new("Platform", "", "octank")
}

fn orders() -> Subject {
    Subject::new("OrderService", "shop", "orders")
}

fn catalog() -> Subject {
    Subject::new("CatalogService", "shop", "catalog")
}

#[tokio::test]
async fn other_accounts_are_left_alone() -> Result<()> {
    let mut shop = Shop::open("accounts").await?;
    shop.namespace("shop").await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    shop.apply(ORDERS).await?;
    for subject in [platform(), orders()] {
        shop.until_ready(&subject).await?;
    }
    let made = shop.owned_in_aws(&orders()).await?;
    ensure!(made.len() > 2, "there is nothing to lose: {made:?}");
    shop.stop_operator().await?;

    nothing_is_done_in_another_account(&mut shop).await?;
    equals("what is there", shop.owned_in_aws(&orders()).await?, made)?;

    shop.stop_operator().await?;
    shop.operator = Some(shop.start_operator("successor").await?);
    shop.until_gone(&orders()).await?;
    let left = shop.owned_in_aws(&orders()).await?;
    ensure!(left.is_empty(), "still there: {left:?}");
    shop.until_gone(&platform()).await?;
    shop.close().await
}

async fn nothing_is_done_in_another_account(shop: &mut Shop) -> Result<()> {
    let assumed = shop
        .aws
        .sts
        .assume_role()
        .role_arn(ROLE)
        .role_session_name("shopkeeper");
    let assumed = assumed.send().await?;
    let credentials = assumed.credentials().context("STS gives no credentials")?;
    let position = shop.environment.aws_control()?.position().await?;
    let variables = [
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id()),
        ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key()),
        ("AWS_SESSION_TOKEN", credentials.session_token()),
    ];
    shop.operator = Some(
        shop.start_operator_with("stranger", &[], &variables)
            .await?,
    );
    shop.apply(CATALOG).await?;
    for subject in [platform(), orders(), catalog()] {
        let message = shop
            .until_condition(&subject, "Stalled", "True", "WrongAccount")
            .await?;
        says(
            &message,
            &[
                "account 999999999999",
                "Platform octank is 123456789012",
                "To do: ",
            ],
        )?;
    }
    let new = shop.get("CatalogService", "shop", "catalog").await?;
    equals(
        "finalizers of what is new",
        &new["metadata"]["finalizers"],
        &Value::Null,
    )?;
    shop.delete(&catalog()).await?;
    shop.until_gone(&catalog()).await?;

    // A deletion waits, and says why.
    for subject in [orders(), platform()] {
        shop.delete(&subject).await?;
        shop.request_pass(&subject, "2026-11-24T10:00:00Z").await?;
        let object = shop.find(&subject).await?.context("its deletion ended")?;
        let finalizers = object["metadata"]["finalizers"].as_array();
        ensure!(
            finalizers
                .is_some_and(|finalizers| finalizers.contains(&"shopkeeper.dev/finalizer".into())),
            "{subject} lost its finalizer: {finalizers:?}"
        );
        shop.until_condition(&subject, "Stalled", "True", "WrongAccount")
            .await?;
    }

    let control = shop.environment.aws_control()?;
    let asked: Vec<String> = control
        .calls(&CallFilter::since(position))
        .await?
        .iter()
        .map(|call| {
            format!(
                "{}:{}",
                call.service,
                call.operation.as_deref().unwrap_or("?")
            )
        })
        .filter(|call| call != "sts:GetCallerIdentity")
        .collect();
    ensure!(
        asked.is_empty(),
        "it asked or changed more than whose its credentials are: {asked:?}"
    );
    Ok(())
}
