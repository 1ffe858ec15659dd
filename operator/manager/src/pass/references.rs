//! What a custom resource refers to: its Platform, and other services.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kube::ResourceExt;
use shopkeeper_api::{
    Managed, Platform, Storefront,
    exposures::TrafficSource,
    platform::AllowedNamespacesType,
    reference::{FrontendReference, ServiceKind},
    status::PlatformInUse,
};
use shopkeeper_kube::store::ObjectKey;
use shopkeeper_plan::{
    claims::Standing,
    failure::{Class, Failure},
    kubernetes::KubernetesKind,
    resolve::{
        AbsentCallers, GroupMember, HasPorts, References, Resolve, ServiceFacts, ServiceKey,
        ServicePort, frontend_of, groups, routes_come_from,
    },
};

use super::{World, names};
use crate::{
    neighbours::{NAMES, indexed_group},
    stores::Stores,
};

/// The Platform that a custom resource was made on; for a new one the Platform it names, or the only one there is.
///
/// A second Platform must not make a running shop move to it, nor may an edit of the reference: under the other names and in
/// the other region everything would be made anew, and empty.
pub(super) fn platform<K: Managed>(
    object: &K,
    in_use: Option<&PlatformInUse>,
    stores: &Stores,
) -> Result<Arc<Platform>, Failure> {
    let Some(in_use) = in_use else {
        return named_platform(object, stores);
    };
    if let Some(reference) = object
        .platform_ref()
        .filter(|reference| reference.name != in_use.name)
    {
        return Err(Failure::invalid(
            "spec.platformRef.name",
            &format!(
                "is {}, but everything was made on Platform {}",
                reference.name, in_use.name
            ),
            &format!(
                "restore {}; to move, make another custom resource on {} and migrate the data",
                in_use.name, reference.name
            ),
        ));
    }
    let platform = stores
        .platforms
        .get(&ObjectKey::cluster(in_use.name.clone()))
        .ok_or_else(|| {
            Failure::new(
                Class::NotReady,
                format!(
                    "Platform {}, on which everything was made, does not exist",
                    in_use.name
                ),
            )
            .with_remedy("create it again")
        })?;
    let spec = &platform.spec;
    if (&spec.aws.account_id, &spec.aws.region, &spec.cluster.name)
        != (&in_use.account_id, &in_use.region, &in_use.cluster)
    {
        return Err(Failure::invalid(
            "spec.platformRef",
            &format!(
                "Platform {} is another one by now: everything was made in account {}, {}, cluster {}",
                in_use.name, in_use.account_id, in_use.region, in_use.cluster
            ),
            "give the Platform its account, region and cluster again",
        ));
    }
    Ok(platform)
}

fn named_platform<K: Managed>(object: &K, stores: &Stores) -> Result<Arc<Platform>, Failure> {
    if let Some(reference) = object.platform_ref() {
        return stores
            .platforms
            .get(&ObjectKey::cluster(reference.name.clone()))
            .ok_or_else(|| {
                Failure::new(
                    Class::NotReady,
                    format!(
                        "spec.platformRef names Platform {}, which does not exist",
                        reference.name
                    ),
                )
                .with_remedy("create it, or correct the name")
            });
    }
    match stores.platforms.list().as_slice() {
        [only] => Ok(Arc::clone(only)),
        [] => Err(Failure::new(Class::NotReady, "there is no Platform").with_remedy("create one")),
        several => {
            let mut names: Vec<String> =
                several.iter().map(|platform| platform.name_any()).collect();
            names.sort_unstable();
            Err(Failure::invalid(
                "spec.platformRef",
                "is needed where there are several Platforms",
                &format!("name one of {}", names.join(", ")),
            ))
        }
    }
}

/// Nothing new is made on a Platform that is going.
pub(super) fn check_alive(platform: &Platform) -> Result<(), Failure> {
    if platform.metadata.deletion_timestamp.is_none() {
        return Ok(());
    }
    Err(Failure::new(
        Class::NotReady,
        format!("Platform {} is being deleted", platform.name_any()),
    )
    .with_remedy("delete this custom resource, or use another Platform"))
}

/// Whether a Platform lets a namespace use it.
pub(super) fn check_namespace(
    platform: &Platform,
    namespace: &str,
    stores: &Stores,
) -> Result<(), Failure> {
    let found = stores.namespaces.get(&ObjectKey::cluster(namespace));
    let labels = found.as_ref().map(|object| object.labels());
    check_labels(platform, namespace, labels)
}

