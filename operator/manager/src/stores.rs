//! What is watched, and which passes a change asks for.
//!
//! The stores of custom resources are started first and read by the mappers of the others: a change of a Service's owner is
//! found by its owner reference, that of a node by its label, that of a Platform by who refers to it.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use k8s_openapi::api::core::v1::{Namespace, Node, Secret};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::ObjectMeta,
    core::{ApiResource, DeserializeGuard, DynamicObject, GroupVersionKind, PartialObjectMeta},
    runtime::watcher,
};
use shopkeeper_api::{
    CatalogService, Managed, OrderService, Platform, Storefront,
    status::{Status, reason},
};
use shopkeeper_kube::{
    metrics::WatchMetrics,
    queue::Lane,
    scalers::keep_scalers,
    store::{Change, ObjectKey, Store},
    watch::Watch,
};
use shopkeeper_plan::{
    claims::{Claim, Name, Standing},
    kubernetes::{KubernetesKind, hide_secret_values},
    resolve::{Resolve, nodes, platform},
    resource::ResourceKey,
};
use tokio_util::sync::CancellationToken;

use crate::{key::Kind, memory::Memory, neighbours, queues::Queues};

mod cluster;

pub use cluster::{NODE_GROUP_INDEX, is_cordoned_by_us, node_is_ready, node_is_unschedulable};
use cluster::{start_namespaces, start_nodes};

/// Index of children by the uid of their owner.
pub const OWNER_INDEX: &str = "owner";
/// Selects what Shopkeeper made.
const MANAGED_BY_SHOPKEEPER: &str = "app.kubernetes.io/managed-by=shopkeeper";

/// Types of Secrets that hold no credentials of a data tier, and of which a cluster has many.
const NO_CREDENTIALS: [&str; 4] = [
    "helm.sh/release.v1",
    "kubernetes.io/service-account-token",
    "kubernetes.io/dockerconfigjson",
    "bootstrap.kubernetes.io/token",
];

/// Everything that is cached of Kubernetes.
#[derive(Debug)]
pub struct Stores {
    /// Platforms.
    pub platforms: Store<Platform>,
    /// Storefronts.
    pub storefronts: Store<Storefront>,
    /// CatalogServices.
    pub catalog_services: Store<CatalogService>,
    /// OrderServices.
    pub order_services: Store<OrderService>,
    /// Objects that Shopkeeper made, by kind.
    pub children: BTreeMap<KubernetesKind, Store<DynamicObject>>,
    /// Nodes of managed node groups.
    pub nodes: Store<Node>,
    /// Namespaces, for their labels.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
    /// Secrets of anybody, to see that one which bindings read has changed. Their values are never sent.
    pub secrets: Store<PartialObjectMeta<Secret>>,
}

/// A custom resource that asks for a name.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// Where it stands.
    pub standing: Standing,
    /// All the names that it asks for.
    pub claims: Vec<Claim>,
    /// Its status.
    pub status: Status,
}

/// Whose an object is.
#[derive(Clone, Debug)]
pub struct OwnedObject {
    /// Uid of the custom resource.
    pub owner_uid: String,
    /// The custom resource, as tags name it.
    pub owner_path: String,
}

/// Everything that an expression finds in the stores of custom resources that run workloads. They differ in type, so that no loop can go
/// through them.
macro_rules! in_workload_stores {
    ($stores:expr, |$kind:ident, $store:ident| $found:expr) => {{
        let mut all = Vec::new();
        in_workload_stores!(@ all, $stores, $kind, $store, $found, Storefront storefronts);
        in_workload_stores!(@ all, $stores, $kind, $store, $found, CatalogService catalog_services);
        in_workload_stores!(@ all, $stores, $kind, $store, $found, OrderService order_services);
        all
    }};
    (@ $all:ident, $stores:expr, $kind:ident, $store:ident, $found:expr, $named:ident $field:ident) => {{
        let ($kind, $store) = (Kind::$named, &$stores.$field);
        $all.extend($found);
    }};
}

/// The stores, as seen by mappers that are made before the stores are.
type Late = Arc<OnceLock<Arc<Stores>>>;

