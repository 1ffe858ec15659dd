//! Approvals of a plan that has changed since it was shown: what is told of that. Nothing that was approved is dropped, and nothing else
//! done, without a word.

use super::{Input, approval::Asked, teardown::reason_to_retain};
use crate::{
    plan::{Decision, Decisions, Operation, Step},
    report,
    resource::{ResourceKey, ResourceKind},
};

/// How many resources are named.
const NAMED: usize = 3;
/// Longest text, in characters.
const LONGEST: usize = 1024;
/// Characters of the annotation that are repeated: more than a hash has.
const LONGEST_HASH: usize = 16;

/// Whether the annotation names the plan that people see, and was not acted on.
pub(super) fn approves_what_was_shown(input: &Input<'_>) -> bool {
    input.approved.is_some()
        && input.approved == input.shown.hash.as_deref()
        && input.approved != input.last_approval
}

/// What became of what was approved, where that is something else than what is done: of what is approved now (`is_new`), or as it was told
/// before, for as long as the plan waits or is under way.
pub(super) fn changed(
    granted: &[Decision],
    under_way: &[Decision],
    asked: &[Asked],
    steps: &[Step],
    input: &Input<'_>,
    is_new: bool,
) -> Option<String> {
    let hash = if is_new {
        input.approved
    } else {
        input.last_approval
    };
    let mut texts = Vec::new();
    for decision in granted {
        let key = &decision.key;
        let was = format!("{key}: was approved {}", quoted(&decision.change));
        let is_shown = is_new && input.shown.waiting.iter().any(|shown| shown.key == *key);
        if let Some(why) = kept(key, steps, input) {
            texts.push(format!("{was}, and is {why}"));
        } else if let Some(now) = asked.iter().find(|asked| asked.whole.key == *key) {
            if let (true, Some(waiting)) = (is_shown, &now.waiting) {
                let now = quoted(&report::change(waiting));
                let effect = waiting.effect.label();
                texts.push(format!(
                    "{was}, and would by now be {now} ({effect}), which is asked for again"
                ));
            }
        } else if is_shown && under_way.iter().all(|other| other.key != *key) {
            texts.push(format!("{was}, which is not needed any more"));
        }
    }
    if is_new {
        let is_known = |key: &ResourceKey| granted.iter().any(|decision| decision.key == *key);
        for step in asked.iter().filter_map(|asked| asked.waiting.as_ref()) {
            if !is_known(&step.key) {
                let change = quoted(&report::change(step));
                texts.push(format!(
                    "{}: {change} has come, which is asked for",
                    step.key
                ));
            }
        }
    }
    if texts.is_empty() {
        let is_over = is_new || (asked.is_empty() && under_way.is_empty());
        return input.shown.changed.clone().filter(|_| !is_over);
    }
    let text = format!(
        "the plan changed after {} was approved: {}",
        hash.unwrap_or("it"),
        few(&texts)
    );
    Some(text.chars().take(LONGEST).collect())
}

/// Why something that was approved to be deleted is kept, where it is.
fn kept(key: &ResourceKey, steps: &[Step], input: &Input<'_>) -> Option<String> {
    let ResourceKind::Aws(kind) = key.kind else {
        return None;
    };
    let step = steps.iter().find(|step| step.key == *key)?;
    match &step.operation {
        Operation::Forget => Some(reason_to_retain(kind, input.policies.deletion).to_string()),
        Operation::LeaveBehind(failure) => Some(failure.describe()),
        _ => None,
    }
}

/// That the annotation names no plan that waits, while one does. One that was acted on stays where it is, and is not meant.
pub(super) fn annotation(decisions: &Decisions, input: &Input<'_>) -> Option<String> {
    let (waiting, approved) = (decisions.hash.as_ref()?, input.approved?);
    let was_acted_on = input.last_approval == Some(approved)
        || decisions.last_approval.as_deref() == Some(approved);
    (!was_acted_on && waiting != approved).then(|| {
        let approved: String = approved.chars().take(LONGEST_HASH).collect();
        format!(
            "the annotation {}={approved} approves nothing: it names another plan than the one that waits by now",
            shopkeeper_api::APPROVE
        )
    })
}

fn quoted(change: &str) -> String {
    format!("`{change}`")
}

fn few(texts: &[String]) -> String {
    let more = texts.len().saturating_sub(NAMED);
    let mut few = texts[..texts.len() - more].join("; ");
    if more > 0 {
        few.push_str(&format!("; and {more} more"));
    }
    few
}
