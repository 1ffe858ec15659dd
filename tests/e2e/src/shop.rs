//! A shop in an environment of its own: the definitions, the operator, and somebody who waits.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use kube::Client;
use serde_json::{Value, json};
use shopkeeper_localenv::{LocalEnvironment, OperatorProcess};

use crate::{Aws, equals, kubernetes};

/// Bounds a wait that would otherwise never end; a slow machine needs a fraction of it.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// Below the 30 s that kubelet waits before it kills.
const GRACE: Duration = Duration::from_secs(25);
/// Namespace of the operator's Lease.
pub const OPERATOR_NAMESPACE: &str = "shopkeeper-system";
/// Between two looks at a condition.
const POLL: Duration = Duration::from_millis(100);
/// How long AWS works on something. Long enough that the states in between are seen.
const TRANSITION_SECONDS: f64 = 0.5;
/// Last lines of the operator's log in a failure.
const LOG_LINES: usize = 30;

/// A local environment with the custom resource definitions, and the operator running in it.
pub struct Shop {
    /// The operator, while it runs.
    pub operator: Option<OperatorProcess>,
    /// The environment.
    pub environment: LocalEnvironment,
    /// AWS as its owner sees it.
    pub aws: Aws,
    client: Client,
}

impl Shop {
    /// Starts an environment with the operator, and applies a file of the repository's `examples` for the Platform.
    pub async fn open(name: &str) -> Result<Self> {
        let mut shop = Self::prepare(name).await?;
        shop.operator = Some(shop.start_operator("operator").await?);
        Ok(shop)
    }

    /// As [`Shop::open`], without the operator.
    pub async fn prepare(name: &str) -> Result<Self> {
        let environment = LocalEnvironment::builder(name)
            .transition_seconds(TRANSITION_SECONDS)
            .start()
            .await?;
        println!(
            "{name} was up after {:.1} s, logs are in {}",
            environment.startup().as_secs_f64(),
            environment.logs_directory().display()
        );
        let client = environment.client()?;
        let aws = Aws::new(&environment.aws_config()?)?;
        let shop = Self {
            operator: None,
            environment,
            aws,
            client,
        };
        let definitions = repository().join("crds");
        shop.environment
            .kubectl(&[
                "apply",
                "--server-side",
                "-f",
                &definitions.display().to_string(),
            ])
            .await?;
        shop.environment
            .kubectl(&[
                "wait",
                "--for=condition=Established",
                "--timeout=60s",
                "crd",
                "--all",
            ])
            .await?;
        shop.namespace(OPERATOR_NAMESPACE).await?;
        shop.plant_canary().await?;
        Ok(shop)
    }

    /// Starts a replica of the operator; it runs until it is dropped.
    pub async fn start_operator(&self, name: &str) -> Result<OperatorProcess> {
        self.start_operator_with(name, &[], &[]).await
    }

