//! Prometheus is told where the metrics of an application are, in the way that the cluster knows.
//!
//! Proves that pods have annotations; that the port is open to the pods that the Platform names, and to no others; that a ServiceMonitor says the same when that kind comes, and no pod is replaced for it; that an edit
//! of it replaces no pods where it is the only style; that what somebody else does to it is undone; that it goes with the metrics, with
//! another style and with its owner; and that an operator which may not list the kind says so, leaves it alone, and goes on with the rest.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals, includes, read_example};
use shopkeeper_localenv::Refusal;

const NAMESPACE: &str = "scraped";

/// The definition of the Prometheus operator, as far as it says anything of what we write.
const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  names: {kind: ServiceMonitor, listKind: ServiceMonitorList, plural: servicemonitors, singular: servicemonitor}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              required: [endpoints, selector]
              properties:
                selector:
                  type: object
                  x-kubernetes-map-type: atomic
                  properties: {matchLabels: {type: object, additionalProperties: {type: string}}}
                endpoints:
                  type: array
                  items:
                    type: object
                    properties:
                      port: {type: string}
                      path: {type: string}
                      interval: {type: string, pattern: '^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$'}
";

#[tokio::test]
async fn prometheus_finds_the_pods() -> Result<()> {
    let mut shop = Shop::open("scraped").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    let orders = Subject::new("OrderService", NAMESPACE, "orders");
    let monitor = Subject::new("ServiceMonitor", NAMESPACE, "orders");

    apply(&shop, json!({"path": "/metrics"})).await?;
    shop.until_ready(&orders).await?;
    annotations_are(&shop, scraped("/metrics")).await?;
    the_platform_says_who_is_let_in(&shop).await?;
    a_kind_that_is_missing_is_named(&shop, &orders).await?;

    the_kind_comes(&shop, &orders, &monitor).await?;
    an_edit_replaces_no_pods(&shop, &orders, &monitor).await?;
    drift_is_undone(&shop, &orders, &monitor).await?;
    shop.second_pass_is_silent(&orders).await?;
    styles_change(&shop, &orders, &monitor).await?;
    a_kind_that_may_not_be_listed_stops_nothing_else(&mut shop, &orders, &monitor).await?;

    shop.delete(&orders).await?;
    shop.until_gone(&orders).await?;
    ensure!(
        shop.find(&monitor).await?.is_none(),
        "{monitor} outlived {orders}"
    );
    shop.close().await
}

async fn apply(shop: &Shop, metrics: Value) -> Result<()> {
    let mut workload = json!({
        "image": "registry.example/orders:1",
        "ports": [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 9090}],
    });
    if !metrics.is_null() {
        workload["metrics"] = metrics;
    }
    let whole = json!({
        "apiVersion": "shopkeeper.dev/v1alpha1", "kind": "OrderService",
        "metadata": {"name": "orders", "namespace": NAMESPACE},
        "spec": {"workload": workload, "nodes": {"type": "None"}},
    });
    shop.apply(&whole.to_string()).await
}

/// Where Prometheus is, and every workload hears of it.
async fn the_platform_says_who_is_let_in(shop: &Shop) -> Result<()> {
    let platform = Subject::new("Platform", "", "octank");
    for (prometheus, namespace, label) in [
        (Value::Null, "monitoring", "prometheus"),
        (
            json!({"type": "Pods", "pods": {"namespace": "observability", "labels": {"app.kubernetes.io/name": "agent"}}}),
            "observability",
            "agent",
        ),
        (json!({"type": "None", "pods": null}), "", ""),
        (Value::Null, "monitoring", "prometheus"),
    ] {
        shop.merge(&platform, json!({"spec": {"prometheus": prometheus}}))
            .await?;
        let rule = json!({
            "from": [{
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "podSelector": {"matchLabels": {"app.kubernetes.io/name": label}},
            }],
            "ports": [{"port": "http", "protocol": "TCP"}],
        });
        let expected = if namespace.is_empty() {
            json!([])
        } else {
            json!([rule])
        };
        shop.until("the pods of Prometheus are let in", PATIENCE, async || {
            let policy = shop.get("NetworkPolicy", NAMESPACE, "orders").await?;
            let ingress = match &policy["spec"]["ingress"] {
                // The API server leaves an empty list out.
                Value::Null => json!([]),
                ingress => ingress.clone(),
            };
            equals("who is let in", ingress, expected.clone())
        })
        .await?;
    }
    Ok(())
}

