//! What the API server was asked, by whom, from its audit log.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

/// More than an event without bodies takes.
const LONGEST_LINE: u64 = 256 * 1024;

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
        let read = || -> std::io::Result<u64> {
            let mut file = File::open(&self.path)?;
            let length = file.metadata()?.len();
            let start = length.saturating_sub(LONGEST_LINE);
            file.seek(SeekFrom::Start(start))?;
            let mut tail = Vec::new();
            file.take(length - start).read_to_end(&mut tail)?;
            // A last line without its end is being written at this moment, and belongs to what comes.
            let end = tail
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |index| index + 1);
            Ok(start + end as u64)
        };
        read().with_context(|| format!("cannot read {}", self.path.display()))
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

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        r#"{"verb":"get","requestURI":"/a","user":{"username":"operator"},"requestReceivedTimestamp":"t"}"#,
        "\n",
        r#"{"verb":"patch","requestURI":"/b","user":{"username":"operator"},"requestReceivedTimestamp":"t","#,
        r#""objectRef":{"resource":"pods","name":"b"},"responseStatus":{"code":200}}"#,
        "\n",
        r#"{"verb":"patch","requestURI":"/c","user":{"username":"other"},"requestReceivedTimestamp":"t"}"#,
        "\n",
        r#"{"verb":"patch","requestURI":"/half"#,
    );

    #[test]
    fn a_line_that_is_being_written_is_left_for_later() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        std::fs::write(&path, LINES).unwrap();
        let log = AuditLog::at(path);

        assert_eq!(log.since(0).unwrap().len(), 3);
        let writes = log.writes_by("operator", 0).unwrap();
        assert_eq!(writes.len(), 1);
        assert_eq!(
            (writes[0].request_uri.as_str(), writes[0].code()),
            ("/b", Some(200))
        );
        let position = log.position().unwrap();
        assert_eq!(position, LINES.rfind('\n').unwrap() as u64 + 1);

        let rest = r#"","user":{"username":"operator"},"requestReceivedTimestamp":"t"}"#;
        std::fs::write(log.path(), format!("{LINES}{rest}\n")).unwrap();
        let later = log.writes_by("operator", position).unwrap();
        assert_eq!(later.len(), 1);
        assert_eq!(later[0].request_uri, "/half");
    }
}
