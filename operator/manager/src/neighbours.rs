//! Which custom resources look at each other: routes and endpoints name services, a service lets in the Storefronts that route
//! to it, and two that ask for one name contend for it.
//!
//! Only these are woken by each other. Waking everything in a namespace would make the passes over a shop grow with the
//! square of its size, and would miss what is named across namespaces.

use std::collections::BTreeSet;

use shopkeeper_api::{Managed, Storefront};
use shopkeeper_kube::{
    queue::Lane,
    store::{Change, ObjectKey},
    watch::Watch,
};
use shopkeeper_plan::{
    claims,
    resolve::{Resolve, frontend_of},
};

use crate::{
    key::Kind,
    queues::Queues,
    stores::{Stores, indexed_name},
};

/// Index of custom resources by the names that others find them by: their own as a service, and those of the objects
/// that they ask for.
pub const NAMES: &str = "names";
/// Index of custom resources by the services and Storefronts they refer to, and by the names of those services: they lead to whoever has
/// the name.
pub const REFERENCES: &str = "references";

/// Indexes a watch of custom resources, so that neighbours are found without looking at all of them.
pub fn indexed<K: Resolve>(watch: Watch<K>) -> Watch<K> {
    watch.index(NAMES, names).index(REFERENCES, references)
}

/// Queues those who look at what has changed: when it appears, changes or goes. A Platform that is going waits for the last of
/// all.
pub fn wake<K: Resolve>(stores: &Stores, queues: &Queues, kind: Kind, change: &Change<K>) {
    for (other, key) in of(stores, change) {
        if (other, &key) != (kind, &change.key) {
            queues.add(other, key, change.lane());
        }
    }
    if change.is_deletion() {
        for platform in stores.platforms.list() {
            if platform.metadata.deletion_timestamp.is_some() {
                queues.add(Kind::Platform, ObjectKey::of(platform.as_ref()), Lane::Edit);
            }
        }
    }
}

fn of<K: Resolve>(stores: &Stores, change: &Change<K>) -> BTreeSet<(Kind, ObjectKey)> {
    let (mut own, mut named) = (BTreeSet::new(), BTreeSet::new());
    // What it was counts, too: a route that is taken out closes a door at the service.
    for object in change.states() {
        own.extend(names(object.as_ref()));
        named.extend(references(object.as_ref()));
    }
    let mut found = BTreeSet::new();
    for (index, values) in [(NAMES, &own), (NAMES, &named), (REFERENCES, &own)] {
        for value in values {
            found.extend(stores.indexed(index, value));
        }
    }
    found
}

/// A group of load balancers as the index has it: those who ask for one look at each other.
pub fn indexed_group(group: &str) -> String {
    format!("LoadBalancerGroup/{group}")
}

fn names<K: Resolve>(object: &K) -> Vec<String> {
    let namespace = object.meta().namespace.as_deref().unwrap_or_default();
    let name = object.meta().name.as_deref().unwrap_or_default();
    claims::names(&object.claims())
        .iter()
        .map(|claimed| indexed_name(namespace, claimed))
        .chain([format!("{}/{namespace}/{name}", K::KIND)])
        .chain(object.load_balancer_groups().into_iter().map(indexed_group))
        .collect()
}

fn references<K: Resolve>(object: &K) -> Vec<String> {
    let own = object.meta().namespace.as_deref().unwrap_or_default();
    let frontends = object.callers().into_iter().filter_map(|caller| {
        let frontend = frontend_of(caller.frontend.as_ref()?, own);
        let namespace = frontend.namespace.unwrap_or_default();
        Some(format!(
            "{}/{namespace}/{}",
            Storefront::KIND,
            frontend.storefront
        ))
    });
    let services = object.referenced_services().into_iter();
    services
        .flat_map(|service| {
            let kind = service.kind.as_str();
            let itself = format!("{kind}/{}/{}", service.namespace, service.name);
            let name = claims::Name::Workload(service.name);
            [itself, indexed_name(&service.namespace, &name)]
        })
        .chain(frontends)
        .collect()
}
