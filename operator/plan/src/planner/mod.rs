//! From a blueprint and what was observed to a plan. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    aws::{AwsKind, AwsResource, Change, Tags},
    blueprint::{Blueprint, Node, Wanted},
    difference::{self, Difference, show},
    failure::{Class, Failure},
    kubernetes::{
        KubernetesKind, KubernetesObject,
        readiness::{Readiness, readiness},
    },
    names::Owner,
    observed::{Lifecycle, Observation, Observed, Present},
    plan::{Action, Blocker, Effect, FieldChange, Operation, Plan, Step},
    resource::{ResourceKey, ResourceKind},
};

mod approval;
mod ownership;
mod quotas;
mod teardown;

pub use ownership::Ownership;
pub use teardown::reason_to_retain;

/// What happens to data when its owner or its place in the specification goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// Stays in AWS.
    Retain,
    /// Goes after a last snapshot; stays where AWS has none.
    Snapshot,
    /// Goes.
    Delete,
}

/// Which resources that exist already may be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdoptionPolicy {
    /// None.
    Never,
    /// Those that carry the tags of an owner of the same kind, namespace, name and cluster: the same custom resource,
    /// made again.
    IfTagged,
    /// Those that belong to no other owner.
    Adopt,
}

/// What happens when a resource was changed behind our back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriftPolicy {
    /// It is set back.
    Repair,
    /// It is told.
    Report,
}

/// Which changes a person has to approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangePolicy {
    /// None.
    Automatic,
    /// Those that customers could notice.
    ApproveDisruptive,
    /// All.
    ApproveAll,
}

/// The policies of a custom resource, all defaults applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policies {
    /// See [`DeletionPolicy`].
    pub deletion: DeletionPolicy,
    /// See [`AdoptionPolicy`].
    pub adoption: AdoptionPolicy,
    /// See [`DriftPolicy`].
    pub drift: DriftPolicy,
    /// See [`ChangePolicy`].
    pub changes: ChangePolicy,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            deletion: DeletionPolicy::Snapshot,
            adoption: AdoptionPolicy::IfTagged,
            drift: DriftPolicy::Repair,
            changes: ChangePolicy::ApproveDisruptive,
        }
    }
}

/// A resource that the custom resource is known to have made, from its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryEntry {
    /// The role it was made for.
    pub role: String,
    /// Hash of what was desired when it was last seen to be as desired; a difference with the same hash is drift.
    pub applied: Option<String>,
}

/// Resources by key, from the status.
pub type Inventory = BTreeMap<ResourceKey, InventoryEntry>;

/// Everything a plan is made from.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// Who owns the resources.
    pub owner: &'a Owner,
    /// The EKS cluster the owner lives in.
    pub cluster: &'a str,
    /// What is desired; empty where the custom resource is being deleted.
    pub blueprint: &'a Blueprint,
    /// What was found.
    pub observed: &'a Observed,
    /// What was made before.
    pub inventory: &'a Inventory,
    /// The policies.
    pub policies: Policies,
    /// The plan hash that a person approved.
    pub approved: Option<&'a str>,
    /// Whether the custom resource is being deleted.
    pub deleting: bool,
}

/// The plan for one custom resource.
#[must_use]
pub fn plan(input: &Input<'_>) -> Plan {
    let mut plan = if input.deleting {
        teardown::plan(input)
    } else {
        Planner::new(input).plan()
    };
    plan.subject = format!("{}/{}", input.owner.uid, input.owner.generation);
    approval::gate(&mut plan, input);
    plan
}

/// Whether a resource is usable by those that depend on it.
#[must_use]
pub fn is_usable(key: &ResourceKey, input: &Input<'_>) -> bool {
    match key.kind {
        ResourceKind::Aws(_) => input.observed.present(key).is_some_and(|present| {
            matches!(
                present.lifecycle,
                Lifecycle::Available | Lifecycle::Modifying
            ) && ownership::of(present, input) == Ownership::Ours
        }),
        ResourceKind::Kubernetes(_) => input
            .observed
            .kubernetes
            .get(key)
            .is_some_and(|object| object.ours && !object.is_terminating()),
    }
}

struct Planner<'a> {
    input: &'a Input<'a>,
    steps: Vec<Step>,
    unchanged: usize,
    /// Node groups that are to be made, as far as the quota of the cluster has room for them.
    new_node_groups: u32,
    /// Resources of the blueprint that are exactly as desired and do their work.
    settled: BTreeSet<ResourceKey>,
}

impl<'a> Planner<'a> {
    fn new(input: &'a Input<'a>) -> Self {
        Self {
            input,
            steps: Vec::new(),
            unchanged: 0,
            new_node_groups: 0,
            settled: BTreeSet::new(),
        }
    }

