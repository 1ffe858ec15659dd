//! What a plan and an observation mean, in conditions and one line for a person. Pure.

use std::collections::BTreeSet;

use shopkeeper_api::status::{InventoryItem, condition, reason};

use crate::{
    blueprint::{Blueprint, Section},
    failure::{Class, Failure},
    kubernetes::{KubernetesKind, readiness},
    observed::{Lifecycle, Note, Observation, Observed, Weight},
    plan::{Action, Blocker, Effect, Operation, Plan, Step},
    resource::{ResourceKey, ResourceKind},
};

/// Longest message of a condition, in characters; the API server takes 32768, a terminal shows far less.
const LONGEST_MESSAGE: usize = 1024;
/// Longest text of what a person decides on, in characters.
const LONGEST_CHANGE: usize = 256;
/// How many resources a message names before it counts.
const NAMED: usize = 3;

/// A condition without its times, which depend on what was said before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionDraft {
    /// Type.
    pub r#type: &'static str,
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// Reason.
    pub reason: &'static str,
    /// Message.
    pub message: String,
}

/// What is said about a custom resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Conditions. `Reconciling` and `Stalled` are left out where they are not true, as kstatus wants.
    pub conditions: Vec<ConditionDraft>,
    /// The failure that decides the next try, where there is one.
    pub failure: Option<Failure>,
    /// Whether everything is as desired and works.
    pub ready: bool,
}

/// The report on a custom resource that could be resolved and planned.
#[must_use]
pub fn of_plan(plan: &Plan, blueprint: &Blueprint, observed: &Observed, deleting: bool) -> Report {
    let mut conditions = Vec::new();
    if !deleting {
        for section in [
            Section::Network,
            Section::Nodes,
            Section::Data,
            Section::Workload,
            Section::Edge,
        ] {
            conditions.extend(of_section(section, plan, blueprint, observed));
        }
    }
    let failures: Vec<(&Step, &Failure)> = plan
        .steps
        .iter()
        .filter_map(|step| Some((step, refusal(step)?)))
        .collect();
    let stalled = failures
        .iter()
        .find(|(_, failure)| failure.class.needs_a_person());
    let working: Vec<&Step> = plan
        .steps
        .iter()
        .filter(|step| is_work(step, plan))
        .collect();
    let approvals = plan
        .steps
        .iter()
        .filter(|step| step.blocked_by.contains(&Blocker::Approval))
        .count();
    let drifted: Vec<&Step> = plan
        .steps
        .iter()
        .filter(|step| step.blocked_by.contains(&Blocker::DriftReported))
        .collect();

    let draft = |r#type, status, reason, message: &str| ConditionDraft {
        r#type,
        status,
        reason,
        message: shorten(message),
    };
    if let Some((step, failure)) = stalled {
        let message = format!("{}: {}", step.key, failure.describe());
        let why = reason_of(failure);
        conditions.push(draft(condition::READY, "False", why, &message));
        conditions.push(draft(condition::STALLED, "True", why, &message));
    } else if !working.is_empty() || !failures.is_empty() {
        let (why, message) = match failures.first() {
            Some((step, failure)) => (
                reason::PROGRESSING_WITH_RETRY,
                format!("{}: {}", step.key, failure.describe()),
            ),
            None if deleting => (reason::DELETING, describe_all(&working)),
            None => (progress_reason(&working, blueprint), describe_all(&working)),
        };
        conditions.push(draft(condition::READY, "False", why, &message));
        conditions.push(draft(
            condition::RECONCILING,
            "True",
            if failures.is_empty() {
                reason::PROGRESSING
            } else {
                why
            },
            &message,
        ));
    } else if approvals > 0 {
        let hash = plan.approval_hash().unwrap_or_default();
        let message = format!(
            "{}. Approve with the annotation {}={hash}",
            summary(plan),
            shopkeeper_api::APPROVE
        );
        conditions.push(draft(
            condition::READY,
            "False",
            reason::APPROVAL_REQUIRED,
            &message,
        ));
        conditions.push(draft(
            condition::RECONCILING,
            "True",
            reason::APPROVAL_REQUIRED,
            &message,
        ));
    } else if !drifted.is_empty() {
        conditions.push(draft(
            condition::READY,
            "True",
            reason::DRIFTED,
            &describe_all(&drifted),
        ));
    } else {
        conditions.push(draft(
            condition::READY,
            "True",
            reason::SUCCEEDED,
            &format!("{} resources are as declared", plan.unchanged),
        ));
    }
    let failure = stalled
        .or(failures.first())
        .map(|(_, failure)| (*failure).clone());
    let ready = failures.is_empty() && working.is_empty() && approvals == 0;
    Report {
        conditions,
        failure,
        ready,
    }
}

