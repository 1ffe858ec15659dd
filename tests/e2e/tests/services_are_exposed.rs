//! A service is reached, and its pods have security groups, as it says.
//!
//! Proves that a Service with a load balancer of its own is Ready once that has an address, and not before; that its type changes in
//! every direction, and what the API server assigns meanwhile is no drift; that an edit of somebody else is set back; that security
//! groups wait for a cluster that knows them and say so, take hold by replaced pods, and go again; that further ways to one service come
//! beside its Service, are changed, set back and taken away one by one, and leave the Service of the pods alone; and that nothing is left
//! at the end.
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals, includes, read_example, says};

const NAMESPACE: &str = "exposed";
const PREFIX: &str = "service.beta.kubernetes.io/aws-load-balancer";

/// The definition of EKS's VPC resource controller, as far as it says anything of what we write.
const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: securitygrouppolicies.vpcresources.k8s.aws}
spec:
  group: vpcresources.k8s.aws
  names: {kind: SecurityGroupPolicy, listKind: SecurityGroupPolicyList, plural: securitygrouppolicies, singular: securitygrouppolicy}
  scope: Namespaced
  versions:
    - name: v1beta1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                podSelector:
                  type: object
                  x-kubernetes-map-type: atomic
                  properties: {matchLabels: {type: object, additionalProperties: {type: string}}}
                securityGroups:
                  type: object
                  properties: {groupIds: {type: array, minItems: 1, maxItems: 16, items: {type: string}}}
";

#[tokio::test]
async fn services_are_exposed() -> Result<()> {
    let shop = Shop::open("exposed").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    let orders = Subject::new("OrderService", NAMESPACE, "orders");

    shop.until_ready(&Subject::new("Platform", "", "octank"))
        .await?;
    apply(&shop, json!({"securityGroupIds": ["sg-0a1b2c3d"]})).await?;
    a_kind_that_is_missing_is_named(&shop, &orders).await?;
    apply(
        &shop,
        json!({"service": {"type": "LoadBalancer", "loadBalancer": {"sourceRanges": ["10.20.0.0/16"]}}}),
    )
    .await?;
    a_load_balancer_has_an_address(&shop, &orders).await?;
    drift_is_set_back(&shop, &orders).await?;
    types_change(&shop, &orders).await?;
    security_groups_take_hold(&shop, &orders).await?;
    exposures_come_and_go(&shop, &orders).await?;
    shop.second_pass_is_silent(&orders).await?;

    // With a load balancer, which its controller has to take down first.
    apply(
        &shop,
        json!({
            "securityGroupIds": ["sg-0a1b2c3d"], "service": {"type": "LoadBalancer"},
            "exposures": [load_balancer("Public"), ingress(&["/orders"])],
        }),
    )
    .await?;
    shop.until_ready(&orders).await?;
    shop.delete(&orders).await?;
    shop.until_gone(&orders).await?;
    for kind in ["Service", "Ingress", "SecurityGroupPolicy", "Deployment"] {
        let left = shop.list(kind, NAMESPACE, "").await?;
        ensure!(left.is_empty(), "a {kind} outlived {orders}");
    }
    shop.close().await
}

async fn apply(shop: &Shop, network: Value) -> Result<()> {
    let workload = json!({
        "image": "registry.example/orders:1",
        "ports": [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 9000}],
    });
    let whole = json!({
        "apiVersion": "shopkeeper.dev/v1alpha1", "kind": "OrderService",
        "metadata": {"name": "orders", "namespace": NAMESPACE},
        "spec": {"workload": workload, "nodes": {"type": "None"}, "network": network},
    });
    shop.apply(&whole.to_string()).await
}

async fn service(shop: &Shop) -> Result<Value> {
    shop.get("Service", NAMESPACE, "orders").await
}

async fn a_kind_that_is_missing_is_named(shop: &Shop, orders: &Subject) -> Result<()> {
    let message = shop
        .until_condition(orders, "Ready", "False", "DependencyNotReady")
        .await?;
    says(
        &message,
        &[
            "spec.network.securityGroupIds: the cluster has no kind SecurityGroupPolicy",
            "or leave securityGroupIds out",
        ],
    )?;
    // It is seen within a minute, while the rest goes on.
    shop.apply(DEFINITION).await
}

