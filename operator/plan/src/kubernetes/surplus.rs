//! What somebody else added to an object that is ours: a container, a variable, a port. Server-side apply takes away only what this
//! field manager applied before, so that it has to be found, and removed, by itself.
//!
//! Only lists (and the data of a ConfigMap) that nothing but a person writes to: sidecars are injected into pods at admission and not into the Deployment, while
//! labels, annotations, owners, and the pull secrets of a service account are legitimately added by controllers.

use serde_json::Value;

use super::{KubernetesKind, KubernetesObject};
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
        KubernetesKind::Service => added(
            "spec",
            "/spec",
            &desired.body["spec"],
            &observed["spec"],
            "ports",
            Some("port"),
            &mut found,
        ),
        // Pods read all of it, into their environment.
        KubernetesKind::ConfigMap => {
            let wanted = &desired.body["data"];
            for (key, value) in observed["data"].as_object().into_iter().flatten() {
                if wanted.get(key).is_none() {
                    found.push(Surplus {
                        path: format!("data[{key}]"),
                        // Keys are of letters, digits, `-`, `_` and `.`: nothing that a pointer escapes.
                        pointer: format!("/data/{key}"),
                        value: value.clone(),
                    });
                }
            }
        }
        _ => {}
    }
    found
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
