//! The watches of custom resources, and what is asked about one of them.

use std::sync::Arc;

use kube::{Api, Client, Resource, ResourceExt, core::DeserializeGuard};
use shopkeeper_api::{
    Managed, Platform,
    status::{Status, reason},
};
use shopkeeper_kube::{
    metrics::WatchMetrics,
    queue::Lane,
    store::{Change, ObjectKey, Store},
    watch::Watch,
};
use shopkeeper_plan::{
    claims::{Name, Standing},
    resolve::{Resolve, nodes, platform},
};
use tokio_util::sync::CancellationToken;

use super::{Claimant, Late};
use crate::{key::Kind, memory::Memory, neighbours, queues::Queues};

pub(super) fn start_custom<K>(
    client: &Client,
    kind: Kind,
    (queues, memory): (&Queues, &Arc<Memory>),
    late: &Late,
    metrics: &WatchMetrics,
    shutdown: &CancellationToken,
) -> Store<K>
where
    K: Resolve,
{
    let api: Api<DeserializeGuard<K>> = Api::all(client.clone());
    let queues = queues.clone();
    let memory = Arc::clone(memory);
    let late = Arc::clone(late);
    neighbours::indexed(Watch::objects(api, &()))
        .on_invalid({
            let queues = queues.clone();
            move |key, _| queues.add(kind, key.clone(), Lane::Edit)
        })
        .on_change(move |change: &Change<K>| {
            forget_what_is_gone(&memory, change);
            if change.is_intent() || lost_its_status(change) {
                queues.add(kind, change.key.clone(), change.lane());
            }
            let appeared = change.before.is_none() || change.after.is_none();
            let edited = change
                .states()
                .map(|object| object.meta().generation)
                .collect::<std::collections::BTreeSet<_>>()
                .len()
                > 1;
            if let Some(stores) = late.get().filter(|_| appeared || edited) {
                neighbours::wake(stores, &queues, kind, change);
            }
        })
        .start(metrics, shutdown.clone())
}

/// Whether somebody emptied a status. Everything that refers to it goes by that, and it is written again at once.
fn lost_its_status<K: Managed>(change: &Change<K>) -> bool {
    let says_nothing = |object: &K| {
        object
            .shared_status()
            .is_none_or(|status| status.conditions.is_empty())
    };
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => !says_nothing(before) && says_nothing(after),
        _ => false,
    }
}

/// Whatever took it away: its own end, or somebody who took our finalizer off. Another one of its name is another one.
fn forget_what_is_gone<K: Managed>(memory: &Memory, change: &Change<K>) {
    let uid = |object: &Option<Arc<K>>| object.as_ref().and_then(|object| object.uid());
    let (before, after) = (uid(&change.before), uid(&change.after));
    if let Some(gone) = before.filter(|before| after.as_ref() != Some(before)) {
        memory.forget(&gone);
    }
}

pub(super) fn start_platforms(
    client: &Client,
    queues: &Queues,
    memory: &Arc<Memory>,
    late: &Late,
    metrics: &WatchMetrics,
    shutdown: &CancellationToken,
) -> Store<Platform> {
    let api: Api<DeserializeGuard<Platform>> = Api::all(client.clone());
    let queues = queues.clone();
    let memory = Arc::clone(memory);
    let late = Arc::clone(late);
    Watch::objects(api, &())
        .on_invalid({
            let queues = queues.clone();
            move |key, _| queues.add(Kind::Platform, key.clone(), Lane::Edit)
        })
        .on_change(move |change: &Change<Platform>| {
            forget_what_is_gone(&memory, change);
            if change.is_intent() || lost_its_status(change) {
                queues.add(Kind::Platform, change.key.clone(), change.lane());
            }
            let facts: Vec<_> = change
                .states()
                .map(|platform| {
                    (
                        platform::facts(platform),
                        platform.spec.defaults.clone(),
                        platform.spec.allowed_namespaces.clone(),
                    )
                })
                .collect();
            let same = facts.len() == 2 && facts[0] == facts[1];
            if let Some(stores) = late.get().filter(|_| !same) {
                for (kind, key) in stores.workload_keys() {
                    queues.add(kind, key, change.lane());
                }
            }
        })
        .start(metrics, shutdown.clone())
}

/// A name in the index of those who ask for it.
pub fn indexed_name(namespace: &str, name: &Name) -> String {
    format!("{namespace}/{name}")
}

pub(super) fn statuses<K: Managed>(
    kind: Kind,
    store: &Store<K>,
    tell: &mut impl FnMut(Kind, &Status),
) {
    for object in store.list() {
        if let Some(status) = object.shared_status() {
            tell(kind, status);
        }
    }
}

pub(super) fn claimants<K: Resolve>(
    store: &Store<K>,
    indexed: &str,
) -> impl Iterator<Item = Claimant> {
    let objects = store.indexed(neighbours::NAMES, indexed);
    objects.into_iter().map(move |object| Claimant {
        standing: Standing::of(object.as_ref()),
        claims: object.claims(),
        status: object.shared_status().cloned().unwrap_or_default(),
    })
}

/// The keys of objects of a kind.
pub(super) fn keys<K: Resource>(
    kind: Kind,
    objects: Vec<Arc<K>>,
) -> impl Iterator<Item = (Kind, ObjectKey)> {
    let objects = objects.into_iter();
    objects.map(move |object| (kind, ObjectKey::of(object.as_ref())))
}

/// The keys of those in a store that pass a check.
pub(super) fn keys_where<K: Resource>(
    kind: Kind,
    store: &Store<K>,
    check: impl Fn(&K) -> bool,
) -> impl Iterator<Item = (Kind, ObjectKey)> {
    let mut objects = store.list();
    objects.retain(|object| check(object.as_ref()));
    keys(kind, objects)
}

