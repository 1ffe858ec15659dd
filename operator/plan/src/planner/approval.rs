//! Which steps wait for a person, and which were approved.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{ChangePolicy, Input, outdated, scaling};
use crate::{
    aws::Change,
    blueprint::Node,
    difference::{self, Difference, canonical},
    observed::Observation,
    plan::{Action, Blocker, Decision, Effect, FieldChange, Operation, Plan, Step},
    report,
    resource::ResourceKey,
    sensitive::fingerprint,
};

/// Most steps that are asked for at once; as many as the plan in a status has room for. What is more is asked for afterwards.
const ASKED_AT_ONCE: usize = 256;
/// Most values of one step that are told apart. Of a step with more, all have to be as they were approved.
const VALUES: usize = 64;
/// Digits of the fingerprint of a value: 64 bits.
const DIGITS: usize = 16;

/// Blocks the steps that the policy wants approved, unless they were.
///
/// A person approves the hash over all that waits. What was approved is kept value by value until it is done: of two approved
/// steps the second needs no second approval because the first was taken, and a value that somebody changed meanwhile does.
///
/// Taking down a custom resource needs no second approval: deleting it was the approval, and its deletion policy says
/// what happens to the data.
pub(super) fn gate(plan: &mut Plan, input: &Input<'_>) {
    plan.decisions.last_approval = input.last_approval.map(str::to_owned);
    if input.deleting {
        return;
    }
    let (asked, mut steps): (Vec<Step>, Vec<Step>) = std::mem::take(&mut plan.steps)
        .into_iter()
        .partition(|step| {
            needs_approval(step, input.policies.changes) && !brings_rotated_secrets(step, input)
        });
    let ask = |granted: &[Decision]| {
        let of = |step: &Step| Asked::of(step.clone(), &plan.subject, input, granted);
        let mut all: Vec<Asked> = asked.iter().map(of).collect();
        all.sort_by(|one, other| one.whole.key.cmp(&other.whole.key));
        all
    };
    let mut granted = input.decisions.to_vec();
    let mut asked = ask(&granted);
    plan.decisions.hash = hash(&asked, &plan.subject, input.last_approval);
    let mut is_of_shown = false;
    if plan.decisions.hash.is_some() && plan.decisions.hash.as_deref() == input.approved {
        plan.decisions.last_approval = plan.decisions.hash.take();
        for asked in asked
            .iter_mut()
            .filter(|asked| asked.waiting.is_some())
            .take(ASKED_AT_ONCE)
        {
            asked.approved = Some(asked.whole.clone());
            asked.waiting = None;
        }
        // What did not fit into the hash is asked for next.
        plan.decisions.hash = hash(
            &asked,
            &plan.subject,
            plan.decisions.last_approval.as_deref(),
        );
    } else if outdated::approves_what_was_shown(input) {
        // The plan changed after it was shown. What is as it was shown is approved all the same; the rest is not, and that is told.
        let shown = input.shown.waiting.iter().cloned();
        granted.extend(shown.map(|decision| Decision {
            approved: true,
            ..decision
        }));
        asked = ask(&granted);
        is_of_shown = true;
        plan.decisions.last_approval = input.approved.map(str::to_owned);
        plan.decisions.hash = hash(&asked, &plan.subject, input.approved);
    }
    plan.decisions.outdated = outdated::annotation(&plan.decisions, input);
    let mut decided: Vec<Decision> = granted
        .iter()
        .filter(|decision| {
            decision.approved
                && asked.iter().all(|asked| asked.whole.key != decision.key)
                && is_under_way(&decision.key, &steps, input)
        })
        .cloned()
        .collect();
    plan.decisions.changed =
        outdated::changed(&granted, &decided, &asked, &steps, input, is_of_shown);
    for mut asked in asked {
        // Beside one that is taken now, the harmless changes of the same resource wait for the next pass: AWS takes one change at
        // a time.
        let taken = asked.approved.as_ref().is_some_and(Step::is_free);
        steps.extend(asked.harmless.take().filter(|_| !taken));
        if let Some(step) = asked.approved.take() {
            decided.push(Decision {
                values: asked.approved_with(&step),
                ..decision(&step, true)
            });
            steps.push(step);
        }
        if let Some(mut step) = asked.waiting.take() {
            decided.push(Decision {
                values: asked.values_of(&step),
                ..decision(&step, false)
            });
            step.blocked_by.push(Blocker::Approval);
            steps.push(step);
        }
    }
    decided.sort_by(|one, other| one.key.cmp(&other.key));
    decided.dedup();
    decided.truncate(ASKED_AT_ONCE);
    scaling::hold_with_their_tables(&mut steps);
    steps.sort_by(|one, other| one.key.cmp(&other.key));
    plan.decisions.steps = decided;
    plan.steps = steps;
}

