//! Objects of the cluster that lost what says whose they are, and one that was added to.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals};

use super::NAMESPACE;

const BINDINGS: &str = "watched-over-bindings";

/// A Service without its owner is ours by its labels: it is given back to its owner, and taken down with it even where drift is only told.
pub async fn of_objects(shop: &Shop) -> Result<()> {
    let subject = Subject::new("OrderService", NAMESPACE, "watched-over");
    shop.apply(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: OrderService
metadata: {name: watched-over, namespace: drift}
spec:
  workload: {image: registry.example/orders:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  network: {exposures: [{name: edge, type: Ingress, ingress: {className: alb}}]}
  notifications: {topics: [{name: buy}]}
  bindings: [{resource: notifications, env: [{name: BUY_TOPIC, template: '{{topics.buy.arn}}'}]}]
",
    )
    .await?;
    shop.until_ready(&subject).await?;
    let service = Subject::new("Service", NAMESPACE, &subject.name);
    disown(shop, &service).await?;
    let bindings = Subject::new("ConfigMap", NAMESPACE, BINDINGS);
    shop.merge(&bindings, json!({"data": {"ADDED": "by hand"}}))
        .await?;
    shop.until("both are as they were", PATIENCE, async || {
        let owner = owner(shop, &service).await?;
        equals("the owner", &owner, &json!("watched-over"))?;
        let map = shop.get("ConfigMap", NAMESPACE, BINDINGS).await?;
        equals("what was added", &map["data"]["ADDED"], &Value::Null)
    })
    .await?;
    shop.until_ready(&subject).await?;
    additions_are_taken_away(shop, &subject.name).await?;
    shop.until_ready(&subject).await?;

    let told = json!({"spec": {"policy": {"drift": "Report"}}});
    shop.merge(&subject, told).await?;
    shop.until_ready(&subject).await?;
    disown(shop, &service).await?;
    shop.until("the lost owner is told", PATIENCE, async || {
        let message = shop
            .until_condition(&subject, "Ready", "True", "Drifted")
            .await?;
        ensure!(message.contains("ownerReferences"), "{message}");
        Ok(())
    })
    .await?;
    equals("the owner", &owner(shop, &service).await?, &Value::Null)?;
    shop.delete(&subject).await?;
    shop.until_gone(&subject).await?;
    equals(
        "a Service without an owner",
        shop.find(&service).await?,
        None,
    )
}

/// What sends traffic elsewhere, or makes the pods somebody else, is taken away, and told with who added it; what others note is left alone.
async fn additions_are_taken_away(shop: &Shop, name: &str) -> Result<()> {
    let edge = format!("{name}-edge");
    let annotated = |key: &str, value: &str| json!({"metadata": {"annotations": {key: value, "example.com/note": "kept"}}});
    let additions = [
        (
            Subject::new("Service", NAMESPACE, name),
            json!({"spec": {"externalIPs": ["203.0.113.7"], "sessionAffinity": "ClientIP", "selector": {"more": "x"}}}),
            vec![
                "/spec/externalIPs",
                "/spec/sessionAffinityConfig",
                "/spec/selector/more",
            ],
        ),
        (
            Subject::new("Ingress", NAMESPACE, &edge),
            annotated("alb.ingress.kubernetes.io/group.name", "others"),
            vec!["/metadata/annotations/alb.ingress.kubernetes.io~1group.name"],
        ),
        (
            Subject::new("ServiceAccount", NAMESPACE, name),
            annotated(
                "eks.amazonaws.com/role-arn",
                "arn:aws:iam::999988887777:role/x",
            ),
            vec!["/metadata/annotations/eks.amazonaws.com~1role-arn"],
        ),
    ];
    for (object, addition, pointers) in additions {
        let patch = addition.to_string();
        let by = "--field-manager=somebody";
        let patched = [
            "patch",
            object.kind,
            &object.name,
            "-n",
            NAMESPACE,
            by,
            "--type=merge",
            "-p",
            &patch,
        ];
        shop.environment.kubectl(&patched).await?;
        shop.until(&format!("{object} is as it was"), PATIENCE, async || {
            let now = shop.get(object.kind, NAMESPACE, &object.name).await?;
            for pointer in &pointers {
                ensure!(now.pointer(pointer).is_none(), "{pointer} is still there");
            }
            let note = &now["metadata"]["annotations"]["example.com/note"];
            ensure!(
                object.kind == "Service" || note == "kept",
                "the note is gone"
            );
            Ok(())
        })
        .await?;
        shop.until("an event tells who added it", PATIENCE, async || {
            let events = shop.list("Event", NAMESPACE, "").await?;
            let told = events.iter().any(|event| {
                let note = event["note"].as_str().unwrap_or_default();
                event["reason"] == "Repaired"
                    && note.contains(object.kind)
                    && note.contains("added by somebody")
            });
            ensure!(told, "no event tells of {object}");
            Ok(())
        })
        .await?;
    }
    let service = shop.get("Service", NAMESPACE, name).await?;
    equals(
        "its affinity",
        &service["spec"]["sessionAffinity"],
        &json!("None"),
    )
}

async fn disown(shop: &Shop, object: &Subject) -> Result<()> {
    shop.merge(object, json!({"metadata": {"ownerReferences": null}}))
        .await
        .map(drop)
}

async fn owner(shop: &Shop, object: &Subject) -> Result<Value> {
    let object = shop
        .get(object.kind, &object.namespace, &object.name)
        .await?;
    let name = object.pointer("/metadata/ownerReferences/0/name");
    Ok(name.cloned().unwrap_or_default())
}