    fn plan(mut self) -> Plan {
        for (key, node) in self.input.blueprint.iter() {
            self.plan_node(key, node);
        }
        teardown::plan_leftovers(self.input, &self.settled, &mut self.steps);
        Plan {
            steps: self.steps,
            unchanged: self.unchanged,
            ..Plan::default()
        }
    }

    fn plan_node(&mut self, key: &ResourceKey, node: &Node) {
        match &node.wanted {
            Wanted::Pending(missing) => {
                let exists = self.input.observed.kubernetes.contains_key(key);
                let mut step = if exists {
                    waiting(key, "is left as it is", 0)
                } else {
                    step(key, Action::Create, Operation::Wait)
                };
                step.blocked_by = missing
                    .iter()
                    .map(|missing| Blocker::Output {
                        resource: missing.resource.clone(),
                        output: missing.output.clone(),
                    })
                    .collect();
                self.steps.push(step);
            }
            Wanted::Aws(desired) => self.plan_aws(key, node, desired),
            Wanted::Kubernetes(desired) => self.plan_kubernetes(key, node, desired),
        }
    }

    fn plan_aws(&mut self, key: &ResourceKey, node: &Node, desired: &AwsResource) {
        match self.input.observed.aws.get(key) {
            None => self.wait(key, "was not observed yet"),
            Some(Observation::Unknown(failure)) => self.refuse(key, Action::Wait, failure.clone()),
            Some(Observation::Absent) => {
                if let Some(failure) = self.over_quota(desired) {
                    return self.refuse(key, Action::Create, failure);
                }
                let mut step = step(
                    key,
                    Action::Create,
                    Operation::AwsCreate {
                        desired: Box::new(desired.clone()),
                    },
                );
                step.minutes = desired.kind().usual_minutes();
                step.blocked_by = self.unmet_at_creation(node);
                self.steps.push(step);
            }
            Some(Observation::Present(present)) => self.plan_present(key, node, desired, present),
        }
    }

    fn plan_present(
        &mut self,
        key: &ResourceKey,
        node: &Node,
        desired: &AwsResource,
        present: &Present,
    ) {
        match ownership::judge(key, present, self.input) {
            Ownership::Ours => {}
            Ownership::Adoptable if present.lifecycle == Lifecycle::Deleting => {
                return self.wait_for_aws(
                    key,
                    "is being deleted; it is made again afterwards",
                    desired.kind().usual_minutes(),
                );
            }
            Ownership::Adoptable => {
                let tags: Tags = self.input.owner.tags(self.input.cluster);
                let mut step = step(
                    key,
                    Action::Adopt,
                    Operation::AwsAdopt {
                        desired: Box::new(desired.clone()),
                    },
                );
                step.changes = vec![FieldChange {
                    field: "tags".to_owned(),
                    from: "none".to_owned(),
                    to: show(&serde_json::json!(tags)),
                    effect: Effect::None,
                }];
                self.steps.push(step);
                return;
            }
            Ownership::Foreign(failure) => return self.refuse(key, Action::Adopt, failure),
        }
        match &present.lifecycle {
            Lifecycle::Creating => {
                return self.wait_for_aws(
                    key,
                    &with_note("is being created", present),
                    desired.kind().usual_minutes(),
                );
            }
            Lifecycle::Deleting => {
                return self.wait_for_aws(
                    key,
                    "is being deleted; it is made again afterwards",
                    desired.kind().usual_minutes(),
                );
            }
            Lifecycle::Failed(reason) => return self.plan_failed(key, desired.kind(), reason),
            // A nightly backup or a maintenance also makes it busy. What was as desired before and still is, is not being changed
            // by us: it stays ready.
            Lifecycle::Modifying
                if self.is_applied(key, node)
                    && difference::aws(desired, &present.resource).is_empty() =>
            {
                return self.settle_aws(key, desired, present);
            }
            Lifecycle::Modifying => {
                return self.wait_for_aws(key, &with_note("is being changed", present), 0);
            }
            Lifecycle::Available => {}
        }
        let differences = difference::aws(desired, &present.resource);
        if differences.is_empty() || present.is_unconfirmed() {
            return self.settle_aws(key, desired, present);
        }
        let differences = self.within_quota(key, desired, differences);
        let (refused, allowed): (Vec<_>, Vec<_>) =
            differences.into_iter().partition(|difference| {
                matches!(
                    difference.field.change,
                    Change::Refused { .. } | Change::Replace
                )
            });
        for difference in &refused {
            let remedy = match difference.field.change {
                Change::Refused { remedy } => remedy,
                _ => "delete the resource in AWS, and it is made again",
            };
            let failure = Failure::invalid(
                difference.field.name,
                &format!(
                    "AWS cannot change {} of {key} from {} to {}",
                    difference.field.name,
                    show(&difference.from),
                    show(&difference.to)
                ),
                remedy,
            );
            self.refuse(key, Action::Update, failure);
        }
        if !allowed.is_empty() {
            let step = self.update(key, node, desired, present, &allowed);
            self.steps.push(step);
        }
    }

