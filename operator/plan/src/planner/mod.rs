//! From a blueprint and what was observed to a plan. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    allowed::Allowed,
    blueprint::{Blueprint, Node, Wanted},
    difference,
    facts::ClusterArn,
    failure::Failure,
    names::Owner,
    observed::{Lifecycle, Observed, Present},
    plan::{Action, Blocker, Decision, Effect, FieldChange, Operation, Plan, ShownPlan, Step},
    resource::{ResourceKey, ResourceKind},
};

mod approval;
mod aws;
mod dead_letters;
mod kubernetes;
mod outdated;
mod ownership;
mod places;
mod pods;
mod quotas;
mod remade;
mod scaling;
mod teardown;

pub use ownership::{Ownership, foreign_object};
pub use remade::Remade;
pub(crate) use remade::is_remade;
pub use shopkeeper_api::policy::{AdoptionPolicy, ChangePolicy, DeletionPolicy, DriftPolicy};
pub use teardown::{leaves_data, reason_to_retain};

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
    /// That AWS gave up on it and it was deleted to be made again. If the same fails once more before it was seen to be as desired,
    /// a person has to act.
    pub remade_for: Option<Remade>,
    /// Whether it was there before this inventory, taken over or found by its tags: nobody here knows what is in it.
    pub adopted: bool,
}

impl InventoryEntry {
    /// An entry of something that was never seen to be as desired.
    pub(crate) fn new(role: &str) -> Self {
        Self {
            role: role.to_owned(),
            applied: None,
            remade_for: None,
            adopted: false,
        }
    }
}

/// Resources by key, from the status.
pub type Inventory = BTreeMap<ResourceKey, InventoryEntry>;

/// Everything a plan is made from.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// Who owns the resources.
    pub owner: &'a Owner,
    /// The EKS cluster the owner lives in.
    pub cluster: &'a ClusterArn,
    /// What is desired; empty where a custom resource that is being deleted cannot be resolved.
    pub blueprint: &'a Blueprint,
    /// What was found.
    pub observed: &'a Observed,
    /// What was made before.
    pub inventory: &'a Inventory,
    /// The policies.
    pub policies: Policies,
    /// Names of what [`AdoptionPolicy::Adopt`] may take over.
    pub adoptable: &'a Allowed,
    /// The plan hash that a person approved.
    pub approved: Option<&'a str>,
    /// The plan hash that was approved last; approving it again approves nothing.
    pub last_approval: Option<&'a str>,
    /// What was approved before and was not seen to be done.
    pub decisions: &'a [Decision],
    /// The plan that people see.
    pub shown: &'a ShownPlan,
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

/// Whether a resource is usable by those that depend on it. In the stead of a node group that is to be made in other subnets the old
/// one serves: pods are changed while it waits for approval.
#[must_use]
pub fn is_usable(key: &ResourceKey, input: &Input<'_>) -> bool {
    match key.kind {
        ResourceKind::Aws(_) => {
            let present = input.observed.present(key);
            present.is_some_and(|present| serves(present, input))
                || places::moved_from(key, input).is_some()
        }
        ResourceKind::Kubernetes(_) => input
            .observed
            .kubernetes
            .get(key)
            .is_some_and(|object| object.ours && !object.is_terminating()),
    }
}

/// Whether it is ours and works.
fn serves(present: &Present, input: &Input<'_>) -> bool {
    matches!(
        present.lifecycle,
        Lifecycle::Available | Lifecycle::Modifying
    ) && ownership::of(present, input) == Ownership::Ours
}

