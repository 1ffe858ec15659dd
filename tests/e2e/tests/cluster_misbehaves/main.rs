//! The cluster is as unkind as clusters are, and the operator goes on by itself.
//!
//! Proves that the operator recovers, in the same process, from watches that are cut, history that does not reach back, refusals
//! with Retry-After, one kind that cannot be read, an object that cannot be read, an etcd that hangs, a namespace that is deleted with
//! everything in it, and objects that were deleted while it was away; that none of it makes it list everything again and again; and that a Lease
//! whose times come from a wrong clock is neither respected for ever nor taken from who renews it.
//!
//! A restart of the API server is in `operator_survives`, definitions that are missing at the start are in `definitions_are_checked`.

mod connection;
mod elections;
mod objects;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use shopkeeper_e2e::{Ledger, PATIENCE, Shop, Subject, equals, read_example};
use shopkeeper_localenv::{ApiProxy, OperatorProcess};

const NAMESPACE: &str = "shop";

fn catalog() -> Subject {
    Subject::new("CatalogService", NAMESPACE, "catalog")
}

fn orders() -> Subject {
    Subject::new("OrderService", NAMESPACE, "orders")
}

fn yaml(subject: &Subject) -> String {
    let data = match subject.kind {
        "CatalogService" => "products: {keys: {partition: {name: id, type: String}}}",
        _ => "notifications: {queues: [{name: fulfilment}]}",
    };
    format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: {}
metadata: {{name: {}, namespace: {}}}
spec:
  workload: {{image: registry.example/it:0, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: None}}
  {data}
",
        subject.kind, subject.name, subject.namespace
    )
}

#[tokio::test]
async fn cluster_misbehaves() -> Result<()> {
    let mut shop = Shop::prepare("misbehaves").await?;
    let proxy = shop.environment.proxy_for_operator().await?;
    shop.operator = Some(start_behind(&shop, &proxy, "operator").await?);
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    shop.namespace(NAMESPACE).await?;
    for subject in [catalog(), orders()] {
        shop.apply(&yaml(&subject)).await?;
        shop.until_ready(&subject).await?;
    }
    let pid = operator(&shop)?.pid();
    connection::watches_are_cut(&shop, &proxy).await?;
    connection::history_does_not_reach_back(&shop, &proxy).await?;
    connection::requests_are_refused(&shop, &proxy).await?;
    connection::one_kind_cannot_be_read(&shop, &proxy).await?;
    objects::one_object_cannot_be_read(&shop, &proxy).await?;
    connection::etcd_hangs(&shop).await?;
    objects::a_namespace_is_deleted(&shop).await?;
    equals("the operator's process", operator(&shop)?.pid(), pid)?;
    operator(&shop)?.ensure_running()?;
    objects::objects_are_deleted_while_nobody_looks(&mut shop, &proxy).await?;
    elections::clocks_differ(&mut shop).await?;
    shop.close().await
}

/// An operator behind the proxy. It holds no Lease: without an answer of etcd for its deadline a leader ends, as it has to.
async fn start_behind(shop: &Shop, proxy: &ApiProxy, name: &str) -> Result<OperatorProcess> {
    let kubeconfig = proxy.kubeconfig().display().to_string();
    shop.start_operator_with(
        name,
        &["--leader-election", "false"],
        &[("KUBECONFIG", &kubeconfig)],
    )
    .await
}

fn operator(shop: &Shop) -> Result<&OperatorProcess> {
    shop.operator.as_ref().context("the operator does not run")
}

/// Edits the custom resource, and waits until the edit is in its Deployment and told.
async fn follows(shop: &Shop, subject: &Subject, image: &str) -> Result<()> {
    edit(shop, subject, image).await?;
    arrives(shop, subject, image).await
}

async fn edit(shop: &Shop, subject: &Subject, image: &str) -> Result<()> {
    let image = format!("registry.example/{image}");
    shop.merge(subject, json!({"spec": {"workload": {"image": image}}}))
        .await
        .map(drop)
}

async fn arrives(shop: &Shop, subject: &Subject, image: &str) -> Result<()> {
    shop.until_ready(subject).await?;
    let deployment = shop
        .get("Deployment", &subject.namespace, &subject.name)
        .await?;
    equals(
        "the image",
        &deployment["spec"]["template"]["spec"]["containers"][0]["image"],
        &json!(format!("registry.example/{image}")),
    )
}

/// Fails where a resource was listed more often than `most` times. Pods are never listed for a cache: those of what is to go are asked
/// for in each pass that waits for them, by their labels.
fn listed_at_most(shop: &Shop, mark: Ledger, most: usize) -> Result<()> {
    let lists = shop.lists_since(mark)?;
    println!("  lists: {lists:?}");
    for (resource, times) in lists.into_iter().filter(|(resource, _)| resource != "pods") {
        ensure!(times <= most, "{resource} was listed {times} times");
    }
    Ok(())
}

/// Waits until the log tells of something that it has not told of before.
async fn until_told(shop: &Shop, told_before: usize, words: &str) -> Result<()> {
    shop.until(&format!("the log says {words:?}"), PATIENCE, async || {
        let log = operator(shop)?.log()?;
        let new = log.get(told_before..).unwrap_or_default();
        ensure!(new.contains(words), "it does not");
        Ok(())
    })
    .await
}
