//! Whether a custom resource may have the names that it asks for: decided before anything is planned.

use std::collections::BTreeMap;

use shopkeeper_kube::store::ObjectKey;
use shopkeeper_plan::{
    claims::{self, Claim, Rival, Standing},
    failure::Failure,
    inventory,
    planner::Inventory,
    resource::ResourceKind,
};

use super::{Subject, service::Reconciled};
use crate::{
    memory::Memory,
    names::Taken,
    stores::{Claimant, OwnedObject, Stores},
};

impl<K: Reconciled> Subject<'_, K> {
    /// Takes the names of what is about to be made.
    pub(super) fn take_names(&self) -> Result<(), Failure> {
        let world = self.world;
        let asked = self.object.claims();
        world.names.take(&self.owner.uid, &asked, |taken| {
            let meta = self.object.meta();
            let subject = Standing {
                path: self.owner.path(),
                uid: self.owner.uid.clone(),
                created: meta.creation_timestamp.as_ref().map(|time| time.0),
                ending: false,
            };
            let inventory = self.inventory();
            let has = |claim: &Claim| {
                taken.is_by(&subject.uid, &claim.name)
                    || claim.is_held_by(&inventory)
                    || objects(claim, &self.owner.namespace, &world.stores)
                        .any(|object| object.owner_uid == subject.uid)
            };
            let mut rivals = Rivals {
                subject: &subject,
                namespace: &self.owner.namespace,
                stores: &world.stores,
                memory: &world.memory,
                taken,
                found: BTreeMap::new(),
            };
            for claim in &asked {
                rivals.add(claim, has(claim));
            }
            let rivals: Vec<Rival> = rivals.found.into_values().collect();
            claims::decide(&subject, &rivals)
        })
    }
}

/// The objects in the caches that go by the name of a claim.
fn objects<'a>(
    claim: &Claim,
    namespace: &'a str,
    stores: &'a Stores,
) -> impl Iterator<Item = OwnedObject> + use<'a> {
    claim
        .name
        .objects()
        .into_iter()
        .filter_map(move |key| match key.kind {
            ResourceKind::Kubernetes(kind) => {
                stores.owned_object(kind, &ObjectKey::namespaced(namespace, key.name))
            }
            ResourceKind::Aws(_) => None,
        })
}

/// Everybody else who has or wants one of the names, by uid.
struct Rivals<'a> {
    subject: &'a Standing,
    namespace: &'a str,
    stores: &'a Stores,
    memory: &'a Memory,
    taken: &'a Taken,
    found: BTreeMap<String, Rival>,
}

impl Rivals<'_> {
    fn add(&mut self, claim: &Claim, subject_has: bool) {
        let owned: Vec<OwnedObject> = objects(claim, self.namespace, self.stores).collect();
        for claimant in self.stores.claimants(self.namespace, &claim.name) {
            let uid = &claimant.standing.uid;
            // As the other one says it: what it has of a workload depends on the part that the workload plays there.
            let theirs = claimant.claims.iter().find(|it| it.name == claim.name);
            let inventory = self.inventory(&claimant);
            let has = owned.iter().any(|object| object.owner_uid == *uid)
                || self.taken.is_by(uid, &claim.name)
                || theirs.is_some_and(|theirs| theirs.is_held_by(&inventory));
            self.found(&claimant.standing, claim, subject_has, has, true);
        }
        for object in &owned {
            // Its owner does not ask for the name any more, or is gone itself: what is left of it is on its way out.
            let standing = Standing {
                path: object.owner_path.clone(),
                uid: object.owner_uid.clone(),
                created: None,
                ending: false,
            };
            self.found(&standing, claim, subject_has, true, false);
        }
    }

    /// What the other one made, as far as it is known: its last write may not have reached the cache.
    fn inventory(&self, claimant: &Claimant) -> Inventory {
        let remembered = self
            .memory
            .status(&claimant.standing.uid)
            .and_then(|status| serde_json::from_value(status).ok());
        inventory::from_status(&remembered.unwrap_or_else(|| claimant.status.clone()))
    }

    fn found(
        &mut self,
        standing: &Standing,
        claim: &Claim,
        subject_has: bool,
        has: bool,
        wants: bool,
    ) {
        if standing.uid == self.subject.uid {
            return;
        }
        let rival = self
            .found
            .entry(standing.uid.clone())
            .or_insert_with(|| Rival {
                standing: standing.clone(),
                claims: Vec::new(),
                has: false,
                wants: false,
                subject_has: false,
            });
        if !rival.claims.contains(claim) {
            rival.claims.push(claim.clone());
        }
        rival.has |= has;
        rival.wants |= wants;
        rival.subject_has |= subject_has;
    }
}
