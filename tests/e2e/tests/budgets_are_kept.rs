//! AWS is asked for no more than its budgets allow, and a shop becomes Ready all the same: within budgets that are smaller than one
//! look at it takes, and while AWS throttles three calls in ten.
//!
//! With the limits of the Platform's budgets, AWS's own limits are never met; that is what a budget is for.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{Shop, Subject, equals, read_example};
use shopkeeper_localenv::{AwsFault, CallFilter, FaultKind, RateLimit};

const NAMESPACE: &str = "shop";

/// Calls a second, and at once, of each budget that is named. A pass over the catalog needs more than that at once, of DynamoDB as
/// of IAM.
const BUDGETS: [(&str, &str, i32, i32); 4] = [
    ("DynamoDB", "dynamodb", 2, 2),
    ("IAM", "iam", 4, 4),
    ("EKS", "eks", 3, 3),
    ("RDS", "rds", 4, 4),
];

#[tokio::test]
async fn budgets_are_kept() -> Result<()> {
    let shop = Shop::open("budgets").await?;
    shop.environment.seed_cluster("shop", "shop").await?;
    shop.namespace(NAMESPACE).await?;
    let platform = Subject::new("Platform", "", "shop");
    let catalog = Subject::new("CatalogService", NAMESPACE, "catalog");
    let orders = Subject::new("OrderService", NAMESPACE, "orders");
    let control = shop.environment.aws_control()?;

    // A little more than the budgets, as a call that is late counts in the next second.
    let limits: Vec<RateLimit> = BUDGETS
        .iter()
        .map(|(_, service, rate, burst)| {
            RateLimit::of_service(service, f64::from(*burst) + 3.0, f64::from(*rate) + 0.5)
        })
        .collect();
    let before = control.position().await?;
    control.limit_rates(&limits).await?;
    let budgets: Vec<Value> = BUDGETS
        .iter()
        .map(|(api, _, rate, burst)| json!({"api": api, "callsPerSecond": rate, "burst": burst}))
        .collect();
    let region = "region: eu-west-1";
    let with_budgets = format!("{region}, budgets: {}", json!(budgets));
    let yaml = read_example("minimal/platform.yaml")?.replace(region, &with_budgets);
    shop.apply(&yaml).await?;
    for file in ["catalog", "orders"] {
        let yaml = read_example(&format!("minimal/{file}.yaml"))?;
        shop.apply(&yaml).await?;
    }
    for subject in [&platform, &catalog, &orders] {
        shop.until_ready(subject).await?;
    }
    let throttled: Vec<String> = control
        .calls(&CallFilter::since(before))
        .await?
        .iter()
        .filter(|call| call.fault.as_deref() == Some("throttle"))
        .map(|call| call.operation.clone().unwrap_or_default())
        .collect();
    equals("calls that AWS throttled", throttled, Vec::<String>::new())?;
    let metrics = shop.metrics().await?;
    for (api, ..) in BUDGETS {
        let refused = format!("shopkeeper_aws_budget_refusals_total{{api=\"{api}\"");
        ensure!(
            metrics.contains(&refused),
            "no metric begins with {refused}"
        );
        let tokens = format!("shopkeeper_aws_budget_tokens{{region=\"eu-west-1\",api=\"{api}\"}}");
        ensure!(metrics.contains(&tokens), "no metric begins with {tokens}");
    }
    ensure!(
        !metrics.contains("shopkeeper_aws_throttled_total{"),
        "throttling was counted"
    );
    // Everything is looked at anew for a request, in as many passes as that takes, and nothing is written.
    shop.second_pass_is_silent(&catalog).await?;

    control.limit_rates(&[]).await?;
    control
        .add_fault(&AwsFault::new(FaultKind::Throttle, "*", "*").with_probability(0.3, 22))
        .await?;
    shop.merge(&platform, json!({"spec": {"aws": {"budgets": null}}}))
        .await?;
    shop.apply(ANOTHER).await?;
    shop.until_ready(&Subject::new("CatalogService", NAMESPACE, "media"))
        .await?;
    let metrics = shop.metrics().await?;
    ensure!(
        metrics.contains("shopkeeper_aws_throttled_total{"),
        "throttling was not counted"
    );
    shop.close().await
}

const ANOTHER: &str = "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: media, namespace: shop}
spec:
  workload: {image: registry.example/media:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  products: {keys: {partition: {name: id, type: String}}}
  media: {}
";
