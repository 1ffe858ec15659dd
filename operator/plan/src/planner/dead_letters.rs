//! Queues for dead letters, when queues go.

use super::{Input, step};
use crate::{
    aws::{AwsKind, AwsResource},
    failure::{Class, Failure},
    plan::{Action, Blocker, Operation, Step},
    resolve::DEAD_LETTERS,
    resource::{ResourceKey, ResourceKind},
};

/// A queue that stays needs the one for its dead letters: without it SQS never gives up on a message, or drops it unseen. Which of the two
/// is empty says nothing about the other. One that goes, goes first: until then messages come from it.
pub(super) fn keep_dead_letters(steps: &mut [Step], input: &Input<'_>) {
    let queues: Vec<(ResourceKey, bool)> = steps
        .iter()
        .filter(|step| step.key.kind == ResourceKind::Aws(AwsKind::SqsQueue))
        .map(|step| (step.key.clone(), step.action == Action::Retain))
        .collect();
    for step in steps
        .iter_mut()
        .filter(|step| matches!(step.operation, Operation::AwsDelete { .. }))
    {
        let source = queues
            .iter()
            .find(|(queue, _)| takes_dead_letters_of(&step.key, queue, input));
        match source {
            Some((queue, true)) => {
                let failure = Failure::new(
                    Class::NotReady,
                    format!("left in AWS, since {queue} is left there and moves messages to it"),
                )
                .with_remedy("delete the queue after that");
                *step = self::step(&step.key, Action::Retain, Operation::LeaveBehind(failure));
            }
            Some((queue, false)) => step.blocked_by.push(Blocker::Resource(queue.clone())),
            None => {}
        }
    }
    // Once the queue is handed back nobody knows whose dead letters those are.
    let undecided: Vec<ResourceKey> = steps
        .iter()
        .filter(|step| matches!(step.operation, Operation::Wait))
        .map(|step| step.key.clone())
        .collect();
    for step in steps
        .iter_mut()
        .filter(|step| step.action == Action::Retain)
    {
        let dead = undecided
            .iter()
            .find(|dead| takes_dead_letters_of(dead, &step.key, input));
        step.blocked_by.extend(dead.cloned().map(Blocker::Resource));
    }
}

/// Whether it was made for dead letters and nothing else.
pub(super) fn takes_dead_letters(key: &ResourceKey, input: &Input<'_>) -> bool {
    let entry = input.inventory.get(key);
    key.kind == ResourceKind::Aws(AwsKind::SqsQueue)
        && entry.is_some_and(|entry| entry.role.ends_with(DEAD_LETTERS))
}

/// Whether a queue takes the dead letters of another: as AWS tells, or where AWS does not tell of that one, as the inventory does.
fn takes_dead_letters_of(key: &ResourceKey, queue: &ResourceKey, input: &Input<'_>) -> bool {
    if let Some(present) = input.observed.present(queue) {
        let AwsResource::SqsQueue(found) = &present.resource else {
            return false;
        };
        let redrive = found.redrive.as_ref();
        let named = redrive.and_then(|redrive| redrive.dead_letter_arn.rsplit(':').next());
        return named == Some(key.name.as_str());
    }
    let role = |key: &ResourceKey| Some(input.inventory.get(key)?.role.as_str());
    match (role(key), role(queue)) {
        (Some(own), Some(other)) => own.strip_suffix(DEAD_LETTERS) == Some(other),
        _ => false,
    }
}
