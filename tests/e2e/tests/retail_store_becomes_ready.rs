//! AWS's retail store sample, `examples/retail-store`: applications that know nothing of Shopkeeper, with their own images, ports,
//! probes and variables.
//!
//! Proves that they get what they ask for by the names they ask by, and that a second pass over them writes nothing. That every
//! field of the objects is the sample's, or why not, is shown by `operator/plan/tests/shop/retail_store`.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use shopkeeper_e2e::{Shop, Subject, equals, includes};

const CLUSTER: &str = "retail-store";
const NAMESPACE: &str = "store";

#[tokio::test]
async fn retail_store_becomes_ready() -> Result<()> {
    let shop = Shop::open("retail-store").await?;
    shop.environment
        .seed_cluster("retail-store", CLUSTER)
        .await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply_example("retail-store").await?;
    let platform = Subject::new("Platform", "", "retail");
    let catalog = Subject::new("CatalogService", NAMESPACE, "catalog");
    let orders = Subject::new("OrderService", NAMESPACE, "orders");
    let storefront = Subject::new("Storefront", NAMESPACE, "retail");
    let everything = [&platform, &catalog, &orders, &storefront];
    for subject in everything {
        shop.until_ready(subject).await?;
    }
    the_applications_read_their_own_variables(&shop, &orders).await?;
    the_ui_is_behind_the_load_balancer(&shop).await?;
    for subject in everything {
        shop.second_pass_is_silent(subject).await?;
    }
    shop.close().await
}

async fn the_applications_read_their_own_variables(shop: &Shop, orders: &Subject) -> Result<()> {
    let instance = shop.made(orders, "RdsInstance", "database").await?;
    let database = shop.aws.database(&instance).await?;
    let queue = shop.made(orders, "SqsQueue", "queues.events").await?;
    let java = "-XX:MaxRAMPercentage=75.0 -Djava.security.egd=file:/dev/urandom";
    let workloads = [
        (
            "catalog",
            2,
            json!({"RETAIL_CATALOG_PERSISTENCE_PROVIDER": "in-memory"}),
        ),
        (
            "orders",
            2,
            json!({
                "JAVA_OPTS": java,
                "RETAIL_ORDERS_PERSISTENCE_PROVIDER": "postgres",
                "RETAIL_ORDERS_PERSISTENCE_ENDPOINT": format!("{}:5432", database["host"].as_str().unwrap_or_default()),
                "RETAIL_ORDERS_PERSISTENCE_NAME": "orders",
                "RETAIL_ORDERS_PERSISTENCE_USERNAME": database["username"],
                "RETAIL_ORDERS_PERSISTENCE_PASSWORD": shop.aws.master_password(&instance).await?,
                "RETAIL_ORDERS_MESSAGING_PROVIDER": "sqs",
                "RETAIL_ORDERS_MESSAGING_SQS_TOPIC": queue,
            }),
        ),
        (
            "retail-ui",
            1,
            json!({
                "JAVA_OPTS": java,
                // From the pod itself.
                "METADATA_KUBERNETES_POD_NAME": null,
                "METADATA_KUBERNETES_NAMESPACE": null,
                "METADATA_KUBERNETES_NODE_NAME": null,
                "RETAIL_UI_ENDPOINTS_CATALOG": "http://catalog.store.svc",
                "RETAIL_UI_ENDPOINTS_ORDERS": "http://orders.store.svc",
            }),
        ),
    ];
    for (workload, replicas, expected) in workloads {
        let selector = format!("app.kubernetes.io/name={workload}");
        let pods = shop.list("Pod", NAMESPACE, &selector).await?;
        equals(&format!("the pods of {workload}"), pods.len(), replicas)?;
        for pod in pods {
            let container = &pod["spec"]["containers"][0];
            let variables = shop.variables(NAMESPACE, container).await?;
            let expected = expected.as_object().context("an object")?;
            equals(
                &format!("what {workload} reads"),
                variables.keys().collect::<Vec<_>>(),
                expected.keys().collect::<Vec<_>>(),
            )?;
            for (name, value) in expected {
                // Without the values: one is a password.
                ensure!(
                    variables[name] == *value,
                    "{workload} reads another value of {name} than it should"
                );
            }
        }
    }
    // Who asks SQS for a queue by its name finds the one that was made.
    includes(
        "the queue",
        &shop.aws.queue(&queue).await?,
        &json!({"visibility": "30"}),
    )
}

async fn the_ui_is_behind_the_load_balancer(shop: &Shop) -> Result<()> {
    let ingresses = shop.list("Ingress", NAMESPACE, "").await?;
    equals("the number of load balancers", ingresses.len(), 1)?;
    let backend = json!({"service": {"name": "retail-ui", "port": {"number": 80}}});
    includes(
        "the load balancer",
        &ingresses[0]["spec"]["rules"],
        &json!([{"host": "www.retail.example", "http": {"paths": [{"path": "/", "backend": backend}]}}]),
    )?;
    let policy = shop.get("NetworkPolicy", NAMESPACE, "orders").await?;
    let from_the_ui =
        json!({"podSelector": {"matchLabels": {"app.kubernetes.io/name": "retail-ui"}}});
    includes(
        "the first who may call the orders",
        &policy["spec"]["ingress"][0]["from"],
        &json!([from_the_ui]),
    )
}
