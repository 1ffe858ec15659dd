//! The EKS cluster that a Platform names is looked for, and for the agent that pods get their credentials from.
//!
//! Proves that a cluster which is not there, and a Pod Identity agent that somebody took away, are each told with the field or the
//! add-on and with what to do; that nothing is made meanwhile, or taken away; and that both come right by themselves once they are
//! there. And that a KMS key which is brought along is looked at likewise.

use anyhow::{Context as _, Result, ensure};
use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use serde_json::json;
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals, includes, says};

/// In the network that is there from the beginning; made later.
const CLUSTER: &str = "octank-late";
const NAMESPACE: &str = "late";
const AGENT: &str = "eks-pod-identity-agent";

const PLATFORM: &str = "apiVersion: shopkeeper.dev/v1alpha1
kind: Platform
metadata: {name: late}
spec:
  aws: {accountId: '123456789012', region: eu-west-1}
  cluster: {name: octank-late}
  network:
    type: Existing
    existing:
      vpc: {tags: {Name: octank}}
      privateSubnets: {tags: {tier: private}}
  policy: {driftInterval: 1m}
";

const CATALOG: &str = "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {name: catalog, namespace: late}
spec:
  workload: {image: registry.example/catalog:1, ports: [{name: http, containerPort: 8080}]}
  nodes: {type: None}
  products: {keys: {partition: {name: id, type: String}}}
";

#[tokio::test]
async fn the_cluster_is_checked() -> Result<()> {
    let shop = Shop::open("cluster-checked").await?;
    shop.namespace(NAMESPACE).await?;
    let platform = Subject::new("Platform", "", "late");
    let catalog = Subject::new("CatalogService", NAMESPACE, "catalog");
    let began = shop.mark().await?;
    shop.apply(PLATFORM).await?;
    shop.apply(CATALOG).await?;

    let message = shop
        .until_condition(&platform, "Stalled", "True", "InvalidSpec")
        .await?;
    says(
        &message,
        &[
            "spec.cluster.name: there is no EKS cluster octank-late in eu-west-1",
            "To do: make it; or delete this Platform and apply it with the right cluster.name and spec.aws.region",
        ],
    )?;
    let message = shop
        .until_condition(&catalog, "Ready", "False", "DependencyNotReady")
        .await?;
    ensure!(
        message.contains("Platform late is not ready"),
        "what is waited for is not named: {message}"
    );
    equals(
        "what was changed in AWS",
        shop.aws_writes_since(began).await?.len(),
        0,
    )?;

    shop.environment.seed_cluster("octank", CLUSTER).await?;
    shop.until_ready(&platform).await?;
    shop.until_condition(&platform, "PodIdentityReady", "True", "Succeeded")
        .await?;
    shop.until_ready(&catalog).await?;

    an_agent_that_is_missing_is_told(&shop, &platform, &catalog).await?;
    a_key_that_is_brought_along_is_looked_at(&shop).await?;
    shop.second_pass_is_silent(&catalog).await?;
    shop.close().await
}

async fn an_agent_that_is_missing_is_told(
    shop: &Shop,
    platform: &Subject,
    catalog: &Subject,
) -> Result<()> {
    let eks = &shop.aws.eks;
    let mark = shop.mark().await?;
    eks.delete_addon()
        .cluster_name(CLUSTER)
        .addon_name(AGENT)
        .send()
        .await?;
    let message = shop
        .until_condition(platform, "PodIdentityReady", "False", "AgentMissing")
        .await?;
    says(
        &message,
        &[AGENT, "To do: add it (aws eks create-addon", "IRSA"],
    )?;
    // A shop may use IRSA, and pods that have credentials keep them for a while: nothing is taken for broken.
    let told = shop.until_ready(platform).await?;
    includes(
        "the Platform",
        &told,
        &json!({"status": {"cluster": {"podIdentityAgent": "Missing"}}}),
    )?;
    let without = format!("pods get no credentials through it: the cluster has no add-on {AGENT}");
    shop.until("the service tells what it means", PATIENCE, async || {
        let conditions = shop.until_ready(catalog).await?["status"]["conditions"].to_string();
        ensure!(conditions.contains(&without), "{conditions}");
        Ok(())
    })
    .await?;

    eks.create_addon()
        .cluster_name(CLUSTER)
        .addon_name(AGENT)
        .send()
        .await?;
    shop.until_condition(platform, "PodIdentityReady", "True", "Succeeded")
        .await?;
    shop.until("the service is as before", PATIENCE, async || {
        let conditions = shop.until_ready(catalog).await?["status"]["conditions"].to_string();
        ensure!(!conditions.contains(&without), "{conditions}");
        Ok(())
    })
    .await?;
    equals(
        "what was changed in AWS",
        shop.aws_writes_since(mark).await?.len(),
        0,
    )
}

/// A key that cannot be used is told with its state and what to do, before anything fails because of it. It is not touched.
async fn a_key_that_is_brought_along_is_looked_at(shop: &Shop) -> Result<()> {
    let kms = &shop.aws.kms;
    let made = kms.create_key().send().await?;
    let usable = made.key_metadata.context("KMS tells nothing of it")?;
    let signs = kms
        .create_key()
        .key_usage(KeyUsageType::SignVerify)
        .key_spec(KeySpec::Rsa2048)
        .send()
        .await?;
    let signs = signs.key_metadata.context("KMS tells nothing of it")?;
    let gone = "arn:aws:kms:eu-west-1:123456789012:key/6f1f8a0e-0000-4000-8000-000000000001";
    let began = shop.mark().await?;
    let bring = async |name: &str, arn: &str| {
        let encryption =
            format!("  encryption: {{type: Existing, existing: {{keyArn: '{arn}'}}}}\n  policy:");
        let yaml = PLATFORM
            .replace("{name: late}", &format!("{{name: {name}}}"))
            .replace("  policy:", &encryption);
        shop.apply(&yaml).await
    };
    bring("signs", signs.arn().unwrap_or_default()).await?;
    bring("gone", gone).await?;
    bring("brought", usable.arn().unwrap_or_default()).await?;
    let brought = Subject::new("Platform", "", "brought");
    shop.until_ready(&brought).await?;
    let told = async |name: &str, what: &[&str]| {
        let platform = Subject::new("Platform", "", name);
        let message = shop
            .until_condition(&platform, "Stalled", "True", "InvalidSpec")
            .await?;
        for part in what
            .iter()
            .chain(&["spec.encryption.existing.keyArn: ", "To do: "])
        {
            ensure!(message.contains(part), "{message} does not say: {part}");
        }
        Ok::<_, anyhow::Error>(())
    };
    told("signs", &["is a key RSA_2048 for SIGN_VERIFY"]).await?;
    told("gone", &[gone, "is no key that KMS has"]).await?;
    equals(
        "what was changed in AWS",
        shop.aws_writes_since(began).await?.len(),
        0,
    )?;

    kms.disable_key().key_id(usable.key_id()).send().await?;
    shop.request_pass(&brought, "2026-11-27T10:00:00Z").await?;
    told("brought", &["is Disabled", "enable it in KMS"]).await?;
    kms.enable_key().key_id(usable.key_id()).send().await?;
    shop.request_pass(&brought, "2026-11-27T10:01:00Z").await?;
    shop.until_ready(&brought).await?;
    Ok(())
}
