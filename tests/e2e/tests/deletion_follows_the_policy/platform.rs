//! The Platform goes after those that run on it, and its key by the policy.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{Shop, Subject, equals, includes, read_example};

use super::{CLUSTER, NAMESPACE, in_order};

pub async fn a_platform_waits_for_those_on_it(shop: &Shop) -> Result<()> {
    let platform = Subject::new("Platform", "", "octank");
    let last = Subject::new("CatalogService", NAMESPACE, "thinner");
    let others = shop.environment.aws_control()?.inventory().await?;
    let seeded = |resources: &[Value]| -> Vec<Value> {
        let of_ours = |resource: &&Value| {
            resource["tags"]["shopkeeper.dev/owner"].is_null()
                && resource["service"] != "rds"
                && resource["service"] != "secretsmanager"
        };
        resources
            .iter()
            .filter(of_ours)
            // Without tags of their own, and gone with what they belong to.
            .filter(|resource| resource["type"] != "alias" && resource["type"] != "scaling-policy")
            .map(|resource| resource["name"].clone())
            .collect()
    };
    shop.delete(&platform).await?;
    let message = shop
        .until_condition(&platform, "Ready", "False", "DeletionBlocked")
        .await?;
    ensure!(
        message.contains("thinner"),
        "what blocks the deletion is not named: {message}"
    );
    includes(
        "the key",
        &shop.aws.key("alias/shopkeeper-octank").await?,
        &json!({"state": "Enabled"}),
    )?;
    shop.delete(&last).await?;
    shop.until_gone(&last).await?;
    shop.until_gone(&platform).await?;
    // Snapshots cannot be read without the key: it is kept under Snapshot.
    includes(
        "the key",
        &shop.aws.key("alias/shopkeeper-octank").await?,
        &json!({"state": "Enabled"}),
    )?;
    let now = shop.environment.aws_control()?.inventory().await?;
    let kept = seeded(&now);
    for resource in seeded(&others) {
        ensure!(
            kept.contains(&resource),
            "{resource}, which belongs to nobody here, is gone"
        );
    }
    let cluster = shop.aws.eks.describe_cluster().name(CLUSTER).send().await?;
    let status = cluster
        .cluster()
        .and_then(|cluster| cluster.status())
        .context("the cluster has no status")?;
    equals("the cluster", status.as_str(), "ACTIVE")
}

/// Makes a Platform like the example under another name.
async fn platform(shop: &Shop, name: &str, policy: &str) -> Result<Subject> {
    let subject = Subject::new("Platform", "", name);
    let example = read_example("octank/platform.yaml")?;
    let yaml = example
        .replace(
            "metadata:\n  name: octank",
            &format!("metadata:\n  name: {name}"),
        )
        .replace(
            "  defaults:\n",
            &format!("  policy: {{deletion: {policy}}}\n  defaults:\n"),
        );
    ensure!(
        yaml.contains(&format!("deletion: {policy}")),
        "the example has no defaults"
    );
    shop.apply(&yaml).await?;
    shop.until_ready(&subject).await?;
    Ok(subject)
}

/// Under Retain the key stays as it is, and a Platform of the same name uses it again.
pub async fn the_key_is_kept_under_retain(shop: &Shop) -> Result<()> {
    let alias = "alias/shopkeeper-keeper";
    let subject = platform(shop, "keeper", "Retain").await?;
    let before = shop.aws.key(alias).await?;
    let mark = shop.mark().await?;
    shop.delete(&subject).await?;
    shop.until_gone(&subject).await?;
    equals("the key", &shop.aws.key(alias).await?, &before)?;
    equals(
        "what was written to AWS",
        shop.aws_writes_since(mark).await?.len(),
        0,
    )?;

    platform(shop, "keeper", "Retain").await?;
    equals(
        "the key of the new Platform",
        &shop.aws.key(alias).await?["arn"],
        &before["arn"],
    )?;
    shop.delete(&subject).await?;
    shop.until_gone(&subject).await
}

/// Under Delete the deletion of the key is scheduled, as KMS deletes no key at once. A Platform of the same name brings it back: what it
/// encrypted would be lost with it. Its own deletion leaves it, since it does not know what that was.
pub async fn the_key_is_deleted_under_delete(shop: &Shop) -> Result<()> {
    let alias = "alias/shopkeeper-eraser";
    let subject = platform(shop, "eraser", "Delete").await?;
    let first = key(shop, alias).await?;
    let mark = shop.mark().await?;
    shop.delete(&subject).await?;
    shop.until_gone(&subject).await?;
    in_order(
        shop,
        mark,
        "",
        &["kms:ScheduleKeyDeletion", "kms:DeleteAlias"],
    )
    .await?;
    ensure!(
        shop.aws.key(alias).await.is_err(),
        "the alias outlived its Platform"
    );
    is_pending_deletion(shop, &first).await?;

    let again = shop.mark().await?;
    platform(shop, "eraser", "Delete").await?;
    equals("the key that is used", key(shop, alias).await?, first)?;
    includes(
        "the key",
        &shop.aws.key(alias).await?,
        &json!({"state": "Enabled", "rotation": true}),
    )?;
    in_order(
        shop,
        again,
        "",
        &[
            "kms:CancelKeyDeletion",
            "kms:TagResource",
            "kms:EnableKey",
            "kms:CreateAlias",
        ],
    )
    .await?;
    shop.second_pass_is_silent(&subject).await?;
    shop.delete(&subject).await?;
    shop.until_gone(&subject).await?;
    is_kept(shop, alias, "it is older than this Platform").await
}

