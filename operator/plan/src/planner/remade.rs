//! What is remembered of a node group that EKS gave up on, so that it is made again once and not without end.

use std::fmt;

use crate::{
    observed::{Lifecycle, Present},
    plan::{Action, Operation, Step},
};

/// AWS gave up on a resource, and it was deleted to be made again. Written down before the deletion, so that no process that ends in
/// between makes it once more than another one knows of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remade {
    /// Hash of what was desired then.
    intent: String,
    /// Which one was deleted, by AWS's id of it. `None` where the one that was made in its place failed as well: a person has to act.
    failed: Option<String>,
}

impl Remade {
    /// The one that failed is about to be deleted.
    #[must_use]
    pub fn new(intent: &str, failed: &Present) -> Self {
        Self {
            intent: intent.to_owned(),
            failed: Some(id(failed).to_owned()),
        }
    }

    /// As the status keeps it. Earlier versions kept the hash alone.
    #[must_use]
    pub fn from_status(text: &str) -> Self {
        match text.split_once('/') {
            Some((intent, "")) => Self {
                intent: intent.to_owned(),
                failed: None,
            },
            Some((intent, failed)) => Self {
                intent: intent.to_owned(),
                failed: Some(failed.to_owned()),
            },
            None => Self {
                intent: text.to_owned(),
                failed: Some(String::new()),
            },
        }
    }

    /// Whether `present` is what was made in the place of one that failed, for the same wish.
    #[must_use]
    pub fn is_for(&self, intent: &str, present: &Present) -> bool {
        self.intent == intent && self.failed.as_deref() != Some(id(present))
    }

    /// Whether a person has to act: whoever deletes it then has it made again, and it may fail once before the next one asks.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.failed.is_none()
    }

    /// With what was seen of what was made in its place.
    #[must_use]
    pub fn after(mut self, intent: &str, present: &Present) -> Self {
        if matches!(present.lifecycle, Lifecycle::Failed(_)) && self.is_for(intent, present) {
            self.failed = None;
        }
        self
    }
}

impl fmt::Display for Remade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}",
            self.intent,
            self.failed.as_deref().unwrap_or_default()
        )
    }
}

/// Whether something that is desired is deleted because AWS gave up on it.
pub(crate) fn is_remade(step: &Step) -> bool {
    step.action == Action::Replace && matches!(step.operation, Operation::AwsDelete { .. })
}

/// AWS's id of one that had the name of others before it.
fn id(present: &Present) -> &str {
    present.id.as_deref().unwrap_or("?")
}
