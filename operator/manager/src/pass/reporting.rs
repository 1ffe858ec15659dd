//! What is written into a status beside the report of a whole pass.

use serde_json::Value;
use shopkeeper_api::status::{Status, condition, reason};
use shopkeeper_aws::budget::Urgency;
use shopkeeper_kube::controller::Outcome;
use shopkeeper_plan::{
    decisions,
    failure::Failure,
    inventory,
    observed::Observed,
    plan::Plan,
    planner::Inventory,
    report::{self, ConditionDraft, Report},
};

use super::{Scoped, Site, Subject, events, status};

impl<K: Scoped> Subject<'_, K> {
    /// Reports that the specification could not be resolved.
    pub(super) async fn report_failure(
        &self,
        failure: &Failure,
    ) -> Result<Outcome, shopkeeper_kube::Error> {
        tracing::info!(class = failure.class.label(), %failure, "not resolved");
        let report = report::of_failure(failure, self.deleting());
        self.report_not_resolved(failure, report).await
    }

    /// Reports that AWS did not tell what has to be known before anything can be resolved.
    pub(super) async fn report_silence(
        &self,
        failure: &Failure,
    ) -> Result<Outcome, shopkeeper_kube::Error> {
        let (memory, uid) = (&self.world.memory, &self.owner.uid);
        if failure.is_budget_spent() && self.urgency() == Urgency::Resync && memory.is_patient(uid)
        {
            return Ok(self.failed(failure));
        }
        if !failure.class.is_silence() {
            memory.was_answered(uid);
        } else if self.was_ready() && memory.is_patient(uid) {
            let drift = status::drift(&self.status());
            let report = report::of_silence(failure, drift.as_deref());
            return self.report_not_resolved(failure, report).await;
        }
        self.report_failure(failure).await
    }

    async fn report_not_resolved(
        &self,
        failure: &Failure,
        report: Report,
    ) -> Result<Outcome, shopkeeper_kube::Error> {
        // Where AWS told nothing, the pass that was asked for is still to come.
        let answered = self.requested().filter(|_| !failure.class.is_silence());
        self.write_report(&report, answered).await?;
        Ok(self.failed(failure))
    }

    pub(super) async fn report_suspension(&self) -> Result<Outcome, shopkeeper_kube::Error> {
        self.write_report(&report::of_suspension(self.deleting()), self.requested())
            .await?;
        Ok(Outcome::done())
    }

    /// Writes conditions and leaves everything else of the status as it was, the conditions of the phases included: nothing was
    /// learnt of them. `answered` is the request that the pass was the answer to.
    pub(super) async fn write_report(
        &self,
        report: &Report,
        answered: Option<String>,
    ) -> Result<(), shopkeeper_kube::Error> {
        let mut whole = self.status_json();
        let before = self.status();
        let generation = self.object.meta().generation;
        let status = status::reported(&before, report, generation, answered);
        extend(&mut whole, to_json(&status)?);
        // Nothing is planned before a person has seen to it. What was approved stays.
        let is_stalled = |draft: &ConditionDraft| draft.r#type == condition::STALLED;
        if report.conditions.iter().any(is_stalled)
            && let Some(waiting) = whole.pointer_mut("/plan/waitingForApproval")
        {
            *waiting = Value::Bool(false);
        }
        self.write(whole).await?;
        if news(&before, report) {
            events::readiness(self, report).await;
        }
        Ok(())
    }

    /// Writes the inventory and what was approved, and leaves everything else of the status as it was.
    pub(super) async fn write_intentions(
        &self,
        inventory: &Inventory,
        plan: &Plan,
        observed: &Observed,
        site: &Site<'_>,
    ) -> Result<(), shopkeeper_kube::Error> {
        let mut whole = self.status_json();
        whole["inventory"] = to_json(&inventory::to_status(
            inventory,
            plan,
            observed,
            &self.status().inventory,
        ))?;
        if let Some(plan) = decisions::to_status(plan, &self.owner) {
            whole["plan"] = to_json(&plan)?;
        }
        if let Some(hash) = &plan.decisions.last_approval {
            whole["lastHandledApproval"] = to_json(hash)?;
        }
        if let Some(platform) = &site.platform {
            whole["platform"] = to_json(platform)?;
        }
        self.write(whole).await
    }

    pub(super) async fn write(&self, status: Value) -> Result<(), shopkeeper_kube::Error> {
        self.world
            .memory
            .statuses()
            .write(&self.api(), self.object, &status)
            .await?;
        self.world.memory.wrote_status(&self.owner.uid, &status);
        Ok(())
    }
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<Value, shopkeeper_kube::Error> {
    serde_json::to_value(value)
        .map_err(|error| shopkeeper_kube::Error::Unexpected(error.to_string()))
}

/// Puts the members of one object over those of another.
pub(super) fn extend(whole: &mut Value, members: Value) {
    if let (Value::Object(whole), Value::Object(members)) = (whole, members) {
        whole.extend(members);
    }
}

/// Whether a report says something about readiness that the status did not say before.
pub(super) fn news(before: &Status, report: &Report) -> bool {
    [condition::READY, condition::STALLED]
        .into_iter()
        .any(|kind| {
            let was = before
                .conditions
                .iter()
                .find(|condition| condition.type_ == kind)
                .map(|condition| (condition.status.as_str(), lasting(&condition.reason)));
            let is = report
                .conditions
                .iter()
                .find(|condition| condition.r#type == kind)
                .map(|condition| (condition.status, lasting(condition.reason)));
            was != is
        })
}

/// That AWS does not answer for a moment is no news, and that it does again neither.
fn lasting(reason: &str) -> &str {
    if reason == reason::NOT_OBSERVED {
        reason::SUCCEEDED
    } else {
        reason
    }
}
