//! Rules that make chosen calls fail.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// How a call is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Refused as AWS throttles this service.
    Throttle,
    /// Refused with a code, status and message of the test's choice.
    Error,
    /// A server fault in the service's own words, 500 unless [`AwsFault::with_status`] says 503; the call has no effect.
    #[serde(rename = "5xx")]
    ServerFault,
    /// Takes effect at once and is answered late.
    Latency,
    /// No effect, and no answer until the caller gives up or [`AwsFault::lasting`] is over.
    Timeout,
    /// No effect, and the connection is reset.
    Reset,
    /// The call takes effect, then the connection is reset: what client tokens are for.
    LostResponse,
    /// The call takes effect, and the connection is closed half way through the answer.
    Truncated,
    /// The call takes effect, and the answer is half of its document in valid HTTP.
    TruncatedBody,
    /// Refused as IAM refuses.
    AccessDenied,
    /// Refused as a session whose credentials have expired.
    ExpiredCredentials,
    /// Refused as a reached quota, with the code of this operation.
    Quota,
    /// The call is answered as ever, and what it did is put back at once.
    PutBack,
    /// Reads are answered as before a write; see [`AwsFault::stale`].
    Stale,
    /// The call waits until it is released; see [`super::AwsControl::hold_write`].
    Hold,
    /// Nothing happens to the call, and [`super::AwsControl::fault_applied`] hears of it.
    Notify,
}

/// A rule that makes chosen calls fail: a kind, and which calls it picks. The first rule that applies decides.
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
    /// Seconds, for the kinds that last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    containing: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    except_caller: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    write: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    writes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reads: Option<u32>,
}

impl AwsFault {
    /// Every call of this operation fails, until [`super::AwsControl::clear_faults`]. Both names may be globs.
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
            containing: None,
            caller: None,
            except_caller: None,
            write: None,
            probability: None,
            seed: None,
            effect: None,
            writes: None,
            reads: None,
        }
    }

    /// Reads of a service are answered as before each write: for a time ([`AwsFault::lasting`], by the double's clock)
    /// or for some reads after it ([`AwsFault::for_reads`]); for ever where neither is said. What was created is not
    /// found, what was deleted is still listed, what was changed shows its old values and tags.
    /// [`AwsFault::on_resource`] picks what was written.
    pub fn stale(service: &str) -> Self {
        Self::new(FaultKind::Stale, service, "*")
    }

    /// Only so many calls fail.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// So many of the calls that match pass first.
    #[must_use]
    pub fn after(mut self, calls: u32) -> Self {
        self.after = calls;
        self
    }

    /// Only calls with a name or ARN that matches the glob.
    #[must_use]
    pub fn on_resource(mut self, glob: &str) -> Self {
        self.resource = Some(glob.into());
        self
    }

    /// Only calls that have this in their path, query or body.
    #[must_use]
    pub fn containing(mut self, text: &str) -> Self {
        self.containing = Some(text.into());
        self
    }

    /// Only calls whose user agent matches the glob, such as `*app/shopkeeper*`.
    #[must_use]
    pub fn from_caller(mut self, glob: &str) -> Self {
        self.caller = Some(glob.into());
        self
    }

    /// Not the calls whose user agent matches the glob, such as a test's own.
    #[must_use]
    pub fn except_caller(mut self, glob: &str) -> Self {
        self.except_caller = Some(glob.into());
        self
    }

    /// Only calls that change something.
    #[must_use]
    pub fn only_writes(mut self) -> Self {
        self.write = Some(true);
        self
    }

    /// Only calls that change nothing.
    #[must_use]
    pub fn only_reads(mut self) -> Self {
        self.write = Some(false);
        self
    }

    /// Each call fails by chance, the same ones for the same seed.
    #[must_use]
    pub fn with_probability(mut self, probability: f64, seed: u64) -> Self {
        self.probability = Some(probability);
        self.seed = Some(seed);
        self
    }

    /// Refused with this code, in place of the service's own.
    #[must_use]
    pub fn with_code(mut self, code: &str, status: u16, message: &str) -> Self {
        self.code = Some(code.into());
        self.status = Some(status);
        self.message = Some(message.into());
        self
    }

    /// With this HTTP status: 503 instead of 500 for [`FaultKind::ServerFault`].
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// How long, for [`FaultKind::Latency`], [`FaultKind::Timeout`] and [`FaultKind::Stale`].
    #[must_use]
    pub fn lasting(mut self, duration: Duration) -> Self {
        self.seconds = Some(duration.as_secs_f64());
        self
    }

    /// How many reads after each write are stale.
    #[must_use]
    pub fn for_reads(mut self, reads: u32) -> Self {
        self.reads = Some(reads);
        self
    }

    /// A glob over the writes after which reads are stale: `Create*` for what is not found yet.
    #[must_use]
    pub fn after_writes(mut self, glob: &str) -> Self {
        self.writes = Some(glob.into());
        self
    }

    /// Held before the call takes effect, where [`FaultKind::Hold`] waits for its effect otherwise.
    #[must_use]
    pub fn before_effect(mut self) -> Self {
        self.effect = Some("before");
        self
    }
}

/// A rule that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultId(pub(super) String);

impl fmt::Display for FaultId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_says_only_what_was_set() {
        let fault = AwsFault::stale("rds")
            .after_writes("Create*")
            .for_reads(2)
            .on_resource("orders-*");
        assert_eq!(
            serde_json::to_value(fault).unwrap(),
            json!({
                "kind": "stale", "service": "rds", "operation": "*", "after": 0,
                "resource": "orders-*", "writes": "Create*", "reads": 2,
            })
        );
    }
}
