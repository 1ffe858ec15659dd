//! What has to be done about an AWS resource of the blueprint.

use serde_json::json;

use super::{
    DriftPolicy, Input, InventoryEntry, Planner,
    ownership::{self, Ownership},
    places, refused, scaling, step,
};
use crate::{
    aws::{AwsKind, AwsResource, Change, Tags},
    blueprint::Node,
    difference::{self, Difference, show},
    failure::{Class, Failure},
    observed::{Lifecycle, NodeGroupNodes, Observation, Present},
    plan::{Action, Blocker, DeleteMode, Effect, FieldChange, Operation, Step},
    resource::{ResourceKey, ResourceKind},
};

impl Planner<'_> {
    pub(super) fn plan_aws(&mut self, key: &ResourceKey, node: &Node, desired: &AwsResource) {
        match self.input.observed.aws.get(key) {
            None => self.wait(key, "was not observed yet"),
            Some(Observation::Unknown(failure))
                if self.input.observed.unseen(key).is_some() && self.is_applied(key, node) =>
            {
                self.stay(key, failure.clone());
                self.tell_known_drift(key);
            }
            Some(Observation::Unknown(failure)) => self.refuse(key, Action::Wait, failure.clone()),
            Some(Observation::Absent) => self.plan_absent(key, node, desired),
            Some(Observation::Present(present)) => self.plan_present(key, node, desired, present),
        }
    }

    /// What was complete before and is gone was taken away by somebody else: what we delete ourselves is not known as complete any
    /// more (`inventory::with_intentions`). Making it anew brings back no data, and hides that it is lost.
    fn plan_absent(&mut self, key: &ResourceKey, node: &Node, desired: &AwsResource) {
        let is_gone = self.was_applied(key);
        let is_told = is_gone && self.input.policies.drift == DriftPolicy::Report;
        if let Some(other) = places::in_doubt(key, self.input) {
            return self.wait(key, &format!("waits until {other} is confirmed to be gone"));
        }
        if !is_told && let Some(failure) = self.over_quota(desired) {
            return self.refuse(key, Action::Create, failure);
        }
        let mut step = step(
            key,
            Action::Create,
            Operation::AwsCreate {
                desired: Box::new(places::as_it_begins(key, desired, self.input)),
            },
        );
        step.minutes = desired.kind().usual_minutes();
        step.is_repair = is_gone;
        if is_gone && let Some(way_back) = desired.kind().way_back() {
            step.effect = Effect::DataLoss;
            step.reversible = false;
            step.changes = vec![FieldChange {
                field: "status".to_owned(),
                from: "gone".to_owned(),
                to: format!("made anew and empty, unless you {way_back}"),
                effect: step.effect,
            }];
        }
        // Every pod of the workload goes with it, and nobody asked for that by an edit of its nodes: a subnet went, or a zone came.
        if !is_gone && let Some(old) = places::moved_from(key, self.input) {
            step.effect = places::MOVE;
            let subnets = |resource: &AwsResource| show(&json!(resource.subnets_of_place()));
            step.changes = vec![FieldChange {
                field: "subnets".to_owned(),
                from: subnets(&old.resource),
                to: subnets(desired),
                effect: step.effect,
            }];
        }
        if is_told {
            step.blocked_by = vec![Blocker::DriftReported];
        }
        step.blocked_by.extend(self.unmet_at_creation(node));
        self.steps.push(step);
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
            Ownership::Unknown(failure) if self.is_applied(key, node) => {
                return self.stay(key, failure);
            }
            Ownership::Unknown(failure) => return self.refuse(key, Action::Wait, failure),
        }
        let nodes = self.nodes_of(key);
        if present.lifecycle == Lifecycle::Available
            && nodes.is_some_and(|nodes| nodes.cordoned_by_us().next().is_some())
        {
            return self
                .steps
                .push(step(key, Action::Update, Operation::UncordonNodes));
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
            Lifecycle::Failed(reason) => {
                return self.plan_failed(key, node, present, reason);
            }
            Lifecycle::DeletionFailed(reason) => {
                return self
                    .steps
                    .push(delete_again(key, Action::Replace, reason, self.input));
            }
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
        // It is another one than is wanted: AWS would refuse, and what else differs belongs to the one that is wanted.
        if let Some(failure) = other_than_wanted(key, &differences) {
            return self.refuse(key, Action::Update, failure);
        }
        let differences = self.within_quota(key, desired, differences);
        let differences = self.not_asked_for_in_vain(key, present, differences);
        if !differences.is_empty() {
            let step = self.update(key, node, desired, present, &differences);
            self.steps.push(step);
        }
    }

    /// The differences without those that AWS was asked to bring and has not: asking again would change nothing.
    fn not_asked_for_in_vain(
        &mut self,
        key: &ResourceKey,
        present: &Present,
        differences: Vec<Difference>,
    ) -> Vec<Difference> {
        let in_vain = |difference: &Difference| {
            let (field, desired) = (difference.field.name, &difference.to);
            present.not_applied(field, desired)
        };
        if let Some(note) = differences.iter().find_map(in_vain) {
            let failure = Failure::new(Class::Invalid, format!("{key}: {}", note.text)).with_remedy(
                "look at its events in AWS, which say why (no capacity, a reboot that is missing), and mend that; or take the \
                 change back",
            );
            self.refuse(key, Action::Update, failure);
        }
        let mut differences = differences;
        differences.retain(|difference| in_vain(difference).is_none());
        differences
    }

    /// What was seen before the silence goes on being told.
    fn tell_known_drift(&mut self, key: &ResourceKey) {
        let known = self.input.observed.lately.get(key);
        if let Some(seen) = known.filter(|seen| !seen.drift.is_empty())
            && self.input.policies.drift == DriftPolicy::Report
        {
            let mut step = step(key, Action::Update, Operation::Wait);
            step.changes = seen.drift.clone();
            step.blocked_by = vec![Blocker::DriftReported];
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
        // What an autoscaler has set goes along unchanged in a call that sets what is ours.
        let yielding = desired.yielding_to(&present.resource);
        let mut step = step(
            key,
            Action::Update,
            Operation::AwsUpdate {
                desired: Box::new(yielding),
                fields,
            },
        );
        // What was never complete and is empty is being made, and has nothing to lose by what creating it does not set. Of a table that was
        // there before that is not said: DynamoDB counts items every six hours.
        let counts_late = desired.kind() == AwsKind::DynamoDbTable;
        let was_made =
            |entry: &InventoryEntry| entry.applied.is_none() && !(entry.adopted && counts_late);
        let holds_nothing =
            present.empty == Some(true) && self.input.inventory.get(key).is_some_and(was_made);
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
            let own = effect;
            let effect = match desired.effect(&present.resource, difference.field.name) {
                Some(Effect::DataLoss) if holds_nothing => own,
                depending => depending.unwrap_or(own),
            };
            step.effect = step.effect.max(effect);
            step.reversible &= reversible;
            step.minutes = step.minutes.max(minutes);
            step.changes.push(FieldChange {
                field: difference.field.name.to_owned(),
                from: show(&difference.from),
                to: difference.wanted(),
                effect,
            });
        }
        step.is_repair = self.is_drift(key, node);
        if step.is_repair && self.input.policies.drift == DriftPolicy::Report {
            step.blocked_by.push(Blocker::DriftReported);
        }
        step.blocked_by.extend(self.unmet(node));
        step.blocked_by
            .extend(scaling::in_the_way(key, differences, self.input));
        step
    }

    /// A place for pods that EKS gave up on holds nothing: it is taken away and made again, once. What made it fail twice (no
    /// capacity, a network without a way to the cluster) is as likely to do so a third time. Data is left to a person at once.
    fn plan_failed(&mut self, key: &ResourceKey, node: &Node, present: &Present, reason: &str) {
        let kind = present.resource.kind();
        let refused = |times, remedy| {
            let message = format!("{key} failed in AWS{times}: {reason}");
            Failure::new(Class::Invalid, message).with_remedy(remedy)
        };
        if !kind.is_place() {
            let remedy = "mend or delete it in AWS; what AWS says of it is in its events";
            return self.refuse(key, Action::Wait, refused("", remedy));
        }
        if self.was_remade(key, node, present) {
            let remedy = "take away what made it fail, then delete it in EKS, and it is made again; or change it in the \
                          specification (spec.nodes of the workload)";
            return self.refuse(key, Action::Wait, refused(" for the second time", remedy));
        }
        let mut step = step(
            key,
            Action::Replace,
            Operation::AwsDelete {
                mode: DeleteMode::Everything,
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
    }

    /// Whether just what is desired now failed before, was made again, and was not seen to work since.
    fn was_remade(&self, key: &ResourceKey, node: &Node, present: &Present) -> bool {
        let remade = self
            .input
            .inventory
            .get(key)
            .and_then(|entry| entry.remade_for.as_ref());
        remade
            .zip(node.intent())
            .is_some_and(|(remade, intent)| remade.is_for(&intent, present))
    }

    /// As desired; it also has to work, and a node group to have its nodes.
    fn settle_aws(&mut self, key: &ResourceKey, desired: &AwsResource, present: &Present) {
        if let Some(failure) = present.outage(key) {
            return self.refuse(key, Action::Wait, failure);
        }
        if desired.kind() == AwsKind::NodeGroup {
            let nodes = self.nodes_of(key);
            let ready = nodes.map_or(0, NodeGroupNodes::ready);
            let least = places::least_nodes(key, present, self.input);
            if ready < least {
                let cordoned = match nodes.map_or(0, NodeGroupNodes::cordoned) {
                    0 => String::new(),
                    cordoned => format!(", cordoned: {cordoned}"),
                };
                return self.wait(
                    key,
                    &format!("{ready} of {least} nodes are ready{cordoned}"),
                );
            }
        }
        self.settle(key);
    }

    fn nodes_of(&self, key: &ResourceKey) -> Option<&NodeGroupNodes> {
        (key.kind == ResourceKind::Aws(AwsKind::NodeGroup))
            .then(|| self.input.observed.nodes.get(&key.name))
            .flatten()
    }
}

/// The fields that AWS never changes, with what is there, what is wanted, and what a person can do.
fn other_than_wanted(key: &ResourceKey, differences: &[Difference]) -> Option<Failure> {
    let mut fields = Vec::new();
    let mut changes = Vec::new();
    let mut remedies: Vec<&str> = Vec::new();
    let mut holds_data = false;
    for difference in differences {
        let remedy = match difference.field.change {
            Change::Refused { remedy } => {
                holds_data = true;
                remedy
            }
            Change::Replace => "delete the resource in AWS, and it is made again",
            Change::InPlace { .. } | Change::GrowOnly { .. } | Change::CreateOnly => continue,
        };
        let name = difference.field.name;
        fields.push(name);
        changes.push(format!(
            "{name} from {} to {}",
            show(&difference.from),
            show(&difference.to)
        ));
        if !remedies.contains(&remedy) {
            remedies.push(remedy);
        }
    }
    if fields.is_empty() {
        return None;
    }
    let anew = "or take it out of the specification, and declare it again once it is gone from AWS";
    remedies.extend(holds_data.then_some(anew));
    Some(Failure::invalid(
        &fields.join(", "),
        &format!(
            "AWS cannot change {}; until then nothing is changed of {key}",
            changes.join(", nor ")
        ),
        &remedies.join("; "),
    ))
}

/// AWS tried to delete it and could not: it is told why, and deleted again, less and less often.
pub(super) fn delete_again(
    key: &ResourceKey,
    action: Action,
    reason: &str,
    input: &Input<'_>,
) -> Step {
    if input.observed.not_yet.contains(key) {
        let failure = Failure::new(Class::Invalid, format!("{key}: {reason}")).with_remedy(
            "take away what keeps it in AWS, which its health issues name (a security group or network interface that something \
             uses, a role that is gone); its deletion is tried again by itself",
        );
        return refused(key, action, failure);
    }
    let mut step = step(
        key,
        action,
        Operation::AwsDelete {
            mode: DeleteMode::Everything,
        },
    );
    step.minutes = step_minutes(key);
    step.changes = vec![FieldChange {
        field: "status".to_owned(),
        from: show(&serde_json::Value::from(reason)),
        to: "gone".to_owned(),
        effect: Effect::None,
    }];
    step
}

fn step_minutes(key: &ResourceKey) -> u16 {
    match key.kind {
        ResourceKind::Aws(kind) => kind.usual_minutes(),
        ResourceKind::Kubernetes(_) => 0,
    }
}

/// What AWS says of a resource beside its state, such as that it was stopped.
pub(super) fn with_note(state: &str, present: &Present) -> String {
    present
        .note
        .as_ref()
        .map_or_else(|| state.to_owned(), |note| format!("{state} ({note})"))
}
