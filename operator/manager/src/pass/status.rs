//! The status of a custom resource.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use serde_json::Value;
use shopkeeper_api::{
    Managed,
    status::{Replicas, Status, condition, reason},
};
use shopkeeper_plan::{
    inventory,
    observed::Observed,
    plan::Plan,
    planner::Inventory,
    report::{self, ConditionDraft, Report},
};

use super::{Scoped, Subject};

/// Characters of `status.lastHandledReconcileAt`.
const LONGEST_ECHO: usize = 128;

/// The status after a pass; kinds add to it.
pub(super) fn status<K: Scoped>(
    subject: &Subject<'_, K>,
    plan: &Plan,
    report: &Report,
    inventory: &Inventory,
    observed: &Observed,
) -> Status {
    let mut status = Status {
        inventory: inventory::to_status(inventory, plan, observed, &subject.status().inventory),
        replicas: report::replicas(observed).map(|(ready, wanted)| {
            let number = |value: i64| i32::try_from(value).unwrap_or(i32::MAX);
            Replicas::new(number(wanted), number(ready))
        }),
        ..subject.status()
    };
    set_conditions(&mut status, report, subject.object.meta().generation);
    status
}

/// Replaces the conditions. Their times are left to the writer, which knows what was said before.
fn set_conditions(status: &mut Status, report: &Report, generation: Option<i64>) {
    status.observed_generation = generation;
    status.conditions = report
        .conditions
        .iter()
        .map(|draft| condition_of(draft, generation))
        .collect();
}

/// A condition about a generation.
pub(super) fn condition_of(draft: &ConditionDraft, generation: Option<i64>) -> Condition {
    Condition {
        type_: draft.r#type.to_owned(),
        status: draft.status.to_owned(),
        reason: draft.reason.to_owned(),
        message: draft.message.clone(),
        observed_generation: generation,
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
    }
}

/// The status with the conditions of a report, in which nothing else was learnt. A pass that was asked for is answered all the same.
pub(super) fn reported(
    before: &Status,
    report: &Report,
    generation: Option<i64>,
    requested: Option<String>,
) -> Status {
    let mut status = before.clone();
    set_conditions(&mut status, report, generation);
    let is_suspended = report
        .conditions
        .iter()
        .any(|condition| condition.reason == reason::SUSPENDED);
    keep_phases(&mut status, before, is_suspended);
    if requested.is_some() {
        status.last_handled_reconcile_at = requested;
    }
    status
}

/// What the conditions of the phases begin with while nobody looks whether they still hold.
const AS_OF_SUSPENSION: &str = "as of the suspension: ";

/// Puts the conditions back that a report does not speak of: those of the phases, about the generation that they were about.
fn keep_phases(status: &mut Status, before: &Status, is_suspended: bool) {
    let general = [condition::READY, condition::RECONCILING, condition::STALLED];
    for kept in &before.conditions {
        let told = status
            .conditions
            .iter()
            .any(|condition| condition.type_ == kept.type_);
        if !told && !general.contains(&kept.type_.as_str()) {
            let mut kept = kept.clone();
            if is_suspended && !kept.message.starts_with(AS_OF_SUSPENSION) {
                kept.message.insert_str(0, AS_OF_SUSPENSION);
            }
            status.conditions.push(kept);
        }
    }
}

/// What it says of drift that is not repaired.
pub(super) fn drift(status: &Status) -> Option<String> {
    let mut conditions = status.conditions.iter();
    conditions
        .find(|condition| {
            condition.type_ == condition::READY && condition.reason == reason::DRIFTED
        })
        .map(|condition| condition.message.clone())
}

/// Whether it says that this generation is ready.
pub(super) fn is_ready(status: &Status, generation: Option<i64>) -> bool {
    status.conditions.iter().any(|condition| {
        condition.type_ == condition::READY
            && condition.status == "True"
            && condition.observed_generation == generation
    })
}

/// The value of the annotation that asks for a pass, as far as the status has room for it: one that is longer must not make every
/// write of the status fail.
pub(super) fn echo(asked: &str) -> String {
    asked.chars().take(LONGEST_ECHO).collect()
}

/// The status as JSON; empty where there is none.
pub(super) fn json_of<K: Managed>(object: &K) -> Value {
    serde_json::to_value(object)
        .ok()
        .and_then(|mut value| value.get_mut("status").map(Value::take))
        .filter(Value::is_object)
        .unwrap_or_else(|| Value::Object(serde_json::Map::new()))
}

#[cfg(test)]
mod tests {
    use shopkeeper_api::Platform;
    use shopkeeper_plan::{
        failure::{Class, Failure},
        report,
    };

    use super::*;

    fn condition(kind: &str, status: &str) -> Condition {
        serde_json::from_value(serde_json::json!({
            "type": kind, "status": status, "reason": "Succeeded", "message": "", "observedGeneration": 3,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn the_conditions_of_the_phases_outlive_a_failure_to_resolve() {
        let before = Status {
            conditions: vec![condition("DataReady", "True"), condition("Ready", "True")],
            ..Status::default()
        };
        assert!(is_ready(&before, Some(3)) && !is_ready(&before, Some(4)));
        let failure = Failure::new(Class::NotReady, "Platform octank is not ready");
        let report = report::of_failure(&failure, false);
        let status = reported(&before, &report, Some(4), None);
        let told: Vec<_> = status
            .conditions
            .iter()
            .map(|condition| {
                (
                    condition.type_.as_str(),
                    condition.status.as_str(),
                    condition.observed_generation,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("Ready", "False", Some(4)),
                ("Reconciling", "True", Some(4)),
                ("DataReady", "True", Some(3)),
            ]
        );
    }

    #[test]
    fn the_conditions_of_the_phases_say_that_they_are_of_before_the_suspension() {
        let mut before = Status {
            conditions: vec![condition("DataReady", "True")],
            ..Status::default()
        };
        before.conditions[0].message = "2 of 2 resources are ready".to_owned();
        let suspended =
            |before: &Status| reported(before, &report::of_suspension(false), Some(3), None);
        let data = |status: &Status| {
            let mut conditions = status.conditions.iter();
            conditions
                .find(|condition| condition.type_ == "DataReady")
                .map(|condition| condition.message.clone())
        };
        let first = suspended(&before);
        let expected = "as of the suspension: 2 of 2 resources are ready";
        assert_eq!(data(&first).as_deref(), Some(expected));
        assert_eq!(data(&suspended(&first)).as_deref(), Some(expected));
    }

    #[test]
    fn a_pass_that_was_asked_for_is_answered_where_nothing_could_be_resolved() {
        let before = Status {
            last_handled_reconcile_at: Some("first".to_owned()),
            ..Status::default()
        };
        let answered = |requested: Option<&str>| {
            let report = report::of_suspension(false);
            let status = reported(&before, &report, Some(1), requested.map(str::to_owned));
            status.last_handled_reconcile_at
        };
        assert_eq!(answered(Some("second")).as_deref(), Some("second"));
        assert_eq!(answered(None).as_deref(), Some("first"));
    }

    #[test]
    fn an_annotation_is_echoed_as_far_as_there_is_room() {
        let crd = serde_json::to_value(<Platform as kube::CustomResourceExt>::crd()).unwrap();
        let room = crd
            .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/lastHandledReconcileAt/maxLength")
            .and_then(Value::as_u64)
            .unwrap();
        let echoed = echo(&"\u{e9}".repeat(500)).chars().count();
        assert_eq!(u64::try_from(echoed).unwrap(), room);
        assert_eq!(echo("2026-01-01T00:00:00Z"), "2026-01-01T00:00:00Z");
    }
}
