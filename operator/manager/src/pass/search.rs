//! What carries the tags of a custom resource and is in no inventory: it is looked at by its name, and taken back into the inventory.
//!
//! See `docs/decisions/0039-what-a-lost-inventory-left.md`.

use std::{collections::BTreeSet, time::Duration};

use kube::ResourceExt as _;
use shopkeeper_aws::{Age, parts::Since};
use shopkeeper_plan::{
    failure::Failure,
    found,
    observed::{Observation, Observed},
    planner::Inventory,
    resource::ResourceKey,
};

use super::{Scoped, Site, Subject, events};
use crate::memory::Search;

impl<K: Scoped> Subject<'_, K> {
    /// The inventory, with what it has lost, and the search that was made for it. That is noted once what it found is in the status: a
    /// pass that breaks off before leaves nothing behind but what AWS knows.
    ///
    /// # Errors
    /// AWS does not tell just now whether anything was lost, and that has to be known first.
    pub(super) async fn with_lost(
        &self,
        site: &Site<'_>,
        inventory: Inventory,
        age: Age,
    ) -> Result<(Inventory, Option<Search>), Failure> {
        let search = self.search(&inventory);
        let lost = match search {
            Some(_) => self.searched(site, &inventory, age).await?,
            None if self.deleting() => return Ok((inventory, None)),
            None => self.compared(site, &inventory, age).await,
        };
        let mut whole = inventory;
        whole.extend(lost);
        Ok((whole, search))
    }

    /// The search that has to be made before anything is planned, if one has to.
    fn search(&self, inventory: &Inventory) -> Option<Search> {
        let search = if self.deleting() {
            Search::End
        } else {
            Search::InventoryIsLost
        };
        let was_held = || {
            let finalizers = self.object.finalizers();
            finalizers.contains(&shopkeeper_api::FINALIZER.to_owned())
        };
        let is_due = self.deleting() || (inventory.is_empty() && was_held());
        let memory = &self.world.memory;
        (is_due && memory.is_unsearched(&self.owner.uid, search)).then_some(search)
    }

    /// Asks AWS for all that carries its tags.
    async fn searched(
        &self,
        site: &Site<'_>,
        inventory: &Inventory,
        age: Age,
    ) -> Result<Inventory, Failure> {
        let (memory, uid) = (&self.world.memory, &self.owner.uid);
        let draft = (site.blueprint)(&Observed::default());
        let known: BTreeSet<ResourceKey> = inventory.keys().chain(draft.keys()).cloned().collect();
        // What was told before the budget was spent need not be told again.
        let parts = memory.parts(uid);
        let account = &site.session.account;
        let owned = account.owned(&self.owner, &site.scope, &known, self.deleting());
        let owned = parts.looking(Since::moment(age.since), owned).await;
        let (entries, unseen) = self.looked_at(owned.keys, site, inventory, age).await;
        // What AWS is silent about is asked for again, for as long as that is worth waiting for; what it refuses to tell it will refuse
        // again, and nobody's deletion is to wait for that.
        if let Some(failure) = owned.failure.or(unseen) {
            let is_worth_waiting = || memory.is_search_worth_waiting_for(uid);
            if failure.is_budget_spent() || (failure.class.is_silence() && is_worth_waiting()) {
                return Err(failure);
            }
            tracing::warn!(class = failure.class.label(), %failure, "not all that carries our tags could be searched for");
            events::not_searched(self, &failure).await;
        }
        events::found(self, &entries, &draft).await;
        Ok(entries)
    }

    /// Compares the inventory with what a description of everything tells that was made for other reasons: it makes no calls but for what
    /// is found.
    async fn compared(&self, site: &Site<'_>, inventory: &Inventory, age: Age) -> Inventory {
        let (memory, uid) = (&self.world.memory, &self.owner.uid);
        let account = &site.session.account;
        let listed = account.listed_as_owned(&site.scope, memory.compared(uid));
        let Some((asked, mut keys)) = listed.await else {
            return Inventory::new();
        };
        let draft = (site.blueprint)(&Observed::default());
        keys.retain(|key| draft.get(key).is_none());
        let mut keys = memory.not_dismissed(uid, keys);
        let (entries, unseen) = self.looked_at(keys.clone(), site, inventory, age).await;
        if unseen.is_none_or(|failure| !failure.class.is_silence()) {
            keys.retain(|key| {
                !found::is_known(key, inventory, &draft) && !entries.contains_key(key)
            });
            memory.was_compared(uid, asked, keys);
        }
        events::found(self, &entries, &draft).await;
        entries
    }

    /// The entries of what is there and ours, each looked at by its name and as it is now; and why not all could be looked at.
    async fn looked_at(
        &self,
        mut keys: BTreeSet<ResourceKey>,
        site: &Site<'_>,
        inventory: &Inventory,
        age: Age,
    ) -> (Inventory, Option<Failure>) {
        let draft = (site.blueprint)(&Observed::default());
        keys.retain(|key| !found::is_known(key, inventory, &draft));
        if keys.is_empty() {
            return (Inventory::new(), None);
        }
        let age = Age {
            at_rest: Duration::ZERO,
            settings_at_rest: Duration::ZERO,
            settings: Duration::ZERO,
            listings: Duration::ZERO,
            ..age
        };
        let seen = site.session.observer.observe(&keys, &site.scope, age).await;
        let unseen = seen.values().find_map(Observation::failure).cloned();
        let entries = found::entries(&seen, inventory, &draft, &self.owner);
        (entries, unseen)
    }
}
