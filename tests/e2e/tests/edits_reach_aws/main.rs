//! Edits of a custom resource reach AWS and Kubernetes.
//!
//! Proves, field by field, that once the custom resource says of the edited generation that it is Ready, the new value is in
//! AWS or in the cluster; that an edit which customers could notice waits for approval and changes nothing before; and that
//! fields which EKS cannot change bring a new node group, to which the pods move before the old one goes. What people approve is
//! what they were shown, and what changes after that is told. What the API server
//! stores in another form than it was sent is no drift.

mod approvals;
mod catalog;
mod nodes;
mod orders;
mod scaling;
mod workload;

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use futures::FutureExt as _;
use serde_json::{Value, json};
use shopkeeper_e2e::{Shop, Subject, View, includes, read_example, run_together};

const CLUSTER: &str = "octank-prod";
const NAMESPACE: &str = "edits";

/// An edit, where it shows, and as what.
struct Edit {
    field: &'static str,
    patch: Value,
    view: View,
    expected: Value,
    /// Whether it waits for a person under `changes: ApproveDisruptive`.
    approval: bool,
}

fn edit(field: &'static str, patch: Value, view: &View, expected: Value) -> Edit {
    Edit {
        field,
        patch,
        view: view.clone(),
        expected,
        approval: false,
    }
}

fn disruptive(field: &'static str, patch: Value, view: &View, expected: Value) -> Edit {
    Edit {
        approval: true,
        ..edit(field, patch, view, expected)
    }
}

#[tokio::test]
async fn edits_reach_aws() -> Result<()> {
    let shop = Shop::open("edits").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    run_together(vec![
        (
            "edits of the data of a catalog",
            catalog::data_of_a_catalog(&shop).boxed_local(),
        ),
        (
            "edits of the data of orders",
            orders::data_of_orders(&shop).boxed_local(),
        ),
        (
            "edits of the autoscaling of a table",
            scaling::of_a_table(&shop).boxed_local(),
        ),
        (
            "edits of pods and nodes",
            nodes::pods_and_nodes(&shop).boxed_local(),
        ),
        ("edits of pods", workload::of_pods(&shop).boxed_local()),
        (
            "approvals of queues that fill",
            approvals::of_queues_that_fill(&shop).boxed_local(),
        ),
    ])
    .await?;
    // Once nothing else writes.
    shop.second_pass_is_silent(&workload::subject()).await?;
    shop.no_secret_is_told(&shop.secrets().await?).await?;
    shop.close().await
}

/// Makes the edits one after the other, so that a failure names the field.
async fn make(shop: &Shop, subject: &Subject, edits: Vec<Edit>) -> Result<()> {
    for Edit {
        field,
        patch,
        view,
        expected,
        approval,
    } in edits
    {
        let began = Instant::now();
        let before = shop
            .look(&view)
            .await
            .with_context(|| format!("before the edit of {field}"))?;
        ensure!(
            includes("", &before, &expected).is_err(),
            "{field} is as expected before the edit"
        );
        let mark = shop.mark().await?;
        shop.merge(subject, json!({"spec": patch})).await?;
        if approval {
            let message = shop
                .until_condition(subject, "Ready", "False", "ApprovalRequired")
                .await
                .context(field)?;
            ensure!(
                message.contains("shopkeeper.dev/approve="),
                "nothing says how {field} is approved: {message}"
            );
            let mut writes = shop.steps_since(mark, name_of(&view)).await?;
            // What is made beside a cache for its first users changes nothing yet, and has the name of the cache in its own.
            match &view {
                View::Cache(_) => writes.retain(|call| call.starts_with("elasticache:Modify")),
                View::CacheUsers(_) => writes.retain(|call| !call.contains(":Create")),
                _ => {}
            }
            ensure!(
                writes.is_empty(),
                "{field} was changed before it was approved: {writes:?}"
            );
            shop.approve(subject).await?;
        }
        shop.until_ready(subject).await.context(field)?;
        includes(field, &shop.look(&view).await?, &expected)?;
        println!("  edited {field} in {:.1} s", began.elapsed().as_secs_f64());
    }
    Ok(())
}

fn name_of(view: &View) -> &str {
    match view {
        View::Table(name)
        | View::Autoscaling(name)
        | View::Cache(name)
        | View::CacheParameters(name)
        | View::CacheUsers(name)
        | View::CacheSecret(name)
        | View::Bucket(name)
        | View::Database(name)
        | View::Parameters(name) => name,
        View::Queue(name)
        | View::Topic(name)
        | View::Role(name)
        | View::NodeGroup(_, name)
        | View::Key(name) => name,
        View::OwnNodes(_, subject) | View::Object(subject) => &subject.name,
    }
}