/// A status that is lost takes with it what is known to be left: the key is kept.
pub async fn the_key_is_kept_when_the_status_is_lost(shop: &mut Shop) -> Result<()> {
    let alias = "alias/shopkeeper-forgetful";
    let subject = platform(shop, "forgetful", "Delete").await?;
    shop.stop_operator().await?;
    shop.lose_status(&subject).await?;
    shop.delete(&subject).await?;
    shop.operator = Some(shop.start_operator("after the loss").await?);
    shop.until_gone(&subject).await?;
    is_kept(shop, alias, "the status of this Platform was lost").await
}

/// Somebody else's table is encrypted by it: so it was told by its tags, which are those of a custom resource that nobody knows.
pub async fn the_key_is_kept_for_what_it_is_seen_to_encrypt(shop: &Shop) -> Result<()> {
    let alias = "alias/shopkeeper-watchful";
    let subject = platform(shop, "watchful", "Delete").await?;
    let queue = shop.aws.sqs.create_queue().queue_name("watchful-left");
    queue
        .attributes(
            aws_sdk_sqs::types::QueueAttributeName::KmsMasterKeyId,
            key(shop, alias).await?,
        )
        .tags("shopkeeper.dev/owner", "OrderService/shop/gone")
        .tags(
            "shopkeeper.dev/cluster",
            "arn:aws:eks:eu-west-1:123456789012:cluster/octank-prod",
        )
        .send()
        .await?;
    shop.delete(&subject).await?;
    shop.until_gone(&subject).await?;
    is_kept(
        shop,
        alias,
        "these are encrypted by it: SQS queue watchful-left",
    )
    .await
}

/// A key is as it was, and it is told why.
async fn is_kept(shop: &Shop, alias: &str, why: &str) -> Result<()> {
    let key = shop.aws.key(alias).await?;
    includes("the key", &key, &json!({"state": "Enabled"}))?;
    is_told(shop, why).await
}

async fn is_told(shop: &Shop, what: &str) -> Result<()> {
    let events = shop.list("Event", "default", "").await?;
    let is_told = |event: &Value| {
        let note = event["note"].as_str().or_else(|| event["message"].as_str());
        note.is_some_and(|note| note.contains("the KMS key is kept") && note.contains(what))
    };
    ensure!(events.iter().any(is_told), "it is not told that {what}");
    Ok(())
}

/// Under Delete the key is kept all the same while data is known to have been left that needs it, and it is said whose.
pub async fn the_key_is_kept_for_what_others_left(shop: &Shop) -> Result<()> {
    let alias = "alias/shopkeeper-careful";
    let subject = platform(shop, "careful", "Delete").await?;
    let catalog = Subject::new("CatalogService", NAMESPACE, "leaver");
    shop.apply(&format!(
        "apiVersion: shopkeeper.dev/v1alpha1
kind: CatalogService
metadata: {{name: leaver, namespace: {NAMESPACE}}}
spec:
  platformRef: {{name: careful}}
  workload: {{image: registry.example/catalog:1, ports: [{{name: http, containerPort: 8080}}]}}
  nodes: {{type: None}}
  products: {{keys: {{partition: {{name: id, type: String}}}}}}
  policy: {{deletion: Retain}}
"
    ))
    .await?;
    shop.until_ready(&catalog).await?;
    shop.delete(&catalog).await?;
    shop.until_gone(&catalog).await?;
    let owner = format!("CatalogService/{NAMESPACE}/leaver");
    let found = shop.get(subject.kind, "", &subject.name).await?;
    equals(
        "what is known to be left",
        &found["status"]["retained"],
        &json!({ owner.clone(): "Retain" }),
    )?;
    shop.delete(&subject).await?;
    shop.until_gone(&subject).await?;
    includes(
        "the key",
        &shop.aws.key(alias).await?,
        &json!({"state": "Enabled"}),
    )?;
    is_told(shop, &owner).await
}

async fn key(shop: &Shop, alias: &str) -> Result<String> {
    let view = shop.aws.key(alias).await?;
    Ok(view["arn"]
        .as_str()
        .context("the key has no ARN")?
        .to_owned())
}

async fn is_pending_deletion(shop: &Shop, key: &str) -> Result<()> {
    let answer = shop.aws.kms.describe_key().key_id(key).send().await?;
    let metadata = answer.key_metadata.context("KMS tells nothing of it")?;
    equals(
        "the state of the key",
        metadata.key_state().map(|state| state.as_str()),
        Some("PendingDeletion"),
    )
}
