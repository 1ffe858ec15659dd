//! The AWS double as a process.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::REGION;
use crate::control_plane::{Folders, POLL, START_TIMEOUT};
use crate::processes::{ChildProcess, ProcessSpecification};
use crate::python::{self, PythonEnvironment};

/// A running double.
pub(crate) struct AwsDouble {
    process: ChildProcess,
    port_file: PathBuf,
    seed_file: PathBuf,
}

impl AwsDouble {
    /// Starts the double with transitions that take no time, so that seeding it does not either.
    pub(crate) fn start(python: &PythonEnvironment, folders: &Folders<'_>) -> Result<Self> {
        let port_file = folders.state.join("aws.port");
        let process = ChildProcess::start(ProcessSpecification {
            name: "AWS double".into(),
            program: python.interpreter().into(),
            arguments: [
                "-m",
                "shopkeeper_double",
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--port-file",
                &port_file.display().to_string(),
                "--transition-seconds",
                "0",
                "--calls-log",
                &folders.logs.join("aws-calls.log").display().to_string(),
                "--parent-pid",
                &std::process::id().to_string(),
            ]
            .map(String::from)
            .to_vec(),
            environment: vec![python_path()],
            log: folders.logs.join("aws.log"),
        })?;
        Ok(Self {
            process,
            port_file,
            seed_file: folders.state.join("aws-seed.json"),
        })
    }

    /// Waits until the double answers; returns its endpoint.
    pub(crate) async fn wait_until_ready(&self) -> Result<String> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Ok(text) = fs::read_to_string(&self.port_file) {
                let port: u16 = text
                    .trim()
                    .parse()
                    .context("the AWS double wrote no port")?;
                return Ok(format!("http://127.0.0.1:{port}"));
            }
            self.process.ensure_running()?;
            if Instant::now() > deadline {
                bail!("the AWS double does not answer after {START_TIMEOUT:?}");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Makes what an account with an EKS cluster has before Shopkeeper comes; returns its identifiers. `names` are those of
    /// the network and the cluster, where they are not to be the usual ones.
    pub(crate) async fn seed(
        &self,
        python: &PythonEnvironment,
        endpoint: &str,
        names: Option<(&str, &str)>,
    ) -> Result<Value> {
        let names = names
            .map(|(network, cluster)| ["--name", network, "--cluster", cluster])
            .into_iter()
            .flatten();
        let (name, value) = python_path();
        let output = tokio::process::Command::new(python.interpreter())
            .args([
                "-m",
                "shopkeeper_double.seed",
                "--endpoint",
                endpoint,
                "--region",
                REGION,
                "--json",
            ])
            .arg(&self.seed_file)
            .args(names)
            .env(name, value)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("cannot run the seed of the AWS double")?;
        if !output.status.success() {
            bail!(
                "seeding the AWS double failed:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let text = fs::read(&self.seed_file).context("the seed of the AWS double wrote no file")?;
        serde_json::from_slice(&text).context("the seed of the AWS double wrote no JSON")
    }

    pub(crate) fn ensure_running(&self) -> Result<()> {
        self.process.ensure_running()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

fn python_path() -> (String, String) {
    ("PYTHONPATH".into(), python::folder().display().to_string())
}