struct Planner<'a> {
    input: &'a Input<'a>,
    steps: Vec<Step>,
    unchanged: usize,
    /// Node groups that are to be made, as far as the quota of the cluster has room for them.
    new_node_groups: u32,
    /// Fargate profiles, in the same way.
    new_fargate_profiles: u32,
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
            new_fargate_profiles: 0,
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
                // What is wanted cannot be said without what AWS does not tell just now.
                let unseen: Option<Vec<&Failure>> = missing
                    .iter()
                    .map(|missing| self.input.observed.unseen(&missing.resource))
                    .collect();
                if let Some(failure) = unseen.as_ref().and_then(|unseen| unseen.first())
                    && self.was_there(key)
                {
                    return self.stay(key, (*failure).clone());
                }
                let exists = self.input.observed.kubernetes.contains_key(key)
                    || self.input.observed.present(key).is_some();
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
                    .chain(node.awaits.iter().cloned().map(Blocker::Missing))
                    .collect();
                self.steps.push(step);
            }
            Wanted::Held(failure) => {
                let action = if self.input.observed.kubernetes.contains_key(key) {
                    Action::Wait
                } else {
                    Action::Create
                };
                self.refuse(key, action, failure.clone());
                self.await_parts(key, node);
            }
            Wanted::Aws(desired) => self.plan_aws(key, node, desired),
            Wanted::Kubernetes(desired) => {
                self.plan_kubernetes(key, node, desired);
                self.await_parts(key, node);
            }
        }
    }

    /// Tells of the parts that wait for what they refer to. It does not count as settled: what a part that stays as it is leads to may be
    /// what is left over.
    fn await_parts(&mut self, key: &ResourceKey, node: &Node) {
        if node.awaits.is_empty() {
            return;
        }
        if self.settled.remove(key) {
            self.unchanged -= 1;
        }
        let mut step = waiting(key, "is left in part as it is", 0);
        step.blocked_by = node.awaits.iter().cloned().map(Blocker::Missing).collect();
        self.steps.push(step);
    }

    /// Whether it is there, as far as is known without asking AWS.
    fn was_there(&self, key: &ResourceKey) -> bool {
        match key.kind {
            ResourceKind::Aws(_) => self.was_applied(key),
            ResourceKind::Kubernetes(_) => is_usable(key, self.input),
        }
    }

    /// It was as desired a moment ago, and AWS does not answer just now: it is left alone, and nothing is built on it.
    fn stay(&mut self, key: &ResourceKey, failure: Failure) {
        let mut step = waiting(key, "was as declared", 0);
        step.blocked_by = vec![Blocker::NotObserved(failure)];
        self.steps.push(step);
    }

    fn settle(&mut self, key: &ResourceKey) {
        self.settled.insert(key.clone());
        self.unchanged += 1;
    }

    /// The dependencies of a node that are not usable yet.
    fn unmet(&self, node: &Node) -> Vec<Blocker> {
        node.depends_on
            .iter()
            .filter(|key| !is_usable(key, self.input) || !self.is_fit_for(node, key))
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
                !is_usable(key, self.input)
                    || !self.is_fit_for(node, key)
                    || !(self.was_applied(key) || self.is_as_desired(key))
            })
            .cloned()
            .map(Blocker::Resource)
            .collect()
    }

    /// Whether a dependency is as AWS wants it to be for this node: a scalable target needs a table of provisioned capacity.
    fn is_fit_for(&self, node: &Node, dependency: &ResourceKey) -> bool {
        match (&node.wanted, self.input.observed.present(dependency)) {
            (Wanted::Aws(desired), Some(present)) => desired.can_rest_on(&present.resource),
            _ => true,
        }
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
        self.steps.push(refused(key, action, failure));
    }
}

/// A step that is not taken, and why.
fn refused(key: &ResourceKey, action: Action, failure: Failure) -> Step {
    let mut step = step(key, action, Operation::Wait);
    step.blocked_by = vec![Blocker::Refused(failure)];
    step
}

/// A step with nothing in it but what it does.
pub(crate) fn step(key: &ResourceKey, action: Action, operation: Operation) -> Step {
    Step {
        key: key.clone(),
        action,
        changes: Vec::new(),
        effect: Effect::None,
        reversible: true,
        minutes: 0,
        blocked_by: Vec::new(),
        operation,
        is_repair: false,
    }
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