    /// As [`Shop::start_operator`], with further arguments and variables.
    pub async fn start_operator_with(
        &self,
        name: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<OperatorProcess> {
        let mut all = vec![
            "run",
            "--metrics-address",
            "127.0.0.1:0",
            "--log-format",
            "text",
            "--pod-name",
            name,
            "--namespace",
            OPERATOR_NAMESPACE,
        ];
        all.extend_from_slice(arguments);
        let mut environment = vec![("RUST_LOG", "info,shopkeeper=debug"), ("NO_COLOR", "1")];
        environment.extend_from_slice(variables);
        let operator = self
            .environment
            .start_operator_with(name, &all, &environment)?;
        operator.wait_for_log("caches are filled", PATIENCE).await?;
        Ok(operator)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Makes a namespace.
    pub async fn namespace(&self, name: &str) -> Result<()> {
        self.environment
            .kubectl(&["create", "namespace", name])
            .await
            .map(drop)
    }

    /// Applies YAML as `kubectl apply --server-side` does. Fails with what the API server says.
    pub async fn apply(&self, yaml: &str) -> Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), yaml)?;
        self.environment
            .kubectl(&[
                "apply",
                "--server-side",
                "-f",
                &file.path().display().to_string(),
            ])
            .await
            .map(drop)
    }

    /// Applies a custom resource with this specification.
    pub async fn apply_specification(
        &self,
        subject: &kubernetes::Subject,
        specification: &Value,
    ) -> Result<()> {
        let mut metadata = json!({"name": subject.name});
        if !subject.namespace.is_empty() {
            metadata["namespace"] = json!(subject.namespace);
        }
        let whole = json!({
            "apiVersion": "shopkeeper.dev/v1alpha1",
            "kind": subject.kind,
            "metadata": metadata,
            "spec": specification,
        });
        self.apply(&whole.to_string()).await
    }

    /// The file or folder of `examples` with this name.
    pub fn example(name: &str) -> PathBuf {
        repository().join("examples").join(name)
    }

    /// Applies a file or folder of `examples`.
    pub async fn apply_example(&self, name: &str) -> Result<()> {
        self.environment
            .kubectl(&[
                "apply",
                "--server-side",
                "-f",
                &Self::example(name).display().to_string(),
            ])
            .await
            .map(drop)
    }

    /// Waits until the check passes; returns what it returns.
    ///
    /// Fails after `patience` with what the last check said, having told the state of everything.
    pub async fn until<T>(
        &self,
        what: &str,
        patience: Duration,
        check: impl AsyncFn() -> Result<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + patience;
        loop {
            let problem = match check().await {
                Ok(value) => return Ok(value),
                Err(problem) => problem,
            };
            if let Some(operator) = &self.operator {
                operator.ensure_running()?;
            }
            self.environment.ensure_running()?;
            if Instant::now() > deadline {
                eprintln!("{}", self.state_of_everything().await);
                bail!("not within {patience:?}: {what}: {problem:#}");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The conditions of every custom resource and the end of the operator's log.
    pub async fn state_of_everything(&self) -> String {
        let mut text = String::from("--- the state of everything\n");
        for kind in ["Platform", "Storefront", "CatalogService", "OrderService"] {
            for object in self.list(kind, "", "").await.unwrap_or_default() {
                let meta = &object["metadata"];
                text.push_str(&format!(
                    "{kind} {}/{} generation {}{}: {}\n",
                    meta["namespace"].as_str().unwrap_or_default(),
                    meta["name"].as_str().unwrap_or_default(),
                    meta["generation"],
                    if meta["deletionTimestamp"].is_null() {
                        ""
                    } else {
                        ", being deleted"
                    },
                    kubernetes::conditions(&object)
                ));
            }
        }
        let log = self
            .operator
            .as_ref()
            .and_then(|operator| operator.log().ok())
            .unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        text.push_str(&format!(
            "--- the end of the operator's log in {}\n",
            self.environment.logs_directory().display()
        ));
        text.push_str(&lines[lines.len().saturating_sub(LOG_LINES)..].join("\n"));
        text
    }

    /// What exists in AWS with the owner tag of a custom resource, as `service:type name`, in order.
    pub async fn owned_in_aws(&self, owner: &kubernetes::Subject) -> Result<Vec<String>> {
        let mut owned: Vec<String> = self
            .environment
            .aws_control()?
            .inventory()
            .await?
            .iter()
            .filter(|resource| resource["tags"]["shopkeeper.dev/owner"] == owner.path())
            .map(describe)
            .collect();
        owned.sort();
        Ok(owned)
    }

    /// Ends the operator as kubelet does, and fails where it takes longer than kubelet waits or does not end well.
    pub async fn stop_operator(&mut self) -> Result<()> {
        let operator = self.operator.take().context("the operator does not run")?;
        let status = operator.terminate(GRACE).await?;
        equals("the exit code after SIGTERM", status.code(), Some(0))
    }

    /// Ends the operator in order, and the environment.
    pub async fn close(mut self) -> Result<()> {
        if let Some(operator) = self.operator.take() {
            let status = operator.terminate(PATIENCE).await?;
            if !status.success() {
                bail!("the operator ended with {status}");
            }
        }
        self.environment.stop().await
    }
}

fn describe(resource: &Value) -> String {
    let text = |name: &str| resource[name].as_str().unwrap_or_default();
    format!("{}:{} {}", text("service"), text("type"), text("name"))
}

/// The root of the repository.
fn repository() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder.ancestors().nth(2).unwrap_or(folder).to_owned()
}

/// Reads a file of the repository's examples.
pub fn read_example(name: &str) -> Result<String> {
    let path = Shop::example(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}