/// Whether a custom resource was made on a Platform; of a new one, whether it names it or, where it is the `only` one, none. One that has
/// made something and whose status was lost may be on any of them.
pub(super) fn is_on(object: &impl Managed, platform: &str, only: bool) -> bool {
    let in_use = object
        .shared_status()
        .and_then(|status| status.platform.as_ref());
    match in_use {
        Some(in_use) => in_use.name == platform,
        None => object
            .platform_ref()
            .map_or(only || is_held(object), |reference| {
                reference.name == platform
            }),
    }
}

fn is_held(object: &impl Managed) -> bool {
    let finalizers = object.meta().finalizers.iter().flatten();
    finalizers
        .into_iter()
        .any(|finalizer| finalizer == shopkeeper_api::FINALIZER)
}

pub(super) fn is_held_by_quota(object: &impl Managed) -> bool {
    object.shared_status().is_some_and(|status| {
        let mut conditions = status.conditions.iter();
        conditions.any(|condition| condition.reason == reason::QUOTA_EXCEEDED)
    })
}

pub(super) fn reads(object: &impl Resolve, secret: &ObjectKey) -> bool {
    object.meta().namespace == secret.namespace
        && object.read_secrets().contains(&secret.name.as_str())
}

/// Whether nodes with this label are for a workload of the custom resource.
pub(super) fn owns_nodes(object: &impl Resolve, label: &str) -> bool {
    let namespace = object.meta().namespace.as_deref().unwrap_or_default();
    let names = object.component_names();
    names
        .iter()
        .any(|name| nodes::label(namespace, name) == label)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;
    use shopkeeper_api::Storefront;

    use super::*;
    use crate::names::Taken;

    #[test]
    fn nodes_belong_to_the_workload_whose_label_they_have_and_to_no_other() {
        let storefront: Storefront = serde_json::from_value(json!({
            "apiVersion": "shopkeeper.dev/v1alpha1",
            "kind": "Storefront",
            "metadata": {"name": "octank", "namespace": "shop"},
            "spec": {"frontends": [{"name": "web", "workload": {"image": "registry.example/web:1"}}]},
        }))
        .unwrap();
        assert!(owns_nodes(&storefront, "shop.octank-web"));
        // That of a service `octank-orders`, of another namespace, and of the Storefront's name alone.
        for other in ["shop.octank-orders", "outlet.octank-web", "shop.octank"] {
            assert!(!owns_nodes(&storefront, other), "{other}");
        }
        let mut far = storefront;
        far.metadata.namespace = Some("n".repeat(63));
        let label = nodes::label(&"n".repeat(63), "octank-web");
        assert!(label.len() <= 63 && owns_nodes(&far, &label), "{label}");
    }

    #[test]
    fn an_emptied_status_is_seen_and_what_made_something_may_be_on_any_platform() {
        let storefront = |status: serde_json::Value| -> Arc<Storefront> {
            let object = json!({
                "apiVersion": "shopkeeper.dev/v1alpha1",
                "kind": "Storefront",
                "metadata": {"name": "octank", "namespace": "shop", "finalizers": [shopkeeper_api::FINALIZER]},
                "spec": {"routes": [{"path": "/", "frontend": "web"}]},
                "status": status,
            });
            Arc::new(serde_json::from_value(object).unwrap())
        };
        let condition = json!({"type": "Ready", "status": "True", "reason": "Succeeded", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let told = storefront(json!({"conditions": [condition]}));
        let emptied = storefront(json!({}));
        let change = |before: &Arc<Storefront>, after: &Arc<Storefront>| Change {
            key: ObjectKey::namespaced("shop", "octank"),
            before: Some(Arc::clone(before)),
            after: Some(Arc::clone(after)),
            relisted: false,
        };
        assert!(lost_its_status(&change(&told, &emptied)));
        assert!(!lost_its_status(&change(&told, &told)));
        assert!(!lost_its_status(&change(&emptied, &told)));
        assert!(is_on(&*emptied, "octank", false));
        let mut new = (*emptied).clone();
        new.metadata.finalizers = None;
        assert!(!is_on(&new, "octank", false) && is_on(&new, "octank", true));
    }

    #[test]
    fn what_goes_without_its_finalizer_is_forgotten() {
        let storefront = |uid: &str| {
            let object: Storefront = serde_json::from_value(json!({
                "apiVersion": "shopkeeper.dev/v1alpha1",
                "kind": "Storefront",
                "metadata": {"name": "octank", "namespace": "shop", "uid": uid},
                "spec": {"routes": [{"path": "/", "frontend": "web"}]},
            }))
            .unwrap();
            Some(Arc::new(object))
        };
        let memory = Memory::default();
        let claims = storefront("first").unwrap().claims();
        let is_taken = || {
            let mut taken = false;
            let look = |it: &Taken| {
                taken = it.is_by("first", &claims[0].name);
                Ok(())
            };
            memory.names().take("nobody", &[], look).unwrap();
            taken
        };
        let change = |before, after| Change {
            key: ObjectKey::namespaced("shop", "octank"),
            before,
            after,
            relisted: false,
        };
        for after in [None, storefront("second")] {
            memory.wrote_status("first", &json!({}));
            memory.names().take("first", &claims, |_| Ok(())).unwrap();
            let same = change(storefront("first"), storefront("first"));
            forget_what_is_gone(&memory, &same);
            assert!(memory.status("first").is_some() && is_taken());
            forget_what_is_gone(&memory, &change(storefront("first"), after));
            assert_eq!(memory.status("first"), None);
            assert!(!is_taken());
        }
    }
}