async fn a_load_balancer_has_an_address(shop: &Shop, orders: &Subject) -> Result<()> {
    let object = shop.until_ready(orders).await?;
    equals(
        "the endpoint",
        &object["status"]["endpoint"],
        &json!("orders.exposed.svc:80"),
    )?;
    let service = service(shop).await?;
    includes(
        "the Service",
        &service,
        &json!({
            "metadata": {"annotations": {
                format!("{PREFIX}-scheme"): "internal",
                format!("{PREFIX}-nlb-target-type"): "ip",
            }},
            "spec": {
                "type": "LoadBalancer",
                "loadBalancerClass": "service.k8s.aws/nlb",
                "loadBalancerSourceRanges": ["10.20.0.0/16"],
                "allocateLoadBalancerNodePorts": false,
            },
        }),
    )?;
    ensure!(
        service["status"]["loadBalancer"]["ingress"][0]["hostname"].is_string(),
        "it is Ready without an address"
    );
    // Who may enter: the subnets of the load balancer.
    let policy = shop.get("NetworkPolicy", NAMESPACE, "orders").await?;
    let platform = shop.get("Platform", "", "octank").await?;
    for subnet in platform["status"]["network"]["privateSubnets"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let cidr = subnet["cidr"].to_string();
        ensure!(
            policy["spec"].to_string().contains(&cidr),
            "{cidr} is shut out"
        );
    }
    Ok(())
}

async fn drift_is_set_back(shop: &Shop, orders: &Subject) -> Result<()> {
    let object = Subject::new("Service", NAMESPACE, "orders");
    shop.merge(
        &object,
        json!({"spec": {"loadBalancerSourceRanges": ["0.0.0.0/0"]}}),
    )
    .await?;
    shop.until("the ranges are set back", PATIENCE, async || {
        includes(
            "the Service",
            &service(shop).await?,
            &json!({"spec": {"loadBalancerSourceRanges": ["10.20.0.0/16"]}}),
        )
    })
    .await?;
    shop.until_ready(orders).await.map(drop)
}