    fn update(
        &self,
        key: &ResourceKey,
        node: &Node,
        desired: &AwsResource,
        present: &Present,
        differences: &[Difference],
    ) -> Step {
        let fields = differences
            .iter()
            .map(|difference| difference.field.name.to_owned())
            .collect();
        let mut step = step(
            key,
            Action::Update,
            Operation::AwsUpdate {
                desired: Box::new(desired.clone()),
                fields,
            },
        );
        for difference in differences {
            let (effect, reversible, minutes) = match difference.field.change {
                Change::InPlace {
                    effect,
                    reversible,
                    minutes,
                } => (effect, reversible, minutes),
                Change::GrowOnly { effect, minutes } => (effect, false, minutes),
                Change::Replace | Change::Refused { .. } | Change::CreateOnly => {
                    (Effect::None, true, 0)
                }
            };
            let effect = desired
                .effect(&present.resource, difference.field.name)
                .unwrap_or(effect);
            step.effect = step.effect.max(effect);
            step.reversible &= reversible;
            step.minutes = step.minutes.max(minutes);
            step.changes.push(FieldChange {
                field: difference.field.name.to_owned(),
                from: show(&difference.from),
                to: show(&difference.to),
                effect,
            });
        }
        if self.is_drift(key, node) && self.input.policies.drift == DriftPolicy::Report {
            step.blocked_by.push(Blocker::DriftReported);
        }
        step.blocked_by.extend(self.unmet(node));
        step
    }

    /// A group of nodes that EKS gave up on holds nothing: it is taken away and made again. Data is left to a person.
    fn plan_failed(&mut self, key: &ResourceKey, kind: AwsKind, reason: &str) {
        let failure = Failure::new(Class::Invalid, format!("{key} failed in AWS: {reason}"));
        if kind == AwsKind::NodeGroup {
            let mut step = step(
                key,
                Action::Replace,
                Operation::AwsDelete {
                    mode: crate::plan::DeleteMode::Everything,
                },
            );
            step.minutes = kind.usual_minutes();
            step.changes = vec![FieldChange {
                field: "status".to_owned(),
                from: show(&serde_json::Value::from(reason)),
                to: "ACTIVE".to_owned(),
                effect: Effect::None,
            }];
            self.steps.push(step);
        } else {
            self.refuse(
                key,
                Action::Wait,
                failure
                    .with_remedy("mend or delete it in AWS; what AWS says of it is in its events"),
            );
        }
    }

