//! What somebody changes or deletes behind Shopkeeper's back.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, View, equals, includes};

use super::{CLUSTER, NAMESPACE, object, storefront};

/// A change of an object, as a JSON merge patch; without one the object is deleted.
struct Drift {
    object: Subject,
    patch: Option<Value>,
}

fn changed(kind: &'static str, name: &str, patch: Value) -> Drift {
    Drift {
        object: object(kind, name),
        patch: Some(patch),
    }
}

fn deleted(kind: &'static str, name: &str) -> Drift {
    Drift {
        object: object(kind, name),
        patch: None,
    }
}

/// An Ingress that leads everywhere to somebody else's pods.
fn hijacked() -> Value {
    let backend = json!({"service": {"name": "evil", "port": {"number": 80}}});
    json!({"spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]}})
}

fn annotated(name: &str, value: Value) -> Value {
    json!({"metadata": {"annotations": {format!("alb.ingress.kubernetes.io/{name}"): value}}})
}

pub async fn is_repaired(shop: &Shop) -> Result<()> {
    let subject = storefront(shop, "drifted", json!({})).await?;
    for drift in [
        changed("Ingress", "drifted", hijacked()),
        changed(
            "Ingress",
            "drifted",
            annotated("listen-ports", json!(r#"[{"HTTP":80}]"#)),
        ),
        changed("Ingress", "drifted", annotated("ssl-redirect", Value::Null)),
        changed(
            "Ingress",
            "drifted-office",
            annotated("scheme", json!("internet-facing")),
        ),
        deleted("Ingress", "drifted"),
        deleted("Ingress", "drifted-office"),
        changed(
            "Service",
            "drifted-web",
            annotated("healthcheck-path", json!("/nowhere")),
        ),
        changed(
            "Service",
            "drifted-web",
            json!({"spec": {"selector": {"app.kubernetes.io/name": "evil"}}}),
        ),
        changed(
            "Deployment",
            "drifted-web",
            json!({"spec": {"replicas": 5}}),
        ),
        deleted("Deployment", "drifted-web"),
        deleted("NetworkPolicy", "drifted-office"),
        deleted("PodDisruptionBudget", "drifted-web"),
    ] {
        repaired(shop, &subject, drift).await?;
    }
    the_node_group_is_repaired(shop, &subject).await
}

async fn repaired(shop: &Shop, subject: &Subject, Drift { object, patch }: Drift) -> Result<()> {
    let before = ours(&shop.get(object.kind, NAMESPACE, &object.name).await?);
    let uid = shop.get(object.kind, NAMESPACE, &object.name).await?["metadata"]["uid"].clone();
    let deletes = patch.is_none();
    let what = patch
        .as_ref()
        .map_or_else(|| "deleted".to_owned(), Value::to_string);
    match patch {
        Some(patch) => {
            let drifted = ours(&shop.merge(&object, patch).await?);
            ensure!(
                includes("", &drifted, &before).is_err(),
                "the drift of {object} cannot be seen: {what}"
            );
        }
        None => shop.delete(&object).await?,
    }
    shop.until(
        &format!("{object} is repaired after {what}"),
        PATIENCE,
        async || {
            let now = shop.get(object.kind, NAMESPACE, &object.name).await?;
            ensure!(!deletes || now["metadata"]["uid"] != uid, "it still goes");
            includes("it", &ours(&now), &before)
        },
    )
    .await?;
    shop.until_ready(subject).await.map(drop)
}

/// What Shopkeeper says of an object, without its history.
fn ours(object: &Value) -> Value {
    let mut annotations = object["metadata"]["annotations"].clone();
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.retain(|name, _| name.starts_with("alb.ingress.kubernetes.io/"));
    }
    json!({"annotations": annotations, "spec": object["spec"]})
}

/// The nodes of a frontend, changed in AWS.
async fn the_node_group_is_repaired(shop: &Shop, subject: &Subject) -> Result<()> {
    let group = shop
        .made(subject, "NodeGroup", "frontends.web.nodes")
        .await?;
    let view = View::NodeGroup(CLUSTER.to_owned(), group.clone());
    let before = shop.look(&view).await?;
    let scaling = aws_sdk_eks::types::NodegroupScalingConfig::builder()
        .min_size(1)
        .max_size(9)
        .build();
    shop.aws
        .eks
        .update_nodegroup_config()
        .cluster_name(CLUSTER)
        .nodegroup_name(&group)
        .scaling_config(scaling)
        .send()
        .await
        .context("changing the node group")?;
    shop.request_pass(subject, "2026-11-24T09:00:00Z").await?;
    shop.until("the node group is repaired", PATIENCE, async || {
        includes(
            "the node group",
            &shop.look(&view).await?,
            &json!({"status": "ACTIVE", "min": before["min"], "max": before["max"]}),
        )
    })
    .await?;
    shop.until_ready(subject).await.map(drop)
}

pub async fn is_only_told(shop: &Shop) -> Result<()> {
    let subject = storefront(shop, "watched", json!({"drift": "Report"})).await?;
    let mark = shop.mark().await?;
    let ingress = object("Ingress", "watched");
    shop.merge(&ingress, hijacked()).await?;
    let message = shop
        .until_condition(&subject, "Ready", "True", "Drifted")
        .await?;
    ensure!(
        message.contains("Ingress watched") && message.contains("spec.rules"),
        "the drift is not named: {message}"
    );
    shop.request_pass(&subject, "2026-11-24T09:00:00Z").await?;
    includes(
        "the Ingress",
        &shop.get("Ingress", NAMESPACE, "watched").await?,
        &hijacked(),
    )?;
    let writes = shop.kubernetes_writes_since(mark)?;
    let of_it: Vec<&str> = writes
        .iter()
        .map(|write| write.request_uri.as_str())
        .filter(|uri| uri.contains("/ingresses/watched"))
        .collect();
    equals("what was written to the Ingress", of_it, Vec::<&str>::new())?;

    // What is gone serves nobody: it is made again all the same.
    let office = deleted("Ingress", "watched-office");
    repaired(shop, &subject, office).await?;

    // An edit is no drift: it is made, and what was only told of goes with it.
    shop.merge(
        &subject,
        json!({"spec": {"hosts": ["shop.watched.example"]}}),
    )
    .await?;
    shop.until("the edit is made", PATIENCE, async || {
        includes(
            "the Ingress",
            &shop.get("Ingress", NAMESPACE, "watched").await?,
            &json!({"spec": {"rules": [{"host": "shop.watched.example"}]}}),
        )
    })
    .await
}
