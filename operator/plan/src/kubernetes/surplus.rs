//! What somebody else added to an object that is ours: a container, a variable, a port, an address. Server-side apply takes away only
//! what this field manager applied before, so that it has to be found, and removed, by itself.
//!
//! Only what says where traffic goes, what pods run and read, and who they are, and what nothing but a person writes
//! (`docs/decisions/0031-what-others-add.md`): sidecars are injected into pods at admission and not into the Deployment, while labels, most
//! annotations, owners, and the pull secrets of a service account are legitimately added by controllers.

use serde_json::Value;

use super::{KubernetesKind, KubernetesObject, service_account};
use crate::difference::show;

/// An entry of a list that is not desired.
#[derive(Clone, Debug, PartialEq)]
pub struct Surplus {
    /// Where it is, for people: `spec.template.spec.containers[app].env[DEBUG]`.
    pub path: String,
    /// Where it is in the observed object, as a JSON pointer.
    pub pointer: String,
    /// The entry as it was observed.
    pub value: Value,
}

/// The lists of pods and of containers, and what tells their entries apart; nothing where it is the whole entry.
const POD_LISTS: [(&str, Option<&str>); 3] = [
    ("containers", Some("name")),
    ("initContainers", Some("name")),
    ("volumes", Some("name")),
];
const CONTAINER_LISTS: [(&str, Option<&str>); 4] = [
    ("env", Some("name")),
    ("envFrom", None),
    ("ports", Some("containerPort")),
    ("volumeMounts", Some("mountPath")),
];

/// Whether anything that is added to an object of this kind is looked for.
#[must_use]
pub const fn is_looked_for(kind: KubernetesKind) -> bool {
    matches!(
        kind,
        KubernetesKind::Deployment
            | KubernetesKind::Service
            | KubernetesKind::Ingress
            | KubernetesKind::ServiceAccount
            | KubernetesKind::ConfigMap
            | KubernetesKind::Secret
    )
}

/// Every entry that was added to an object, in the order of their places: those of one list with rising index.
#[must_use]
pub fn surplus(desired: &KubernetesObject, observed: &Value) -> Vec<Surplus> {
    let mut found = Vec::new();
    match desired.kind {
        KubernetesKind::Deployment => {
            let (path, pointer) = ("spec.template.spec", "/spec/template/spec");
            let pod = |body: &Value| body.pointer(pointer).cloned().unwrap_or_default();
            let (wanted, observed) = (pod(&desired.body), pod(observed));
            for (list, key) in POD_LISTS {
                added(path, pointer, &wanted, &observed, list, key, &mut found);
            }
            for list in ["containers", "initContainers"] {
                for (index, container) in entries(&observed, list).iter().enumerate() {
                    let name = &container["name"];
                    let ours = entries(&wanted, list)
                        .iter()
                        .find(|other| other["name"] == *name);
                    let Some(ours) = ours else { continue };
                    let path = format!("{path}.{list}[{}]", show(name));
                    let pointer = format!("{pointer}/{list}/{index}");
                    for (list, key) in CONTAINER_LISTS {
                        added(&path, &pointer, ours, container, list, key, &mut found);
                    }
                }
            }
        }
        KubernetesKind::Service => {
            let (wanted, has) = (&desired.body["spec"], &observed["spec"]);
            for (list, key) in SERVICE_LISTS {
                added("spec", "/spec", wanted, has, list, key, &mut found);
            }
            // One key more, and no pod is selected.
            entries_of_map(desired, observed, "spec", "selector", |_| true, &mut found);
            for (field, default) in SERVICE_SETTINGS {
                let value = &has[field];
                if wanted.get(field).is_none() && !value.is_null() && *value != default.value() {
                    found.push(Surplus {
                        path: format!("spec.{field}"),
                        pointer: format!("/spec/{field}"),
                        value: value.clone(),
                    });
                }
            }
            annotations(desired, observed, directs_traffic, &mut found);
        }
        KubernetesKind::Ingress => annotations(desired, observed, directs_traffic, &mut found),
        KubernetesKind::ServiceAccount => annotations(
            desired,
            observed,
            |name| name.starts_with(service_account::PREFIX),
            &mut found,
        ),
        // Pods read all of it, into their environment.
        KubernetesKind::ConfigMap | KubernetesKind::Secret => {
            for map in ["data", "binaryData"] {
                entries_of_map(desired, observed, "", map, |_| true, &mut found);
            }
        }
        _ => {}
    }
    found
}

