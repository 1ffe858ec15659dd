//! Traffic goes first, then the pods, then their nodes.

use anyhow::{Result, ensure};
use serde_json::json;
use shopkeeper_e2e::{PATIENCE, Shop, Subject, includes};

use super::{CLUSTER, NAMESPACE, nothing_is_left, object, storefront};

/// Keeps an object from going, as the AWS Load Balancer Controller does until the load balancer is gone.
const FINALIZER: &str = "e2e.shopkeeper.dev/held";

pub async fn goes_in_order(shop: &Shop) -> Result<()> {
    let subject = storefront(shop, "ordered", json!({})).await?;
    let group = shop
        .made(&subject, "NodeGroup", "frontends.web.nodes")
        .await?;
    let (ingress, office) = (
        object("Ingress", "ordered"),
        object("Ingress", "ordered-office"),
    );
    let deployment = object("Deployment", "ordered-web");
    for held in [&ingress, &office, &deployment] {
        hold(shop, held, true).await?;
    }
    let mark = shop.mark().await?;
    shop.delete(&subject).await?;

    // While a load balancer still sends requests, there are pods that answer.
    going(shop, &subject, &ingress).await?;
    going(shop, &subject, &office).await?;
    hold(shop, &ingress, false).await?;
    shop.until_gone(&ingress).await?;
    shop.request_pass(&subject, "2026-11-24T09:00:00Z").await?;
    stays(shop, &object("Deployment", "ordered-web")).await?;
    stays(shop, &object("Deployment", "ordered-office")).await?;
    stays(shop, &object("Service", "ordered-web")).await?;
    hold(shop, &office, false).await?;

    // While there are pods, they have nodes, and the name by which they are found.
    going(shop, &subject, &deployment).await?;
    shop.request_pass(&subject, "2026-11-24T09:01:00Z").await?;
    stays(shop, &object("Service", "ordered-web")).await?;
    includes(
        "the node group",
        &shop.aws.node_group(CLUSTER, &group).await?,
        &json!({"status": "ACTIVE"}),
    )?;
    let steps = shop.steps_since(mark, &group).await?;
    ensure!(
        steps.is_empty(),
        "the nodes went before the pods: {steps:?}"
    );
    hold(shop, &deployment, false).await?;

    shop.until_gone(&subject).await?;
    let steps = shop.steps_since(mark, &group).await?;
    ensure!(
        steps == ["eks:DeleteNodegroup"],
        "the node group: {steps:?}"
    );
    nothing_is_left(shop, &subject).await
}

/// A Storefront holds no data: no policy keeps anything of it.
pub async fn leaves_nothing(shop: &Shop, policy: &str) -> Result<()> {
    let name = format!("under-{}", policy.to_lowercase());
    let subject = storefront(shop, &name, json!({"deletion": policy})).await?;
    let made = shop.owned_in_aws(&subject).await?;
    ensure!(
        made.iter()
            .any(|resource| resource.starts_with("eks:nodegroup")),
        "there is no node group to be deleted: {made:?}"
    );
    shop.delete(&subject).await?;
    shop.until_gone(&subject).await?;
    nothing_is_left(shop, &subject).await
}

async fn hold(shop: &Shop, object: &Subject, held: bool) -> Result<()> {
    let finalizers: &[&str] = if held { &[FINALIZER] } else { &[] };
    shop.merge(object, json!({"metadata": {"finalizers": finalizers}}))
        .await
        .map(drop)
}

/// Waits until an object is being deleted, and its owner says that it waits for that.
async fn going(shop: &Shop, subject: &Subject, held: &Subject) -> Result<()> {
    shop.until(&format!("{held} is being deleted"), PATIENCE, async || {
        let object = shop.get(held.kind, NAMESPACE, &held.name).await?;
        ensure!(
            !object["metadata"]["deletionTimestamp"].is_null(),
            "it is not"
        );
        let owner = shop.get(subject.kind, NAMESPACE, &subject.name).await?;
        let conditions = owner["status"]["conditions"].to_string();
        let name = format!("{} {}", held.kind, held.name);
        ensure!(
            conditions.contains(&name),
            "nothing says that {name} is waited for: {conditions}"
        );
        Ok(())
    })
    .await
}

async fn stays(shop: &Shop, object: &Subject) -> Result<()> {
    let found = shop.get(object.kind, NAMESPACE, &object.name).await?;
    ensure!(
        found["metadata"]["deletionTimestamp"].is_null(),
        "{object} goes before what comes first is gone"
    );
    Ok(())
}
