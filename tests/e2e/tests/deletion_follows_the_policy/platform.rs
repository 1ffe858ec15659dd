//! The Platform goes after those that run on it.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{Shop, Subject, equals, includes};

use super::{CLUSTER, NAMESPACE};

pub async fn a_platform_waits_for_those_on_it(shop: &Shop) -> Result<()> {
    let platform = Subject::new("Platform", "", "octank");
    let last = Subject::new("CatalogService", NAMESPACE, "thinner");
    let others = shop.environment.aws_control()?.inventory().await?;
    let seeded = |resources: &[Value]| -> Vec<Value> {
        let of_ours = |resource: &&Value| {
            resource["tags"]["shopkeeper.dev/owner"].is_null()
                && resource["service"] != "rds"
                && resource["service"] != "secretsmanager"
        };
        resources
            .iter()
            .filter(of_ours)
            // Without tags of their own, and gone with what they belong to.
            .filter(|resource| resource["type"] != "alias" && resource["type"] != "scaling-policy")
            .map(|resource| resource["name"].clone())
            .collect()
    };
    shop.delete(&platform).await?;
    let message = shop
        .until_condition(&platform, "Ready", "False", "DeletionBlocked")
        .await?;
    ensure!(
        message.contains("thinner"),
        "what blocks the deletion is not named: {message}"
    );
    includes(
        "the key",
        &shop.aws.key("alias/shopkeeper-octank").await?,
        &json!({"state": "Enabled"}),
    )?;
    shop.delete(&last).await?;
    shop.until_gone(&last).await?;
    shop.until_gone(&platform).await?;
    // Snapshots cannot be read without the key: it is kept under Snapshot.
    includes(
        "the key",
        &shop.aws.key("alias/shopkeeper-octank").await?,
        &json!({"state": "Enabled"}),
    )?;
    let now = shop.environment.aws_control()?.inventory().await?;
    let kept = seeded(&now);
    for resource in seeded(&others) {
        ensure!(
            kept.contains(&resource),
            "{resource}, which belongs to nobody here, is gone"
        );
    }
    let cluster = shop.aws.eks.describe_cluster().name(CLUSTER).send().await?;
    let status = cluster
        .cluster()
        .and_then(|cluster| cluster.status())
        .context("the cluster has no status")?;
    equals("the cluster", status.as_str(), "ACTIVE")
}
