//! What has to be done about a Kubernetes object of the blueprint.

use std::cmp::Reverse;

use serde_json::Value;

use super::{DriftPolicy, Planner, ownership::foreign_object, step};
use crate::{
    blueprint::Node,
    difference::show,
    failure::{Class, Failure},
    kubernetes::{
        KubernetesKind, KubernetesObject, ingress,
        readiness::{Autoscaled, Readiness, readiness},
    },
    plan::{Action, Blocker, Effect, FieldChange, Operation},
    resource::ResourceKey,
};

impl Planner<'_> {
    pub(super) fn plan_kubernetes(
        &mut self,
        key: &ResourceKey,
        node: &Node,
        desired: &KubernetesObject,
    ) {
        let apply = || Operation::KubernetesApply {
            desired: Box::new(desired.clone()),
        };
        if let Some(failure) = self.input.observed.unlisted(key) {
            return self.refuse(key, Action::Wait, failure);
        }
        let Some(found) = self.input.observed.kubernetes.get(key) else {
            let mut step = step(key, Action::Create, apply());
            step.blocked_by = self.unmet_at_creation(node);
            self.steps.push(step);
            return;
        };
        if !found.ours && found.is_terminating() {
            return self.wait(
                key,
                "is somebody else's and being deleted; it is made afterwards",
            );
        }
        if !found.ours {
            let failure = foreign_object(key, &found.body);
            return self.refuse(key, Action::Adopt, failure);
        }
        if found.is_terminating() {
            let ending = found.ending();
            return self.wait(key, &format!("{ending}; it is made again afterwards"));
        }
        let mut differences = desired.differences(&found.body);
        let is_added = |to: &Value| to.is_null();
        let reported = self.input.policies.drift == DriftPolicy::Report;
        // What somebody added is only told beside a change that is asked for.
        if reported && differences.iter().any(|(_, _, to)| !is_added(to)) {
            differences.retain(|(_, _, to)| !is_added(to));
        }
        if differences.is_empty() {
            let autoscaled = desired.autoscaled_from.map(|least| Autoscaled {
                least,
                rolled_out: self.is_applied(key, node),
            });
            return match readiness(desired.kind, &found.body, autoscaled) {
                Readiness::Ready => self.settle(key),
                Readiness::Progressing(reason) => self.wait(key, &reason),
                Readiness::Failed(reason) => self.refuse(
                    key,
                    Action::Wait,
                    Failure::new(Class::Invalid, format!("{key}: {reason}"))
                        .with_remedy("look at the pods: kubectl describe pods, kubectl logs"),
                ),
            };
        }
        let mut step = step(key, Action::Update, apply());
        let is_drift =
            self.is_drift(key, node) || differences.iter().all(|(_, _, to)| is_added(to));
        step.effect = if desired.exchanges_pods_of(&found.body, &differences) {
            effect_of_exchange(desired)
        } else if !is_drift && ingress::moves(desired, &found.body) {
            // What somebody moved is moved back at once: it may have been opened to the internet.
            Effect::Downtime
        } else {
            Effect::None
        };
        let managers = desired.added_by(&found.body);
        step.changes = differences
            .iter()
            .map(|(path, from, to)| {
                let secret = desired.kind == KubernetesKind::Secret && path.starts_with("data");
                FieldChange {
                    field: path.clone(),
                    from: if is_added(to) {
                        // Its value may be a secret: nobody asked whoever added it to keep secrets apart.
                        match managers.get(path).and_then(Option::as_ref) {
                            Some(manager) => {
                                format!("added by {}", show(&Value::from(manager.as_str())))
                            }
                            // Nobody else added it: it was asked for, and is not any more.
                            None if ingress::is_of_move(path) => show(from),
                            None => "added".to_owned(),
                        }
                    } else if secret {
                        "(secret)".to_owned()
                    } else {
                        show(from)
                    },
                    to: if secret && !is_added(to) {
                        "(another secret)".to_owned()
                    } else {
                        show(to)
                    },
                    effect: if path.starts_with("spec.template") || ingress::is_of_move(path) {
                        step.effect
                    } else {
                        Effect::None
                    },
                }
            })
            .collect();
        // What interrupts is told first: of many changes only some are shown.
        if desired.kind == KubernetesKind::Ingress {
            step.changes.sort_by_key(|change| Reverse(change.effect));
        }
        step.is_repair = is_drift;
        if is_drift && reported {
            step.blocked_by.push(Blocker::DriftReported);
        }
        step.blocked_by.extend(self.unmet(node));
        self.steps.push(step);
    }
}

/// What it does to traffic when the pods of a Deployment are exchanged. The strategy that is desired counts: it is applied together
/// with the pods.
fn effect_of_exchange(deployment: &KubernetesObject) -> Effect {
    match deployment.body.pointer("/spec/strategy/type") {
        Some(strategy) if strategy == "Recreate" => Effect::Downtime,
        _ => Effect::Rolling,
    }
}
