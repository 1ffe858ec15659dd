//! When the next pass comes, and what a pass that failed counts as.

use std::time::{Duration, Instant};

use shopkeeper_kube::{controller::Outcome, queue::Lane};
use shopkeeper_plan::{
    attempts::{CHANGES_SHOW_WITHIN, attempts},
    failure::{Class, Failure, retry_after},
    observed::Observed,
    plan::{Blocker, Operation, Plan, Step},
    report::Report,
};

use super::{
    Scoped, Subject, events,
    execute::Executed,
    pace::{refused, spread, to_next_look, unasked},
};
use crate::memory::is_remembered;

/// Polls of what AWS works on: the first after a second, then less and less often.
const UNDER_WAY: Class = Class::NotReady;
/// After a step that takes hold at once there is mostly another one.
const NEXT_STEP: Duration = Duration::from_millis(50);

impl<K: Scoped> Subject<'_, K> {
    /// How long it is to the next look for drift. An edit does not put it off.
    pub(super) fn next_resync(&self, interval: Duration) -> Duration {
        let now = Instant::now();
        let at = now + to_next_look(interval, self.seed());
        let was_one = self.pass.lane == Lane::Resync;
        let due = self.world.memory.next_resync(&self.owner.uid, at, was_one);
        // A shorter interval holds at once.
        due.min(at).saturating_duration_since(now)
    }

    /// The pass comes back when the budget has what it needs. That is no failure.
    pub(super) fn sent_away(&self, wait: Duration) -> Outcome {
        Outcome::requeue_after(spread(wait, self.seed()), self.pass.lane)
    }

    /// When to look again: as soon as anything asks for it. One resource that is refused must not keep the others waiting.
    pub(super) fn outcome(
        &self,
        plan: &Plan,
        observed: &Observed,
        report: &Report,
        executed: &Executed,
        interval: Duration,
    ) -> Outcome {
        let uid = &self.owner.uid;
        let repeated = self.world.memory.repeated(uid, attempts(plan, observed));
        let progress = if executed.done > 0 {
            self.world.memory.moved(uid);
            Some(match repeated {
                0 => NEXT_STEP,
                times => retry_after(Class::Transient, times, self.seed()),
            })
        } else if plan
            .steps
            .iter()
            .any(|step| waits_for_the_world(plan, step))
        {
            Some(retry_after(
                UNDER_WAY,
                self.world.memory.waited(uid),
                self.seed(),
            ))
        } else {
            self.world.memory.moved(uid);
            None
        };
        let spent = unasked(observed).max(refused(plan));
        let retry = report
            .failure
            .as_ref()
            .filter(|failure| !failure.is_budget_spent())
            .map(|failure| self.next_try(plan, failure))
            .map(|retry| match executed.in_vain {
                true => retry.min(CHANGES_SHOW_WITHIN),
                false => retry,
            })
            .map(|retry| spent.map_or(retry, |spent| spent.min(retry)));
        if let (Some(spent), None) = (spent, retry) {
            return self.sent_away(progress.map_or(spent, |progress| spent.min(progress)));
        }
        // Nobody waits for a look at what is missing: a watch tells when it comes.
        let lane = match &report.failure {
            Some(failure) if is_missing(plan, failure) => Lane::Resync,
            _ => Lane::Edit,
        };
        match (progress, retry) {
            (Some(progress), Some(retry)) => Outcome::failed_after(progress.min(retry), Lane::Edit),
            // What is refused for long does not put off the look for drift at the rest.
            (None, Some(retry)) => match self.next_resync(interval) {
                resync if resync < retry => Outcome::failed_after(resync, Lane::Resync),
                _ => Outcome::failed_after(retry, lane),
            },
            (Some(progress), None) => Outcome::requeue_after(progress, Lane::Edit),
            (None, None) => Outcome::requeue_after(self.next_resync(interval), Lane::Resync),
        }
    }

    /// A pass that broke off. What the API server finds invalid is a status that it does not take: nobody would see that in the status.
    pub(super) async fn not_completed(&self, error: &shopkeeper_kube::Error) -> Outcome {
        tracing::warn!(%error, "pass not completed");
        if let shopkeeper_kube::Error::Invalid(text) = error {
            events::status_refused(self, text).await;
        }
        self.failed(&failure_of(error))
    }

    pub(super) fn failed(&self, failure: &Failure) -> Outcome {
        match failure.retry_after {
            Some(wait) if failure.is_budget_spent() => self.sent_away(wait),
            _ => {
                let retry = retry_after(failure.class, self.pass.failures, self.seed());
                Outcome::failed_after(failure.as_asked(retry), Lane::Edit)
            }
        }
    }

    /// When to come back for a failure: where it is the refusal of a step, when that step may be tried again. What is missing is looked for
    /// as what a person has to see to: for the little that no watch tells of, such as a node group of others.
    fn next_try(&self, plan: &Plan, failure: &Failure) -> Duration {
        let (failures, seed) = (self.pass.failures, self.seed());
        if is_missing(plan, failure) {
            return retry_after(Class::Invalid, failures, seed);
        }
        let of_steps = || self.world.memory.next_try(&self.owner.uid, seed);
        let refused = is_remembered(failure).then(of_steps).flatten();
        let retry = refused.unwrap_or_else(|| retry_after(failure.class, failures, seed));
        failure.as_asked(retry)
    }
}

/// Whether a failure tells of what a step refers to and does not find.
fn is_missing(plan: &Plan, failure: &Failure) -> bool {
    let mut blockers = plan.steps.iter().flat_map(|step| &step.blocked_by);
    blockers.any(|blocker| matches!(blocker, Blocker::Missing(missing) if missing == failure))
}

/// Whether a step waits for something that no watch tells of, and that comes by itself.
fn waits_for_the_world(plan: &Plan, step: &Step) -> bool {
    let held = plan.waits_for_a_person(step)
        || step.blocked_by.iter().any(|blocker| {
            matches!(
                blocker,
                Blocker::Refused(_) | Blocker::Missing(_) | Blocker::NotObserved(_)
            )
        });
    !held && (matches!(step.operation, Operation::Wait) || !step.blocked_by.is_empty())
}

/// The failure that an error of the API server is.
pub(crate) fn failure_of(error: &shopkeeper_kube::Error) -> Failure {
    use shopkeeper_kube::Error;
    let class = match error {
        Error::Conflict(_) => Class::Conflict,
        Error::Invalid(_) => Class::Invalid,
        Error::Denied(_) => Class::Denied,
        Error::Throttled { .. } => Class::Throttled,
        Error::NotFound(_) | Error::NotServed { .. } => Class::NotReady,
        Error::Transient { .. } => Class::Transient,
        Error::Unexpected(_) => Class::Bug,
    };
    let failure = Failure::new(class, error.to_string());
    match error.retry_after() {
        Some(asked) => failure.with_retry_after(asked),
        None => failure,
    }
}