/// The same, with the labels of the namespace; `None` where its watch has not told of it yet.
fn check_labels(
    platform: &Platform,
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
) -> Result<(), Failure> {
    let Some(allowed) = &platform.spec.allowed_namespaces else {
        return Ok(());
    };
    let name = platform.name_any();
    let permitted = match (allowed.type_, &allowed.selector, labels) {
        (AllowedNamespacesType::All, ..) | (AllowedNamespacesType::Selector, None, _) => true,
        (AllowedNamespacesType::Names, ..) => allowed.names.iter().any(|name| name == namespace),
        (AllowedNamespacesType::Selector, Some(selector), Some(labels)) => {
            matches(selector, labels)
        }
        // The custom resource was seen first. Whether it is allowed is known in a moment.
        (AllowedNamespacesType::Selector, Some(_), None) => {
            return Err(Failure::new(
                Class::NotReady,
                format!(
                    "whether Platform {name} allows namespace {namespace} is not known yet: its labels were not seen"
                ),
            ));
        }
    };
    if permitted {
        return Ok(());
    }
    Err(Failure::new(
        Class::Invalid,
        format!("Platform {name} does not allow namespace {namespace}"),
    )
    .with_remedy(format!(
        "add it to spec.allowedNamespaces of Platform {name}, or use another Platform"
    )))
}

fn matches(
    selector: &k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector,
    labels: &BTreeMap<String, String>,
) -> bool {
    let exact = selector
        .match_labels
        .iter()
        .flatten()
        .all(|(key, value)| labels.get(key) == Some(value));
    exact
        && selector
            .match_expressions
            .iter()
            .flatten()
            .all(|expression| {
                let value = labels.get(&expression.key);
                let listed = value.is_some_and(|value| {
                    expression
                        .values
                        .iter()
                        .flatten()
                        .any(|other| other == value)
                });
                match expression.operator.as_str() {
                    "In" => listed,
                    "NotIn" => !listed,
                    "Exists" => value.is_some(),
                    "DoesNotExist" => value.is_none(),
                    _ => false,
                }
            })
}

/// The services that a custom resource names, who routes to it, and which role it may not have.
pub(super) fn references<K: Resolve>(
    object: &K,
    service_kind: Option<ServiceKind>,
    operator_role: Option<String>,
    world: &World,
) -> References {
    let stores = &world.stores;
    let services = object
        .referenced_services()
        .into_iter()
        .filter_map(|key| service(&key, world).map(|facts| (key, facts)))
        .collect();
    let namespace = object.meta().namespace.clone().unwrap_or_default();
    let name = object.meta().name.clone().unwrap_or_default();
    let routed_from = service_kind.map_or_else(BTreeSet::new, |kind| {
        routed_from(
            &ServiceKey {
                kind,
                namespace: namespace.clone(),
                name,
            },
            stores,
        )
    });
    let routes_unknown = service_kind.and_then(|_| routes_unknown(&namespace, stores));
    References {
        services,
        routes_unknown,
        absent: absent_callers(object, &namespace, stores),
        routed_from,
        operator_role,
        group_members: group_members(object, stores),
        service_monitors: stores.has(KubernetesKind::ServiceMonitor),
        http_routes: stores.has(KubernetesKind::HTTPRoute),
        security_group_policies: stores.has(KubernetesKind::SecurityGroupPolicy),
    }
}

/// Who else is in the groups of load balancers that a custom resource asks for.
fn group_members<K: Resolve>(object: &K, stores: &Stores) -> Vec<GroupMember> {
    let groups = object.load_balancer_groups();
    let keys: BTreeSet<ObjectKey> = groups
        .iter()
        .flat_map(|group| stores.indexed(NAMES, &indexed_group(group)))
        .map(|(_, key)| key)
        .collect();
    keys.iter()
        .filter_map(|key| stores.storefronts.get(key))
        .filter(|storefront| storefront.metadata.uid != object.meta().uid)
        .flat_map(|storefront| {
            let namespace = storefront.metadata.namespace.clone().unwrap_or_default();
            let standing = Standing::of(storefront.as_ref());
            groups::memberships(&storefront)
                .into_iter()
                .map(move |membership| GroupMember {
                    standing: standing.clone(),
                    is_inside: ingress(stores, &namespace, &membership.ingress)
                        .is_some_and(|found| groups::is_inside(&found, &membership.group)),
                    membership,
                })
        })
        .collect()
}

fn ingress(stores: &Stores, namespace: &str, name: &str) -> Option<serde_json::Value> {
    let key = ObjectKey::namespaced(namespace, name);
    let found = stores.children.get(&KubernetesKind::Ingress)?.get(&key)?;
    Some(found.body())
}

