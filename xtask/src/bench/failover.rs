//! How long nobody leads: after the leader was stopped politely, as by a rolling update, and after it was killed.
//!
//! What is measured is the time until a request made at that moment is answered in a status, which takes a whole pass of the
//! next leader and not only its Lease.

use std::{path::Path, time::Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;

use super::{
    fleet::{apply_all, is_ready, request_pass, seconds, service_without_aws, wait_until_all},
    process,
    report::{Report, rounded},
    stage::{OPERATOR_NAMESPACE, PATIENCE, Stage},
};

/// Options of `cargo xtask bench failover`.
#[derive(clap::Args)]
pub struct Options {
    /// How many CatalogServices there are.
    #[arg(long, default_value_t = 20, value_name = "N")]
    services: u32,
}

/// Runs it.
pub async fn run(options: &Options, operator: &Path) -> Result<Report> {
    let mut stage = Stage::open("bench-failover", operator, options.services).await?;
    let services: Vec<_> = (0..options.services).map(service_without_aws).collect();
    let first = services.first().context("there is no service")?;
    apply_all(&stage.client, &services).await?;
    wait_until_all(
        &stage.client,
        ("shopkeeper.dev/v1alpha1", "CatalogService"),
        services.len(),
        is_ready,
    )
    .await?;
    let lease_seconds = lease_seconds(&stage).await?;

    let second = stage.replica("second").await?;
    let leaving = std::mem::replace(&mut stage.operator, second);
    let began = Instant::now();
    let (status, answered) = tokio::join!(
        leaving.terminate(PATIENCE),
        request_pass(&stage.client, first, "polite")
    );
    ensure!(status?.success(), "the leader did not end in order");
    let polite = seconds(began, answered?);

    let third = stage.replica("third").await?;
    let leaving = std::mem::replace(&mut stage.operator, third);
    let began = Instant::now();
    leaving.kill();
    let killed = seconds(began, request_pass(&stage.client, first, "killed").await?);

    let used = process::usage(stage.operator.pid())?;
    stage.close().await?;
    let mut report = Report::of("failover", options.services);
    report.add(
        "polite_seconds",
        "from SIGTERM to the answer of the next leader; to reach: 1",
        rounded(polite, 2),
    );
    report.add(
        "killed_seconds",
        "from SIGKILL to the answer of the next leader; to reach: the lease and 1",
        rounded(killed, 2),
    );
    report.add(
        "lease_seconds",
        "how long a leader that fell silent is waited for",
        lease_seconds,
    );
    report.add(
        "peak_rss_mb",
        "the last leader's most resident memory",
        rounded(used.peak_rss_mb, 1),
    );
    report.add(
        "cpu_seconds",
        "the last leader's processor time",
        rounded(used.cpu_seconds, 2),
    );
    Ok(report)
}

async fn lease_seconds(stage: &Stage) -> Result<i32> {
    let leases: Api<Lease> = Api::namespaced(stage.client.clone(), OPERATOR_NAMESPACE);
    let lease = leases.get("shopkeeper").await?;
    lease
        .spec
        .and_then(|spec| spec.lease_duration_seconds)
        .context("the Lease names no duration")
}