/// The lists of a Service that say who comes in and where to.
const SERVICE_LISTS: [(&str, Option<&str>); 3] = [
    ("ports", Some("port")),
    ("externalIPs", None),
    ("loadBalancerSourceRanges", None),
];

/// What the API server puts in where nobody says anything.
enum Unsaid {
    Nothing,
    No,
    Text(&'static str),
}

impl Unsaid {
    fn value(&self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::No => Value::from(false),
            Self::Text(text) => Value::from(*text),
        }
    }
}

/// Fields of a Service that say which pod a packet goes to. Some are never without a value.
const SERVICE_SETTINGS: [(&str, Unsaid); 4] = [
    ("sessionAffinity", Unsaid::Text("None")),
    // There only with an affinity, and refused without one.
    ("sessionAffinityConfig", Unsaid::Nothing),
    ("internalTrafficPolicy", Unsaid::Text("Cluster")),
    ("publishNotReadyAddresses", Unsaid::No),
];

/// Whether the controllers of load balancers take orders by this annotation: which load balancer it is, who reaches it, where it sends
/// packets. `ingress.kubernetes.io` by itself is where some controllers write what they did.
fn directs_traffic(annotation: &str) -> bool {
    annotation.split_once('/').is_some_and(|(domain, name)| {
        domain.ends_with(".ingress.kubernetes.io")
            || matches!(
                domain,
                "service.beta.kubernetes.io" | "service.kubernetes.io"
            )
            || (domain == "kubernetes.io" && name == "ingress.class")
    })
}

fn annotations(
    desired: &KubernetesObject,
    observed: &Value,
    is_ours_to_say: impl Fn(&str) -> bool,
    found: &mut Vec<Surplus>,
) {
    entries_of_map(
        desired,
        observed,
        "metadata",
        "annotations",
        is_ours_to_say,
        found,
    );
}

/// Entries of a map within a part of the object, or within the object itself where `part` is empty.
fn entries_of_map(
    desired: &KubernetesObject,
    observed: &Value,
    part: &str,
    map: &str,
    is_ours_to_say: impl Fn(&str) -> bool,
    found: &mut Vec<Surplus>,
) {
    let (path, pointer) = if part.is_empty() {
        (map.to_owned(), format!("/{map}"))
    } else {
        (format!("{part}.{map}"), format!("/{part}/{map}"))
    };
    let wanted = desired.body.pointer(&pointer);
    let has = observed.pointer(&pointer).and_then(Value::as_object);
    for (key, value) in has.into_iter().flatten() {
        let is_wanted = wanted.is_some_and(|wanted| wanted.get(key).is_some());
        if !is_wanted && is_ours_to_say(key) {
            found.push(Surplus {
                path: format!("{path}[{key}]"),
                pointer: format!("{pointer}/{}", escaped(key)),
                value: value.clone(),
            });
        }
    }
}

/// A key as a JSON pointer writes it (RFC 6901).
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn entries<'a>(of: &'a Value, list: &str) -> &'a [Value] {
    of.get(list)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn added(
    path: &str,
    pointer: &str,
    wanted: &Value,
    observed: &Value,
    list: &str,
    key: Option<&str>,
    found: &mut Vec<Surplus>,
) {
    let identity = |entry: &Value| key.map_or_else(|| entry.clone(), |key| entry[key].clone());
    for (index, entry) in entries(observed, list).iter().enumerate() {
        let is_wanted = entries(wanted, list)
            .iter()
            .any(|other| identity(other) == identity(entry));
        if !is_wanted {
            found.push(Surplus {
                path: format!("{path}.{list}[{}]", show(&identity(entry))),
                pointer: format!("{pointer}/{list}/{index}"),
                value: entry.clone(),
            });
        }
    }
}

