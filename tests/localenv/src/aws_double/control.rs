//! What a test asks of the double itself.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Map, Value, json};

use super::{AwsCall, AwsFault, CallFilter, FaultId, Outcome, RateLimit};
use crate::simulation;

/// The longest that one request waits for a fault.
const LONG_POLL: Duration = Duration::from_secs(20);

/// Asks the double about itself: recorded calls, faults, what exists, how long its transitions last.
#[derive(Clone, Debug)]
pub struct AwsControl {
    endpoint: String,
    client: Client<HttpConnector, Full<Bytes>>,
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
        self.calls(&CallFilter::since(position)).await
    }

    /// The calls after `position` whose operation changes something, refused ones too.
    pub async fn writes_since(&self, position: u64) -> Result<Vec<AwsCall>> {
        self.calls(&CallFilter::since(position).writes()).await
    }

    /// The calls that a filter picks, oldest first, without those of the environment's own simulation. Fails where the
    /// double has forgotten some of them: it keeps the latest hundred thousand.
    pub async fn calls(&self, filter: &CallFilter) -> Result<Vec<AwsCall>> {
        let path = format!("calls?{}", filter.query());
        let mut answer = self.request(Method::GET, &path, None).await?;
        let first = answer["first"].as_u64().unwrap_or_default();
        if filter.position() > 0 && filter.position() + 1 < first {
            bail!(
                "the AWS double has forgotten the calls from {} to {}",
                filter.position() + 1,
                first - 1
            );
        }
        let mut calls: Vec<AwsCall> = serde_json::from_value(answer["calls"].take())?;
        calls.retain(|call| !call.user_agent.contains(simulation::USER_AGENT));
        Ok(calls)
    }

    /// Adds a rule.
    pub async fn add_fault(&self, fault: &AwsFault) -> Result<FaultId> {
        let answer = self
            .request(Method::POST, "faults", Some(serde_json::to_value(fault)?))
            .await?;
        let id = answer["ids"][0]
            .as_str()
            .context("the AWS double named no fault")?;
        Ok(FaultId(id.to_owned()))
    }

    /// Waits until a rule was applied so many times; returns the call that it was last applied to. Fails when that does
    /// not happen in time.
    pub async fn fault_applied(
        &self,
        id: &FaultId,
        times: u32,
        within: Duration,
    ) -> Result<Option<AwsCall>> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let seconds = left.min(LONG_POLL).as_secs_f64();
            let path = format!("faults/applied?id={id}&times={times}&seconds={seconds}");
            let mut answer = self.request(Method::GET, &path, None).await?;
            if answer["applied"] == true {
                return Ok(serde_json::from_value(answer["call"].take())?);
            }
            if left.is_zero() {
                bail!(
                    "the fault was not applied within {within:?}: {}",
                    answer["rule"]
                );
            }
        }
    }

    /// Removes a rule; what it holds is answered.
    pub async fn remove_fault(&self, id: &FaultId) -> Result<()> {
        self.request(Method::DELETE, &format!("faults?id={id}"), None)
            .await
            .map(drop)
    }

    /// Removes every rule; what they hold is answered.
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

    /// How long some transitions last: a glob over `service.kind.state`, which may go on with `/` and a glob over names.
    pub async fn set_transition_of(&self, glob: &str, transition: Duration) -> Result<()> {
        self.configure(json!({"transitions": {glob: transition.as_secs_f64()}}))
            .await
            .map(drop)
    }

    /// Makes transitions end in another state than they would.
    pub async fn script_outcome(&self, outcome: &Outcome) -> Result<()> {
        let outcomes = Map::from_iter([outcome.entry()]);
        self.configure(json!({"outcomes": outcomes}))
            .await
            .map(drop)
    }

    /// Puts resources into a state that they come to by themselves (`storage-full`, `DEGRADED`), or back into their usual
    /// one; `name` is a glob. Returns how many there are. `detail` is what the service tells of it, as in
    /// [`Outcome::telling`].
    pub async fn force_state(
        &self,
        (service, kind): (&str, &str),
        name: &str,
        state: Option<&str>,
        detail: Option<Value>,
    ) -> Result<u64> {
        let body = json!({
            "service": service, "kind": kind, "name": name, "state": state, "detail": detail,
        });
        let answer = self.request(Method::POST, "states", Some(body)).await?;
        answer["changed"]
            .as_u64()
            .context("the AWS double did not say what changed")
    }

    /// Admits so many calls.
    pub async fn limit_rates(&self, limits: &[RateLimit]) -> Result<()> {
        let limits: Map<String, Value> = limits.iter().map(RateLimit::entry).collect();
        self.configure(json!({"throttle": limits})).await.map(drop)
    }

    /// Admits as many calls as AWS's documentation says.
    pub async fn limit_rates_as_published(&self) -> Result<()> {
        self.configure(json!({"throttle_preset": "published"}))
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
