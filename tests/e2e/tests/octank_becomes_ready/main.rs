//! The retailer's whole shop, `examples/octank`, from `kubectl apply` to Ready.
//!
//! Proves that one apply is enough, that `kubectl wait --for=condition=Ready` is right the first time, that what stands then
//! has the right fields in AWS and in Kubernetes, that the database's password is in its Secret and nowhere else, and that a
//! second pass over the unchanged shop writes nothing.

mod data;
mod edge;
mod rights;
mod workloads;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{Shop, Subject, equals, text};

const CLUSTER: &str = "octank-prod";
const CLUSTER_ARN: &str = "arn:aws:eks:eu-west-1:123456789012:cluster/octank-prod";

const NAMESPACE: &str = "shop";

/// As long as `kubectl wait` may take; the rest is bounded by the fixture.
const WAIT: &str = "--timeout=240s";

fn platform() -> Subject {
    Subject::new("Platform", "", "octank")
}

fn storefront() -> Subject {
    Subject::new("Storefront", NAMESPACE, "octank")
}

fn catalog() -> Subject {
    Subject::new("CatalogService", NAMESPACE, "catalog")
}

fn orders() -> Subject {
    Subject::new("OrderService", NAMESPACE, "orders")
}

#[tokio::test]
async fn octank_becomes_ready() -> Result<()> {
    let shop = Shop::open("octank").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply_example("octank").await?;
    kubectl_waits_for_all(&shop).await?;

    data::the_key_is_right(&shop).await?;
    data::the_catalog_has_its_data(&shop).await?;
    data::the_orders_have_their_data(&shop).await?;
    workloads::every_workload_has_nodes_of_its_own(&shop).await?;
    rights::every_service_has_the_least_rights(&shop).await?;
    workloads::the_workloads_are_right(&shop).await?;
    rights::the_applications_hear_of_their_data(&shop).await?;
    edge::the_back_office_is_internal(&shop).await?;
    edge::only_callers_may_call(&shop).await?;
    rights::the_passwords_are_nowhere_else(&shop).await?;
    kubectl_shows_the_shop(&shop).await?;
    the_second_pass_is_silent(&shop).await?;
    shop.close().await
}

/// What a pipeline does right after the apply. When it returns, everything has to be there already: the checks that follow do
/// not wait for anything.
async fn kubectl_waits_for_all(shop: &Shop) -> Result<()> {
    let waited = shop
        .environment
        .kubectl(&["wait", "--for=condition=Ready", WAIT, "platform/octank"])
        .await;
    let waited = match waited {
        Ok(_) => {
            let names = [
                "storefront/octank",
                "catalogservice/catalog",
                "orderservice/orders",
            ];
            shop.environment
                .kubectl(
                    &[
                        &["wait", "--for=condition=Ready", WAIT, "-n", NAMESPACE],
                        &names[..],
                    ]
                    .concat(),
                )
                .await
        }
        refused => refused,
    };
    match waited {
        Ok(_) => Ok(()),
        Err(problem) => bail!("{problem:#}\n{}", shop.state_of_everything().await),
    }
}

async fn platform_key(shop: &Shop) -> Result<String> {
    let platform = shop.get("Platform", "", "octank").await?;
    Ok(text(&platform, "/status/encryption/keyArn")?.to_owned())
}

fn seeded(shop: &Shop, name: &str) -> Result<Value> {
    let mut value = shop.environment.aws_seed()?[name].clone();
    if let Some(list) = value.as_array_mut() {
        list.sort_by_key(Value::to_string);
    }
    Ok(value)
}

/// The tags of everything in AWS that belongs to this custom resource.
async fn tags(shop: &Shop, owner: &Subject) -> Result<Value> {
    let object = shop.get(owner.kind, &owner.namespace, &owner.name).await?;
    Ok(json!({
        "shopkeeper.dev/owner": owner.path(),
        "shopkeeper.dev/owner-uid": object["metadata"]["uid"],
        "shopkeeper.dev/cluster": CLUSTER_ARN,
        "cost-center": "shop",
    }))
}

/// R31.
async fn kubectl_shows_the_shop(shop: &Shop) -> Result<()> {
    let shown = shop
        .environment
        .kubectl(&["get", "shopkeeper", "-A"])
        .await?;
    for kind in ["platform", "storefront", "catalogservice", "orderservice"] {
        ensure!(
            shown.contains(&format!("{kind}.shopkeeper.dev/")),
            "kubectl get shopkeeper shows no {kind}:\n{shown}"
        );
    }
    equals(
        "how many are shown as ready",
        shown.matches("True").count(),
        4,
    )
}

/// A pass over the unchanged shop writes the status once, since it echoes the annotation, and nothing else.
async fn the_second_pass_is_silent(shop: &Shop) -> Result<()> {
    for subject in [platform(), catalog(), orders(), storefront()] {
        let calls = shop.environment.aws_control()?.calls_since(0).await?;
        ensure!(!calls.is_empty(), "the record of calls is empty");
        shop.second_pass_is_silent(&subject).await?;
    }
    Ok(())
}
