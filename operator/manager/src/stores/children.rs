//! The watches of what Shopkeeper made in the cluster.

use std::sync::Arc;

use kube::{
    Api, Client, ResourceExt,
    core::{ApiResource, DeserializeGuard, DynamicObject, GroupVersionKind},
};
use shopkeeper_kube::{
    managers::{keep_of_deployment, keep_of_others},
    metrics::WatchMetrics,
    packed::PackedObject,
    store::{Change, ObjectKey, Store},
    watch::{ReduceManagedFields, Watch},
};
use shopkeeper_plan::{
    claims::Name,
    kubernetes::{KubernetesKind, surplus, without_values},
    resource::ResourceKey,
};
use tokio_util::sync::CancellationToken;

use super::{Late, Stores, custom::indexed_name};
use crate::{key::Kind, memory::Memory, neighbours, queues::Queues};

/// Index of children by the uid of their owner.
pub const OWNER_INDEX: &str = "owner";
/// Selects what Shopkeeper made.
const MANAGED_BY_SHOPKEEPER: &str = "app.kubernetes.io/managed-by=shopkeeper";

/// How the `managedFields` of a kind are reduced of which something is read; of other kinds nothing is kept.
fn managers_kept_of(kind: KubernetesKind) -> Option<ReduceManagedFields> {
    match kind {
        KubernetesKind::Deployment => Some(keep_of_deployment),
        kind if surplus::is_looked_for(kind) => Some(keep_of_others),
        _ => None,
    }
}

/// Takes out of an object of a kind what nobody reads, and what must not be kept: the values of Secrets.
pub fn reduce(kind: KubernetesKind, object: &mut DynamicObject) {
    match (managers_kept_of(kind), &mut object.metadata.managed_fields) {
        (Some(reduce), Some(managed_fields)) => reduce(managed_fields),
        (_, managed_fields) => *managed_fields = None,
    }
    if kind == KubernetesKind::Secret {
        without_values(object);
    }
}

pub(super) fn start_children(
    client: &Client,
    kind: KubernetesKind,
    queues: &Queues,
    late: &Late,
    memory: &Arc<Memory>,
    metrics: &WatchMetrics,
    shutdown: &CancellationToken,
) -> Store<PackedObject> {
    let (group, version) = kind.group_and_version();
    let gvk = GroupVersionKind::gvk(group, version, kind.id());
    let resource = ApiResource::from_gvk_with_plural(&gvk, kind.plural());
    let api: Api<DeserializeGuard<DynamicObject>> = Api::all_with(client.clone(), &resource);
    let queues = queues.clone();
    let late = Arc::clone(late);
    let memory = Arc::clone(memory);
    let mut watch = Watch::packed(api, &resource, move |object| reduce(kind, object))
        .labels(MANAGED_BY_SHOPKEEPER)
        .index(
            OWNER_INDEX,
            shopkeeper_kube::store::owner_uids::<PackedObject>,
        )
        .on_change(move |change: &Change<PackedObject>| {
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
    if kind.is_optional() {
        watch = watch.optional(client.clone(), gvk);
    }
    watch.start(metrics, shutdown.clone())
}

/// An object is gone: whoever asks for its name, or names a service of that name, may have waited for that.
fn tell_of_free_name(
    stores: &Stores,
    queues: &Queues,
    kind: KubernetesKind,
    change: &Change<PackedObject>,
) {
    let namespace = change.key.namespace.as_deref().unwrap_or_default();
    let Some(name) = Name::of(kind, &change.key.name) else {
        return;
    };
    let name = indexed_name(namespace, &name);
    for index in [neighbours::NAMES, neighbours::REFERENCES] {
        for (kind, key) in stores.indexed(index, &name) {
            queues.add(kind, key, change.lane());
        }
    }
}
