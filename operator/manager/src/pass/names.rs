//! Whether a custom resource may have the names that it asks for: decided before anything is planned.

use std::collections::{BTreeMap, BTreeSet};

use shopkeeper_kube::store::ObjectKey;
use shopkeeper_plan::{
    claims::{self, Claim, Name, Rival, Standing, Wait, Waiting},
    failure::Failure,
    inventory,
    planner::Inventory,
    resolve::ServiceKey,
    resource::ResourceKind,
};

use super::{Subject, World, service::Reconciled};
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
        world.memory.names().take(&self.owner.uid, &asked, |taken| {
            let subject = Standing::of(self.object);
            let inventory = self.inventory();
            let has = |claim: &Claim| {
                taken.is_by(&subject.uid, &claim.name)
                    || claim.is_held_by(&inventory)
                    || objects(&claim.name, &self.owner.namespace, &world.stores)
                        .any(|object| object.owner_uid == subject.uid)
            };
            let mut rivals = Rivals {
                namespace: &self.owner.namespace,
                stores: &world.stores,
                memory: &world.memory,
                taken,
                found: Found::of(&subject.uid),
            };
            let mut held = held(taken, &subject.uid, &inventory);
            for claim in &asked {
                let has = has(claim);
                rivals.add(claim, has);
                if has {
                    held.insert(claim.name.clone());
                }
            }
            rivals.note_circles(&subject, held);
            let rivals: Vec<Rival> = rivals.found.rivals.into_values().collect();
            claims::decide(&subject, &rivals)
        })
    }
}

/// Who has the name of a service, where that is not the service itself: routes, endpoints and callers that name it would mean the pods
/// of that one.
pub(super) fn taken_by(world: &World, key: &ServiceKey) -> Option<String> {
    let name = Name::Workload(key.name.clone());
    let path = format!("{}/{}/{}", key.kind.as_str(), key.namespace, key.name);
    let mut claimants = world.stores.claimants(&key.namespace, &name).into_iter();
    let claimant = claimants.find(|claimant| claimant.standing.path == path)?;
    let claim = claimant.claims.iter().find(|claim| claim.name == name)?;
    world.memory.names().look(|taken| {
        let mut rivals = Rivals {
            namespace: &key.namespace,
            stores: &world.stores,
            memory: &world.memory,
            taken,
            found: Found::of(&claimant.standing.uid),
        };
        let has = rivals.has(&claimant, &name, &rivals.owned(&name));
        rivals.add(claim, has);
        let rivals: Vec<Rival> = rivals.found.rivals.into_values().collect();
        let winner = claims::winner(&claimant.standing, &rivals)?;
        Some(winner.standing.path.clone())
    })
}

/// What somebody has by what was decided and made; what an earlier specification asked for as well, until it is gone.
fn held(taken: &Taken, uid: &str, inventory: &Inventory) -> BTreeSet<Name> {
    let made = inventory.keys().filter_map(|key| match key.kind {
        ResourceKind::Kubernetes(kind) => Name::of(kind, &key.name),
        ResourceKind::Aws(_) => None,
    });
    taken.of(uid).cloned().chain(made).collect()
}

/// The objects in the caches that go by a name.
fn objects<'a>(
    name: &Name,
    namespace: &'a str,
    stores: &'a Stores,
) -> impl Iterator<Item = OwnedObject> + use<'a> {
    name.objects()
        .into_iter()
        .filter_map(move |key| match key.kind {
            ResourceKind::Kubernetes(kind) => {
                stores.owned_object(kind, &ObjectKey::namespaced(namespace, key.name))
            }
            ResourceKind::Aws(_) => None,
        })
}

/// Everybody else who has or wants one of the names.
struct Rivals<'a> {
    namespace: &'a str,
    stores: &'a Stores,
    memory: &'a Memory,
    taken: &'a Taken,
    found: Found<'a>,
}

impl Rivals<'_> {
    fn add(&mut self, claim: &Claim, subject_has: bool) {
        let owned = self.owned(&claim.name);
        for claimant in self.stores.claimants(self.namespace, &claim.name) {
            let has = self.has(&claimant, &claim.name, &owned);
            self.found
                .add(&claimant.standing, claim, subject_has, has, true);
        }
        for object in &owned {
            // Its owner does not ask for the name any more, or is gone itself: what is left of it is on its way out.
            let standing = Standing {
                path: object.owner_path.clone(),
                uid: object.owner_uid.clone(),
                created: None,
                ending: false,
            };
            self.found.add(&standing, claim, subject_has, true, false);
        }
    }

    /// Whoever has something left of a name, and waits for the one who asks, does not give it up. Only where something is left there
    /// is anybody to look for.
    fn note_circles(&mut self, subject: &Standing, held: BTreeSet<Name>) {
        if !self.found.has_leftovers() {
            return;
        }
        let circles = claims::circles(subject, held, |name| self.waiting(name));
        for (uid, waits) in circles {
            self.found.waits(&uid, &waits);
        }
    }

    /// Whoever asks for a name and does not have it makes no step before it is free.
    fn waiting(&self, name: &Name) -> Vec<Waiting> {
        let owned = self.owned(name);
        let claimants = self.stores.claimants(self.namespace, name).into_iter();
        claimants
            // What is being deleted waits for no name.
            .filter(|claimant| !claimant.standing.ending && !self.has(claimant, name, &owned))
            .map(|claimant| {
                let inventory = self.inventory(&claimant);
                let mut held = held(self.taken, &claimant.standing.uid, &inventory);
                let begun = claimant.claims.iter();
                let begun = begun.filter(|claim| claim.is_held_by(&inventory));
                held.extend(begun.map(|claim| claim.name.clone()));
                Waiting {
                    standing: claimant.standing,
                    held,
                }
            })
            .collect()
    }

    fn owned(&self, name: &Name) -> Vec<OwnedObject> {
        objects(name, self.namespace, self.stores).collect()
    }

    /// Whether a claimant has something that goes by a name.
    fn has(&self, claimant: &Claimant, name: &Name, owned: &[OwnedObject]) -> bool {
        let uid = &claimant.standing.uid;
        // As the other one says it: what it has of a workload depends on the part that the workload plays there.
        let theirs = claimant.claims.iter().find(|it| it.name == *name);
        owned.iter().any(|object| object.owner_uid == *uid)
            || self.taken.is_by(uid, name)
            || theirs.is_some_and(|theirs| theirs.is_held_by(&self.inventory(claimant)))
    }

    /// What the other one made, as far as it is known: its last write may not have reached the cache.
    fn inventory(&self, claimant: &Claimant) -> Inventory {
        let remembered = self
            .memory
            .status(&claimant.standing.uid)
            .and_then(|status| status.read());
        inventory::from_status(&remembered.unwrap_or_else(|| claimant.status.clone()))
    }
}

