//! What is told of steps that are refused, or that wait for what they refer to.

use shopkeeper_api::status::reason;

use super::{NAMED, words::few};
use crate::{
    account::WRONG_ACCOUNT,
    claims::NAME_TAKEN,
    failure::{Class, Failure, is_quota},
    plan::{Blocker, Step},
};

/// Why it is refused, or what is missing that it refers to: first what a person has to see to.
pub(super) fn refusal(step: &Step) -> Option<&Failure> {
    let failures = || {
        step.blocked_by.iter().filter_map(|blocker| match blocker {
            Blocker::Refused(failure) | Blocker::Missing(failure) => Some(failure),
            _ => None,
        })
    };
    failures()
        .find(|failure| failure.class.needs_a_person())
        .or_else(|| failures().next())
}

/// What is missing of what it refers to.
fn missing(step: &Step) -> impl Iterator<Item = &Failure> {
    step.blocked_by.iter().filter_map(|blocker| match blocker {
        Blocker::Missing(failure) => Some(failure),
        _ => None,
    })
}

/// What is told of a step with this refusal: of several references that lead nowhere each one.
pub(super) fn told(step: &Step, failure: &Failure) -> String {
    let others: Vec<String> = missing(step)
        .filter(|other| *other != failure)
        .map(Failure::describe)
        .collect();
    format!(
        "{}: {}{}",
        step.key,
        failure.describe(),
        few(&others, NAMED - 1)
    )
}

/// The reason where a person has to see to it. What is missing is told as it is of a custom resource that cannot be resolved at all.
pub(super) fn reason_to_stall(step: &Step, failure: &Failure) -> &'static str {
    match reason_of(failure) {
        reason::FAILED
            if failure.class == Class::Invalid && missing(step).any(|other| other == failure) =>
        {
            reason::INVALID_SPEC
        }
        why => why,
    }
}

/// The reason where it is tried again.
pub(super) fn reason_to_retry(step: &Step, failure: &Failure) -> &'static str {
    if failure.class == Class::NotReady && missing(step).any(|other| other == failure) {
        reason::DEPENDENCY_NOT_READY
    } else {
        reason::PROGRESSING_WITH_RETRY
    }
}

/// The reason of a failure that lasts.
pub(super) fn reason_of(failure: &Failure) -> &'static str {
    match (failure.class, failure.code.as_deref()) {
        (_, Some("NotOurs")) => reason::ADOPTION_REQUIRED,
        (_, Some(NAME_TAKEN)) => reason::NAME_TAKEN,
        (_, Some(WRONG_ACCOUNT)) => reason::WRONG_ACCOUNT,
        (Class::Denied, _) => reason::ACCESS_DENIED,
        (_, Some(code)) if is_quota(code) => reason::QUOTA_EXCEEDED,
        _ => reason::FAILED,
    }
}
