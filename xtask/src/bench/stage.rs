//! An environment with the operator in it, for one measurement.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use kube::Client;
use shopkeeper_localenv::{LocalEnvironment, OperatorProcess};

use super::process::{self, Usage};
use crate::repository;

/// Where the services are.
pub const NAMESPACE: &str = "bench";
/// Namespace of the operator's Lease.
const OPERATOR_NAMESPACE: &str = "shopkeeper-system";
/// Bounds what would otherwise never end.
pub const PATIENCE: Duration = Duration::from_secs(1800);
/// Between two looks at something that is no part of what is measured.
const POLL: Duration = Duration::from_millis(100);

/// A cluster with a Platform that is Ready, and the operator that made it so.
pub struct Stage {
    pub environment: LocalEnvironment,
    pub operator: OperatorProcess,
    pub client: Client,
}

impl Stage {
    /// Starts everything.
    pub async fn open(name: &str, operator: &Path) -> Result<Self> {
        let environment = prepare(name, operator).await?;
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
        let operator = start_operator(&environment, "operator")?;
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

    /// Ends everything.
    pub async fn close(self) -> Result<()> {
        drop(self.operator);
        self.environment.stop().await
    }
}

/// An environment with the definitions and a namespace, without the operator.
pub async fn prepare(name: &str, operator: &Path) -> Result<LocalEnvironment> {
    let environment = LocalEnvironment::builder(name)
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
pub fn start_operator(environment: &LocalEnvironment, name: &str) -> Result<OperatorProcess> {
    environment.start_operator(
        name,
        &[
            "run",
            "--metrics-address",
            "127.0.0.1:0",
            "--pod-name",
            name,
            "--namespace",
            OPERATOR_NAMESPACE,
        ],
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
