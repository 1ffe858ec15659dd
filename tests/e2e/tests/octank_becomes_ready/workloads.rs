//! Pods, and the nodes that they run on.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{Shop, equals, includes, text};

use super::{CLUSTER, NAMESPACE, catalog, orders, seeded, storefront, tags};

/// R6, R7, R10: a group for each workload, over the three zones, which only its own pods may use.
pub async fn every_workload_has_nodes_of_its_own(shop: &Shop) -> Result<()> {
    let subnets = seeded(shop, "private_subnets")?;
    equals(
        "the number of private subnets",
        subnets.as_array().map(Vec::len),
        Some(3),
    )?;
    let workloads = [
        (catalog(), "nodes", "catalog", 3, 12),
        (orders(), "nodes", "orders", 3, 9),
        (storefront(), "frontends.web.nodes", "octank-web", 3, 9),
        (
            storefront(),
            "frontends.back-office.nodes",
            "octank-back-office",
            3,
            9,
        ),
    ];
    for (owner, role, deployment, min, max) in workloads {
        let name = shop.made(&owner, "NodeGroup", role).await?;
        let label = format!("{NAMESPACE}.{deployment}");
        let group = shop.aws.node_group(CLUSTER, &name).await?;
        let expected = json!({
            "status": "ACTIVE",
            "instanceTypes": ["m7g.large"],
            "amiType": "AL2023_ARM_64_STANDARD",
            "capacityType": "ON_DEMAND",
            "diskSize": 20,
            "subnets": subnets,
            "labels": {"shopkeeper.dev/nodes": label},
            "taints": [format!("shopkeeper.dev/dedicated={label}:NO_SCHEDULE")],
            "min": min,
            "max": max,
            "maxUnavailable": 1,
            "tags": tags(shop, &owner).await?,
        });
        includes(&name, &group, &expected)?;
        let role_name = text(&group, "/role")?
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let role = shop.aws.role(&role_name).await?;
        let trust =
            json!({"Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"});
        includes(&role_name, &role["trust"]["Statement"][0], &trust)?;
        equals(
            &role_name,
            role["managed"].as_array().map(Vec::len),
            Some(3),
        )?;

        let nodes = shop
            .list("Node", "", &format!("eks.amazonaws.com/nodegroup={name}"))
            .await?;
        let zones: std::collections::BTreeSet<&str> = nodes
            .iter()
            .filter_map(|node| node["metadata"]["labels"]["topology.kubernetes.io/zone"].as_str())
            .collect();
        equals(&format!("the zones of {name}"), zones.len(), 3)?;
        let names: Vec<&Value> = nodes.iter().map(|node| &node["metadata"]["name"]).collect();
        let pods = shop
            .list(
                "Pod",
                NAMESPACE,
                &format!("app.kubernetes.io/name={deployment}"),
            )
            .await?;
        ensure!(!pods.is_empty(), "{deployment} has no pods");
        for pod in &pods {
            ensure!(
                names.contains(&&pod["spec"]["nodeName"]),
                "a pod of {deployment} runs on {}",
                pod["spec"]["nodeName"]
            );
        }
    }
    Ok(())
}

/// R8: probes, resources, autoscaler, disruption budget, service account.
pub async fn the_workloads_are_right(shop: &Shop) -> Result<()> {
    for (name, image, replicas) in [
        ("catalog", "registry.example/octank/catalog:1.9.0", 3),
        ("orders", "registry.example/octank/orders:3.0.2", 3),
        ("octank-web", "registry.example/octank/web:2.4.1", 3),
        (
            "octank-back-office",
            "registry.example/octank/back-office:2.4.1",
            2,
        ),
    ] {
        let deployment = shop.get("Deployment", NAMESPACE, name).await?;
        let pod = &deployment["spec"]["template"]["spec"];
        equals(
            &format!("the available replicas of {name}"),
            deployment["status"]["availableReplicas"].as_i64(),
            Some(replicas),
        )?;
        equals(
            &format!("the image of {name}"),
            &pod["containers"][0]["image"],
            &json!(image),
        )?;
        equals(
            &format!("the service account of {name}"),
            &pod["serviceAccountName"],
            &json!(name),
        )?;
        includes(
            &format!("the security of {name}"),
            &pod["securityContext"],
            &json!({"runAsNonRoot": true}),
        )?;
        let expected = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true});
        includes(
            &format!("the security of {name}"),
            &pod["containers"][0]["securityContext"],
            &expected,
        )?;
        let budget = shop.get("PodDisruptionBudget", NAMESPACE, name).await?;
        includes(
            &format!("the budget of {name}"),
            &budget["spec"],
            &json!({"maxUnavailable": 1}),
        )?;
        let service = shop.get("Service", NAMESPACE, name).await?;
        includes(
            &format!("the Service {name}"),
            &service["spec"]["ports"][0],
            &json!({"name": "http", "port": 80, "targetPort": "http"}),
        )?;
    }
    let autoscalers = [("catalog", 3, 40), ("orders", 3, 30), ("octank-web", 3, 60)];
    for (name, min, max) in autoscalers {
        let autoscaler = shop.get("HorizontalPodAutoscaler", NAMESPACE, name).await?;
        let cpu = json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}]);
        let expected = json!({"minReplicas": min, "maxReplicas": max, "scaleTargetRef": {"kind": "Deployment", "name": name}, "metrics": cpu});
        includes(
            &format!("the autoscaler of {name}"),
            &autoscaler["spec"],
            &expected,
        )?;
    }
    equals(
        "the number of autoscalers",
        shop.list("HorizontalPodAutoscaler", NAMESPACE, "")
            .await?
            .len(),
        autoscalers.len(),
    )?;
    let catalog = shop.get("Deployment", NAMESPACE, "catalog").await?;
    let expected = json!({
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
    });
    includes(
        "the catalog's container",
        &catalog["spec"]["template"]["spec"]["containers"][0],
        &expected,
    )
}
