//! Pods end before anything that they use.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals, order_service_with_database};

use super::{NAMESPACE, in_order};

/// What keeps a pod for as long as it is there, as a node does that is lost.
const SLOW: &str = "example.com/ends-slowly";

/// What pods use in the cluster, and what goes after them.
const USED: [&str; 5] = [
    "Service",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Secret",
    "ServiceAccount",
];

fn used(name: &str) -> impl Iterator<Item = Subject> {
    USED.into_iter().map(move |kind| {
        let name = match kind {
            "Secret" => format!("{name}-database"),
            _ => name.to_owned(),
        };
        Subject::new(kind, NAMESPACE, &name)
    })
}

/// Its database takes the last snapshot with its deletion: what a pod writes after that is lost.
pub async fn one_ends_slowly(shop: &Shop) -> Result<()> {
    let subject = Subject::new("OrderService", NAMESPACE, "slow");
    let more = "  notifications: {queues: [{name: fulfilment}]}\n  policy: {deletion: Delete}\n";
    shop.apply(&order_service_with_database(&subject, more))
        .await?;
    shop.until_ready(&subject).await?;
    let pods = shop
        .list("Pod", NAMESPACE, "app.kubernetes.io/name=slow")
        .await?;
    let slow = pods.first().context("it has no pods")?;
    let slow = Subject::new(
        "Pod",
        NAMESPACE,
        slow["metadata"]["name"].as_str().unwrap_or_default(),
    );
    let held = |by: Value| json!({"metadata": {"finalizers": by}});
    shop.merge(&slow, held(json!([SLOW]))).await?;
    let before = shop.owned_in_aws(&subject).await?;
    let database = shop.made(&subject, "RdsInstance", "database").await?;

    let mark = shop.mark().await?;
    shop.delete(&subject).await?;
    shop.until("the pod that ends slowly is told", PATIENCE, async || {
        let object = shop.get("OrderService", NAMESPACE, "slow").await?;
        let told = object["status"]["conditions"].to_string();
        ensure!(
            told.contains(&format!("pod {NAMESPACE}/{}", slow.name)),
            "{told}"
        );
        Ok(())
    })
    .await?;
    // The next pass finds nothing more to do, and nor does the one after it.
    for at in ["2026-11-26T10:00:00Z", "2026-11-26T10:00:01Z"] {
        shop.request_pass(&subject, at).await?;
    }
    ensure!(
        shop.find(&slow)
            .await?
            .is_some_and(|pod| pod["metadata"]["deletionTimestamp"].is_string()),
        "{slow} was not told to end"
    );
    for object in used("slow") {
        let found = shop.find(&object).await?;
        ensure!(
            found.is_some_and(|found| found["metadata"]["deletionTimestamp"].is_null()),
            "{object} is gone while {slow} uses it"
        );
    }
    equals(
        "what is left in AWS",
        shop.owned_in_aws(&subject).await?,
        before,
    )?;
    equals(
        "what was done to the database",
        shop.steps_since(mark, &database).await?,
        Vec::<String>::new(),
    )?;

    shop.merge(&slow, held(Value::Null)).await?;
    shop.until_gone(&subject).await?;
    in_order(shop, mark, &database, &["rds:DeleteDBInstance"]).await
}