/// The report on a custom resource that could not be resolved.
#[must_use]
pub fn of_failure(failure: &Failure, deleting: bool) -> Report {
    let message = shorten(&failure.describe());
    let draft = |r#type, status, reason| ConditionDraft {
        r#type,
        status,
        reason,
        message: message.clone(),
    };
    let conditions = if failure.class.needs_a_person() {
        let why = if failure.class == Class::Invalid {
            reason::INVALID_SPEC
        } else {
            reason_of(failure)
        };
        vec![
            draft(condition::READY, "False", why),
            draft(condition::STALLED, "True", why),
        ]
    } else {
        let why = match failure.class {
            _ if deleting => reason::DELETION_BLOCKED,
            Class::NotReady => reason::DEPENDENCY_NOT_READY,
            _ => reason::PROGRESSING_WITH_RETRY,
        };
        vec![
            draft(condition::READY, "False", why),
            draft(condition::RECONCILING, "True", why),
        ]
    };
    Report {
        conditions,
        failure: Some(failure.clone()),
        ready: false,
    }
}

/// The report on a custom resource whose policy suspends it.
#[must_use]
pub fn of_suspension() -> Report {
    let conditions = vec![
        ConditionDraft {
            r#type: condition::READY,
            status: "Unknown",
            reason: reason::SUSPENDED,
            message: "suspended by policy.suspend: nothing is observed or changed".to_owned(),
        },
        ConditionDraft {
            // Flux and kstatus allow an unknown Ready only beside Reconciling.
            r#type: condition::RECONCILING,
            status: "True",
            reason: reason::SUSPENDED,
            message: "waits until policy.suspend is taken back".to_owned(),
        },
    ];
    Report {
        conditions,
        failure: None,
        ready: false,
    }
}

fn of_section(
    section: Section,
    plan: &Plan,
    blueprint: &Blueprint,
    observed: &Observed,
) -> Option<ConditionDraft> {
    let keys: BTreeSet<&ResourceKey> = blueprint
        .iter()
        .filter(|(_, node)| node.section == section)
        .map(|(key, _)| key)
        .collect();
    if keys.is_empty() {
        return None;
    }
    let steps: Vec<&Step> = plan
        .steps
        .iter()
        .filter(|step| keys.contains(&step.key))
        .collect();
    let failed = steps.iter().find_map(|step| Some((step, refusal(step)?)));
    let working: Vec<&Step> = steps
        .iter()
        .copied()
        .filter(|step| is_work(step, plan))
        .collect();
    let (status, why, message) = if let Some((step, failure)) = failed {
        let why = if failure.class.needs_a_person() {
            reason_of(failure)
        } else {
            reason::PROGRESSING_WITH_RETRY
        };
        (
            "False",
            why,
            format!("{}: {}", step.key, failure.describe()),
        )
    } else if working.is_empty() {
        (
            "True",
            reason::SUCCEEDED,
            format!(
                "{} of {} resources are ready{}",
                keys.len(),
                keys.len(),
                dangers(&keys, observed)
            ),
        )
    } else {
        ("False", section_reason(section), describe_all(&working))
    };
    Some(ConditionDraft {
        r#type: section.condition(),
        status,
        reason: why,
        message: shorten(&message),
    })
}

/// What may make resources stop to work that still do.
fn dangers(keys: &BTreeSet<&ResourceKey>, observed: &Observed) -> String {
    let found: Vec<String> = keys
        .iter()
        .filter_map(|key| Some((key, observed.present(key)?)))
        .flat_map(|(key, present)| {
            present
                .notes()
                .filter(|note| note.weight == Weight::Danger)
                .map(move |note| format!("; {key}: {}", note.text))
        })
        .collect();
    let more = found.len().saturating_sub(NAMED);
    let mut text: String = found.into_iter().take(NAMED).collect();
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// Whether something is under way or about to be: not what only waits for a person, and not what is left alone.
fn is_work(step: &Step, plan: &Plan) -> bool {
    refusal(step).is_none() && step.action != Action::Retain && !plan.waits_for_a_person(step)
}

fn refusal(step: &Step) -> Option<&Failure> {
    step.blocked_by.iter().find_map(|blocker| match blocker {
        Blocker::Refused(failure) => Some(failure),
        _ => None,
    })
}

fn reason_of(failure: &Failure) -> &'static str {
    match (failure.class, failure.code.as_deref()) {
        (_, Some("NotOurs")) => reason::ADOPTION_REQUIRED,
        (Class::Denied, _) => reason::ACCESS_DENIED,
        (_, Some(code))
            if code.contains("Quota")
                || code.contains("LimitExceeded")
                || code.starts_with("TooMany") =>
        {
            reason::QUOTA_EXCEEDED
        }
        _ => reason::FAILED,
    }
}

