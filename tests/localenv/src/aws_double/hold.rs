//! A call that waits: the hook for killing the operator at an exact moment.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::Method;
use serde_json::json;

use super::{AwsCall, AwsControl, AwsFault, FaultId, FaultKind};

/// Stops the caller at its N-th write, counted from when the hold was made.
///
/// That write takes effect and is not answered; every later write waits before it has any effect. So from
/// [`Hold::reached`] on the account stays as it was after exactly N writes, whatever was under way, until the hold is
/// released: time to kill a process, or to look.
#[derive(Debug)]
#[must_use = "a hold that nobody releases stops its caller for good"]
pub struct Hold {
    control: AwsControl,
    id: FaultId,
}

impl Hold {
    /// Waits until the N-th write has taken effect; returns it. Fails when that does not happen in time.
    pub async fn reached(&self, within: Duration) -> Result<AwsCall> {
        self.control
            .fault_applied(&self.id, 1, within)
            .await?
            .context("the AWS double has forgotten the call that it holds")
    }

    /// Lets everything go on: the held write is answered, and those behind it are carried out.
    pub async fn release(self) -> Result<()> {
        self.end(true).await
    }

    /// Resets the connections of all that wait: the N-th write stays without an answer, and those behind it never have an
    /// effect. For after the caller was killed, and for a caller that is to try again.
    pub async fn cut(self) -> Result<()> {
        self.end(false).await
    }

    async fn end(self, answer: bool) -> Result<()> {
        let body = json!({"id": self.id.0, "answer": answer});
        self.control
            .request(Method::POST, "faults/release", Some(body))
            .await?;
        self.control.remove_fault(&self.id).await
    }
}

impl AwsControl {
    /// Holds the `nth` write from now on, of whatever service and caller; the first is 1. A test that writes meanwhile
    /// leaves itself out with [`AwsControl::hold`] and [`AwsFault::except_caller`].
    pub async fn hold_write(&self, nth: u32) -> Result<Hold> {
        let writes = AwsFault::new(FaultKind::Hold, "*", "*").only_writes();
        self.hold(writes, nth).await
    }

    /// Holds the `nth` of the calls that a rule of kind [`FaultKind::Hold`] picks.
    pub async fn hold(&self, fault: AwsFault, nth: u32) -> Result<Hold> {
        if fault.kind != FaultKind::Hold || nth == 0 {
            bail!("a hold is a rule of its kind, and its calls are counted from 1");
        }
        let id = self.add_fault(&fault.after(nth - 1)).await?;
        Ok(Hold {
            control: self.clone(),
            id,
        })
    }
}
