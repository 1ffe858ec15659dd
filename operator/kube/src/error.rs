//! What can go wrong when talking to the API server, in terms a caller can act on.
//!
//! Throughout this crate answers are told apart by their HTTP code. `Status::is_not_found` and its like in kube 5.0 go by the
//! reason alone, and an API path that does not exist (a CRD that is not installed) is answered in plain text, without one.

use std::time::Duration;

use kube::core::Status;

/// What the API server says of an applied object whose fields do not fit, such as a list with two entries of one key.
const UNTYPED: &str = "failed to create typed patch object";

/// The outcome of a refused or failed request to the API server.
///
/// The variants follow what the caller can do about it, not the HTTP status: the planner's error classes map onto them
/// one to one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object does not exist (any more).
    #[error("not found: {0}")]
    NotFound(String),
    /// The kind is not served: its CRD is absent or not yet established.
    #[error("kind {kind} of {api_version} is not served by the API server")]
    NotServed {
        /// Group and version, as in `apiVersion`.
        api_version: String,
        /// The kind.
        kind: String,
    },
    /// Someone else changed the object since it was observed: observe again and decide anew.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The API server refuses the object as written (schema, CEL, admission). Retrying without a change is of no use.
    #[error("invalid: {0}")]
    Invalid(String),
    /// RBAC, a quota or an admission policy forbids the request, or the credentials were not accepted.
    #[error("denied: {0}")]
    Denied(String),
    /// The API server sheds load (API Priority and Fairness).
    #[error("throttled: {message}")]
    Throttled {
        /// What the API server said.
        message: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The API server or the way to it is failing; the request may or may not have been carried out.
    #[error("transient: {message}")]
    Transient {
        /// What happened.
        message: String,
        /// How long the API server asks to wait.
        retry_after: Option<Duration>,
    },
    /// A request that could not be built or an answer that could not be read: a bug on this side.
    #[error("unexpected: {0}")]
    Unexpected(String),
}

impl Error {
    /// How long the API server asked to wait before trying again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Transient { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }

    /// A static label for metrics and event reasons.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::NotServed { .. } => "not_served",
            Self::Conflict(_) => "conflict",
            Self::Invalid(_) => "invalid",
            Self::Denied(_) => "denied",
            Self::Throttled { .. } => "throttled",
            Self::Transient { .. } => "transient",
            Self::Unexpected(_) => "unexpected",
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let retry_after = status
            .details
            .as_ref()
            .map(|details| details.retry_after_seconds)
            .filter(|seconds| *seconds > 0)
            .map(|seconds| Duration::from_secs(u64::from(seconds)));
        let message = status.message;
        match status.code {
            404 => Self::NotFound(message),
            // 410: the resource version is gone; the remedy is the same, to look again.
            409 | 410 => Self::Conflict(message),
            400 | 405 | 406 | 413 | 415 | 422 => Self::Invalid(message),
            401 | 403 => Self::Denied(message),
            429 => Self::Throttled {
                message,
                retry_after,
            },
            // As written it does not fit the kind's schema, which the API server calls an error of its own.
            500 if message.contains(UNTYPED) => Self::Invalid(message),
            code if code >= 500 => Self::Transient {
                message,
                retry_after,
            },
            code => Self::Unexpected(format!("status {code}: {message}")),
        }
    }
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => (*status).into(),
            kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => {
                Self::Transient {
                    message: error_chain(&error),
                    retry_after: None,
                }
            }
            // kube checks names before it sends anything.
            kube::Error::BuildRequest(_) => Self::Invalid(error_chain(&error)),
            other => Self::Unexpected(error_chain(&other)),
        }
    }
}

/// The error with its causes: hyper's own message is often only "client error (Connect)".
pub(crate) fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // Many errors already repeat their cause in their own message.
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Status {
        Status::failure("message", "Reason").with_code(code)
    }

    #[test]
    fn each_answer_becomes_what_the_caller_can_do() {
        for (code, label) in [
            (404, "not_found"),
            (409, "conflict"),
            (410, "conflict"),
            (422, "invalid"),
            (400, "invalid"),
            (403, "denied"),
            (401, "denied"),
            (429, "throttled"),
            (500, "transient"),
            (503, "transient"),
            (302, "unexpected"),
        ] {
            assert_eq!(Error::from(status(code)).label(), label, "{code}");
        }
    }

    #[test]
    fn an_object_that_does_not_fit_its_schema_is_no_passing_failure() {
        let status = Status::failure(
            "failed to create typed patch object (shop/orders; apps/v1, Kind=Deployment): duplicate entries for key",
            "InternalError",
        )
        .with_code(500);
        assert_eq!(Error::from(status).label(), "invalid");
    }

    #[test]
    fn the_wait_asked_for_is_kept() {
        let mut throttled = status(429);
        throttled.details = Some(kube::core::response::StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: vec![],
            retry_after_seconds: 7,
        });
        assert_eq!(
            Error::from(throttled).retry_after(),
            Some(Duration::from_secs(7))
        );
    }
}
