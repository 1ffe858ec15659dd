//! Objects that cannot be read, and objects that go in unusual ways.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals};
use shopkeeper_localenv::{ApiProxy, Refusal};

use super::{NAMESPACE, catalog, follows, operator, orders, start_behind, until_told, yaml};

const DEFINITION: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../crds/catalogservices.yaml"
);

/// What an older and laxer definition let in stands in the list, and is no reason to be blind for the others.
pub async fn one_object_cannot_be_read(shop: &Shop, proxy: &ApiProxy) -> Result<()> {
    let told = operator(shop)?.log()?.len();
    let lax = r#"[{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec",
        "value": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}]"#;
    let lax = shop
        .environment
        .kubectl(&[
            "patch",
            "--local",
            "--filename",
            DEFINITION,
            "--type=json",
            "--patch",
            lax,
            "--output=yaml",
        ])
        .await?;
    shop.apply(&lax).await?;
    let bad = Subject::new("CatalogService", NAMESPACE, "bad");
    let text = json!({
        "apiVersion": "shopkeeper.dev/v1alpha1", "kind": bad.kind,
        "metadata": {"name": bad.name, "namespace": NAMESPACE},
        "spec": {"workload": "a text and no workload"},
    });
    // The API server takes a moment to go by the new definition.
    shop.until("the object is let in", PATIENCE, async || {
        shop.apply(&text.to_string()).await
    })
    .await?;
    shop.environment
        .kubectl(&[
            "apply",
            "--server-side",
            "--force-conflicts",
            "-f",
            DEFINITION,
        ])
        .await?;
    until_told(shop, told, "object cannot be read").await?;
    // Also in a list, and not only as one event.
    let told = operator(shop)?.log()?.len();
    proxy.refuse(Refusal::new("/catalogservices", 410, 1)?.of_watches());
    proxy.cut_watches();
    until_told(shop, told, "object cannot be read").await?;
    follows(shop, &catalog(), "beside:bad").await?;
    shop.until("it is counted", PATIENCE, async || {
        let metrics = shop.metrics().await?;
        let counted = metrics.lines().any(|line| {
            line.starts_with("shopkeeper_watch_invalid_objects_total{kind=\"CatalogService\"}")
                && !line.ends_with(" 0")
        });
        ensure!(counted, "it is not");
        Ok(())
    })
    .await?;
    // Corrected, it is a service like any other.
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), yaml(&bad))?;
    let file = file.path().display().to_string();
    shop.environment.kubectl(&["replace", "-f", &file]).await?;
    shop.until_ready(&bad).await?;
    shop.delete(&bad).await?;
    shop.until_gone(&bad).await
}

/// `kubectl delete namespace`: children go in any order and none can be made; the custom resources end by their policies.
pub async fn a_namespace_is_deleted(shop: &Shop) -> Result<()> {
    let namespace = "leaving";
    shop.namespace(namespace).await?;
    let kept = Subject::new("CatalogService", namespace, "kept");
    let thrown_away = Subject::new("OrderService", namespace, "thrown-away");
    for subject in [&kept, &thrown_away] {
        shop.apply(&yaml(subject)).await?;
    }
    let delete = json!({"spec": {"policy": {"deletion": "Delete"}}});
    shop.merge(&thrown_away, delete).await?;
    for subject in [&kept, &thrown_away] {
        shop.until_ready(subject).await?;
    }
    shop.delete(&Subject::new("Namespace", "", namespace))
        .await?;
    shop.until("the namespace is gone", PATIENCE, async || {
        let found = shop.find(&Subject::new("Namespace", "", namespace)).await?;
        ensure!(
            found.is_none(),
            "{}",
            found.unwrap_or_default()["status"]["conditions"]
        );
        Ok(())
    })
    .await?;
    let left: Vec<String> = shop
        .owned_in_aws(&kept)
        .await?
        .into_iter()
        .filter(|resource| !resource.contains("backup"))
        .collect();
    equals("what is left in AWS", left, Vec::<String>::new())?;
    equals(
        "what is left in AWS",
        shop.owned_in_aws(&thrown_away).await?,
        Vec::<String>::new(),
    )?;
    let backups = shop
        .aws
        .table_backups("octank-leaving-kept-products")
        .await?;
    equals("the backups of the table", backups.len(), 1)
}

/// Somebody removes the operator first and the objects then; they wait for it, and go once it is back.
pub async fn objects_are_deleted_while_nobody_looks(
    shop: &mut Shop,
    proxy: &ApiProxy,
) -> Result<()> {
    let away = shop.operator.take().context("the operator does not run")?;
    let status = away.terminate(PATIENCE).await?;
    ensure!(status.success(), "it ended with {status}");
    shop.delete(&orders()).await?;
    let object = shop.find(&orders()).await?;
    ensure!(object.is_some(), "it went without the operator");
    ensure!(
        !shop.owned_in_aws(&orders()).await?.is_empty(),
        "it has nothing in AWS"
    );
    shop.operator = Some(start_behind(shop, proxy, "back").await?);
    shop.until_gone(&orders()).await?;
    equals(
        "what is left in AWS",
        shop.owned_in_aws(&orders()).await?,
        Vec::<String>::new(),
    )?;
    follows(shop, &catalog(), "after:absence").await
}
