//! What was searched for that no inventory has.

use std::{collections::BTreeSet, time::Instant};

use shopkeeper_plan::resource::ResourceKey;

use super::Memory;

/// Why all that carries the tags of a custom resource is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Search {
    /// It was worked on before, and its status has no inventory.
    InventoryIsLost,
    /// It is being deleted, and nobody will know of it afterwards.
    End,
}

/// What was searched for one custom resource by this process.
#[derive(Debug, Default)]
pub(super) struct Searches {
    done: BTreeSet<Search>,
    /// Since when AWS is silent about a search.
    silent: Option<Instant>,
    /// When the description of everything was asked for that was compared last.
    compared: Option<Instant>,
    /// What the descriptions name and is not there, or not ours: they lag behind, some for weeks.
    dismissed: BTreeSet<ResourceKey>,
}

impl Memory {
    /// Whether a search is still to be made.
    pub fn is_unsearched(&self, uid: &str, search: Search) -> bool {
        let all = self.lock();
        all.get(uid)
            .is_none_or(|remembered| !remembered.searches.done.contains(&search))
    }

    /// Whether AWS has been silent about a search for less than [`PATIENCE`](super::silence::PATIENCE).
    pub fn is_search_worth_waiting_for(&self, uid: &str) -> bool {
        let mut all = self.lock();
        let searches = &mut all.entry(uid.to_owned()).or_default().searches;
        let since = searches.silent.get_or_insert_with(Instant::now);
        since.elapsed() < super::silence::PATIENCE
    }

    /// A search was made, or there is nothing to be found.
    pub fn was_searched(&self, uid: &str, search: Search) {
        let mut all = self.lock();
        let remembered = all.entry(uid.to_owned()).or_default();
        remembered.searches.done.insert(search);
        remembered.searches.silent = None;
    }

    /// When the description of everything was asked for that its inventory was compared with last.
    pub fn compared(&self, uid: &str) -> Option<Instant> {
        self.lock().get(uid)?.searches.compared
    }

    /// Its inventory was compared with the description that was asked for then. What of that came to nothing is not looked at again.
    pub fn was_compared(&self, uid: &str, asked: Instant, dismissed: BTreeSet<ResourceKey>) {
        let mut all = self.lock();
        let searches = &mut all.entry(uid.to_owned()).or_default().searches;
        searches.compared = Some(asked);
        searches.dismissed.extend(dismissed);
    }

    /// Those that did not come to nothing before.
    pub fn not_dismissed(&self, uid: &str, keys: BTreeSet<ResourceKey>) -> BTreeSet<ResourceKey> {
        match self.lock().get(uid) {
            Some(remembered) => &keys - &remembered.searches.dismissed,
            None => keys,
        }
    }
}