/// The annotations by which Prometheus finds pods without its operator.
fn scraped(path: &str) -> Value {
    json!({
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8080",
        "prometheus.io/path": path,
    })
}

fn not_scraped() -> Value {
    json!({
        "prometheus.io/scrape": null,
        "prometheus.io/port": null,
        "prometheus.io/path": null,
    })
}

/// Those of the Deployment and of every pod that is not about to end.
async fn annotations_are(shop: &Shop, expected: Value) -> Result<()> {
    let deployment = shop.get("Deployment", NAMESPACE, "orders").await?;
    let annotations = |object: &Value| object["metadata"]["annotations"].clone();
    let or_none = |annotations: Value| match annotations {
        Value::Null => json!({}),
        annotations => annotations,
    };
    includes(
        "the annotations of the Deployment's pods",
        &or_none(annotations(&deployment["spec"]["template"])),
        &expected,
    )?;
    let pods = shop
        .list("Pod", NAMESPACE, "app.kubernetes.io/name=orders")
        .await?;
    let running = pods
        .iter()
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    for pod in running {
        includes(
            "the annotations of a pod",
            &or_none(annotations(pod)),
            &expected,
        )?;
    }
    Ok(())
}

/// How often the pods were replaced: each time makes a revision.
async fn revision(shop: &Shop) -> Result<i64> {
    let deployment = shop.get("Deployment", NAMESPACE, "orders").await?;
    let revision = &deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"];
    Ok(revision.as_str().unwrap_or_default().parse()?)
}

fn specification(port: &str, path: &str) -> Value {
    json!({"spec": {
        "selector": {"matchLabels": {"app.kubernetes.io/name": "orders"}},
        "endpoints": [{"port": port, "path": path, "interval": "30s"}],
    }})
}

/// Asked for by name, it is missed, and nothing else is held up.
async fn a_kind_that_is_missing_is_named(shop: &Shop, orders: &Subject) -> Result<()> {
    apply(shop, json!({"style": "ServiceMonitor"})).await?;
    shop.until("what is missing is named", PATIENCE, async || {
        let found = shop.get(orders.kind, NAMESPACE, "orders").await?;
        let conditions = found["status"]["conditions"].to_string();
        ensure!(
            conditions.contains(
                "spec.workload.metrics.style: the cluster has no kind ServiceMonitor (monitoring.coreos.com/v1)"
            ) && conditions.contains("set style to Annotations"),
            "{conditions}"
        );
        Ok(())
    })
    .await?;
    shop.until("the pods are not annotated", PATIENCE, async || {
        annotations_are(shop, not_scraped()).await
    })
    .await?;
    apply(shop, json!({"path": "/metrics"})).await?;
    shop.until_ready(orders).await?;
    annotations_are(shop, scraped("/metrics")).await
}

async fn until_monitored(
    shop: &Shop,
    monitor: &Subject,
    what: &str,
    expected: Value,
) -> Result<()> {
    shop.until(what, PATIENCE, async || {
        let found = shop
            .get(monitor.kind, &monitor.namespace, &monitor.name)
            .await?;
        includes("the ServiceMonitor", &found, &expected)
    })
    .await
}

async fn the_kind_comes(shop: &Shop, orders: &Subject, monitor: &Subject) -> Result<()> {
    let before = revision(shop).await?;
    // It is seen within a minute, and whoever waits for it is woken.
    shop.apply(DEFINITION).await?;
    shop.until("a ServiceMonitor is made", PATIENCE, async || {
        let found = shop
            .get(monitor.kind, &monitor.namespace, &monitor.name)
            .await?;
        includes(
            "the ServiceMonitor",
            &found,
            &specification("http", "/metrics"),
        )
    })
    .await?;
    shop.until_ready(orders).await?;
    annotations_are(shop, scraped("/metrics")).await?;
    equals(
        "the replacements of the pods",
        revision(shop).await? - before,
        0,
    )
}