/// A JSON patch (RFC 6902) that takes entries away, and nothing if one of them is not what and where it was any more.
#[must_use]
pub fn removal(surplus: &[Surplus]) -> Value {
    // From the end, or the first removal would move the others.
    let operations = surplus.iter().rev().flat_map(|entry| {
        [
            serde_json::json!({"op": "test", "path": entry.pointer, "value": entry.value}),
            serde_json::json!({"op": "remove", "path": entry.pointer}),
        ]
    });
    Value::Array(operations.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(pod: Value) -> KubernetesObject {
        KubernetesObject {
            kind: KubernetesKind::Deployment,
            namespace: "shop".into(),
            name: "orders".into(),
            body: json!({"spec": {"template": {"spec": pod}}}),
            autoscaled_from: None,
        }
    }

    fn paths(desired: &KubernetesObject, observed: &Value) -> Vec<String> {
        surplus(desired, observed)
            .into_iter()
            .map(|entry| entry.path)
            .collect()
    }

    #[test]
    fn what_was_added_is_found_by_its_name_also_where_nothing_is_declared() {
        let desired =
            deployment(json!({"containers": [{"name": "app", "ports": [{"containerPort": 80}]}]}));
        let observed = json!({"spec": {"template": {"spec": {
            "containers": [
                {"name": "debug"},
                {"name": "app", "ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 81}],
                    "env": [{"name": "DEBUG", "value": "1"}], "envFrom": [{"secretRef": {"name": "x"}}]},
            ],
            "volumes": [{"name": "scratch"}],
        }}}});
        let app = "spec.template.spec.containers[app]";
        assert_eq!(
            paths(&desired, &observed),
            [
                "spec.template.spec.containers[debug]".to_owned(),
                "spec.template.spec.volumes[scratch]".to_owned(),
                format!("{app}.env[DEBUG]"),
                format!("{app}.envFrom[{{\"secretRef\":{{\"name\":\"x\"}}}}]"),
                format!("{app}.ports[81]"),
            ]
        );
        assert_eq!(paths(&desired, &desired.body), Vec::<String>::new());
    }

    #[test]
    fn a_key_that_was_added_to_a_config_map_is_found() {
        let desired = KubernetesObject {
            kind: KubernetesKind::ConfigMap,
            body: json!({"data": {"BUY_TOPIC": "arn"}}),
            ..deployment(json!({}))
        };
        let observed = json!({"data": {"BUY_TOPIC": "other", "X": "y"}});
        assert_eq!(paths(&desired, &observed), ["data[X]"]);
        assert_eq!(
            removal(&surplus(&desired, &observed)),
            json!([{"op": "test", "path": "/data/X", "value": "y"}, {"op": "remove", "path": "/data/X"}])
        );
        assert_eq!(paths(&desired, &desired.body), Vec::<String>::new());
    }

    fn object(kind: KubernetesKind, body: Value) -> KubernetesObject {
        KubernetesObject {
            kind,
            body,
            ..deployment(json!({}))
        }
    }

    #[test]
    fn what_sends_traffic_elsewhere_is_found_and_what_controllers_note_is_not() {
        let desired = object(
            KubernetesKind::Ingress,
            json!({"metadata": {"annotations": {"alb.ingress.kubernetes.io/scheme": "internal"}}}),
        );
        let observed = json!({"metadata": {"annotations": {
            "alb.ingress.kubernetes.io/scheme": "internet-facing",
            "alb.ingress.kubernetes.io/group.name": "others",
            "nginx.ingress.kubernetes.io/rewrite-target": "/",
            "kubernetes.io/ingress.class": "nginx",
            "ingress.kubernetes.io/backends": "{}",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "argocd.argoproj.io/tracking-id": "x",
            "cert-manager.io/issuer": "x",
        }}});
        assert_eq!(
            paths(&desired, &observed),
            [
                "metadata.annotations[alb.ingress.kubernetes.io/group.name]",
                "metadata.annotations[kubernetes.io/ingress.class]",
                "metadata.annotations[nginx.ingress.kubernetes.io/rewrite-target]",
            ]
        );
        assert_eq!(
            removal(&surplus(&desired, &observed)[..1]),
            json!([
                {"op": "test", "path": "/metadata/annotations/alb.ingress.kubernetes.io~1group.name", "value": "others"},
                {"op": "remove", "path": "/metadata/annotations/alb.ingress.kubernetes.io~1group.name"},
            ])
        );
    }

    #[test]
    fn what_a_service_does_beside_what_is_said_is_found() {
        let spec =
            json!({"type": "ClusterIP", "selector": {"app": "orders"}, "ports": [{"port": 80}]});
        let desired = object(KubernetesKind::Service, json!({"spec": spec}));
        let mut observed = json!({"spec": spec});
        for (field, value) in [
            ("sessionAffinity", json!("None")),
            ("internalTrafficPolicy", json!("Cluster")),
            ("publishNotReadyAddresses", json!(false)),
            ("clusterIP", json!("10.0.0.1")),
        ] {
            observed["spec"][field] = value;
        }
        assert_eq!(paths(&desired, &observed), Vec::<String>::new());
        for (field, value) in [
            ("sessionAffinity", json!("ClientIP")),
            (
                "sessionAffinityConfig",
                json!({"clientIP": {"timeoutSeconds": 10_800}}),
            ),
            ("internalTrafficPolicy", json!("Local")),
            ("publishNotReadyAddresses", json!(true)),
            ("externalIPs", json!(["203.0.113.7"])),
            ("selector", json!({"app": "orders", "x/y": "z"})),
        ] {
            observed["spec"][field] = value;
        }
        observed["metadata"]["annotations"] = json!({
            "service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing", "note": "x",
        });
        assert_eq!(
            paths(&desired, &observed),
            [
                "spec.externalIPs[203.0.113.7]",
                "spec.selector[x/y]",
                "spec.sessionAffinity",
                "spec.sessionAffinityConfig",
                "spec.internalTrafficPolicy",
                "spec.publishNotReadyAddresses",
                "metadata.annotations[service.beta.kubernetes.io/aws-load-balancer-scheme]",
            ]
        );
    }

    #[test]
    fn a_role_and_a_credential_that_were_added_are_found() {
        let account = object(KubernetesKind::ServiceAccount, json!({}));
        let observed = json!({
            "metadata": {"annotations": {"eks.amazonaws.com/role-arn": "arn", "note": "x"}},
            "imagePullSecrets": [{"name": "x"}],
        });
        assert_eq!(
            paths(&account, &observed),
            ["metadata.annotations[eks.amazonaws.com/role-arn]"]
        );
        let secret = object(
            KubernetesKind::Secret,
            json!({"data": {"password": "eA=="}}),
        );
        let observed = json!({"data": {"password": "eA==", "LD_PRELOAD": "eQ=="}});
        assert_eq!(paths(&secret, &observed), ["data[LD_PRELOAD]"]);
    }

    #[test]
    fn the_patch_takes_it_away_and_nothing_else() {
        let desired = deployment(json!({"containers": [{"name": "app", "env": [{"name": "A"}]}]}));
        let mut observed = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "x"}, {"name": "app", "env": [{"name": "B"}, {"name": "A"}, {"name": "C"}]}, {"name": "y"},
        ]}}}});
        let patch: Vec<Value> = removal(&surplus(&desired, &observed))
            .as_array()
            .unwrap()
            .clone();
        for operation in &patch {
            let pointer = operation["path"].as_str().unwrap();
            match operation["op"].as_str() {
                Some("test") => assert_eq!(observed.pointer(pointer), Some(&operation["value"])),
                _ => {
                    let (list, index) = pointer.rsplit_once('/').unwrap();
                    let list = observed.pointer_mut(list).unwrap().as_array_mut().unwrap();
                    list.remove(index.parse().unwrap());
                }
            }
        }
        assert_eq!(observed, desired.body);
    }
}
