//! The AWS double as a process, and what a test asks of the double itself.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::control_plane::{Folders, POLL, START_TIMEOUT};
use crate::processes::{ChildProcess, ProcessSpecification};
use crate::python::{self, PythonEnvironment};
use crate::{REGION, simulation};

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

/// Asks the double about itself: recorded calls, faults, what exists, how long its transitions last.
#[derive(Clone, Debug)]
pub struct AwsControl {
    endpoint: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// One call that the double answered (or was told not to answer).
#[derive(Clone, Debug, Deserialize)]
pub struct AwsCall {
    /// Counts up from 1.
    #[serde(rename = "seq")]
    pub sequence: u64,
    /// The service, as botocore names its model: `eks`, `rds`, `sesv2`.
    pub service: String,
    /// The operation in AWS's spelling; absent when the request is none that AWS knows.
    pub operation: Option<String>,
    /// The region it was signed for.
    pub region: String,
    /// The names and identifiers in the request, the subject's first.
    pub resources: Vec<String>,
    /// Whether the operation is one that changes something.
    pub write: bool,
    /// The HTTP status; absent when the connection was cut instead of an answer.
    pub status: Option<u16>,
    /// AWS's error code, when it was refused.
    pub error_code: Option<String>,
    /// The kind of the fault that was injected, `throttle` included.
    pub fault: Option<String>,
    /// The client, as it names itself.
    pub user_agent: String,
}

/// How a call is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Refused as AWS throttles this service.
    Throttle,
    /// Refused with a code, status and message of the caller's choice.
    Error,
    /// A server fault; the call has no effect.
    #[serde(rename = "5xx")]
    ServerFault,
    /// Answered late.
    Latency,
    /// No effect and no answer.
    Timeout,
    /// The call takes effect, then the connection is cut.
    LostResponse,
    /// The call takes effect, and the answer ends half way.
    Truncated,
    /// Refused as IAM refuses.
    AccessDenied,
    /// Refused as a reached quota.
    Quota,
}

/// A rule that makes chosen calls fail.
#[derive(Clone, Debug, Serialize)]
pub struct AwsFault {
    /// What happens.
    pub kind: FaultKind,
    /// A glob over service names.
    pub service: String,
    /// A glob over operations.
    pub operation: String,
    /// A glob that one of the names in the call must match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// How many calls fail; without end when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// How many calls pass first.
    pub after: u32,
    /// The error code, for [`FaultKind::Error`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The HTTP status, where the kind leaves a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The error's message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Seconds, for [`FaultKind::Latency`] and [`FaultKind::Timeout`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

impl AwsFault {
    /// Every call of this operation fails, until [`AwsControl::clear_faults`].
    pub fn new(kind: FaultKind, service: &str, operation: &str) -> Self {
        Self {
            kind,
            service: service.into(),
            operation: operation.into(),
            resource: None,
            count: None,
            after: 0,
            code: None,
            status: None,
            message: None,
            seconds: None,
        }
    }

    /// Only so many calls fail.
    pub fn times(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// Refused with this code; for [`FaultKind::Error`].
    pub fn with_code(mut self, code: &str, status: u16, message: &str) -> Self {
        self.code = Some(code.into());
        self.status = Some(status);
        self.message = Some(message.into());
        self
    }
}

impl AwsControl {
    pub(crate) fn new(endpoint: &str) -> Self {
        // An idle connection belongs to the runtime it was made on, and each test has a runtime of its own.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build_http();
        Self {
            endpoint: endpoint.into(),
            client,
        }
    }

    /// The number of the last call; a position for [`AwsControl::calls_since`].
    pub async fn position(&self) -> Result<u64> {
        let answer = self.request(Method::GET, "health", None).await?;
        answer["calls"]
            .as_u64()
            .context("the AWS double counts no calls")
    }

    /// Every call after `position`, oldest first, without those of the environment's own simulation.
    pub async fn calls_since(&self, position: u64) -> Result<Vec<AwsCall>> {
        let mut answer = self
            .request(Method::GET, &format!("calls?since={position}"), None)
            .await?;
        let mut calls: Vec<AwsCall> = serde_json::from_value(answer["calls"].take())?;
        calls.retain(|call| !call.user_agent.contains(simulation::USER_AGENT));
        Ok(calls)
    }

    /// The calls after `position` that change something.
    pub async fn writes_since(&self, position: u64) -> Result<Vec<AwsCall>> {
        let mut calls = self.calls_since(position).await?;
        calls.retain(|call| call.write);
        Ok(calls)
    }

    /// Adds a rule; returns its identifier.
    pub async fn add_fault(&self, fault: &AwsFault) -> Result<String> {
        let answer = self
            .request(Method::POST, "faults", Some(serde_json::to_value(fault)?))
            .await?;
        Ok(answer["ids"][0]
            .as_str()
            .context("the AWS double named no fault")?
            .to_owned())
    }

    /// Removes every rule.
    pub async fn clear_faults(&self) -> Result<()> {
        self.request(Method::DELETE, "faults", None).await.map(drop)
    }

    /// What exists, one object a resource, in the double's own terms.
    pub async fn inventory(&self) -> Result<Vec<Value>> {
        let mut answer = self.request(Method::GET, "inventory", None).await?;
        Ok(serde_json::from_value(answer["resources"].take())?)
    }

    /// How long transitions last and how much is admitted.
    pub async fn configuration(&self) -> Result<Value> {
        self.request(Method::GET, "config", None).await
    }

    /// Changes parts of the configuration: `transition_seconds`, `transitions`, `throttle`.
    pub async fn configure(&self, changes: Value) -> Result<Value> {
        self.request(Method::PUT, "config", Some(changes)).await
    }

    /// How long creating, modifying and deleting last from now on.
    pub async fn set_transition(&self, transition: Duration) -> Result<()> {
        self.configure(json!({"transition_seconds": transition.as_secs_f64()}))
            .await
            .map(drop)
    }

    /// Moves the double's clock ahead, which ends transitions early.
    pub async fn advance_clock(&self, by: Duration) -> Result<()> {
        self.request(
            Method::POST,
            "clock",
            Some(json!({"advance_seconds": by.as_secs_f64()})),
        )
        .await
        .map(drop)
    }

    /// Empties the account, the record of calls and the faults.
    pub async fn reset(&self) -> Result<()> {
        self.request(Method::POST, "reset", None).await.map(drop)
    }

    /// One request under `/_double/`, for what has no method here. Fails with the double's own words.
    pub async fn request(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let body = body
            .map(|body| serde_json::to_vec(&body))
            .transpose()?
            .unwrap_or_default();
        let request = Request::builder()
            .method(&method)
            .uri(format!("{}/_double/{path}", self.endpoint))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let response = self
            .client
            .request(request)
            .await
            .context("the AWS double does not answer")?;
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .context("the AWS double's answer broke off")?
            .to_bytes();
        if !status.is_success() {
            bail!(
                "the AWS double answered {method} {path} with {status}: {}",
                String::from_utf8_lossy(&body)
            );
        }
        serde_json::from_slice(&body).context("the AWS double answered no JSON")
    }
}
