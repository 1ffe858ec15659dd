//! How long a person's edit waits for its first write while the operator is busy with everything else.
//!
//! The operator is started among settled services, so that a pass of each is due, and edits are made one after the other while
//! it works them off.

use std::{path::Path, time::Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    fleet::{Rollouts, apply_all, is_ready, merge, seconds, service_without_aws, wait_until_all},
    report::{Report, rounded},
    stage::{PATIENCE, Stage},
};

/// Options of `cargo xtask bench edit`.
#[derive(clap::Args)]
pub struct Options {
    /// How many settled CatalogServices there are; a resync of each is due when the edits begin.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    services: u32,
    /// How many edits are made.
    #[arg(long, default_value_t = 100, value_name = "N")]
    edits: u32,
}

/// Runs it.
pub async fn run(options: &Options, operator: &Path) -> Result<Report> {
    let mut stage = Stage::open("bench-edit", operator, options.services).await?;
    let services: Vec<_> = (0..options.services).map(with_one_replica).collect();
    apply_all(&stage.client, &services).await?;
    wait_until_all(
        &stage.client,
        ("shopkeeper.dev/v1alpha1", "CatalogService"),
        services.len(),
        is_ready,
    )
    .await?;
    stage.stop_operator().await?;

    let mut rollouts = Rollouts::watch(&stage.client).await?;
    stage.start_operator()?;
    stage
        .operator
        .wait_for_log("leading", PATIENCE)
        .await
        .context("the operator does not lead")?;
    let mut waits = Vec::new();
    let mut answers = Vec::new();
    let mut left = f64::from(options.services);
    for number in 0..options.edits.min(options.services) {
        // From the last to the first: the resyncs are worked off in the order of the names.
        let service = &services[usize::try_from(options.services - 1 - number)?];
        let image = format!("registry.example/shop/catalog:edit-{number}");
        let began = Instant::now();
        merge(
            &stage.client,
            service,
            &json!({"spec": {"workload": {"image": image}}}),
        )
        .await?;
        answers.push(seconds(began, Instant::now()));
        let written = rollouts.until_image(&image).await?;
        waits.push(seconds(began, written));
        if number + 1 == options.edits / 2 {
            left = f64::from(options.services) - stage.passes().await.unwrap_or(0.0);
        }
    }
    let used = stage.usage()?;
    stage.close().await?;

    let mut report = Report::of("edit", options.services);
    report.add(
        "p50_ms",
        "from the edit to the first write, the median",
        milliseconds(percentile(&mut waits, 50)),
    );
    report.add(
        "p99_ms",
        "the slowest but one in a hundred; to reach: api_server_p99_ms and 100",
        milliseconds(percentile(&mut waits, 99)),
    );
    report.add(
        "api_server_p99_ms",
        "what the API server itself takes to answer an edit",
        milliseconds(percentile(&mut answers, 99)),
    );
    report.add("edits", "edits that were made", waits.len());
    report.add(
        "resyncs_due_half_way",
        "resyncs that were still due after half of the edits",
        left.max(0.0),
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
    Ok(report)
}

/// One pod is enough for an edit to show, and a thousand services fit on a small machine.
fn with_one_replica(number: u32) -> Value {
    let mut service = service_without_aws(number);
    service["spec"]["scaling"] = json!({"type": "Fixed", "fixed": {"replicas": 1}});
    service
}

fn milliseconds(seconds: f64) -> f64 {
    rounded(seconds * 1000.0, 1)
}

/// The value that so many percent do not exceed, by nearest rank.
fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut values, 50), 100.0);
        assert_eq!(percentile(&mut values, 99), 198.0);
        assert_eq!(percentile(&mut [7.0], 99), 7.0);
        assert_eq!(percentile(&mut [], 99), 0.0);
    }
}