fn section_reason(section: Section) -> &'static str {
    match section {
        Section::Nodes => reason::NODES_CREATING,
        Section::Data => reason::DATA_CREATING,
        Section::Workload => reason::ROLLING_OUT,
        Section::Network | Section::Edge => reason::PROGRESSING,
    }
}

/// The reason shown in the column: the data tier takes longest, then the nodes.
fn progress_reason(working: &[&Step], blueprint: &Blueprint) -> &'static str {
    let sections: BTreeSet<Section> = working
        .iter()
        .filter_map(|step| Some(blueprint.get(&step.key)?.section))
        .collect();
    [Section::Data, Section::Nodes, Section::Workload]
        .into_iter()
        .find(|section| sections.contains(section))
        .map_or(reason::PROGRESSING, section_reason)
}

/// What is done to the resource of a step: while it is done, and while it still has to be.
fn words(step: &Step) -> (String, String) {
    let fields: Vec<&str> = step
        .changes
        .iter()
        .take(NAMED)
        .map(|change| change.field.as_str())
        .collect();
    let from = |otherwise| {
        step.changes
            .first()
            .map_or(otherwise, |change| change.from.as_str())
    };
    let (doing, to_do) = match (&step.operation, step.action) {
        (Operation::Wait, Action::Wait) => (from("waits"), from("waits")),
        (Operation::DrainNodes, _) => (
            "moving its pods to other nodes",
            "its pods move to other nodes",
        ),
        (_, Action::Create) => ("creating", "to be created"),
        (_, Action::Update) => {
            let fields = fields.join(", ");
            return (
                format!("changing {fields}"),
                format!("{fields} to be changed"),
            );
        }
        (Operation::AwsDelete { .. }, Action::Replace) if !step.changes.is_empty() => {
            let why = from("");
            return (
                format!("failed ({why}), deleting it to make it again"),
                format!("failed ({why}), to be deleted and made again"),
            );
        }
        (_, Action::Replace) => ("deleting what was replaced", "was replaced, to be deleted"),
        (_, Action::Delete) => ("deleting", "to be deleted"),
        (_, Action::Adopt) => ("adopting", "to be adopted"),
        (_, Action::Retain) => ("keeping", "to be kept"),
        (_, Action::Wait) => ("waiting", "waiting"),
    };
    (doing.to_owned(), to_do.to_owned())
}

/// What a person decides on: `instanceClass db.r7g.large -> db.r7g.xlarge`, or `to be deleted`.
#[must_use]
pub fn change(step: &Step) -> String {
    if step.action != Action::Update {
        return words(step).1;
    }
    let changes: Vec<String> = step
        .changes
        .iter()
        .map(|change| format!("{} {} -> {}", change.field, change.from, change.to))
        .collect();
    shorten_to(&changes.join(", "), LONGEST_CHANGE)
}

/// One line for a step: `RDS instance octank-shop-orders: creating, usually 12 min`. A step that is free is taken in the
/// pass that reports it.
#[must_use]
pub fn describe(step: &Step) -> String {
    let (doing, to_do) = words(step);
    let mut text = format!(
        "{}: {}",
        step.key,
        if step.blocked_by.is_empty() {
            doing
        } else {
            to_do
        }
    );
    if step.minutes > 0 && step.blocked_by.is_empty() {
        text.push_str(&format!(", usually {} min", step.minutes));
    }
    if let Some(blocker) = step.blocked_by.first() {
        text.push_str(&format!(", {blocker}"));
    }
    text
}

/// The steps that can be acted on or waited for come first: what they block is only named where there is room.
fn describe_all(steps: &[&Step]) -> String {
    let mut sorted: Vec<&&Step> = steps.iter().collect();
    sorted.sort_by_key(|step| !step.blocked_by.is_empty());
    let mut text: Vec<String> = sorted
        .iter()
        .take(NAMED)
        .map(|step| describe(step))
        .collect();
    if steps.len() > NAMED {
        text.push(format!("and {} more", steps.len() - NAMED));
    }
    text.join("; ")
}

