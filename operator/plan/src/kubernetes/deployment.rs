//! Deployment.

use serde_json::{Value, json};
use shopkeeper_api::{
    defaults,
    workload::{Rollout, RolloutType},
};

use super::{
    KubernetesKind, KubernetesObject,
    bindings::{self, Bound},
    object::{Frame, ObjectBuilder},
    pod,
};
use crate::resolve::{Component, Replicas};

/// The pods. Where an autoscaler scales them, `replicas` is no part of what is desired: claiming it would fight the autoscaler
/// at every apply.
pub fn build(
    frame: &Frame<'_>,
    component: &Component,
    bound: &Bound,
    marks: &[pod::Mark],
) -> KubernetesObject {
    let rollout = component.workload.rollout.as_ref();
    let mut spec = json!({
        "selector": {"matchLabels": frame.selector()},
        "strategy": strategy(rollout),
        "progressDeadlineSeconds": rollout.and_then(|rollout| rollout.progress_deadline_seconds).unwrap_or(defaults::PROGRESS_DEADLINE_SECONDS),
        "template": pod::template(frame, component, bound, marks),
    });
    if let Some(seconds) = rollout
        .and_then(|rollout| rollout.min_ready_seconds)
        .filter(|seconds| *seconds > 0)
    {
        spec["minReadySeconds"] = Value::from(seconds);
    }
    let mut deployment = ObjectBuilder::new(frame, KubernetesKind::Deployment, &component.name);
    match &component.replicas {
        Replicas::Fixed(replicas) => spec["replicas"] = Value::from(*replicas),
        Replicas::Autoscale(range) => deployment = deployment.autoscaled_from(range.min),
    }
    if bound.hash().is_some() {
        let mut without_hash = spec.clone();
        if let Some(annotations) = without_hash
            .pointer_mut("/template/metadata/annotations")
            .and_then(Value::as_object_mut)
        {
            annotations.remove(pod::BINDINGS_ANNOTATION);
        }
        let of = json!([without_hash, bound.forms()]);
        deployment = deployment.annotations(bindings::form(&of));
    }
    deployment.with("spec", spec).build()
}

fn strategy(rollout: Option<&Rollout>) -> Value {
    if rollout.and_then(|rollout| rollout.type_) == Some(RolloutType::Recreate) {
        return json!({"type": "Recreate"});
    }
    let max_surge = rollout
        .and_then(|rollout| rollout.max_surge.as_ref())
        .map_or_else(|| json!(defaults::MAX_SURGE), |value| json!(value));
    let max_unavailable = rollout
        .and_then(|rollout| rollout.max_unavailable.as_ref())
        .map_or_else(|| json!(defaults::MAX_UNAVAILABLE), |value| json!(value));
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": max_surge, "maxUnavailable": max_unavailable}})
}