/// Rivals by uid and name: what one has of one name says nothing of another.
struct Found<'a> {
    subject: &'a str,
    rivals: BTreeMap<(String, Name), Rival>,
}

impl<'a> Found<'a> {
    fn of(subject: &'a str) -> Self {
        Self {
            subject,
            rivals: BTreeMap::new(),
        }
    }

    fn add(
        &mut self,
        standing: &Standing,
        claim: &Claim,
        subject_has: bool,
        has: bool,
        wants: bool,
    ) {
        if standing.uid == self.subject {
            return;
        }
        let rival = self
            .rivals
            .entry((standing.uid.clone(), claim.name.clone()))
            .or_insert_with(|| Rival {
                standing: standing.clone(),
                claim: claim.clone(),
                has: false,
                wants: false,
                subject_has: false,
                waits_for: Vec::new(),
            });
        rival.has |= has;
        rival.wants |= wants;
        rival.subject_has |= subject_has;
    }

    /// Whether somebody has what is left of a name.
    fn has_leftovers(&self) -> bool {
        self.rivals.values().any(|rival| rival.has && !rival.wants)
    }

    fn waits(&mut self, uid: &str, waits: &[Wait]) {
        for ((rival, _), found) in &mut self.rivals {
            if rival == uid {
                found.waits_for = waits.to_vec();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;
    use serde_json::json;
    use shopkeeper_api::OrderService;
    use shopkeeper_plan::{failure::Class, resolve::Resolve};

    use super::*;

    fn workload(name: &str) -> Claim {
        let service: OrderService = serde_json::from_value(json!({
            "apiVersion": "shopkeeper.dev/v1alpha1",
            "kind": "OrderService",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"workload": {"image": "registry.example/it:1"}},
        }))
        .unwrap();
        service.claims().remove(0)
    }

    fn standing(name: &str, created: i64) -> Standing {
        Standing {
            path: format!("Storefront/shop/{name}"),
            uid: name.to_owned(),
            created: Some(Timestamp::from_second(created).unwrap()),
            ending: false,
        }
    }

    fn decide(subject: &Standing, found: Found<'_>) -> Result<(), Failure> {
        let rivals: Vec<Rival> = found.rivals.into_values().collect();
        claims::decide(subject, &rivals)
    }

    #[test]
    fn each_name_is_decided_for_itself() {
        let (subject, rival) = (standing("subject", 20), standing("rival", 10));
        let mut found = Found::of("subject");
        // What it runs is asked for by an older one, which has what is left of another.
        found.add(&rival, &workload("n1"), true, false, true);
        found.add(&rival, &workload("n2"), false, true, false);
        let failure = decide(&subject, found).unwrap_err();
        assert_eq!(failure.class, Class::NotReady, "{failure}");
        assert!(failure.message.contains("workload n2 "), "{failure}");

        let mut found = Found::of("subject");
        found.add(&rival, &workload("n1"), true, false, true);
        found.add(&subject, &workload("n1"), true, true, true);
        assert_eq!(decide(&subject, found), Ok(()));
    }

    #[test]
    fn two_that_exchange_names_are_told_so() {
        for (one, other) in [("a", "b"), ("b", "a")] {
            let mut found = Found::of(one);
            let wanted = workload(&format!("of-{other}"));
            found.add(&standing(other, 10), &wanted, false, true, false);
            let wait = |name: &str, holder: &str| Wait {
                name: workload(name).name,
                holder: holder.to_owned(),
            };
            found.waits(other, &[wait(&format!("of-{one}"), one)]);
            found.waits("third", &[wait("of-third", one)]);
            let failure = decide(&standing(one, 10), found).unwrap_err();
            assert_eq!(failure.class, Class::Invalid, "{failure}");
            let said = failure.describe();
            for part in [
                format!("workload of-{other} belongs to Storefront/shop/{other}"),
                format!("once it has workload of-{one}"),
                "a name that neither has".to_owned(),
            ] {
                assert!(said.contains(&part), "{said}");
            }
        }
    }
}