/// A plan in one line: `2 changes: 1 failover, 1 rolling`. Where it waits for a person, what a person decides on:
/// `1 change: 1 failover; approved and not done: 1 change: 1 restart`.
#[must_use]
pub fn summary(plan: &Plan) -> String {
    let of = |approved: bool| -> Vec<Effect> {
        plan.decisions
            .steps
            .iter()
            .filter(|decision| decision.approved == approved)
            .map(|decision| decision.effect)
            .collect()
    };
    let (approved, waiting) = (of(true), of(false));
    match (waiting.is_empty(), approved.is_empty()) {
        (true, true) => {
            let changes: Vec<Effect> = plan
                .steps
                .iter()
                .filter(|step| !matches!(step.action, Action::Wait | Action::Retain))
                .map(|step| step.effect)
                .collect();
            if changes.is_empty() {
                "no changes".to_owned()
            } else {
                count(&changes)
            }
        }
        (false, true) => count(&waiting),
        (true, false) => format!("approved and not done: {}", count(&approved)),
        (false, false) => format!(
            "{}; approved and not done: {}",
            count(&waiting),
            count(&approved)
        ),
    }
}

fn count(changes: &[Effect]) -> String {
    let effects: Vec<String> = [
        (Effect::DataLoss, "data loss"),
        (Effect::Downtime, "downtime"),
        (Effect::Failover, "failover"),
        (Effect::Restart, "restart"),
        (Effect::Rolling, "rolling"),
        (Effect::None, "without effect on traffic"),
    ]
    .into_iter()
    .map(|(effect, text)| {
        (
            changes.iter().filter(|change| **change == effect).count(),
            text,
        )
    })
    .filter(|(number, _)| *number > 0)
    .map(|(number, text)| format!("{number} {text}"))
    .collect();
    format!(
        "{} change{}: {}",
        changes.len(),
        if changes.len() == 1 { "" } else { "s" },
        effects.join(", ")
    )
}

/// State of a resource for the inventory, in the words of a person; `None` where it is not there.
#[must_use]
pub fn state(key: &ResourceKey, observed: &Observed) -> Option<&'static str> {
    match key.kind {
        ResourceKind::Aws(_) => match observed.aws.get(key)? {
            Observation::Absent => None,
            Observation::Unknown(_) => Some("unknown"),
            Observation::Present(present) => Some(match present.lifecycle {
                Lifecycle::Creating => "creating",
                Lifecycle::Available => "available",
                Lifecycle::Modifying => "modifying",
                Lifecycle::Deleting => "deleting",
                Lifecycle::Failed(_) => "failed",
            }),
        },
        ResourceKind::Kubernetes(_) => observed.kubernetes.get(key).map(|_| "applied"),
    }
}

/// Longest note in the inventory, in characters.
const LONGEST_NOTE: usize = 512;

/// What AWS notes of a resource, for the inventory.
#[must_use]
pub fn note(key: &ResourceKey, observed: &Observed) -> Option<String> {
    let notes = observed.present(key)?.note.as_ref()?;
    Some(shorten_to(&notes.to_string(), LONGEST_NOTE))
}

/// The notes on resources that AWS is not at work on which were not in the inventory: what is news to a person.
pub fn new_notes<'a>(
    before: &'a [InventoryItem],
    observed: &'a Observed,
) -> impl Iterator<Item = (&'a ResourceKey, &'a Note)> {
    let known = |key: &ResourceKey, note: &Note| {
        before
            .iter()
            .find(|item| item.kind == key.kind.id() && item.name == key.name)
            .and_then(|item| item.note.as_deref())
            // What was cut off there was told when it was written.
            .is_some_and(|notes| notes.contains(note.text.as_str()) || notes.ends_with('…'))
    };
    observed
        .aws
        .keys()
        .filter_map(|key| Some((key, observed.present(key)?)))
        .filter(|(_, present)| present.lifecycle == Lifecycle::Available)
        .flat_map(|(key, present)| present.notes().map(move |note| (key, note)))
        .filter(move |(key, note)| !known(key, note))
}

/// Available and wanted replicas of all Deployments, added up.
#[must_use]
pub fn replicas(observed: &Observed) -> Option<(i64, i64)> {
    let deployments: Vec<_> = observed
        .kubernetes
        .iter()
        .filter(|(key, object)| {
            key.kind == ResourceKind::Kubernetes(KubernetesKind::Deployment) && object.ours
        })
        .map(|(_, object)| readiness::replicas(&object.body))
        .collect();
    (!deployments.is_empty()).then(|| {
        deployments
            .iter()
            .fold((0, 0), |(ready, wanted), (r, w)| (ready + r, wanted + w))
    })
}

fn shorten(text: &str) -> String {
    shorten_to(text, LONGEST_MESSAGE)
}

fn shorten_to(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        text.to_owned()
    } else {
        text.chars().take(longest - 1).chain(['…']).collect()
    }
}
