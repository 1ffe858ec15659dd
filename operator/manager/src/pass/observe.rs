//! Observe: Kubernetes from the caches, AWS through the shared observer. Secrets of others are read as they are needed: no cache holds
//! their values.

use std::{collections::BTreeSet, time::Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use serde_json::Value;
use shopkeeper_api::Managed;
use shopkeeper_aws::{
    Age, eks,
    parts::{Since, part},
};
use shopkeeper_kube::{Error, store::ObjectKey};
use shopkeeper_plan::{
    aws::AwsKind,
    blueprint::Blueprint,
    failure::{Class, Failure},
    kubernetes::{
        KubernetesKind,
        object::{MANAGED_BY, SHOPKEEPER, belongs_to},
    },
    names::Owner,
    observed::{NodeGroupNodes, Observation, Observed, ObservedNode, ObservedObject, Secrets},
    planner::Inventory,
    quota::QuotaUse,
    resource::{ResourceKey, ResourceKind},
    sensitive::Sensitive,
};

use super::{Site, Subject, failure_of, pods};
use crate::stores::{
    NODE_GROUP_INDEX, OWNER_INDEX, is_cordoned_by_us, node_is_ready, node_is_unschedulable,
};

/// Everything that is known of the resources of a custom resource: those it should have and those it is known to have.
pub(super) async fn observe<K: Managed>(
    subject: &Subject<'_, K>,
    site: &Site<'_>,
    inventory: &Inventory,
    age: Age,
) -> Result<Observed, Error> {
    // Keys do not depend on what is observed, but for places that may stay where they are; outputs do, so the blueprint is built
    // again afterwards.
    let draft = (site.blueprint)(&Observed::default());
    let known: BTreeSet<ResourceKey> = draft
        .keys()
        .chain(inventory.keys())
        .filter(|key| !may_be_another(key, &draft, inventory))
        .cloned()
        .collect();
    let observer = &site.session.observer;
    let mut observed = Observed {
        aws: observer.observe(&of_aws(&known), &site.scope, age).await,
        secrets: secrets(subject, &draft).await,
        ..Observed::default()
    };
    let draft = (site.blueprint)(&observed);
    let keys: BTreeSet<ResourceKey> = draft.keys().chain(inventory.keys()).cloned().collect();
    let aws = of_aws(&keys);
    let further: BTreeSet<ResourceKey> = aws
        .iter()
        .filter(|key| !observed.aws.contains_key(*key))
        .cloned()
        .collect();
    if !further.is_empty() {
        let seen = observer.observe(&further, &site.scope, age).await;
        observed.aws.extend(seen);
    }
    observed.note_newer_versions(&draft);
    observed.missing_node_groups = missing_node_groups(subject, site, &draft, age).await;
    let on_node_groups = draft.shared_node_groups().next().is_some()
        || draft
            .keys()
            .any(|key| key.kind == ResourceKind::Aws(AwsKind::NodeGroup));
    if !site.pod_identity_agent.serves(on_node_groups) {
        observed.miss_pod_identity_agent();
    }
    kubernetes(subject, &keys, inventory, &mut observed);
    observed.pods = pods::of_deployments(subject, &draft, &keys, &observed).await?;
    let missing = |kind| is_missing(kind, &draft, &observed);
    let (groups, profiles) = (
        missing(AwsKind::NodeGroup),
        missing(AwsKind::FargateProfile),
    );
    observed.quotas = QuotaUse {
        allowed: site.quotas,
        node_groups: count(subject, site, AwsKind::NodeGroup, groups, age.since).await,
        fargate_profiles: count(subject, site, AwsKind::FargateProfile, profiles, age.since).await,
    };
    for key in aws.iter().filter(|key| {
        key.kind == ResourceKind::Aws(AwsKind::FargateProfile) && draft.get(key).is_none()
    }) {
        // Only a profile that is about to go is asked for its pods: they go with it.
        let pods = pods::of_profile(subject, &key.name).await?;
        let nodes = Vec::new();
        observed
            .nodes
            .insert(key.name.clone(), NodeGroupNodes { nodes, pods });
    }
    for key in aws
        .iter()
        .filter(|key| key.kind == ResourceKind::Aws(AwsKind::NodeGroup))
    {
        let mut nodes = nodes(subject, &key.name);
        if draft.get(key).is_none() {
            // Only a group that is about to go is asked for its pods.
            nodes.pods = pods::on_nodes(&subject.world.client, &nodes.nodes).await?;
        }
        observed.nodes.insert(key.name.clone(), nodes);
    }
    Ok(observed)
}

/// The node groups of others that pods are to run on, and that EKS says it does not have. What is being taken down needs none.
async fn missing_node_groups<K: Managed>(
    subject: &Subject<'_, K>,
    site: &Site<'_>,
    draft: &Blueprint,
    age: Age,
) -> BTreeSet<String> {
    let shared: BTreeSet<ResourceKey> = draft
        .shared_node_groups()
        .map(|name| ResourceKey::aws(AwsKind::NodeGroup, name))
        .collect();
    if shared.is_empty() || subject.object.meta().deletion_timestamp.is_some() {
        return BTreeSet::new();
    }
    let observer = &site.session.observer;
    let seen = observer.observe(&shared, &site.scope, age).await;
    let missing = seen
        .into_iter()
        .filter(|(_, observation)| matches!(observation, Observation::Absent));
    missing
        .map(|(key, _)| {
            // Somebody else makes it: the next pass asks anew.
            observer.forget(&key);
            key.name
        })
        .collect()
}

fn of_aws(keys: &BTreeSet<ResourceKey>) -> BTreeSet<ResourceKey> {
    keys.iter()
        .filter(|key| matches!(key.kind, ResourceKind::Aws(_)))
        .cloned()
        .collect()
}

/// Whether a place for pods was never made, and there is one of its role: that may turn out to be the one that is wanted, and nothing is
/// asked of AWS about the other before that is seen.
fn may_be_another(key: &ResourceKey, draft: &Blueprint, inventory: &Inventory) -> bool {
    let role = draft.get(key).map(|node| node.role.as_str());
    matches!(key.kind, ResourceKind::Aws(kind) if kind.is_place())
        && !inventory.contains_key(key)
        && inventory
            .iter()
            .any(|(other, entry)| other.kind == key.kind && Some(entry.role.as_str()) == role)
}

/// The Secrets of others that the blueprint reads, with what is text in them, or why they could not be read: that is a matter of
/// the binding alone. What is being taken down needs none.
async fn secrets<K: Managed>(subject: &Subject<'_, K>, draft: &Blueprint) -> Secrets {
    let mut found = Secrets::new();
    if subject.object.meta().deletion_timestamp.is_some() {
        return found;
    }
    let api: Api<Secret> = Api::namespaced(subject.world.client.clone(), &subject.owner.namespace);
    for name in draft.secrets() {
        let read = match api.get_opt(name).await {
            Ok(None) => continue,
            // Two services that read each other's would write them for ever, each time with more in it.
            Ok(Some(secret)) if is_made_by_us(&secret) => Err(Failure::new(
                Class::Invalid,
                format!(
                    "Shopkeeper makes the Secret {name} for a binding: name the Secret of the database, cache or broker itself"
                ),
            )),
            Ok(Some(secret)) => Ok(secret
                .data
                .into_iter()
                .flatten()
                .filter_map(|(key, value)| {
                    Some((key, Sensitive::new(String::from_utf8(value.0).ok()?)))
                })
                .collect()),
            Err(error) => Err(failure_of(&error.into())),
        };
        found.insert(name.to_owned(), read);
    }
    found
}

fn is_made_by_us(secret: &Secret) -> bool {
    secret.labels().get(MANAGED_BY).map(String::as_str) == Some(SHOPKEEPER)
}

/// How many there are of what a cluster may have only so many of. Asked only where one is missing: what is as desired costs nothing;
/// and once in a look, since counting takes a token each time, of those that making one waits for.
async fn count<K: Managed>(
    subject: &Subject<'_, K>,
    site: &Site<'_>,
    kind: AwsKind,
    missing: bool,
    since: Instant,
) -> Option<u32> {
    if !missing {
        return None;
    }
    let (account, cluster) = (&site.session.account, &site.scope.cluster);
    let count = async {
        match kind {
            AwsKind::FargateProfile => eks::count_fargate_profiles(account, cluster).await,
            _ => eks::count_node_groups(account, cluster).await,
        }
    };
    let parts = subject.world.memory.parts(&subject.owner.uid);
    let counted = part(format!("count of {kind:?}"), count);
    match parts.looking(Since::moment(since), counted).await {
        Ok(count) => Some(count),
        Err(failure) => {
            tracing::warn!(?kind, class = failure.class.label(), %failure, "not counted");
            None
        }
    }
}

/// Whether one of a kind is to be made.
fn is_missing(kind: AwsKind, draft: &Blueprint, observed: &Observed) -> bool {
    draft.keys().any(|key| {
        key.kind == ResourceKind::Aws(kind)
            && matches!(observed.aws.get(key), Some(Observation::Absent))
    })
}

fn kubernetes<K: Managed>(
    subject: &Subject<'_, K>,
    keys: &BTreeSet<ResourceKey>,
    inventory: &Inventory,
    observed: &mut Observed,
) {
    let world = subject.world;
    let uid = &subject.owner.uid;
    observed.unlisted = world.stores.unlisted();
    for (kind, store) in &world.stores.children {
        let owned = store.indexed(OWNER_INDEX, uid);
        let mut names: BTreeSet<String> = owned.iter().map(|object| object.name_any()).collect();
        names.extend(
            keys.iter()
                .filter(|key| key.kind == ResourceKind::Kubernetes(*kind))
                .map(|key| key.name.clone()),
        );
        for name in names {
            let key = ResourceKey::kubernetes(*kind, name.clone());
            let cached = store.get(&ObjectKey::namespaced(
                subject.owner.namespace.clone(),
                name,
            ));
            if let Some(object) = world.memory.newest(uid, &key, cached) {
                let known = inventory.contains_key(&key);
                let found = observed_object(*kind, object.body(), &subject.owner, known);
                observed.kubernetes.insert(key, found);
            }
        }
    }
}

/// An object as the planner sees it.
pub(super) fn observed_object(
    kind: KubernetesKind,
    mut body: Value,
    owner: &Owner,
    known: bool,
) -> ObservedObject {
    // The items of a list do not say what they are; the store they come from does.
    body["apiVersion"] = Value::from(kind.api_version());
    body["kind"] = Value::from(kind.id());
    let uid = body["metadata"]["uid"].as_str().unwrap_or_default();
    ObservedObject {
        uid: uid.to_owned(),
        ours: belongs_to(&body, owner, known),
        body,
    }
}

fn nodes<K: Managed>(subject: &Subject<'_, K>, group: &str) -> NodeGroupNodes {
    let nodes = subject.world.stores.nodes.indexed(NODE_GROUP_INDEX, group);
    NodeGroupNodes {
        nodes: nodes
            .iter()
            .map(|node| ObservedNode {
                name: node.name_any(),
                ready: node_is_ready(node),
                unschedulable: node_is_unschedulable(node),
                cordoned_by_us: is_cordoned_by_us(node),
                resource_version: node.resource_version().unwrap_or_default(),
            })
            .collect(),
        pods: Vec::new(),
    }
}
