//! What the double recorded of a call, and which of the calls a test asks for.

use serde::Deserialize;
use serde_json::Value;

/// One call that the double answered (or was told not to answer).
#[derive(Clone, Debug, Deserialize)]
pub struct AwsCall {
    /// Counts up from 1, in the order in which the calls took effect.
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
    /// What was asked, in the names of the service's protocol, without secrets and with long values cut.
    #[serde(default)]
    pub parameters: Value,
    /// Whether the operation is one that changes something.
    pub write: bool,
    /// The HTTP status; absent when the connection was cut instead of an answer.
    pub status: Option<u16>,
    /// AWS's error code, when it was refused.
    pub error_code: Option<String>,
    /// The kind of the fault that was injected, `throttle` included.
    pub fault: Option<String>,
    /// Whether it is a write that was carried out, answered or not.
    pub effect: bool,
    /// The client, as it names itself.
    pub user_agent: String,
}

/// Which calls a test looks at; all after a position unless it says more.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    query: Vec<(&'static str, String)>,
}

impl CallFilter {
    /// The calls after a position that [`super::AwsControl::position`] gave.
    pub fn since(position: u64) -> Self {
        Self {
            query: vec![("since", position.to_string())],
        }
    }

    /// Only of this service, as botocore names its model.
    #[must_use]
    pub fn service(self, service: &str) -> Self {
        self.with("service", service)
    }

    /// Only this operation, in AWS's spelling.
    #[must_use]
    pub fn operation(self, operation: &str) -> Self {
        self.with("operation", operation)
    }

    /// Only those that name this resource, as it was named in the request.
    #[must_use]
    pub fn resource(self, resource: &str) -> Self {
        self.with("resource", resource)
    }

    /// Only those whose operation changes something.
    #[must_use]
    pub fn writes(self) -> Self {
        self.with("write", "true")
    }

    /// Only those that changed something.
    #[must_use]
    pub fn took_effect(self) -> Self {
        self.with("effect", "true")
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.query.push((name, value.to_owned()));
        self
    }

    pub(super) fn position(&self) -> u64 {
        self.query
            .iter()
            .find(|(name, _)| *name == "since")
            .and_then(|(_, position)| position.parse().ok())
            .unwrap_or_default()
    }

    /// The query of the URL.
    pub(super) fn query(&self) -> String {
        self.query
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect::<Vec<_>>()
            .join("&")
    }
}

/// Percent-encoded, as far as names in AWS need it.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_query() {
        let filter = CallFilter::since(7)
            .service("eks")
            .resource("arn:aws:x/y z");
        assert_eq!(
            filter.query(),
            "since=7&service=eks&resource=arn%3Aaws%3Ax%2Fy%20z"
        );
        assert_eq!(filter.position(), 7);
    }
}
