//! The status of a custom resource.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use serde_json::Value;
use shopkeeper_api::{
    Managed,
    status::{Replicas, Status},
};
use shopkeeper_plan::{
    inventory,
    observed::Observed,
    planner::Inventory,
    report::{self, Report},
};

use super::{Scoped, Subject};

/// The status after a pass; kinds add to it.
pub(super) fn status<K: Scoped>(
    subject: &Subject<'_, K>,
    report: &Report,
    inventory: &Inventory,
    observed: &Observed,
) -> Status {
    let mut status = Status {
        inventory: inventory::to_status(inventory, observed, &subject.status().inventory),
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
pub(super) fn set_conditions(status: &mut Status, report: &Report, generation: Option<i64>) {
    status.observed_generation = generation;
    status.conditions = report
        .conditions
        .iter()
        .map(|draft| Condition {
            type_: draft.r#type.to_owned(),
            status: draft.status.to_owned(),
            reason: draft.reason.to_owned(),
            message: draft.message.clone(),
            observed_generation: generation,
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        })
        .collect();
}

/// The status as JSON; empty where there is none.
pub(super) fn json_of<K: Managed>(object: &K) -> Value {
    serde_json::to_value(object)
        .ok()
        .and_then(|mut value| value.get_mut("status").map(Value::take))
        .filter(Value::is_object)
        .unwrap_or_else(|| Value::Object(serde_json::Map::new()))
}