impl Stores {
    /// Starts all watches.
    pub fn start(
        client: &Client,
        queues: &Queues,
        memory: &Arc<Memory>,
        metrics: &WatchMetrics,
        shutdown: &CancellationToken,
    ) -> Arc<Self> {
        let late: Late = Arc::default();
        let children = KubernetesKind::ALL
            .iter()
            .map(|kind| {
                (
                    *kind,
                    start_children(client, *kind, queues, &late, memory, metrics, shutdown),
                )
            })
            .collect();
        let stores = Arc::new(Self {
            platforms: start_platforms(client, queues, memory, &late, metrics, shutdown),
            storefronts: start_custom::<Storefront>(
                client,
                Kind::Storefront,
                (queues, memory),
                &late,
                metrics,
                shutdown,
            ),
            catalog_services: start_custom::<CatalogService>(
                client,
                Kind::CatalogService,
                (queues, memory),
                &late,
                metrics,
                shutdown,
            ),
            order_services: start_custom::<OrderService>(
                client,
                Kind::OrderService,
                (queues, memory),
                &late,
                metrics,
                shutdown,
            ),
            nodes: start_nodes(client, queues, &late, metrics, shutdown),
            namespaces: start_namespaces(client, queues, &late, metrics, shutdown),
            secrets: start_secrets(client, queues, &late, metrics, shutdown),
            children,
        });
        // A change that comes before this line finds no stores; the listing that a watch starts with asks for every pass anyway.
        let _ = late.set(Arc::clone(&stores));
        stores
    }

    /// Resolves when every store holds what there was at the start.
    pub async fn wait_until_ready(&self) {
        self.platforms.wait_until_ready().await;
        self.storefronts.wait_until_ready().await;
        self.catalog_services.wait_until_ready().await;
        self.order_services.wait_until_ready().await;
        self.nodes.wait_until_ready().await;
        self.namespaces.wait_until_ready().await;
        self.secrets.wait_until_ready().await;
        for store in self.children.values() {
            store.wait_until_ready().await;
        }
    }

    /// Goes through the statuses of all custom resources.
    pub fn each_status(&self, mut tell: impl FnMut(Kind, &Status)) {
        statuses(Kind::Platform, &self.platforms, &mut tell);
        statuses(Kind::Storefront, &self.storefronts, &mut tell);
        statuses(Kind::CatalogService, &self.catalog_services, &mut tell);
        statuses(Kind::OrderService, &self.order_services, &mut tell);
    }

    /// Every custom resource that runs workloads.
    pub fn workload_keys(&self) -> Vec<(Kind, ObjectKey)> {
        in_workload_stores!(self, |kind, store| keys(kind, store.list()))
    }

    /// Every custom resource of a namespace that runs workloads.
    fn workload_keys_in(&self, namespace: &str) -> Vec<(Kind, ObjectKey)> {
        in_workload_stores!(self, |kind, store| keys(kind, store.list_in(namespace)))
    }

    /// Custom resources that ask for a name, by their current specification.
    pub fn claimants(&self, namespace: &str, name: &Name) -> Vec<Claimant> {
        let value = indexed_name(namespace, name);
        in_workload_stores!(self, |_kind, store| claimants(store, &value))
    }

    /// Custom resources that an index finds by a value.
    pub fn indexed(&self, index: &str, value: &str) -> Vec<(Kind, ObjectKey)> {
        in_workload_stores!(self, |kind, store| keys(kind, store.indexed(index, value)))
    }

    /// Whose an object is, if it is there and belongs to a custom resource.
    pub fn owned_object(&self, kind: KubernetesKind, key: &ObjectKey) -> Option<OwnedObject> {
        let object = self.children.get(&kind)?.get(key)?;
        let owner = object
            .owner_references()
            .iter()
            .find(|owner| Kind::from_name(&owner.kind).is_some())?;
        Some(OwnedObject {
            owner_uid: owner.uid.clone(),
            owner_path: format!(
                "{}/{}/{}",
                owner.kind,
                key.namespace.as_deref().unwrap_or_default(),
                owner.name
            ),
        })
    }

    /// Custom resources that nodes with this label are for.
    fn owners_of_nodes(&self, label: &str) -> Vec<(Kind, ObjectKey)> {
        in_workload_stores!(self, |kind, store| keys_where(
            kind,
            store,
            |it| owns_nodes(it, label)
        ))
    }

    /// Custom resources whose bindings read a Secret.
    fn readers_of(&self, secret: &ObjectKey) -> Vec<(Kind, ObjectKey)> {
        in_workload_stores!(self, |kind, store| keys_where(kind, store, |it| reads(
            it, secret
        )))
    }