async fn types_change(shop: &Shop, orders: &Subject) -> Result<()> {
    let address = service(shop).await?["spec"]["clusterIP"].clone();
    for (second, (settings, expected)) in [
        (
            json!({"type": "NodePort", "nodePorts": {"http": 30080}}),
            json!({"type": "NodePort", "ports": [{"nodePort": 30080}, {"name": "admin"}], "loadBalancerClass": null}),
        ),
        (
            json!({"type": "LoadBalancer", "loadBalancer": {"exposure": "Public"}}),
            json!({"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb"}),
        ),
        (
            json!({"type": "ClusterIP"}),
            json!({"type": "ClusterIP", "ports": [{"nodePort": null}, {"nodePort": null}], "loadBalancerClass": null, "allocateLoadBalancerNodePorts": null}),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        apply(shop, json!({"service": settings})).await?;
        shop.until_ready(orders).await?;
        let service = service(shop).await?;
        includes("the Service", &service["spec"], &expected)?;
        equals("its address", &service["spec"]["clusterIP"], &address)?;
        // Nothing of it is put right once more.
        let mark = shop.mark().await?;
        shop.request_pass(orders, &format!("2026-11-24T10:00:{second:02}Z"))
            .await?;
        let writes = shop.kubernetes_writes_since(mark)?;
        let again = writes.iter().find(|write| {
            let (path, _) = write
                .request_uri
                .split_once('?')
                .unwrap_or((&write.request_uri, ""));
            path.ends_with("/services/orders")
        });
        ensure!(
            again.is_none(),
            "the Service was written once more: {again:?}"
        );
    }
    Ok(())
}

async fn security_groups_take_hold(shop: &Shop, orders: &Subject) -> Result<()> {
    let policy = Subject::new("SecurityGroupPolicy", NAMESPACE, "orders");
    for groups in [
        json!(["sg-0a1b2c3d"]),
        json!(["sg-0a1b2c3d", "sg-0e0f0a0b"]),
        json!([]),
    ] {
        let old = shop.pods(NAMESPACE, "orders").await?;
        apply(shop, json!({"securityGroupIds": groups})).await?;
        shop.until_ready(orders).await?;
        let now = shop.pods(NAMESPACE, "orders").await?;
        equals("the number of pods", now.len(), old.len())?;
        ensure!(now.is_disjoint(&old), "pods of before still run");
        let found = shop.find(&policy).await?;
        if groups == json!([]) {
            ensure!(found.is_none(), "the policy outlived its groups");
        } else {
            includes(
                "the policy",
                &found.unwrap_or_default()["spec"],
                &json!({
                    "podSelector": {"matchLabels": {"app.kubernetes.io/name": "orders"}},
                    "securityGroups": {"groupIds": groups},
                }),
            )?;
        }
    }
    Ok(())
}

fn load_balancer(exposure: &str) -> Value {
    json!({"name": "nlb", "type": "Service", "ports": ["http"],
        "service": {"type": "LoadBalancer", "loadBalancer": {"exposure": exposure}}})
}

fn node_port(number: u16) -> Value {
    json!({"name": "nodes", "type": "Service", "service": {"type": "NodePort", "nodePorts": {"admin": number}}})
}

fn ingress(paths: &[&str]) -> Value {
    let paths: Vec<Value> = paths.iter().map(|path| json!({"path": path})).collect();
    json!({"name": "partners", "type": "Ingress", "ingress": {
        "hosts": ["orders.octank.example"], "paths": paths, "annotations": {"example.com/team": "orders"}}})
}

async fn exposures_come_and_go(shop: &Shop, orders: &Subject) -> Result<()> {
    let all =
        json!({"exposures": [load_balancer("Internal"), node_port(30090), ingress(&["/orders"])]});
    apply(shop, all).await?;
    shop.until_ready(orders).await?;
    let of_pods = service(shop).await?;
    includes(
        "the Service",
        &of_pods["spec"],
        &json!({"type": "ClusterIP"}),
    )?;
    let nlb = shop.get("Service", NAMESPACE, "orders-nlb").await?;
    includes(
        "the Service of the load balancer",
        &nlb,
        &json!({
            "metadata": {"annotations": {format!("{PREFIX}-scheme"): "internal"}},
            "spec": {"type": "LoadBalancer", "selector": of_pods["spec"]["selector"], "ports": [{"name": "http"}]},
        }),
    )?;
    let partners = shop.get("Ingress", NAMESPACE, "orders-partners").await?;
    for object in [&nlb, &partners] {
        ensure!(
            object["status"]["loadBalancer"]["ingress"][0]["hostname"].is_string(),
            "it is Ready without an address"
        );
    }
    shop.until_condition(orders, "EdgeReady", "True", "Succeeded")
        .await?;

    // Edits reach each of them, and what somebody else writes is set back.
    let edited = json!({"exposures": [load_balancer("Public"), node_port(30091), ingress(&["/orders", "/status"])]});
    apply(shop, edited).await?;
    shop.until_ready(orders).await?;
    let nlb = shop.get("Service", NAMESPACE, "orders-nlb").await?;
    equals(
        "its scheme",
        &nlb["metadata"]["annotations"][format!("{PREFIX}-scheme")],
        &json!("internet-facing"),
    )?;
    let nodes = shop.get("Service", NAMESPACE, "orders-nodes").await?;
    includes(
        "the ports at the nodes",
        &nodes["spec"],
        &json!({"ports": [{"name": "http"}, {"name": "admin", "nodePort": 30091}]}),
    )?;
    let partners = Subject::new("Ingress", NAMESPACE, "orders-partners");
    shop.merge(
        &partners,
        json!({"spec": {"rules": [{"host": "*.example"}]}}),
    )
    .await?;
    shop.until("the paths are set back", PATIENCE, async || {
        let found = shop.get("Ingress", NAMESPACE, "orders-partners").await?;
        includes(
            "the Ingress",
            &found["spec"],
            &json!({"rules": [{"host": "orders.octank.example", "http": {"paths": [{"path": "/orders"}, {"path": "/status"}]}}]}),
        )
    })
    .await?;
    shop.until_ready(orders).await?;

    // One goes, and the others stay as they are.
    apply(
        shop,
        json!({"exposures": [node_port(30091), ingress(&["/orders", "/status"])]}),
    )
    .await?;
    shop.until_ready(orders).await?;
    shop.until_gone(&Subject::new("Service", NAMESPACE, "orders-nlb"))
        .await?;
    let kept = shop.get("Service", NAMESPACE, "orders-nodes").await?;
    for part in ["uid", "resourceVersion"] {
        equals(
            "the one that stays",
            &kept["metadata"][part],
            &nodes["metadata"][part],
        )?;
    }
    equals(
        "the address of the Service",
        &service(shop).await?["spec"]["clusterIP"],
        &of_pods["spec"]["clusterIP"],
    )
}