/// A step that needs approval, in its parts.
pub(super) struct Asked {
    /// All of it that needs approval.
    pub(super) whole: Step,
    /// The values of that.
    values: Vec<Values>,
    /// What of that was approved before.
    approved: Option<Step>,
    /// What of that was not.
    pub(super) waiting: Option<Step>,
    /// A change that nobody notices does not wait beside one that has to be approved: it is a step of its own.
    harmless: Option<Step>,
}

impl Asked {
    fn of(step: Step, subject: &str, input: &Input<'_>, granted: &[Decision]) -> Self {
        let (whole, harmless) = match input.policies.changes {
            ChangePolicy::ApproveDisruptive => {
                match split(&step, |change| change.effect.is_disruptive()) {
                    (Some(disruptive), harmless) => (disruptive, harmless),
                    (None, _) => (step, None),
                }
            }
            ChangePolicy::Automatic | ChangePolicy::ApproveAll => (step, None),
        };
        let values = values(&whole, subject, input);
        let covered = |field: &str, effect: Effect| {
            let mut of_field = values
                .iter()
                .filter(|of_field| of_field.field == field)
                .peekable();
            of_field.peek().is_some()
                && of_field.all(|of_field| {
                    granted.iter().any(|decision| {
                        decision.approved
                            && decision.key == whole.key
                            && decision.effect >= effect
                            && of_field.now.is_subset(&decision.values)
                    })
                })
        };
        let (approved, waiting) = if let Operation::AwsUpdate { .. } = whole.operation {
            split(&whole, |change| covered(&change.field, change.effect))
        } else if !values.is_empty()
            && values
                .iter()
                .all(|of_field| covered(&of_field.field, whole.effect))
        {
            (Some(whole.clone()), None)
        } else {
            (None, Some(whole.clone()))
        };
        Self {
            whole,
            values,
            approved,
            waiting,
            harmless,
        }
    }

    /// The values of one of its steps.
    fn of_step<'a>(&'a self, step: &'a Step) -> impl Iterator<Item = &'a Values> {
        let all = !matches!(step.operation, Operation::AwsUpdate { .. });
        self.values.iter().filter(move |values| {
            all || step
                .changes
                .iter()
                .any(|change| change.field == values.field)
        })
    }

    /// What is approved with one of its steps.
    fn values_of(&self, step: &Step) -> BTreeSet<String> {
        self.of_step(step)
            .flat_map(|values| values.now.iter().cloned())
            .collect()
    }

    /// The same, with what it leads through.
    fn approved_with(&self, step: &Step) -> BTreeSet<String> {
        self.of_step(step)
            .flat_map(|values| values.now.iter().chain(&values.on_the_way).cloned())
            .collect()
    }
}

/// Splits the change of an AWS resource by its fields; any other step is one.
fn split(step: &Step, first: impl Fn(&FieldChange) -> bool) -> (Option<Step>, Option<Step>) {
    let Operation::AwsUpdate { desired, fields } = &step.operation else {
        return (Some(step.clone()), None);
    };
    let part = |wanted: bool| {
        let changes: Vec<FieldChange> = step
            .changes
            .iter()
            .filter(|change| first(change) == wanted)
            .cloned()
            .collect();
        let fields: Vec<String> = fields
            .iter()
            .filter(|field| changes.iter().any(|change| change.field == **field))
            .cloned()
            .collect();
        (!fields.is_empty()).then(|| Step {
            effect: changes
                .iter()
                .map(|change| change.effect)
                .max()
                .unwrap_or_default(),
            operation: Operation::AwsUpdate {
                desired: desired.clone(),
                fields,
            },
            changes,
            ..step.clone()
        })
    };
    (part(true), part(false))
}

