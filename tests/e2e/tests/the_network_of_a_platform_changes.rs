//! The network of a Platform gets a further subnet of either kind, and loses it again.
//!
//! Proves that both edits reach what is in these subnets, without another edit of any custom resource: the subnet groups of databases and
//! caches, the load balancers, who may come from there, and the node groups, which are replaced where a zone comes or goes.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals, read_example};

const CLUSTER: &str = "octank-prod";
const NAMESPACE: &str = "shop";

/// Ids of subnets, in the order in which they are compared.
struct Network {
    private: Vec<String>,
    public: Vec<String>,
}

impl Network {
    /// The first of each kind.
    fn seeded(shop: &Shop, of_each: usize) -> Result<Self> {
        let seed = shop.environment.aws_seed()?;
        let ids = |kind: &str| -> Result<Vec<String>> {
            let all = seed[kind].as_array().context("the seed has no subnets")?;
            ensure!(all.len() > 2, "the seed has only {all:?}");
            let mut ids: Vec<String> = all[..of_each].iter().map(text).collect();
            ids.sort();
            Ok(ids)
        };
        Ok(Self {
            private: ids("private_subnets")?,
            public: ids("public_subnets")?,
        })
    }

    fn existing(&self) -> Value {
        json!({
            "vpc": {"tags": {"Name": "octank"}},
            "privateSubnets": {"ids": self.private},
            "publicSubnets": {"ids": self.public},
        })
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_network_of_a_platform_changes() -> Result<()> {
    let shop = Shop::open("network").await?;
    let (smaller, larger) = (Network::seeded(&shop, 2)?, Network::seeded(&shop, 3)?);
    shop.namespace(NAMESPACE).await?;
    let platform = Subject::new("Platform", "", "octank");
    shop.apply(&declared(&smaller)?).await?;
    let subjects = [
        Subject::new("CatalogService", NAMESPACE, "catalog"),
        Subject::new("OrderService", NAMESPACE, "orders"),
        Subject::new("Storefront", NAMESPACE, "octank"),
    ];
    for file in ["catalog", "orders", "storefront"] {
        shop.apply(&read_example(&format!("octank/{file}.yaml"))?)
            .await?;
    }
    for subject in &subjects {
        shop.until_ready(subject).await?;
    }
    is_used(&shop, &subjects, &smaller).await?;
    for network in [&larger, &smaller] {
        let patch = json!({"spec": {"network": {"existing": network.existing()}}});
        shop.merge(&platform, patch).await?;
        shop.until("the network is used", PATIENCE, async || {
            is_used(&shop, &subjects, network).await
        })
        .await?;
        for subject in &subjects {
            shop.until_ready(subject).await?;
        }
    }
    shop.close().await
}

/// The Platform of the example on this network. Nobody is asked about what interrupts.
fn declared(network: &Network) -> Result<String> {
    let found_by_tags = |kind: &str, tier: &str| format!("{kind}: {{tags: {{tier: {tier}}}}}");
    let listed = |kind: &str, ids: &[String]| format!("{kind}: {{ids: [{}]}}", ids.join(", "));
    let yaml = read_example("octank/platform.yaml")?
        .replace(
            &found_by_tags("privateSubnets", "private"),
            &listed("privateSubnets", &network.private),
        )
        .replace(
            &found_by_tags("publicSubnets", "public"),
            &listed("publicSubnets", &network.public),
        )
        .replace("changes: ApproveDisruptive", "changes: Automatic");
    ensure!(yaml.contains("ids: ["), "the example is another one by now");
    Ok(yaml)
}

/// Fails where something is not in all the subnets, or in others.
async fn is_used(
    shop: &Shop,
    [catalog, orders, _]: &[Subject; 3],
    network: &Network,
) -> Result<()> {
    let database = shop.made(orders, "RdsInstance", "database").await?;
    equals(
        "the subnets of the database",
        &shop.aws.database(&database).await?["subnets"],
        &json!(network.private),
    )?;
    let nodes = shop.made(orders, "NodeGroup", "nodes").await?;
    equals(
        "the subnets of the node group",
        &shop.aws.node_group(CLUSTER, &nodes).await?["subnets"],
        &json!(network.private),
    )?;
    let cache = shop
        .made(catalog, "CacheSubnetGroup", "cache.subnets")
        .await?;
    equals(
        "the subnets of the cache",
        shop.aws.cache_subnets(&cache).await?,
        network.private.clone(),
    )?;
    for ingress in shop.list("Ingress", NAMESPACE, "").await? {
        let annotation = |name: &str| {
            text(&ingress["metadata"]["annotations"][format!("alb.ingress.kubernetes.io/{name}")])
        };
        let subnets = annotation("subnets");
        let mut subnets: Vec<&str> = subnets.split(',').collect();
        subnets.sort_unstable();
        let expected = match annotation("scheme").as_str() {
            "internal" => &network.private,
            _ => &network.public,
        };
        equals("the subnets of a load balancer", subnets, expected.clone())?;
    }
    // Load balancers come from there.
    let policy = shop.get("NetworkPolicy", NAMESPACE, "orders").await?;
    let blocks = policy["spec"]["ingress"]
        .to_string()
        .matches("cidr")
        .count();
    equals(
        "the networks that may come in",
        blocks,
        network.public.len(),
    )
}