async fn an_edit_replaces_no_pods(shop: &Shop, orders: &Subject, monitor: &Subject) -> Result<()> {
    apply(shop, json!({"style": "ServiceMonitor"})).await?;
    shop.until_ready(orders).await?;
    annotations_are(shop, not_scraped()).await?;
    let pods = shop.pods(NAMESPACE, "orders").await?;
    for (metrics, expected) in [
        (
            json!({"style": "ServiceMonitor", "path": "/internal/metrics"}),
            specification("http", "/internal/metrics"),
        ),
        (
            json!({"style": "ServiceMonitor", "path": "/internal/metrics", "port": "admin"}),
            specification("admin", "/internal/metrics"),
        ),
        (
            json!({"style": "ServiceMonitor", "path": "/metrics"}),
            specification("http", "/metrics"),
        ),
    ] {
        apply(shop, metrics).await?;
        shop.until_ready(orders).await?;
        let found = shop
            .get(monitor.kind, &monitor.namespace, &monitor.name)
            .await?;
        includes("the ServiceMonitor", &found, &expected)?;
    }
    equals("the pods", shop.pods(NAMESPACE, "orders").await?, pods)
}

async fn drift_is_undone(shop: &Shop, orders: &Subject, monitor: &Subject) -> Result<()> {
    let elsewhere = json!({"spec": {"endpoints": [{"port": "http", "path": "/nothing"}]}});
    shop.merge(monitor, elsewhere).await?;
    until_monitored(
        shop,
        monitor,
        "the path is set back",
        specification("http", "/metrics"),
    )
    .await?;
    shop.delete(monitor).await?;
    until_monitored(
        shop,
        monitor,
        "it is made again",
        specification("http", "/metrics"),
    )
    .await?;
    shop.until_ready(orders).await.map(drop)
}

async fn styles_change(shop: &Shop, orders: &Subject, monitor: &Subject) -> Result<()> {
    for (metrics, annotated, is_monitored) in [
        (json!({"style": "None"}), not_scraped(), false),
        (json!({"style": "ServiceMonitor"}), not_scraped(), true),
        (json!({"style": "Annotations"}), scraped("/metrics"), false),
        (json!({"path": "/metrics"}), scraped("/metrics"), true),
        (Value::Null, not_scraped(), false),
        (json!({"path": "/metrics"}), scraped("/metrics"), true),
    ] {
        let style = metrics.to_string();
        apply(shop, metrics).await?;
        shop.until_ready(orders).await?;
        annotations_are(shop, annotated).await?;
        equals(
            &format!("whether there is a ServiceMonitor with {style}"),
            shop.find(monitor).await?.is_some(),
            is_monitored,
        )?;
    }
    Ok(())
}

/// The rights are those of an operator that did not know the kind yet, and it starts anew.
async fn a_kind_that_may_not_be_listed_stops_nothing_else(
    shop: &mut Shop,
    orders: &Subject,
    monitor: &Subject,
) -> Result<()> {
    let uid = |found: Option<Value>| found.map(|found| found["metadata"]["uid"].clone());
    let made = uid(shop.find(monitor).await?);
    shop.stop_operator().await?;
    let proxy = shop.environment.proxy_for_operator().await?;
    proxy.refuse(Refusal::new("/servicemonitors", 403, 1000)?);
    let kubeconfig = proxy.kubeconfig().display().to_string();
    let operator = shop
        .start_operator_with("unentitled", &[], &[("KUBECONFIG", &kubeconfig)])
        .await?;
    shop.operator = Some(operator);
    shop.until("what may not be listed is named", PATIENCE, async || {
        let found = shop.get(orders.kind, NAMESPACE, "orders").await?;
        let conditions = found["status"]["conditions"].to_string();
        ensure!(
            conditions.contains("the operator may not list servicemonitors")
                && conditions.contains("apply config/rbac.yaml"),
            "{conditions}"
        );
        Ok(())
    })
    .await?;
    let another = Subject::new("OrderService", NAMESPACE, "another");
    let yaml = json!({
        "apiVersion": "shopkeeper.dev/v1alpha1", "kind": "OrderService",
        "metadata": {"name": "another", "namespace": NAMESPACE},
        "spec": {
            "workload": {"image": "registry.example/orders:1", "ports": [{"name": "http", "containerPort": 8080}]},
            "nodes": {"type": "None"},
        },
    });
    shop.apply(&yaml.to_string()).await?;
    shop.until_ready(&another).await?;
    shop.delete(&another).await?;
    shop.until_gone(&another).await?;
    equals("the ServiceMonitor", uid(shop.find(monitor).await?), made)?;
    proxy.relent();
    shop.until_ready(orders).await?;
    // The proxy ends here.
    shop.stop_operator().await?;
    shop.operator = Some(shop.start_operator("entitled").await?);
    Ok(())
}
