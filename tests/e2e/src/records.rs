//! What the operator did, from the API server's audit log and the AWS double's record of calls.

use anyhow::Result;
use shopkeeper_localenv::{AuditEvent, AwsCall, LocalEnvironment};

use crate::{Shop, aws};

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
