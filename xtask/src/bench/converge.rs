//! How long many new services take until they are Ready, and what that costs.
//!
//! The floor is a client that does nothing but apply the objects that the operator makes for those services, with 16
//! connections, in a cluster of its own: whatever the API server, the controllers and the simulated nodes take is in both.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{
    fleet::{
        applied_by_the_operator, apply_all, is_ready, is_rolled_out, seconds, service_without_aws,
        wait_until_all,
    },
    report::{Report, rounded},
    stage::{self, Stage},
};

/// Options of `cargo xtask bench converge`.
#[derive(clap::Args)]
pub struct Options {
    /// How many CatalogServices without AWS parts.
    #[arg(long, default_value_t = 300, value_name = "N")]
    services: u32,
}

/// The kinds that a CatalogService without AWS parts is made of.
const KINDS: [(&str, &str); 8] = [
    ("v1", "ServiceAccount"),
    ("v1", "ConfigMap"),
    ("v1", "Service"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("networking.k8s.io/v1", "Ingress"),
    ("apps/v1", "Deployment"),
];

/// Runs it.
pub async fn run(options: &Options, operator: &Path) -> Result<Report> {
    let count = usize::try_from(options.services)?;
    let services: Vec<_> = (0..options.services).map(service_without_aws).collect();

    let stage = Stage::open("bench-converge", operator, options.services).await?;
    let position = stage.environment.audit().position()?;
    let before = stage.usage()?;
    let ready = tokio::spawn({
        let client = stage.client.clone();
        async move {
            wait_until_all(
                &client,
                ("shopkeeper.dev/v1alpha1", "CatalogService"),
                count,
                is_ready,
            )
            .await
        }
    });
    let began = apply_all(&stage.client, &services).await?;
    let ended = ready.await??;
    let used = stage.usage()?;
    let requests = stage.requests_since(position)?;
    let objects = applied_by_the_operator(&stage.client, &KINDS).await?;
    ensure!(
        objects.len() >= count,
        "the operator made {} objects for {count} services",
        objects.len()
    );
    stage.close().await?;
    let with_operator = seconds(began, ended);

    let floor = floor(options.services, &objects, operator).await?;

    let mut report = Report::of("converge", options.services);
    let ratio = rounded(with_operator / floor, 2);
    report.add(
        "ratio_to_floor",
        "times the floor; to reach: at most 1.2",
        ratio,
    );
    report.add(
        "seconds",
        "from the first custom resource to the last that is Ready",
        rounded(with_operator, 2),
    );
    report.add(
        "floor_seconds",
        format!(
            "a bare client with 16 connections applies the same {} objects, until the last Deployment is rolled out",
            objects.len()
        ),
        rounded(floor, 2),
    );
    report.add(
        "peak_rss_mb",
        "the operator's most resident memory; to reach: at most 40 at 300 services",
        rounded(used.peak_rss_mb, 1),
    );
    report.add(
        "cpu_seconds",
        "the operator's processor time meanwhile",
        rounded(used.cpu_seconds - before.cpu_seconds, 2),
    );
    report.add(
        "requests",
        "the operator's requests to the API server meanwhile, by verb",
        serde_json::to_value(requests)?,
    );
    Ok(report)
}

/// Seconds that the bare client takes.
async fn floor(services: u32, objects: &[Value], operator: &Path) -> Result<f64> {
    let environment = stage::prepare("bench-floor", operator, services).await?;
    let count = usize::try_from(services)?;
    let client = environment.client()?;
    let rolled_out = tokio::spawn({
        let client = client.clone();
        async move { wait_until_all(&client, ("apps/v1", "Deployment"), count, is_rolled_out).await }
    });
    let began = apply_all(&client, objects).await?;
    let ended = rolled_out.await??;
    environment.stop().await?;
    Ok(seconds(began, ended))
}
