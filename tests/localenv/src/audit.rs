//! What the API server was asked, by whom, from its audit log.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

/// The audit log of one environment, at level Metadata: every request and its outcome, without bodies.
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
}

/// One answered request.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The path and query of the request.
    #[serde(rename = "requestURI")]
    pub request_uri: String,
    /// Who asked.
    pub user: AuditUser,
    /// The client, as it names itself.
    #[serde(default)]
    pub user_agent: String,
    /// What was asked about; absent for paths that are no resources.
    #[serde(default)]
    pub object_ref: Option<ObjectReference>,
    /// The outcome; absent while a watch is open.
    #[serde(default)]
    response_status: Option<ResponseStatus>,
    /// When the request came, in RFC 3339 with microseconds.
    pub request_received_timestamp: String,
}

/// An authenticated user.
#[derive(Clone, Debug, Deserialize)]
pub struct AuditUser {
    /// The user's name, for a service account `system:serviceaccount:<namespace>:<name>`.
    pub username: String,
}

/// The subject of a request.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectReference {
    /// The plural resource, as in the path.
    #[serde(default)]
    pub resource: String,
    /// `status`, `scale` and so on; empty for the resource itself.
    #[serde(default)]
    pub subresource: String,
    /// Empty for cluster-scoped resources.
    #[serde(default)]
    pub namespace: String,
    /// Empty for lists and for creations under a generated name.
    #[serde(default)]
    pub name: String,
    /// Empty for the core group.
    #[serde(default)]
    pub api_group: String,
}

#[derive(Clone, Debug, Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

impl AuditEvent {
    /// Whether the request was meant to change something.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    /// The HTTP status of the answer, if it was given.
    pub fn code(&self) -> Option<u16> {
        self.response_status.as_ref().map(|status| status.code)
    }
}

impl AuditLog {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The file, one JSON object a line.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the log ends now, to be given to [`AuditLog::since`] later.
    pub fn position(&self) -> Result<u64> {
        Ok(self
            .path
            .metadata()
            .with_context(|| format!("cannot read {}", self.path.display()))?
            .len())
    }

    /// Every answered request written to the log after `position`, oldest first.
    pub fn since(&self, position: u64) -> Result<Vec<AuditEvent>> {
        let mut file = File::open(&self.path)
            .with_context(|| format!("cannot read {}", self.path.display()))?;
        file.seek(SeekFrom::Start(position))
            .context("cannot seek in the audit log")?;
        let mut reader = BufReader::new(file);
        let mut events = Vec::new();
        let mut line = String::new();
        loop {
            line.clear();
            let length = reader
                .read_line(&mut line)
                .context("cannot read the audit log")?;
            // A line without its end is being written at this moment.
            if length == 0 || !line.ends_with('\n') {
                return Ok(events);
            }
            events.push(
                serde_json::from_str(&line)
                    .with_context(|| format!("not an audit event: {line}"))?,
            );
        }
    }

    /// The requests of one user after `position` that were meant to change something.
    pub fn writes_by(&self, user: &str, position: u64) -> Result<Vec<AuditEvent>> {
        let mut events = self.since(position)?;
        events.retain(|event| event.user.username == user && event.is_write());
        Ok(events)
    }
}
