//! What an unchanged world costs: the looks at every service in a drift interval, in which nothing has to be done.
//!
//! Each service is looked at six times in its drift interval, and its settings are read once in it: with the default of an hour a
//! look every ten minutes. Here the interval is six minutes, the shortest that has six looks. Everything is counted over a whole
//! interval and told for one look at each service, a resync of all. It begins an interval after the last service is Ready: what was read
//! when something was made is read once more, since it may have been changed in the same minute.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shopkeeper_localenv::{AwsCall, LocalEnvironment};

use super::{
    fleet::{apply_all, is_ready, service_without_aws, wait_until_all},
    report::{Report, rounded},
    stage::{NAMESPACE, Stage, until},
};

/// The drift interval of the services.
const INTERVAL: Duration = Duration::from_secs(6 * 60);

/// Looks in a drift interval.
const LOOKS: u32 = 6;

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
    let settled = stage.passes().await?;
    let services_passed = f64::from(options.services);
    until("the looks of a drift interval", async || {
        Ok(stage.passes().await? >= settled + services_passed * f64::from(LOOKS))
    })
    .await?;

    let audit = stage.environment.audit().position()?;
    let calls = control.position().await?;
    let before = (stage.passes().await?, stage.usage()?);
    let began = Instant::now();
    tokio::time::sleep_until((began + INTERVAL).into()).await;
    let passed = stage.passes().await? - before.0;
    ensure!(
        passed >= services_passed * f64::from(LOOKS - 1),
        "only {passed} passes in a drift interval"
    );
    let looks = passed / services_passed;
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
        "looks",
        "looks at each service in the time that was measured",
        rounded(looks, 2),
    );
    report.add(
        "aws_reads",
        "of one look at each service; to reach: a quarter of aws_resources at 300 services",
        rounded(count(reads.len()) / looks, 1),
    );
    report.add(
        "aws_reads_per_resource",
        "of one look at each service",
        rounded(count(reads.len()) / looks / count(resources), 3),
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
        "the operator's processor time for one look at every service",
        rounded((used.cpu_seconds - before.1.cpu_seconds) / looks, 2),
    );
    report.add(
        "aws_reads_by_call",
        "in the time that was measured",
        by_operation(&reads),
    );
    Ok(report)
}

fn count(things: usize) -> f64 {
    f64::from(u32::try_from(things).unwrap_or(u32::MAX))
}

fn by_operation(calls: &[&AwsCall]) -> Value {
    let mut counts = BTreeMap::<&str, usize>::new();
    for call in calls {
        *counts
            .entry(call.operation.as_deref().unwrap_or("none"))
            .or_default() += 1;
    }
    json!(counts)
}

fn with_a_table(number: u32) -> Value {
    let mut service = service_without_aws(number);
    let spec = &mut service["spec"];
    spec["identity"] = json!({"type": "PodIdentity"});
    spec["scaling"] = json!({"type": "Fixed", "fixed": {"replicas": 1}});
    spec["products"] = json!({"keys": {"partition": {"name": "id", "type": "String"}}});
    spec["policy"] = json!({"driftInterval": format!("{}s", INTERVAL.as_secs())});
    service
}
