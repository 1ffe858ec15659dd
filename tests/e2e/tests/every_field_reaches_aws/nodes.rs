//! Where the pods of a catalog run.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use shopkeeper_e2e::{Definition, Shop, Subject, View, equals};

use super::{Approval, CLUSTER, Edited, Fields, NAMESPACE, edit, workload};

pub async fn edited(shop: &Shop, definition: &Definition) -> Result<Fields> {
    let subject = Subject::new("CatalogService", NAMESPACE, "nodes");
    let specification = json!({
        "workload": workload("catalog"),
        "nodes": {"type": "NodeGroup", "nodeGroup": {"instanceTypes": ["m7g.large"], "min": 2, "max": 4, "version": "1.35"}},
    });
    let mut edited = Edited::made(shop, definition, subject, specification).await?;
    let nodes = View::OwnNodes(CLUSTER.to_owned(), edited.subject.clone());
    edited
        .edit(
            Approval::None,
            vec![
                edit("/nodes/nodeGroup/min", json!(1), &nodes, json!({"min": 1})),
                edit("/nodes/nodeGroup/max", json!(5), &nodes, json!({"max": 5})),
                edit(
                    "/nodes/nodeGroup/desired",
                    json!(3),
                    &nodes,
                    json!({"desired": 3}),
                ),
                edit(
                    "/nodes/nodeGroup/labels",
                    json!({"tier": "catalog"}),
                    &nodes,
                    json!({"labels": {"tier": "catalog"}}),
                ),
                edit(
                    "/nodes/nodeGroup/taints",
                    json!([{"key": "tier", "value": "catalog", "effect": "PreferNoSchedule"}]),
                    &nodes,
                    json!({"taints": ["shopkeeper.dev/dedicated=fields.nodes:NO_SCHEDULE", "tier=catalog:PREFER_NO_SCHEDULE"]}),
                ),
                edit(
                    "/nodes/nodeGroup/update",
                    json!({"maxUnavailable": 2, "force": "Enabled"}),
                    &nodes,
                    json!({"status": "ACTIVE", "maxUnavailable": 2}),
                ),
            ],
        )
        .await?;

    let mark = shop.mark().await?;
    let release = "1.36.1-20261001";
    edited
        .edit(
            Approval::None,
            vec![
                edit(
                    "/nodes/nodeGroup/version",
                    json!("1.36"),
                    &nodes,
                    json!({"status": "ACTIVE", "version": "1.36"}),
                ),
                edit(
                    "/nodes/nodeGroup/releaseVersion",
                    json!(release),
                    &nodes,
                    json!({"release": release}),
                ),
            ],
        )
        .await?;
    // EKS tells nothing of `update.force`: it is a part of the call.
    let calls = shop.aws_writes_since(mark).await?;
    let update = calls
        .iter()
        .find(|call| call.operation.as_deref() == Some("UpdateNodegroupVersion"))
        .context("the version was not updated")?;
    equals("force", &update.parameters["force"], &json!(true))?;

    edited
        .edit(
            Approval::None,
            vec![edit(
                "/nodes/nodeGroup/update",
                json!({"maxUnavailablePercentage": 50}),
                &nodes,
                json!({"maxUnavailable": null, "maxUnavailablePercentage": 50}),
            )],
        )
        .await?;
    // What EKS cannot change makes another group.
    let seed = shop.environment.aws_seed()?;
    let mut subnets = vec![
        seed["private_subnets"][0].clone(),
        seed["private_subnets"][1].clone(),
    ];
    subnets.sort_by_key(Value::to_string);
    edited
        .edit(
            Approval::None,
            vec![
                edit(
                    "/nodes/nodeGroup/instanceTypes",
                    json!(["c7g.xlarge", "m7g.xlarge"]),
                    &nodes,
                    json!({"instanceTypes": ["c7g.xlarge", "m7g.xlarge"]}),
                ),
                edit(
                    "/nodes/nodeGroup/capacityType",
                    json!("Spot"),
                    &nodes,
                    json!({"capacityType": "SPOT"}),
                ),
                edit(
                    "/nodes/nodeGroup/diskSize",
                    json!(40),
                    &nodes,
                    json!({"diskSize": 40}),
                ),
                edit(
                    "/nodes/nodeGroup/zones",
                    json!(["eu-west-1a", "eu-west-1b"]),
                    &nodes,
                    json!({"subnets": subnets}),
                ),
            ],
        )
        .await?;
    edited
        .edit(
            Approval::None,
            vec![
                // A release of another family of images.
                edit(
                    "/nodes/nodeGroup/releaseVersion",
                    Value::Null,
                    &nodes,
                    json!({"amiType": "BOTTLEROCKET_ARM_64"}),
                ),
                edit(
                    "/nodes/nodeGroup/amiType",
                    json!("BottlerocketArm"),
                    &nodes,
                    json!({"amiType": "BOTTLEROCKET_ARM_64"}),
                ),
                edit(
                    "/nodes/nodeGroup/dedicated",
                    json!("Disabled"),
                    &nodes,
                    json!({"taints": ["tier=catalog:PREFER_NO_SCHEDULE"]}),
                ),
            ],
        )
        .await?;
    moved_to_shared_nodes(&mut edited).await?;
    edited.taken_back(Approval::None, &[]).await?;
    Ok(edited.done())
}

/// Onto the nodes of another service, which lets others in.
async fn moved_to_shared_nodes(edited: &mut Edited<'_>) -> Result<()> {
    let shop = edited.shop;
    let host = Subject::new("CatalogService", NAMESPACE, "host");
    let made = Edited::made(
        shop,
        edited.definition,
        host,
        json!({
            "workload": workload("host"),
            "nodes": {"type": "NodeGroup", "nodeGroup": {"min": 1, "max": 2, "dedicated": "Disabled"}},
        }),
    )
    .await?;
    let group = shop.made(&made.subject, "NodeGroup", "nodes").await?;
    let deployment = View::Object(Subject::new("Deployment", NAMESPACE, "nodes"));
    let pods = |placement: Value| json!({"spec": {"template": {"spec": placement}}});
    edited
        .edit(
            Approval::None,
            vec![
                edit(
                    "/nodes",
                    json!({"type": "Shared", "shared": {"name": group}}),
                    &deployment,
                    pods(json!({
                        "nodeSelector": {"eks.amazonaws.com/nodegroup": group},
                        "tolerations": [{"operator": "Exists", "effect": "NoSchedule"}],
                    })),
                )
                // It is looked at first when its nodes have other taints than they began with.
                .that_stays(),
            ],
        )
        .await?;
    edited
        .edit(
            Approval::None,
            vec![
                edit(
                    "/nodes/shared/tolerateTaints",
                    json!("Disabled"),
                    &deployment,
                    pods(json!({"tolerations": null})),
                )
                // Likewise.
                .that_stays(),
            ],
        )
        .await?;
    equals(
        "the groups of a service on shared nodes",
        shop.aws
            .node_groups(CLUSTER, &edited.subject.path())
            .await?,
        Vec::<String>::new(),
    )
}