    fn plan_kubernetes(&mut self, key: &ResourceKey, node: &Node, desired: &KubernetesObject) {
        let apply = || Operation::KubernetesApply {
            desired: Box::new(desired.clone()),
        };
        let Some(found) = self.input.observed.kubernetes.get(key) else {
            let mut step = step(key, Action::Create, apply());
            step.blocked_by = self.unmet_at_creation(node);
            self.steps.push(step);
            return;
        };
        if !found.ours {
            let failure = Failure::new(
                Class::Conflict,
                format!("{key} exists and belongs to somebody else"),
            )
            .with_remedy("rename the custom resource, or delete that object");
            return self.refuse(key, Action::Update, failure);
        }
        if found.is_terminating() {
            return self.wait(key, "is being deleted; it is made again afterwards");
        }
        let differences = difference::kubernetes(&desired.comparable(), &found.body);
        if differences.is_empty() {
            return match readiness(desired.kind, &found.body) {
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
        let rolls = desired.kind == KubernetesKind::Deployment
            && differences
                .iter()
                .any(|(path, ..)| path.starts_with("spec.template"));
        step.effect = if rolls { Effect::Rolling } else { Effect::None };
        step.changes = differences
            .iter()
            .map(|(path, from, to)| {
                let secret = desired.kind == KubernetesKind::Secret && path.starts_with("data");
                FieldChange {
                    field: path.clone(),
                    from: if secret {
                        "(secret)".to_owned()
                    } else {
                        show(from)
                    },
                    to: if secret {
                        "(another secret)".to_owned()
                    } else {
                        show(to)
                    },
                    effect: if path.starts_with("spec.template") {
                        step.effect
                    } else {
                        Effect::None
                    },
                }
            })
            .collect();
        if self.is_drift(key, node) && self.input.policies.drift == DriftPolicy::Report {
            step.blocked_by.push(Blocker::DriftReported);
        }
        step.blocked_by.extend(self.unmet(node));
        self.steps.push(step);
    }

    /// As desired; a node group also has to have its nodes.
    fn settle_aws(&mut self, key: &ResourceKey, desired: &AwsResource, present: &Present) {
        if let (AwsResource::NodeGroup(group), AwsResource::NodeGroup(_)) =
            (desired, &present.resource)
        {
            let nodes = self
                .input
                .observed
                .nodes
                .get(&group.name)
                .copied()
                .unwrap_or_default();
            let least = usize::try_from(group.min_size).unwrap_or(0);
            if nodes.ready < least {
                return self.wait(key, &format!("{} of {least} nodes are ready", nodes.ready));
            }
        }
        self.settle(key);
    }

    fn settle(&mut self, key: &ResourceKey) {
        self.settled.insert(key.clone());
        self.unchanged += 1;
    }

    /// The dependencies of a node that are not usable yet.
    fn unmet(&self, node: &Node) -> Vec<Blocker> {
        node.depends_on
            .iter()
            .filter(|key| !is_usable(key, self.input))
            .cloned()
            .map(Blocker::Resource)
            .collect()
    }

    /// The dependencies of something new that are not usable, or not yet as they are desired: a database made before the
    /// parameters of its group are set would need a reboot, pods that start before their role has its policy would fail.
    fn unmet_at_creation(&self, node: &Node) -> Vec<Blocker> {
        node.depends_on
            .iter()
            .filter(|key| {
                !is_usable(key, self.input) || !(self.was_applied(key) || self.is_as_desired(key))
            })
            .cloned()
            .map(Blocker::Resource)
            .collect()
    }

    /// Whether it was complete before. A later change of it may wait for a person, be refused, or be drift that is only told: pods
    /// that were deleted meanwhile have to come back all the same.
    fn was_applied(&self, key: &ResourceKey) -> bool {
        self.input
            .inventory
            .get(key)
            .is_some_and(|entry| entry.applied.is_some())
    }

    fn is_as_desired(&self, key: &ResourceKey) -> bool {
        match (
            self.input.blueprint.get(key).map(|node| &node.wanted),
            self.input.observed.present(key),
        ) {
            (Some(Wanted::Aws(desired)), Some(present)) => {
                present.is_unconfirmed() || difference::aws(desired, &present.resource).is_empty()
            }
            _ => true,
        }
    }

    /// A difference while the desired value is the one that was reached before: somebody else changed it.
    fn is_drift(&self, key: &ResourceKey, node: &Node) -> bool {
        self.is_applied(key, node)
    }

    /// Whether it was seen to be as it is desired now.
    fn is_applied(&self, key: &ResourceKey, node: &Node) -> bool {
        let applied = self
            .input
            .inventory
            .get(key)
            .and_then(|entry| entry.applied.as_deref());
        applied.is_some() && applied == node.intent().as_deref()
    }

    fn wait(&mut self, key: &ResourceKey, reason: &str) {
        self.wait_for_aws(key, reason, 0);
    }

    fn wait_for_aws(&mut self, key: &ResourceKey, reason: &str, minutes: u16) {
        self.steps.push(waiting(key, reason, minutes));
    }

    fn refuse(&mut self, key: &ResourceKey, action: Action, failure: Failure) {
        let mut step = step(key, action, Operation::Wait);
        step.blocked_by = vec![Blocker::Refused(failure)];
        self.steps.push(step);
    }
}

/// A step with nothing in it but what it does.
fn step(key: &ResourceKey, action: Action, operation: Operation) -> Step {
    Step {
        key: key.clone(),
        action,
        changes: Vec::new(),
        effect: Effect::None,
        reversible: true,
        minutes: 0,
        blocked_by: Vec::new(),
        operation,
    }
}

/// What AWS says of a resource beside its state, such as that it was stopped.
fn with_note(state: &str, present: &Present) -> String {
    present
        .note
        .as_ref()
        .map_or_else(|| state.to_owned(), |note| format!("{state} ({note})"))
}

/// A step that waits for AWS or Kubernetes; the reason is told as the value of `status`.
fn waiting(key: &ResourceKey, reason: &str, minutes: u16) -> Step {
    let mut step = step(key, Action::Wait, Operation::Wait);
    step.minutes = minutes;
    step.changes = vec![FieldChange {
        field: "status".to_owned(),
        from: reason.to_owned(),
        to: "ready".to_owned(),
        effect: Effect::None,
    }];
    step
}
