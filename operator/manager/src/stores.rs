//! What is watched, and which passes a change asks for.
//!
//! The stores of custom resources are started first and read by the mappers of the others: a change of a Service's owner is
//! found by its owner reference, that of a node by its label, that of a Platform by who refers to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Namespace, Node, Secret};
use kube::{Client, ResourceExt, core::PartialObjectMeta};
use shopkeeper_api::{CatalogService, OrderService, Platform, Storefront, status::Status};
use shopkeeper_kube::{
    metrics::WatchMetrics,
    packed::PackedObject,
    queue::Lane,
    store::{ObjectKey, Readiness, Store},
};
use shopkeeper_plan::{
    claims::{Claim, Name, Standing},
    kubernetes::KubernetesKind,
    resolve::Resolve as _,
};
use tokio_util::sync::CancellationToken;

use crate::{key::Kind, memory::Memory, queues::Queues};

mod children;
mod cluster;
mod custom;
mod secrets;

use children::start_children;
pub use children::{OWNER_INDEX, reduce};
pub use cluster::{NODE_GROUP_INDEX, is_cordoned_by_us, node_is_ready, node_is_unschedulable};
use cluster::{start_namespaces, start_nodes};
pub use custom::indexed_name;
use custom::{
    claimants, is_held_by_quota, is_on, keys, keys_where, owns_nodes, reads, start_custom,
    start_platforms, statuses,
};
use secrets::start_secrets;

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
    pub children: BTreeMap<KubernetesKind, Store<PackedObject>>,
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
        stores.follow_optional_kinds(queues, shutdown);
        stores
    }

    /// What is made depends on the optional kinds that the cluster has: when one comes or goes, whoever runs workloads is looked at.
    fn follow_optional_kinds(self: &Arc<Self>, queues: &Queues, shutdown: &CancellationToken) {
        for (kind, store) in self.children.iter().filter(|(kind, _)| kind.is_optional()) {
            let (kind, store) = (*kind, store.clone());
            let (stores, queues, shutdown) = (Arc::clone(self), queues.clone(), shutdown.clone());
            tokio::spawn(async move {
                // The passes begin after that, and know.
                let mut known = store.wait_until_ready().await;
                while known != Readiness::Stopped {
                    known = tokio::select! {
                        changed = store.wait_until_not(known) => changed,
                        () = shutdown.cancelled() => return,
                    };
                    tracing::info!(kind = kind.id(), now = ?known, "an optional kind came or went");
                    for (kind, key) in stores.workload_keys() {
                        queues.add(kind, key, Lane::Resync);
                    }
                }
            });
        }
    }

    /// Resolves when every store holds what there was at the start. Tells what it waits for: a kind that may not be listed keeps the
    /// whole operator from its work, since what is not known must not pass for gone. Only an optional one does not: what is of that
    /// kind is left alone.
    pub async fn wait_until_ready(&self, waiting_for: impl Fn(&'static str)) {
        let required = [
            ("Platform", self.platforms.wait_until_ready().boxed()),
            ("Storefront", self.storefronts.wait_until_ready().boxed()),
            (
                "CatalogService",
                self.catalog_services.wait_until_ready().boxed(),
            ),
            (
                "OrderService",
                self.order_services.wait_until_ready().boxed(),
            ),
            ("Node", self.nodes.wait_until_ready().boxed()),
            ("Namespace", self.namespaces.wait_until_ready().boxed()),
            ("Secret", self.secrets.wait_until_ready().boxed()),
        ];
        for (kind, ready) in required {
            waiting_for(kind);
            ready.await;
        }
        for (kind, store) in &self.children {
            waiting_for(kind.id());
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

    /// Custom resources that may be called from a namespace.
    fn called_from(&self, namespace: &str) -> Vec<(Kind, ObjectKey)> {
        in_workload_stores!(self, |kind, store| keys_where(kind, store, |it| {
            it.callers()
                .iter()
                .any(|caller| caller.namespace.as_deref() == Some(namespace))
        }))
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

    /// Custom resources that run workloads, as far as is known, and cannot be read.
    pub fn unread_workloads(&self) -> Vec<(Kind, ObjectKey)> {
        in_workload_stores!(self, |kind, store| store
            .unread()
            .into_iter()
            .map(move |key| (kind, key)))
    }

    /// Custom resources on a Platform: those that were made on it, and those that name it or, where there is only one, none.
    pub fn dependents(&self, platform: &str) -> Vec<(Kind, ObjectKey)> {
        let only = self.platforms.len() <= 1;
        in_workload_stores!(self, |kind, store| keys_where(kind, store, |it| is_on(
            it, platform, only
        )))
    }

    /// Whether the cluster has an optional kind, as far as is known: also one that may not be listed, since that says that it is there.
    pub fn has(&self, kind: KubernetesKind) -> bool {
        let is = |readiness| self.readiness_of(kind) == Some(readiness);
        is(Readiness::Ready) || is(Readiness::Refused)
    }

    /// Kinds that may not be listed, and never were since the process began.
    pub fn unlisted(&self) -> BTreeSet<KubernetesKind> {
        let mut kinds: BTreeSet<KubernetesKind> = self.children.keys().copied().collect();
        kinds.retain(|kind| self.readiness_of(*kind) == Some(Readiness::Refused));
        kinds
    }

    fn readiness_of(&self, kind: KubernetesKind) -> Option<Readiness> {
        Some(self.children.get(&kind)?.readiness())
    }
}
