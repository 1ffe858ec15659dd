//! The watch of Secrets of anybody, by their metadata. Their values are never sent.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt, api::ObjectMeta, core::PartialObjectMeta, runtime::watcher};
use shopkeeper_kube::{
    metrics::WatchMetrics,
    store::{Change, Store},
    watch::Watch,
};
use tokio_util::sync::CancellationToken;

use super::Late;
use crate::queues::Queues;

/// Types of Secrets that hold no credentials of a data tier, and of which a cluster has many.
const NO_CREDENTIALS: [&str; 4] = [
    "helm.sh/release.v1",
    "kubernetes.io/service-account-token",
    "kubernetes.io/dockerconfigjson",
    "bootstrap.kubernetes.io/token",
];

pub(super) fn start_secrets(
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
