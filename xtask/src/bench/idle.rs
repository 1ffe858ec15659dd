//! What an unchanged world costs: a resync of every service, in which nothing has to be done.
//!
//! A resync of each service is what ten minutes bring where nobody says otherwise. It is had in one minute here, by the
//! shortest interval that a policy can name.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use shopkeeper_localenv::LocalEnvironment;

use super::{
    fleet::{apply_all, is_ready, service_without_aws, wait_until_all},
    report::{Report, rounded},
    stage::{NAMESPACE, Stage, until},
};

/// Options of `cargo xtask bench idle`.
#[derive(clap::Args)]
pub struct Options {
    /// How many CatalogServices there are, each with a table, a role and an association.
    #[arg(long, default_value_t = 300, value_name = "N")]
    services: u32,
}

/// Runs it.
pub async fn run(options: &Options, operator: &Path) -> Result<Report> {
    let stage = Stage::open("bench-idle", operator, options.services).await?;
    let services: Vec<_> = (0..options.services).map(with_a_table).collect();
    apply_all(&stage.client, &services).await?;
    wait_until_all(
        &stage.client,
        ("shopkeeper.dev/v1alpha1", "CatalogService"),
        services.len(),
        is_ready,
    )
    .await?;
    let control = stage.environment.aws_control()?;
    // The first resync of each comes one interval after it settled: after one of each, every pass is a resync.
    let settled = stage.passes().await?;
    let services_passed = f64::from(options.services);
    until("a first resync of every service", async || {
        Ok(stage.passes().await? >= settled + services_passed)
    })
    .await?;

    let audit = stage.environment.audit().position()?;
    let calls = control.position().await?;
    let before = (stage.passes().await?, stage.usage()?);
    until("a resync of every service", async || {
        Ok(stage.passes().await? >= before.0 + services_passed)
    })
    .await?;
    let used = stage.usage()?;
    let calls = control.calls_since(calls).await?;
    let kube_writes = stage
        .environment
        .audit()
        .writes_by(LocalEnvironment::OPERATOR_USER, audit)?
        .iter()
        .filter(|write| {
            // The Lease is renewed whatever happens.
            write
                .object_ref
                .as_ref()
                .is_none_or(|object| object.resource != "leases")
        })
        .count();
    let (writes, reads): (Vec<_>, Vec<_>) = calls.iter().partition(|call| call.write);
    let owner = format!("CatalogService/{NAMESPACE}/");
    let resources = control
        .inventory()
        .await?
        .iter()
        .filter(|resource| {
            resource["tags"]["shopkeeper.dev/owner"]
                .as_str()
                .is_some_and(|path| path.starts_with(&owner))
        })
        .count();
    stage.close().await?;

    let mut report = Report::of("idle", options.services);
    report.add("kube_writes", "to reach: none", kube_writes);
    report.add("aws_writes", "to reach: none", writes.len());
    report.add(
        "aws_reads",
        "to reach: a quarter of aws_resources at 300 services",
        reads.len(),
    );
    report.add(
        "aws_resources",
        "resources of the services: one read for each would be as many",
        resources,
    );
    report.add(
        "peak_rss_mb",
        "the operator's most resident memory",
        rounded(used.peak_rss_mb, 1),
    );
    report.add(
        "cpu_seconds",
        "the operator's processor time for one resync of every service",
        rounded(used.cpu_seconds - before.1.cpu_seconds, 2),
    );
    Ok(report)
}

fn with_a_table(number: u32) -> Value {
    let mut service = service_without_aws(number);
    let spec = &mut service["spec"];
    spec["identity"] = json!({"type": "PodIdentity"});
    spec["scaling"] = json!({"type": "Fixed", "fixed": {"replicas": 1}});
    spec["products"] = json!({"keys": {"partition": {"name": "id", "type": "String"}}});
    spec["policy"] = json!({"driftInterval": "1m"});
    service
}