/// The callers of a custom resource that do not exist.
fn absent_callers<K: Resolve>(object: &K, namespace: &str, stores: &Stores) -> AbsentCallers {
    let callers = object.callers();
    let namespaces = callers
        .iter()
        .filter_map(|caller| caller.namespace.clone())
        .filter(|name| {
            stores
                .namespaces
                .get(&ObjectKey::cluster(name.clone()))
                .is_none()
        });
    let is_there = |frontend: &FrontendReference| {
        let namespace = frontend.namespace.clone().unwrap_or_default();
        let key = ObjectKey::namespaced(namespace, frontend.storefront.clone());
        stores.storefronts.get(&key).is_some_and(|storefront| {
            let mut frontends = storefront.spec.frontends.iter();
            frontends.any(|found| found.name == frontend.name)
        })
    };
    let frontends = callers
        .iter()
        .filter_map(|caller| Some(frontend_of(caller.frontend.as_ref()?, namespace)))
        .filter(|frontend| !is_there(frontend));
    AbsentCallers {
        namespaces: namespaces.collect(),
        frontends: frontends.collect(),
    }
}

fn service(key: &ServiceKey, world: &World) -> Option<ServiceFacts> {
    let stores = &world.stores;
    let object = ObjectKey::namespaced(key.namespace.clone(), key.name.clone());
    let (ports, is_going) = match key.kind {
        ServiceKind::CatalogService => told(&*stores.catalog_services.get(&object)?),
        ServiceKind::OrderService => told(&*stores.order_services.get(&object)?),
    };
    Some(ServiceFacts {
        ports,
        name_taken_by: names::taken_by(world, key),
        is_going,
    })
}

fn told<K: Managed + HasPorts>(service: &K) -> (Vec<ServicePort>, bool) {
    (
        service.service_ports(),
        service.meta().deletion_timestamp.is_some(),
    )
}

/// Why nobody knows which routes lead to the services of a namespace: a Storefront that cannot be read may have some.
fn routes_unknown(namespace: &str, stores: &Stores) -> Option<Failure> {
    let unread = stores.storefronts.unread();
    let of_namespace = |key: &&ObjectKey| key.namespace.as_deref() == Some(namespace);
    let storefront = unread.iter().find(of_namespace)?;
    Some(
        Failure::new(
            Class::NotReady,
            format!("Storefront {storefront} cannot be read, and may route to this service: what lets its load balancers in stays as it is"),
        )
        .with_remedy("correct it with kubectl edit"),
    )
}

/// Where the packets of those come from who serve the routes that lead to a service.
fn routed_from(key: &ServiceKey, stores: &Stores) -> BTreeSet<TrafficSource> {
    let leads_there = |storefront: &Storefront| {
        storefront
            .spec
            .routes
            .iter()
            .filter_map(|route| route.service.as_ref())
            .any(|service| service.kind == key.kind && service.name == key.name)
    };
    stores
        .storefronts
        .list_in(&key.namespace)
        .iter()
        .filter(|storefront| {
            storefront.metadata.deletion_timestamp.is_none() && leads_there(storefront)
        })
        .map(|storefront| routes_come_from(&storefront.spec))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_namespace_that_was_not_seen_yet_is_not_refused() {
        let platform = |allowed: serde_json::Value| -> Platform {
            serde_json::from_value(json!({
                "apiVersion": "shopkeeper.dev/v1alpha1", "kind": "Platform", "metadata": {"name": "octank"},
                "spec": {
                    "aws": {"accountId": "123456789012", "region": "eu-west-1"}, "cluster": {"name": "octank-prod"},
                    "network": {"type": "Existing", "existing": {
                        "vpc": {"tags": {"Name": "octank"}}, "privateSubnets": {"tags": {"tier": "private"}},
                    }}, "allowedNamespaces": allowed,
                },
            }))
            .unwrap()
        };
        let selecting = json!({"type": "Selector", "selector": {"matchLabels": {"tier": "shop"}}});
        let labels = |tier: &str| BTreeMap::from([("tier".to_owned(), tier.to_owned())]);
        for (allowed, labels, expected) in [
            (&selecting, Some(labels("shop")), None),
            (&selecting, Some(labels("other")), Some(Class::Invalid)),
            (&selecting, Some(BTreeMap::new()), Some(Class::Invalid)),
            (&selecting, None, Some(Class::NotReady)),
            (&json!({"type": "All"}), None, None),
            (&json!({"type": "Names", "names": ["shop"]}), None, None),
            (
                &json!({"type": "Names", "names": ["other"]}),
                None,
                Some(Class::Invalid),
            ),
        ] {
            let checked = check_labels(&platform(allowed.clone()), "shop", labels.as_ref());
            assert_eq!(
                checked.err().map(|failure| failure.class),
                expected,
                "{allowed} {labels:?}"
            );
        }
    }
}
