//! The Platform, and what its edits do to everything that runs on it.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{Definition, Elsewhere, PATIENCE, Shop, Subject, View, includes};

use super::{Approval, Edited, Fields, NAMESPACE, edit};

/// What is found and not made, and what AWS does not hear of.
pub const ELSEWHERE: &[Elsewhere] = &[
    ("network.existing.vpc", "operator/ec2/tests/network.rs"),
    (
        "network.existing.privateSubnets",
        "tests/e2e/tests/the_network_of_a_platform_changes.rs",
    ),
    (
        "network.existing.publicSubnets",
        "tests/e2e/tests/the_network_of_a_platform_changes.rs",
    ),
    ("aws.budgets", "tests/e2e/tests/budgets_are_kept.rs"),
    ("identity", "tests/e2e/tests/bad_input_is_named/main.rs"),
    ("prometheus", "tests/e2e/tests/prometheus_finds_the_pods.rs"),
    (
        "adoption",
        "tests/e2e/tests/foreign_resources_are_left_alone.rs",
    ),
    (
        "defaults.imageTag",
        "tests/e2e/tests/edits_reach_aws/workload.rs",
    ),
    ("defaults.policy", "tests/e2e/tests/edits_reach_aws/main.rs"),
    (
        "policy",
        "tests/e2e/tests/deletion_follows_the_policy/platform.rs",
    ),
];

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/6f1f8a0e-0000-4000-8000-000000000001";

pub async fn edited(shop: &Shop, definition: &Definition) -> Result<Fields> {
    let subject = Subject::new("Platform", "", "octank");
    let mut object = shop.get("Platform", "", "octank").await?;
    let specification = object["spec"].take();
    let mut edited = Edited::made(shop, definition, subject, specification).await?;
    edited
        .refused(&[
            (
                "/aws/accountId",
                json!("210987654321"),
                "accountId is immutable",
            ),
            ("/aws/region", json!("eu-central-1"), "region is immutable"),
            ("/cluster/name", json!("other"), "cluster.name is immutable"),
            (
                "/encryption",
                json!({"type": "Existing", "existing": {"keyArn": KEY}}),
                "the key is immutable",
            ),
        ])
        .await?;
    // Another security group of the same VPC: that of a second cluster in it.
    let other = shop
        .environment
        .seed_cluster("octank", "octank-other")
        .await?;
    let group = other["cluster_security_group"].clone();
    let key = View::Key("alias/shopkeeper-octank".to_owned());
    let edits = vec![
        edit(
            "/encryption/managed",
            json!({"rotationPeriodDays": 200}),
            &key,
            json!({"rotation": true, "rotationDays": 200}),
        ),
        edit(
            "/defaults/tags/team",
            json!("storefront"),
            &key,
            json!({"tags": {"cost-center": "shop", "team": "storefront"}}),
        )
        // As the field says: it may be somebody else's by then.
        .that_stays(),
        edit(
            "/network/existing/dataSecurityGroupIds",
            json!([group]),
            &View::Database("octank-fields-orders".to_owned()),
            json!({"securityGroups": [group]}),
        ),
    ];
    edited.make(Approval::None, &edits).await?;
    for edit in &edits {
        // Those on the Platform follow it.
        shop.until(edit.at, PATIENCE, async || {
            includes(edit.at, &shop.look(&edit.view).await?, &edit.expected)
        })
        .await?;
    }
    shop.until("everything has the new tag", PATIENCE, async || {
        every_resource_is_tagged(shop, "team", "storefront").await
    })
    .await?;
    who_may_use_it(shop, &mut edited).await?;
    edited.take_back(Approval::None, &[]).await?;
    shop.until("edits are taken back", PATIENCE, async || {
        edited.is_as_before().await
    })
    .await?;
    Ok(edited.done())
}

/// AWS does not hear of it: it decides whether what runs in a namespace is looked after.
async fn who_may_use_it(shop: &Shop, edited: &mut Edited<'_>) -> Result<()> {
    let service = Subject::new("CatalogService", NAMESPACE, "media");
    let namespace = View::Object(Subject::new("Namespace", "", NAMESPACE));
    let labels = json!({"metadata": {"labels": {"shop": "octank", "stage": "live"}}});
    for (allowed, is_allowed) in [
        (json!({"type": "Names", "names": ["elsewhere"]}), false),
        (
            json!({"type": "Names", "names": ["elsewhere", NAMESPACE]}),
            true,
        ),
        (
            json!({"type": "Selector", "selector": {
                "matchLabels": {"shop": "octank"},
                "matchExpressions": [{"key": "stage", "operator": "In", "values": ["live"]}],
            }}),
            false,
        ),
    ] {
        // It shows in no resource: the labels are set below.
        let edit = edit("/allowedNamespaces", allowed, &namespace, labels.clone()).that_stays();
        edited.make(Approval::None, &[edit]).await?;
        if is_allowed {
            shop.until_ready(&service).await?;
            continue;
        }
        let message = shop
            .until_condition(&service, "Stalled", "True", "InvalidSpec")
            .await?;
        ensure!(
            message.contains("does not allow namespace fields")
                && message.contains("spec.allowedNamespaces"),
            "{message}"
        );
    }
    shop.merge(&Subject::new("Namespace", "", NAMESPACE), labels)
        .await?;
    shop.until_ready(&service).await.map(drop)
}

/// Everything in AWS with an owner tag has this tag as well.
async fn every_resource_is_tagged(shop: &Shop, tag: &str, value: &str) -> Result<()> {
    let inventory = shop.environment.aws_control()?.inventory().await?;
    let owned: Vec<&Value> = inventory
        .iter()
        .filter(|resource| resource["tags"]["shopkeeper.dev/owner"].is_string())
        // A snapshot has the tags that its database had then.
        .filter(|resource| resource["type"] != "db-snapshot")
        .collect();
    ensure!(owned.len() > 20, "only {} resources are owned", owned.len());
    for resource in owned {
        ensure!(
            resource["tags"][tag] == value,
            "{}:{} {} has no tag {tag}={value}: {}",
            resource["service"],
            resource["type"],
            resource["name"],
            resource["tags"]
        );
    }
    Ok(())
}
