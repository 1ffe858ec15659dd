//! Autoscalers that are not wanted any more, and what they scale. Each sets its numbers back for as long as it is there: waiting for
//! these to be as they are wanted would be waiting for ever.

use super::{Input, Ownership, ownership};
use crate::{
    aws::{AwsKind, AwsResource, Capacity, DynamoDbTable, ScalableTarget},
    blueprint::Wanted,
    difference::Difference,
    kubernetes::KubernetesKind,
    observed::Observation,
    plan::{Blocker, Operation, Step},
    resource::{ResourceKey, ResourceKind},
};

/// When an autoscaler goes that is not in the blueprint any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At once and whatever the deletion policy, since what it scales stays and is wanted otherwise.
    AtOnce,
    /// When what it scales has gone.
    AfterWhatItScales,
    /// As any other leftover.
    AsOthers,
}

/// When a leftover goes, if it is an autoscaler.
pub(super) fn end(key: &ResourceKey, input: &Input<'_>) -> End {
    match key.kind {
        ResourceKind::Kubernetes(KubernetesKind::HorizontalPodAutoscaler) => End::AtOnce,
        ResourceKind::Aws(AwsKind::ScalableTarget) => of_table(key, input).unwrap_or(End::AsOthers),
        _ => End::AsOthers,
    }
}

/// When a target goes whose table stays. `None` where the table goes as well.
fn of_table(key: &ResourceKey, input: &Input<'_>) -> Option<End> {
    let (name, index) = ScalableTarget::table_of(&key.name)?;
    let table = ResourceKey::aws(AwsKind::DynamoDbTable, name);
    let Wanted::Aws(wanted) = &input.blueprint.get(&table)?.wanted else {
        return None;
    };
    let AwsResource::DynamoDbTable(wanted) = &**wanted else {
        return None;
    };
    let goes = index.is_some_and(|index| goes_with_its_capacity(index, &table, wanted, input));
    Some(if goes {
        End::AfterWhatItScales
    } else {
        End::AtOnce
    })
}

/// Whether an index is to go and its table stays provisioned. Until then, which may take a person's approval, it serves and is
/// scaled.
fn goes_with_its_capacity(
    index: &str,
    table: &ResourceKey,
    wanted: &DynamoDbTable,
    input: &Input<'_>,
) -> bool {
    let is_there = input.observed.present(table).is_some_and(|present| {
        matches!(&present.resource, AwsResource::DynamoDbTable(found) if found.global_indexes.contains_key(index))
    });
    is_there
        && !wanted.global_indexes.contains_key(index)
        && matches!(wanted.capacity, Capacity::Provisioned(_))
}

/// The autoscalers that have to go before these fields of a resource are changed.
pub(super) fn in_the_way(
    key: &ResourceKey,
    differences: &[Difference],
    input: &Input<'_>,
) -> Vec<Blocker> {
    let changes_capacity = key.kind == ResourceKind::Aws(AwsKind::DynamoDbTable)
        && differences
            .iter()
            .any(|difference| matches!(difference.field.name, "capacity" | "globalIndexes"));
    if !changes_capacity {
        return Vec::new();
    }
    input
        .inventory
        .keys()
        .filter(|other| {
            other.kind == ResourceKind::Aws(AwsKind::ScalableTarget)
                && ScalableTarget::table_of(&other.name).is_some_and(|(table, _)| table == key.name)
                && input.blueprint.get(other).is_none()
                && end(other, input) == End::AtOnce
                && match input.observed.aws.get(other) {
                    Some(Observation::Absent) => false,
                    // Somebody else's stays, whatever it does to the table.
                    Some(Observation::Present(present)) => {
                        ownership::of(present, input) == Ownership::Ours
                    }
                    Some(Observation::Unknown(_)) | None => true,
                }
        })
        .cloned()
        .map(Blocker::Resource)
        .collect()
}

/// A table that waits for a person's approval to go serves until then, and is scaled until then.
pub(super) fn hold_with_their_tables(steps: &mut [Step]) {
    let waiting: Vec<ResourceKey> = steps
        .iter()
        .filter(|step| {
            step.key.kind == ResourceKind::Aws(AwsKind::DynamoDbTable)
                && matches!(step.operation, Operation::AwsDelete { .. })
                && step.blocked_by.contains(&Blocker::Approval)
        })
        .map(|step| step.key.clone())
        .collect();
    for step in steps.iter_mut().filter(|step| {
        step.key.kind == ResourceKind::Aws(AwsKind::ScalableTarget)
            && matches!(step.operation, Operation::AwsDelete { .. })
    }) {
        let table = ScalableTarget::table_of(&step.key.name)
            .and_then(|(name, _)| waiting.iter().find(|table| table.name == name));
        step.blocked_by
            .extend(table.cloned().map(Blocker::Resource));
    }
}
