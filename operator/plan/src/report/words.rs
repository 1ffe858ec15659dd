//! Steps and plans in the words of a person.

use super::{NAMED, shorten_to};
use crate::{
    aws::Holding,
    plan::{Action, DeleteMode, Effect, Operation, Plan, Step},
};

/// Longest text of what a person decides on, in characters.
const LONGEST_CHANGE: usize = 256;

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
        (Operation::UncordonNodes, _) => (
            "uncordoning its nodes, which were to go",
            "its nodes, which were to go, are uncordoned",
        ),
        (_, Action::Create) if step.is_repair => {
            let how = step
                .changes
                .first()
                .map_or("made anew", |change| change.to.as_str());
            return (
                "was deleted by somebody, making it anew".to_owned(),
                format!("is gone from AWS, where somebody deleted it; to be {how}"),
            );
        }
        (_, Action::Create) if !step.changes.is_empty() => {
            let to = step.changes.first().map_or("", |change| &change.to);
            return (
                format!("creating it in other subnets ({to})"),
                format!(
                    "to be created in other subnets ({} -> {to}), to which all pods move",
                    from("none")
                ),
            );
        }
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
        (Operation::AwsDelete { .. }, Action::Delete) if !step.changes.is_empty() => {
            let why = from("");
            return (
                format!("deleting it again ({why})"),
                format!("to be deleted again ({why})"),
            );
        }
        (Operation::AwsDelete { mode }, Action::Delete) if step.key.holds(Holding::Data) => {
            match mode {
                DeleteMode::Snapshot => (
                    "deleting after a last snapshot or backup",
                    "to be deleted after a last snapshot or backup",
                ),
                DeleteMode::Everything => ("deleting with its data", "to be deleted with its data"),
            }
        }
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
        return shorten_to(&words(step).1, LONGEST_CHANGE);
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

/// Texts behind another one: the first of them, and how many there are besides.
pub(super) fn few(texts: &[String], most: usize) -> String {
    let mut text: String = texts
        .iter()
        .take(most)
        .map(|text| format!("; {text}"))
        .collect();
    let more = texts.len().saturating_sub(most);
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// The steps that can be acted on or waited for come first: what they block is only named where there is room.
pub(super) fn describe_all(steps: &[&Step]) -> String {
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