    /// Custom resources of which some resource is held up by a quota.
    pub fn held_by_quotas(&self) -> Vec<(Kind, ObjectKey)> {
        in_workload_stores!(self, |kind, store| keys_where(
            kind,
            store,
            is_held_by_quota
        ))
    }

    /// Custom resources on a Platform: those that were made on it, and those that name it or, where there is only one, none.
    pub fn dependents(&self, platform: &str) -> Vec<(Kind, ObjectKey)> {
        let only = self.platforms.len() <= 1;
        in_workload_stores!(self, |kind, store| keys_where(kind, store, |it| is_on(
            it, platform, only
        )))
    }

    /// Whether the cluster has an optional kind, as far as is known.
    pub fn has(&self, kind: KubernetesKind) -> bool {
        self.children
            .get(&kind)
            .is_some_and(|store| store.readiness() == shopkeeper_kube::store::Readiness::Ready)
    }
}

fn statuses<K: Managed>(kind: Kind, store: &Store<K>, tell: &mut impl FnMut(Kind, &Status)) {
    for object in store.list() {
        if let Some(status) = object.shared_status() {
            tell(kind, status);
        }
    }
}

/// Whether a custom resource was made on a Platform; of a new one, whether it names it or, where it is the `only` one, none.
fn is_on(object: &impl Managed, platform: &str, only: bool) -> bool {
    let in_use = object
        .shared_status()
        .and_then(|status| status.platform.as_ref());
    match in_use {
        Some(in_use) => in_use.name == platform,
        None => object
            .platform_ref()
            .map_or(only, |reference| reference.name == platform),
    }
}

