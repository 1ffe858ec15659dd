//! Places for pods that take the place of others: what the new one begins with, and what it means to go there.
//!
//! See `docs/decisions/0032-places-keep-their-subnets.md`.

use super::{Input, serves};
use crate::{
    aws::{AwsKind, AwsResource, Change},
    blueprint::Wanted,
    difference,
    observed::{Observation, Present},
    plan::Effect,
    resource::{ResourceKey, ResourceKind},
};

/// What it does to a shop when a subnet of its Platform goes, or a zone comes: every node of every workload is exchanged at one time.
/// Disruption budgets hold each workload up, and not what all of them need at once (nodes, addresses, connections of a database).
pub(super) const MOVE: Effect = Effect::Restart;

/// The other places of the same role that the inventory knows and nobody wants any more: what this one replaces.
fn before<'a>(
    key: &'a ResourceKey,
    input: &'a Input<'_>,
) -> impl Iterator<Item = (&'a ResourceKey, &'a Observation)> {
    let role = input.blueprint.get(key).map(|node| node.role.as_str());
    input
        .inventory
        .iter()
        .filter(move |(other, entry)| {
            is_place(other)
                && is_place(key)
                && *other != key
                && Some(entry.role.as_str()) == role
                && input.blueprint.get(other).is_none()
        })
        .filter_map(move |(other, _)| Some((other, input.observed.aws.get(other)?)))
}

fn replaced<'a>(
    key: &'a ResourceKey,
    input: &'a Input<'_>,
) -> impl Iterator<Item = (&'a ResourceKey, &'a Present)> {
    before(key, input).filter_map(|(other, observation)| match observation {
        Observation::Present(present) => Some((other, present.as_ref())),
        Observation::Absent | Observation::Unknown(_) => None,
    })
}

fn is_place(key: &ResourceKey) -> bool {
    matches!(key.kind, ResourceKind::Aws(kind) if kind.is_place())
}

/// A place that was there a moment ago and that EKS says is gone: it may be wrong for some seconds, and a second place in other subnets
/// would not be in the way of the first.
pub(super) fn in_doubt<'a>(key: &'a ResourceKey, input: &'a Input<'_>) -> Option<&'a ResourceKey> {
    before(key, input)
        .find(|(_, observation)| matches!(observation, Observation::Absent))
        .map(|(other, _)| other)
}

/// The node group that serves while this one, which differs from it in nothing but its subnets, is not there yet.
pub(super) fn moved_from<'a>(key: &'a ResourceKey, input: &'a Input<'_>) -> Option<&'a Present> {
    let Wanted::Aws(desired) = &input.blueprint.get(key)?.wanted else {
        return None;
    };
    replaced(key, input)
        .map(|(_, present)| present)
        .find(|present| serves(present, input) && only_moves(desired, present))
}

/// Whether a node group that is not wanted any more goes because of its subnets alone.
pub(super) fn only_goes_elsewhere(key: &ResourceKey, present: &Present, input: &Input<'_>) -> bool {
    let role = input.inventory.get(key).map(|entry| entry.role.as_str());
    input
        .blueprint
        .iter()
        .any(|(other, node)| match &node.wanted {
            Wanted::Aws(desired) => {
                is_place(other) && Some(node.role.as_str()) == role && only_moves(desired, present)
            }
            _ => false,
        })
}

/// A Fargate profile never only moves: pods choose it by its name, and go from one to the other as a rollout.
fn only_moves(desired: &AwsResource, present: &Present) -> bool {
    if desired.kind() != AwsKind::NodeGroup || present.resource.kind() != AwsKind::NodeGroup {
        return false;
    }
    let fixed: Vec<&str> = difference::aws(desired, &present.resource)
        .iter()
        .filter(|difference| difference.field.change == Change::Replace)
        .map(|difference| difference.field.name)
        .collect();
    fixed == ["subnets"]
}

/// A node group as it is made: with as many nodes as the one that it replaces has by now. With the fewest, all pods of a peak would wait
/// for nodes when the old ones are cordoned.
pub(super) fn as_it_begins(
    key: &ResourceKey,
    desired: &AwsResource,
    input: &Input<'_>,
) -> AwsResource {
    let mut begins = desired.clone();
    if let AwsResource::NodeGroup(group) = &mut begins
        && group.desired_size.is_none()
    {
        group.desired_size = replaced(key, input)
            .filter_map(|(_, present)| match &present.resource {
                AwsResource::NodeGroup(old) => old.desired_size,
                _ => None,
            })
            .max()
            .map(|nodes| nodes.min(group.max_size).max(group.min_size));
    }
    begins
}

/// How many nodes a group needs to count as ready: the fewest that it may have; and those that it was asked for, until the first node of
/// the group that it replaces is cordoned for it: others cordon nodes, too, for reasons of their own.
pub(super) fn least_nodes(key: &ResourceKey, present: &Present, input: &Input<'_>) -> usize {
    let AwsResource::NodeGroup(group) = &present.resource else {
        return 0;
    };
    let takes_over = replaced(key, input).any(|(other, _)| {
        input.observed.nodes.get(&other.name).is_some_and(|nodes| {
            !nodes.nodes.is_empty() && nodes.nodes.iter().all(|node| !node.cordoned_by_us)
        })
    });
    let asked = group.desired_size.filter(|_| takes_over);
    usize::try_from(asked.unwrap_or(0).max(group.min_size)).unwrap_or(0)
}
