//! What is found by its tags although the inventory does not have it: a status can be lost. Pure.
//!
//! See `docs/decisions/0039-what-a-lost-inventory-left.md`.

use std::collections::BTreeMap;

use crate::{
    aws::AwsKind,
    blueprint::Blueprint,
    names::{OWNER_UID_TAG, Owner, RETAINED_TAG, is_with_hash},
    observed::Observation,
    planner::{Inventory, InventoryEntry},
    resource::{ResourceKey, ResourceKind},
};

/// The role of what no specification asks for any more: what it was for went with the inventory.
pub const LEFT: &str = "leftover";

/// Whether the inventory has a resource, as far as AWS tells names apart: RDS and ElastiCache write them in small letters.
#[must_use]
pub fn is_known(key: &ResourceKey, inventory: &Inventory, draft: &Blueprint) -> bool {
    inventory.keys().chain(draft.keys()).any(|known| {
        known.kind == key.kind && known.name.eq_ignore_ascii_case(&key.name) && known != key
    }) || inventory.contains_key(key)
}

/// The entries for an inventory of what was looked at by its name and is there and ours. What was kept when it stopped being declared is
/// not taken back.
#[must_use]
pub fn entries(
    seen: &BTreeMap<ResourceKey, Observation>,
    inventory: &Inventory,
    draft: &Blueprint,
    owner: &Owner,
) -> Inventory {
    let is_ours = |key: &ResourceKey, observation: &Observation| {
        let Observation::Present(present) = observation else {
            return false;
        };
        // SNS has no tags for subscriptions. They were found by a topic that is ours, and the planner goes by that again.
        if key.kind == ResourceKind::Aws(AwsKind::SnsSubscription) {
            return true;
        }
        let tags = present.tags();
        tags.get(OWNER_UID_TAG) == Some(&owner.uid) && !tags.contains_key(RETAINED_TAG)
    };
    seen.iter()
        .filter(|(key, _)| !is_known(key, inventory, draft))
        .filter(|(key, observation)| is_ours(key, observation))
        .map(|(key, _)| {
            let entry = InventoryEntry {
                adopted: true,
                ..InventoryEntry::new(&role(key, draft))
            };
            (key.clone(), entry)
        })
        .collect()
}

/// What a resource is for: what the blueprint says; of a place for pods that is in other subnets than one of the blueprint, what that one
/// is for, so that it may stay.
fn role(key: &ResourceKey, draft: &Blueprint) -> String {
    if let Some(node) = draft.get(key) {
        return node.role.clone();
    }
    let is_place = matches!(key.kind, ResourceKind::Aws(kind) if kind.is_place());
    let same_place = draft.iter().find(|(other, _)| {
        let base = other.name.rsplit_once('-').map(|(base, _)| base);
        is_place
            && other.kind == key.kind
            && base.is_some_and(|base| {
                is_with_hash(base, &other.name) && is_with_hash(base, &key.name)
            })
    });
    same_place.map_or_else(|| LEFT.to_owned(), |(_, node)| node.role.clone())
}