fn needs_approval(step: &Step, policy: ChangePolicy) -> bool {
    // What is uncordoned was cordoned by us, for a change that was taken back.
    if matches!(
        step.operation,
        Operation::Wait | Operation::LeaveBehind(_) | Operation::UncordonNodes
    ) || step.blocked_by.contains(&Blocker::DriftReported)
    {
        return false;
    }
    match policy {
        ChangePolicy::Automatic => false,
        ChangePolicy::ApproveDisruptive => {
            // Making what never was disturbs nobody, unless it takes the place of something.
            step.effect.is_disruptive()
        }
        ChangePolicy::ApproveAll => true,
    }
}

/// Whether it only brings secrets to the pods that were rotated at their source, and interrupts nothing. Held back, it would keep the pods
/// from logging in: the old ones are not valid any more. A value that somebody changed behind our back is another matter.
fn brings_rotated_secrets(step: &Step, input: &Input<'_>) -> bool {
    let Operation::KubernetesApply { desired } = &step.operation else {
        return false;
    };
    let found = input.observed.kubernetes.get(&step.key);
    step.action == Action::Update
        && !step.is_repair
        && !step.effect.is_disruptive()
        && found.is_some_and(|found| desired.differs_in_secrets_alone(&found.body))
}

/// Whether what was approved for a resource may come back as it was: AWS is at work on it, or did not say what it is like.
fn is_under_way(key: &ResourceKey, steps: &[Step], input: &Input<'_>) -> bool {
    let known = || input.inventory.contains_key(key) || input.blueprint.get(key).is_some();
    steps
        .iter()
        .any(|step| step.key == *key && matches!(step.operation, Operation::Wait))
        || matches!(input.observed.aws.get(key), Some(Observation::Absent)) && known()
}

fn decision(step: &Step, approved: bool) -> Decision {
    Decision {
        key: step.key.clone(),
        change: report::change(step),
        effect: step.effect,
        approved,
        values: BTreeSet::new(),
    }
}

/// What a person approves: a short hash over the steps that wait, the same for the same changes whatever else is going on, until it is
/// approved. The annotation stays where it is: what was done and comes up again, in an incident months later, is another decision.
fn hash(asked: &[Asked], subject: &str, last_approval: Option<&str>) -> Option<String> {
    let mut waiting: Vec<_> = asked
        .iter()
        .filter_map(|asked| {
            let step = asked.waiting.as_ref()?;
            Some((&step.key, step.effect.label(), asked.values_of(step)))
        })
        .take(ASKED_AT_ONCE)
        .collect();
    // What is told has to be what is compared, in whatever order the steps are at either time.
    waiting.sort_unstable();
    (!waiting.is_empty()).then(|| {
        // Keys and texts: serialising them cannot fail.
        let text = serde_json::to_vec(&(subject, last_approval, waiting)).unwrap_or_default();
        fingerprint(&text)[..10].to_owned()
    })
}

/// Fingerprints of the values of one field of a step.
struct Values {
    field: String,
    /// As they are now.
    now: BTreeSet<String>,
    /// As they are for a while on the way.
    on_the_way: BTreeSet<String>,
}

