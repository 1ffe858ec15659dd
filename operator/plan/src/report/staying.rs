//! What stays in AWS although nobody declares it any more, in as few words as will do: it is told for the last time.

use crate::{
    plan::{Action, Operation, Step},
    planner::{DeletionPolicy, reason_to_retain},
    resource::ResourceKind,
};

/// Longest note of an event, in bytes, which the API server takes.
const LONGEST_NOTE: usize = 1024;

/// Resources that stay for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staying {
    /// Not as the policy asks, but since it is not ours to take down.
    pub is_left_behind: bool,
    /// The resources, and why they stay.
    pub note: String,
}

/// What stays of these steps: one note for each reason, and several where one has no room for all names.
#[must_use]
pub fn staying<'a>(
    steps: impl IntoIterator<Item = &'a Step>,
    policy: DeletionPolicy,
) -> Vec<Staying> {
    let mut groups: Vec<(bool, String, Vec<String>)> = Vec::new();
    for step in steps {
        let ResourceKind::Aws(kind) = step.key.kind else {
            continue;
        };
        if step.action != Action::Retain {
            continue;
        }
        let (is_left_behind, why) = match &step.operation {
            Operation::LeaveBehind(failure) => (true, failure.describe()),
            _ => (false, reason_to_retain(kind, policy).to_string()),
        };
        let name = step.key.to_string();
        match groups
            .iter_mut()
            .find(|(left, reason, _)| (*left, reason.as_str()) == (is_left_behind, why.as_str()))
        {
            Some((.., names)) => names.push(name),
            None => groups.push((is_left_behind, why, vec![name])),
        }
    }
    let mut told = Vec::new();
    for (is_left_behind, why, names) in groups {
        let room = LONGEST_NOTE.saturating_sub(why.len() + 2);
        let mut lines: Vec<String> = Vec::new();
        for name in names {
            match lines.last_mut() {
                Some(line) if line.len() + 2 + name.len() <= room => {
                    line.push_str(", ");
                    line.push_str(&name);
                }
                _ => lines.push(name),
            }
        }
        told.extend(lines.into_iter().map(|names| Staying {
            is_left_behind,
            note: format!("{names}: {why}"),
        }));
    }
    told
}

/// What stays of these steps, for a condition; `None` where nothing does.
pub(super) fn stays(steps: &[Step]) -> Option<String> {
    let names: Vec<String> = steps
        .iter()
        .filter(|step| {
            step.action == Action::Retain && matches!(step.key.kind, ResourceKind::Aws(_))
        })
        .map(|step| step.key.to_string())
        .collect();
    (!names.is_empty()).then(|| format!("stays in AWS: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        aws::AwsKind,
        failure::{Class, Failure},
        planner::step,
        resource::ResourceKey,
    };

    fn kept(name: &str) -> Step {
        step(
            &ResourceKey::aws(AwsKind::SnsTopic, name),
            Action::Retain,
            Operation::Forget,
        )
    }

    #[test]
    fn all_that_stays_is_told_by_reason_and_no_note_is_too_long() {
        let mut steps: Vec<Step> = (0..40)
            .map(|number| {
                kept(&format!(
                    "octank-shop-orders-a-rather-long-name-{number:02}"
                ))
            })
            .collect();
        let failure = Failure::new(Class::NotReady, "left in AWS, since it belongs to somebody");
        steps.push(step(
            &ResourceKey::aws(AwsKind::SqsQueue, "theirs"),
            Action::Retain,
            Operation::LeaveBehind(failure),
        ));
        let told = staying(&steps, DeletionPolicy::Retain);
        assert!(told.len() > 2 && told.len() < 6, "{told:?}");
        for note in &told {
            assert!(note.note.len() <= LONGEST_NOTE, "{}", note.note.len());
        }
        let all: String = told.iter().map(|note| note.note.as_str()).collect();
        for step in &steps {
            assert!(
                all.contains(&step.key.to_string()),
                "{} is not told",
                step.key
            );
        }
        let left: Vec<&str> = told
            .iter()
            .filter(|note| note.is_left_behind)
            .map(|note| note.note.as_str())
            .collect();
        assert_eq!(
            left,
            ["SQS queue theirs: left in AWS, since it belongs to somebody"]
        );
        assert!(
            told[0]
                .note
                .ends_with(": kept in AWS, as policy.deletion Retain asks")
        );
    }
}