fn start_custom<K>(
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
            if change.is_intent() {
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

/// Whatever took it away: its own end, or somebody who took our finalizer off. Another one of its name is another one.
fn forget_what_is_gone<K: Managed>(memory: &Memory, change: &Change<K>) {
    let uid = |object: &Option<Arc<K>>| object.as_ref().and_then(|object| object.uid());
    let (before, after) = (uid(&change.before), uid(&change.after));
    if let Some(gone) = before.filter(|before| after.as_ref() != Some(before)) {
        memory.forget(&gone);
    }
}

fn start_platforms(
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
            if change.is_intent() {
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

fn start_children(
    client: &Client,
    kind: KubernetesKind,
    queues: &Queues,
    late: &Late,
    memory: &Arc<Memory>,
    metrics: &WatchMetrics,
    shutdown: &CancellationToken,
) -> Store<DynamicObject> {
    let (group, version) = kind.group_and_version();
    let gvk = GroupVersionKind::gvk(group, version, kind.id());
    let resource = ApiResource::from_gvk_with_plural(&gvk, kind.plural());
    let api: Api<DeserializeGuard<DynamicObject>> = Api::all_with(client.clone(), &resource);
    let queues = queues.clone();
    let late = Arc::clone(late);
    let memory = Arc::clone(memory);
    let mut watch = Watch::objects(api, &resource)
        .labels(MANAGED_BY_SHOPKEEPER)
        .index(
            OWNER_INDEX,
            shopkeeper_kube::store::owner_uids::<DynamicObject>,
        )
        .on_change(move |change: &Change<DynamicObject>| {
            // The listing at the start asks for nothing: every custom resource is listed, too.
            if change.before.is_none() && change.relisted {
                return;
            }
            if let Some(gone) = change.before.as_ref().filter(|_| change.is_deletion()) {
                for uid in shopkeeper_kube::store::owner_uids(gone.as_ref()) {
                    memory.forget_object(
                        &uid,
                        &ResourceKey::kubernetes(kind, change.key.name.clone()),
                        gone.uid(),
                    );
                }
                if let Some(stores) = late.get() {
                    tell_of_free_name(stores, &queues, kind, change);
                }
            }
            for object in change.states() {
                for reference in object.owner_references() {
                    if let (Some(owner), Some(namespace)) =
                        (Kind::from_name(&reference.kind), object.namespace())
                    {
                        queues.add(
                            owner,
                            ObjectKey::namespaced(namespace, reference.name.clone()),
                            change.lane(),
                        );
                    }
                }
            }
        });
    if kind == KubernetesKind::Deployment {
        watch = watch.reduce_managed_fields(keep_scalers);
    }
    if kind == KubernetesKind::Secret {
        watch = watch.prune(|secret: &mut DynamicObject| hide_secret_values(&mut secret.data));
    }
    if kind.is_optional() {
        watch = watch.optional(client.clone(), gvk);
    }
    watch.start(metrics, shutdown.clone())
}

/// An object is gone: whoever asks for its name may have waited for that.
fn tell_of_free_name(
    stores: &Stores,
    queues: &Queues,
    kind: KubernetesKind,
    change: &Change<DynamicObject>,
) {
    let namespace = change.key.namespace.as_deref().unwrap_or_default();
    let Some(name) = Name::of(kind, &change.key.name) else {
        return;
    };
    for (kind, key) in stores.indexed(neighbours::NAMES, &indexed_name(namespace, &name)) {
        queues.add(kind, key, change.lane());
    }
}

/// A name in the index of those who ask for it.
pub fn indexed_name(namespace: &str, name: &Name) -> String {
    format!("{namespace}/{name}")
}

fn claimants<K: Resolve>(store: &Store<K>, indexed: &str) -> impl Iterator<Item = Claimant> {
    let objects = store.indexed(neighbours::NAMES, indexed);
    objects.into_iter().map(move |object| Claimant {
        standing: Standing::of(object.as_ref()),
        claims: object.claims(),
        status: object.shared_status().cloned().unwrap_or_default(),
    })
}

/// The keys of objects of a kind.
fn keys<K: Resource>(kind: Kind, objects: Vec<Arc<K>>) -> impl Iterator<Item = (Kind, ObjectKey)> {
    let objects = objects.into_iter();
    objects.map(move |object| (kind, ObjectKey::of(object.as_ref())))
}

/// The keys of those in a store that pass a check.
fn keys_where<K: Resource>(
    kind: Kind,
    store: &Store<K>,
    check: impl Fn(&K) -> bool,
) -> impl Iterator<Item = (Kind, ObjectKey)> {
    let mut objects = store.list();
    objects.retain(|object| check(object.as_ref()));
    keys(kind, objects)
}

fn is_held_by_quota(object: &impl Managed) -> bool {
    object.shared_status().is_some_and(|status| {
        let mut conditions = status.conditions.iter();
        conditions.any(|condition| condition.reason == reason::QUOTA_EXCEEDED)
    })
}

fn reads(object: &impl Resolve, secret: &ObjectKey) -> bool {
    object.meta().namespace == secret.namespace
        && object.read_secrets().contains(&secret.name.as_str())
}

/// Whether nodes with this label are for a workload of the custom resource.
fn owns_nodes(object: &impl Resolve, label: &str) -> bool {
    let namespace = object.meta().namespace.as_deref().unwrap_or_default();
    let names = object.component_names();
    names
        .iter()
        .any(|name| nodes::label(namespace, name) == label)
}

fn start_secrets(
    client: &Client,
    queues: &Queues,
    late: &Late,
    metrics: &WatchMetrics,
    shutdown: &CancellationToken,
) -> Store<PartialObjectMeta<Secret>> {
    let api: Api<PartialObjectMeta<Secret>> = Api::all(client.clone());
    let queues = queues.clone();
    let late = Arc::clone(late);
    Watch::metadata(api, &())
        .config(
            watcher::Config::default()
                .fields(&NO_CREDENTIALS.map(|kind| format!("type!={kind}")).join(",")),
        )
        // Those that we make are watched apart, whole.
        .named("SecretMetadata")
        // That it changed is all there is to know.
        .prune(|secret: &mut PartialObjectMeta<Secret>| {
            secret.metadata = ObjectMeta {
                name: secret.metadata.name.take(),
                namespace: secret.metadata.namespace.take(),
                resource_version: secret.metadata.resource_version.take(),
                ..ObjectMeta::default()
            };
        })
        .on_change(move |change: &Change<PartialObjectMeta<Secret>>| {
            // The listing at the start asks for nothing: every custom resource is listed, too.
            if change.before.is_none() && change.relisted {
                return;
            }
            let versions: Vec<_> = change
                .states()
                .map(|secret| secret.resource_version())
                .collect();
            let same = versions.len() == 2 && versions[0] == versions[1];
            let Some(stores) = late.get().filter(|_| !same) else {
                return;
            };
            for (kind, key) in stores.readers_of(&change.key) {
                queues.add(kind, key, change.lane());
            }
        })
        .start(metrics, shutdown.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

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
            memory.wrote_status("first", json!({}));
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