/// What is approved with a step, as fingerprints by field: from which value to which. Maps and sets are taken entry by entry, since
/// AWS takes some of them in several calls, and what is left after the first is part of what was approved.
fn values(step: &Step, subject: &str, input: &Input<'_>) -> Vec<Values> {
    let digest = |field: &str, entry: &str, from: &Value, to: &Value| {
        let text = json!([
            subject,
            step.key,
            step.action,
            field,
            entry,
            canonical(from),
            canonical(to)
        ]);
        shortened(&text.to_string())
    };
    let one = |field: &str, from: &Value, to: &Value, way: Option<&Value>| Values {
        field: field.to_owned(),
        now: [digest(field, "", from, to)].into(),
        on_the_way: way
            .map(|way| digest(field, "", way, to))
            .into_iter()
            .collect(),
    };
    let all = match &step.operation {
        Operation::AwsUpdate { desired, fields } => {
            let Some(present) = input.observed.present(&step.key) else {
                return Vec::new();
            };
            difference::aws(desired, &present.resource)
                .into_iter()
                .filter(|difference| fields.iter().any(|field| field == difference.field.name))
                .map(|Difference { field, from, to }| {
                    let grows = matches!(field.change, Change::GrowOnly { .. });
                    let entries = entries(&from, &to, grows);
                    if entries.is_empty() {
                        let way = desired.on_the_way(&present.resource, field.name);
                        return one(field.name, &from, &to, way.as_ref());
                    }
                    let of = |entry: &Entry, from| digest(field.name, &entry.name, from, &entry.to);
                    Values {
                        field: field.name.to_owned(),
                        now: entries.iter().map(|entry| of(entry, &entry.from)).collect(),
                        // An entry makes room before another of its name comes.
                        on_the_way: entries
                            .iter()
                            .filter(|entry| !entry.from.is_null() && !entry.to.is_null())
                            .map(|entry| of(entry, &Value::Null))
                            .collect(),
                    }
                })
                .collect()
        }
        // With how many nodes a group begins is nothing that was decided on.
        Operation::AwsCreate { desired } => {
            let node = input.blueprint.get(&step.key);
            let intent = node.and_then(Node::intent);
            let intent = intent.unwrap_or_else(|| desired.intent());
            vec![one("", &Value::Null, &Value::from(intent), None)]
        }
        Operation::KubernetesApply { desired } if step.action == Action::Update => {
            let found = input.observed.kubernetes.get(&step.key);
            let found = found.map_or(&Value::Null, |object| &object.body);
            desired
                .differences(found)
                .into_iter()
                .map(|(path, from, to)| one(&path, &from, &to, None))
                .collect()
        }
        // How many pods a node group still has, or why it failed, is nothing that was decided on.
        Operation::KubernetesApply { .. }
        | Operation::AwsAdopt { .. }
        | Operation::AwsDelete { .. }
        | Operation::KubernetesDelete
        | Operation::DrainNodes
        | Operation::UncordonNodes
        | Operation::Forget
        | Operation::LeaveBehind(_)
        | Operation::Wait => vec![one("", &Value::Null, &Value::Null, None)],
    };
    bounded(all)
}

/// Where there are too many values to keep, those of a field are taken together, and then all.
fn bounded(mut all: Vec<Values>) -> Vec<Values> {
    let together = |values: &BTreeSet<String>| -> BTreeSet<String> {
        [shortened(&values.iter().cloned().collect::<String>())].into()
    };
    if all.iter().map(|values| values.now.len()).sum::<usize>() > VALUES {
        for values in &mut all {
            values.now = together(&values.now);
            values.on_the_way.clear();
        }
    }
    if all.len() > VALUES {
        let now = all.iter().flat_map(|values| values.now.clone()).collect();
        all = vec![Values {
            field: String::new(),
            now: together(&now),
            on_the_way: BTreeSet::new(),
        }];
    }
    all
}

fn shortened(text: &str) -> String {
    fingerprint(text.as_bytes())[..DIGITS].to_owned()
}

/// One entry in which a map or a set differs.
struct Entry {
    name: String,
    from: Value,
    to: Value,
}

/// The entries in which a value differs: by name for maps, by themselves for sets of texts; none where the value is one.
/// What has outgrown what is wanted is no difference.
fn entries(from: &Value, to: &Value, grows: bool) -> Vec<Entry> {
    match (from, to) {
        (Value::Object(from), Value::Object(to)) => from
            .keys()
            .chain(to.keys())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter(|name| from.get(*name) != to.get(*name) && (!grows || to.contains_key(*name)))
            .map(|name| Entry {
                name: name.clone(),
                from: from.get(name).cloned().unwrap_or_default(),
                to: to.get(name).cloned().unwrap_or_default(),
            })
            .collect(),
        (Value::Array(from), Value::Array(to)) if from.iter().chain(to).all(Value::is_string) => {
            let only = |some: &[Value], others: &[Value]| -> Vec<String> {
                some.iter()
                    .filter(|value| !others.contains(value))
                    .filter_map(|value| value.as_str().map(str::to_owned))
                    .collect()
            };
            let gone = only(from, to).into_iter().map(|name| Entry {
                name,
                from: Value::Bool(true),
                to: Value::Null,
            });
            let new = only(to, from).into_iter().map(|name| Entry {
                name,
                from: Value::Null,
                to: Value::Bool(true),
            });
            gone.chain(new).collect()
        }
        _ => Vec::new(),
    }
}
