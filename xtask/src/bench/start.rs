//! How long an operator that starts among many settled services takes until its first pass, and what it holds in memory then.

use std::{path::Path, time::Instant};

use anyhow::Result;

use super::{
    fleet::{apply_all, is_ready, seconds, service_without_aws, wait_until_all},
    report::{Report, rounded},
    stage::{Stage, until},
};

/// Options of `cargo xtask bench start`.
#[derive(clap::Args)]
pub struct Options {
    /// How many settled CatalogServices there are.
    #[arg(long, default_value_t = 300, value_name = "N")]
    services: u32,
}

/// Runs it.
pub async fn run(options: &Options, operator: &Path) -> Result<Report> {
    let mut stage = Stage::open("bench-start", operator, options.services).await?;
    let services: Vec<_> = (0..options.services).map(service_without_aws).collect();
    apply_all(&stage.client, &services).await?;
    wait_until_all(
        &stage.client,
        ("shopkeeper.dev/v1alpha1", "CatalogService"),
        services.len(),
        is_ready,
    )
    .await?;
    stage.stop_operator().await?;

    let position = stage.environment.audit().position()?;
    let began = Instant::now();
    stage.start_operator()?;
    let mut first = None;
    until("the operator passes over every service", async || {
        let passes = stage.passes().await.unwrap_or(0.0);
        if passes > 0.0 && first.is_none() {
            first = Some(Instant::now());
        }
        Ok(passes >= f64::from(options.services))
    })
    .await?;
    let all = seconds(began, Instant::now());
    let first = first.map_or(all, |first| seconds(began, first));
    let used = stage.usage()?;
    let requests = stage.requests_since(position)?;
    stage.close().await?;

    let mut report = Report::of("start", options.services);
    report.add(
        "first_pass_seconds",
        "from the start of the process to its first pass",
        rounded(first, 2),
    );
    report.add(
        "all_passes_seconds",
        "to a pass over every service",
        rounded(all, 2),
    );
    report.add(
        "peak_rss_mb",
        "the operator's most resident memory",
        rounded(used.peak_rss_mb, 1),
    );
    report.add(
        "cpu_seconds",
        "the operator's processor time",
        rounded(used.cpu_seconds, 2),
    );
    report.add(
        "requests",
        "the operator's requests to the API server, by verb",
        serde_json::to_value(requests)?,
    );
    Ok(report)
}
