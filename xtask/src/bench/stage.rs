//! An environment with the operator in it, for one measurement.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use kube::Client;
use shopkeeper_localenv::{LocalEnvironment, OperatorProcess};

use super::{
    metrics,
    process::{self, Usage},
};
use crate::repository;

/// Where the services are.
pub const NAMESPACE: &str = "bench";
/// Namespace of the operator's Lease.
pub const OPERATOR_NAMESPACE: &str = "shopkeeper-system";
/// Bounds what would otherwise never end.
pub const PATIENCE: Duration = Duration::from_secs(1800);
/// How many services have room on one more node in each zone: with three nodes for 110 pods each, and while a Deployment rolls out
/// up to four pods a service, the scheduler is never short of places.
const SERVICES_OF_THREE_NODES: usize = 80;
/// AWS's twenty minutes, and shorter than these by as much as the drift interval of `idle` is shorter than the default of an hour.
const CLOUDTRAIL_LAG_SECONDS: &str = "120";
/// Between two looks at something that is no part of what is measured.
const POLL: Duration = Duration::from_millis(100);

/// A cluster with a Platform that is Ready, and the operator that made it so.
pub struct Stage {
    pub environment: LocalEnvironment,
    pub operator: OperatorProcess,
    pub client: Client,
    /// Where the operator that was started last serves its metrics.
    metrics_port: u16,
}

impl Stage {
    /// Starts everything, with room for so many services.
    pub async fn open(name: &str, operator: &Path, services: u32) -> Result<Self> {
        let environment = prepare(name, operator, services).await?;
        let root = repository::root()?;
        environment
            .kubectl(&[
                "apply",
                "--server-side",
                "--filename",
                &root
                    .join("examples/octank/platform.yaml")
                    .display()
                    .to_string(),
            ])
            .await?;
        let metrics_port = environment.reserve_port()?;
        let operator = start_operator(&environment, "operator", metrics_port)?;
        let client = environment.client()?;
        environment
            .kubectl(&[
                "wait",
                "--for=condition=Ready",
                "--timeout=120s",
                "platform/octank",
            ])
            .await
            .context("the Platform does not become Ready")?;
        Ok(Self {
            environment,
            operator,
            client,
            metrics_port,
        })
    }

    /// What the operator has used so far.
    pub fn usage(&self) -> Result<Usage> {
        process::usage(self.operator.pid())
    }

    /// The operator's requests after a position of the audit log, by verb.
    pub fn requests_since(&self, position: u64) -> Result<BTreeMap<String, u64>> {
        let mut requests = BTreeMap::new();
        for event in self.environment.audit().since(position)? {
            if event.user.username == LocalEnvironment::OPERATOR_USER {
                *requests.entry(event.verb).or_default() += 1;
            }
        }
        Ok(requests)
    }

    /// Starts another replica, and waits until it could lead.
    pub async fn replica(&self, name: &str) -> Result<OperatorProcess> {
        let port = self.environment.reserve_port()?;
        let replica = start_operator(&self.environment, name, port)?;
        replica.wait_for_log("caches are filled", PATIENCE).await?;
        Ok(replica)
    }

    /// Stops the operator as a rolling update does.
    pub async fn stop_operator(&self) -> Result<()> {
        let status = self.operator.terminate(PATIENCE).await?;
        ensure!(status.success(), "the operator ended with {status}");
        Ok(())
    }

    /// Starts another operator in the place of the one that was stopped.
    pub fn start_operator(&mut self) -> Result<()> {
        self.metrics_port = self.environment.reserve_port()?;
        self.operator = start_operator(&self.environment, "successor", self.metrics_port)?;
        Ok(())
    }

    /// Passes over CatalogServices that the operator has ended, by its own count. Fails while it does not answer yet.
    pub async fn passes(&self) -> Result<f64> {
        let metrics = metrics::read(self.metrics_port).await?;
        Ok(metrics::sum(
            &metrics,
            "controller_runtime_reconcile_total",
            r#"controller="catalogservice""#,
        ))
    }

    /// Ends everything.
    pub async fn close(self) -> Result<()> {
        drop(self.operator);
        self.environment.stop().await
    }
}

/// An environment with the definitions and a namespace, without the operator.
pub async fn prepare(name: &str, operator: &Path, services: u32) -> Result<LocalEnvironment> {
    let environment = LocalEnvironment::builder(name)
        .nodes_in_each_zone(1 + usize::try_from(services)? / SERVICES_OF_THREE_NODES)
        .transition_seconds(0.5)
        .operator(operator)
        .start()
        .await?;
    let definitions = repository::root()?.join("crds").display().to_string();
    environment
        .kubectl(&["apply", "--server-side", "--filename", &definitions])
        .await?;
    environment
        .kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "--filename",
            &definitions,
        ])
        .await?;
    for namespace in [OPERATOR_NAMESPACE, NAMESPACE] {
        environment
            .kubectl(&["create", "namespace", namespace])
            .await?;
    }
    Ok(environment)
}

/// Starts a replica of the operator, as a Deployment would.
fn start_operator(
    environment: &LocalEnvironment,
    name: &str,
    metrics_port: u16,
) -> Result<OperatorProcess> {
    environment.start_operator_with(
        name,
        &[
            "run",
            "--metrics-address",
            &format!("127.0.0.1:{metrics_port}"),
            "--pod-name",
            name,
            "--namespace",
            OPERATOR_NAMESPACE,
        ],
        &[("SHOPKEEPER_CLOUDTRAIL_LAG_SECONDS", CLOUDTRAIL_LAG_SECONDS)],
    )
}

/// Waits until a check passes. Fails after [`PATIENCE`] with what is waited for.
pub async fn until(what: &str, mut check: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !check().await? {
        if Instant::now() > deadline {
            bail!("not within {PATIENCE:?}: {what}");
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
