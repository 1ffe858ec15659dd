//! What the operator did, from the API server's audit log and the AWS double's record of calls.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use shopkeeper_localenv::{AuditEvent, AwsCall, LocalEnvironment};

use crate::{Shop, Subject, aws};

/// A point in both records.
#[derive(Clone, Copy, Debug)]
pub struct Ledger {
    audit: u64,
    calls: u64,
}

impl Shop {
    /// This point in both records.
    pub async fn mark(&self) -> Result<Ledger> {
        Ok(Ledger {
            audit: self.environment.audit().position()?,
            calls: self.environment.aws_control()?.position().await?,
        })
    }

    /// What the operator wrote to Kubernetes since, without the Lease, which it renews whatever happens.
    pub fn kubernetes_writes_since(&self, ledger: Ledger) -> Result<Vec<AuditEvent>> {
        let mut writes = self
            .environment
            .audit()
            .writes_by(LocalEnvironment::OPERATOR_USER, ledger.audit)?;
        writes.retain(|write| {
            write
                .object_ref
                .as_ref()
                .is_none_or(|object| object.resource != "leases")
        });
        Ok(writes)
    }

    /// How often the operator listed each resource since.
    pub fn lists_since(&self, ledger: Ledger) -> Result<BTreeMap<String, usize>> {
        let mut lists = BTreeMap::new();
        for event in self.environment.audit().since(ledger.audit)? {
            if event.verb == "list" && event.user.username == LocalEnvironment::OPERATOR_USER {
                let resource = event.object_ref.map(|object| object.resource);
                *lists.entry(resource.unwrap_or_default()).or_default() += 1;
            }
        }
        Ok(lists)
    }

    /// What the operator changed in AWS since, or tried to.
    pub async fn aws_writes_since(&self, ledger: Ledger) -> Result<Vec<AwsCall>> {
        let mut calls = self
            .environment
            .aws_control()?
            .writes_since(ledger.calls)
            .await?;
        calls.retain(|call| !call.user_agent.contains(aws::APPLICATION));
        Ok(calls)
    }

    /// Asks for a pass over an unchanged custom resource. Fails where it writes more than the status, which echoes the request.
    pub async fn second_pass_is_silent(&self, subject: &Subject) -> Result<()> {
        // Ready is told by a pass that may not have heard yet of all that it led to: an answer to this one is of after that.
        self.request_pass(subject, "2026-11-24T10:00:00Z").await?;
        let mark = self.mark().await?;
        self.request_pass(subject, "2026-11-24T10:00:01Z").await?;
        let calls: Vec<String> = self
            .aws_writes_since(mark)
            .await?
            .iter()
            .map(|call| format!("{:?} {:?}", call.operation, call.resources))
            .collect();
        ensure!(
            calls.is_empty(),
            "a second pass over {subject} changed AWS: {calls:?}"
        );
        let writes: Vec<String> = self
            .kubernetes_writes_since(mark)?
            .iter()
            .map(|write| format!("{} {}", write.verb, write.request_uri))
            .collect();
        ensure!(
            writes.len() == 1 && writes[0].contains("/status"),
            "a second pass over {subject} wrote: {writes:?}"
        );
        Ok(())
    }

    /// The successful calls among [`Shop::aws_writes_since`] that concern a resource, as `service:Operation name`, in order.
    pub async fn steps_since(&self, ledger: Ledger, concerns: &str) -> Result<Vec<String>> {
        let calls = self.aws_writes_since(ledger).await?;
        Ok(calls
            .iter()
            .filter(|call| {
                call.error_code.is_none()
                    && call.resources.iter().any(|name| name.contains(concerns))
            })
            .map(|call| {
                format!(
                    "{}:{}",
                    call.service,
                    call.operation.as_deref().unwrap_or("?")
                )
            })
            .collect())
    }
}
