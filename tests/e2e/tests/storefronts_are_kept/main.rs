//! What a Storefront declares reaches the cluster and AWS, is kept that way, and is taken down in order.
//!
//! Proves, field by field, that an edit shows in the Ingress, the pods or their nodes once the Storefront is Ready, and that no
//! field of the definition is left out; that what somebody else changes or deletes is set back, or only told of under
//! `drift: Report`; that a change reaches those who name what has changed; and that a deletion takes away traffic, then pods, then
//! nodes, each after the one before is gone.

mod deletion;
mod drift;
mod edits;
mod gateway;
mod groups;
mod neighbours;

use anyhow::{Result, ensure};
use futures::FutureExt as _;
use serde_json::{Value, json};
use shopkeeper_e2e::{Shop, Subject, read_example, run_together};

const CLUSTER: &str = "octank-prod";
const NAMESPACE: &str = "front";
/// Kinds of objects that a Storefront makes.
const KINDS: [&str; 7] = [
    "Ingress",
    "HorizontalPodAutoscaler",
    "Deployment",
    "Service",
    "PodDisruptionBudget",
    "NetworkPolicy",
    "ServiceAccount",
];

#[tokio::test]
async fn storefronts_are_kept() -> Result<()> {
    let mut shop = Shop::prepare("storefronts").await?;
    // Before the operator looks which kinds there are: it looks again in a minute.
    shop.apply(gateway::DEFINITION).await?;
    shop.operator = Some(shop.start_operator("operator").await?);
    shop.namespace(NAMESPACE).await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    for name in ["catalog", "offers"] {
        shop.apply(&format!(
            "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  workload: {{image: registry.example/catalog:1, ports: [{{name: http, containerPort: 8080}}, {{name: admin, containerPort: 9090}}]}}
  nodes: {{type: None}}
  callers: [{{frontend: {{storefront: edited, name: web}}}}]
"
        ))
        .await?;
    }
    run_together(vec![
        ("edits", edits::of_a_storefront(&shop).boxed_local()),
        (
            "neighbours hear of each other",
            neighbours::hear_of_each_other(&shop).boxed_local(),
        ),
        (
            "a Gateway serves the routes",
            gateway::serves_the_routes(&shop).boxed_local(),
        ),
        (
            "Storefronts share a load balancer",
            groups::share_a_load_balancer(&shop).boxed_local(),
        ),
        ("drift is repaired", drift::is_repaired(&shop).boxed_local()),
        (
            "drift is only told",
            drift::is_only_told(&shop).boxed_local(),
        ),
        (
            "deletion goes in order",
            deletion::goes_in_order(&shop).boxed_local(),
        ),
        (
            "deletion under Retain",
            deletion::leaves_nothing(&shop, "Retain").boxed_local(),
        ),
        (
            "deletion under Delete",
            deletion::leaves_nothing(&shop, "Delete").boxed_local(),
        ),
    ])
    .await?;
    // Once nothing else writes: what was edited, and what was set back, stays as it is.
    for name in ["edited", "drifted", "gated"] {
        shop.second_pass_is_silent(&object("Storefront", name))
            .await?;
    }
    shop.second_pass_is_silent(&groups::member("one")).await?;
    gateway::gives_them_back(&shop).await?;
    shop.close().await
}

/// A specification with a public frontend on nodes of its own, an internal one, and routes.
fn specification(name: &str) -> Value {
    let workload = |image: &str| {
        json!({
            "image": format!("registry.example/{image}:1"),
            "ports": [{"name": "http", "containerPort": 8080}],
        })
    };
    json!({
        "hosts": [format!("www.{name}.example")],
        "frontends": [
            {"name": "web", "workload": workload("web"), "nodes": {"type": "NodeGroup", "nodeGroup": {"min": 1, "max": 3}}},
            {"name": "office", "exposure": "Internal", "workload": workload("office"), "nodes": {"type": "None"},
                "external": [{"name": "audit", "type": "Kafka", "host": "kafka.example"}]},
        ],
        "routes": [
            {"path": "/items", "service": {"kind": "CatalogService", "name": "catalog"}},
            {"path": "/", "frontend": "web"},
        ],
    })
}

/// Makes a Storefront with this policy and waits until it is Ready.
async fn storefront(shop: &Shop, name: &str, policy: Value) -> Result<Subject> {
    let subject = Subject::new("Storefront", NAMESPACE, name);
    let mut specification = specification(name);
    specification["policy"] = policy;
    shop.apply_specification(&subject, &specification).await?;
    shop.until_ready(&subject).await?;
    Ok(subject)
}

/// An object of the scenario's namespace.
fn object(kind: &'static str, name: &str) -> Subject {
    Subject::new(kind, NAMESPACE, name)
}

/// Fails unless nothing of the Storefront is left, neither in the cluster nor in AWS.
async fn nothing_is_left(shop: &Shop, subject: &Subject) -> Result<()> {
    let labels = format!("app.kubernetes.io/part-of={}", subject.name);
    for kind in KINDS {
        let left = shop.list(kind, NAMESPACE, &labels).await?;
        ensure!(
            left.is_empty(),
            "{} {kind} outlived {subject}, among them {}",
            left.len(),
            left[0]["metadata"]["name"]
        );
    }
    let left = shop.owned_in_aws(subject).await?;
    ensure!(left.is_empty(), "{left:?} outlived {subject}");
    Ok(())
}
