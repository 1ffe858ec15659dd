//! Strategic merge patches on a pod template, as `kubectl patch` and the patches of Kustomize are.
//!
//! Not by `DeepMerge` of k8s-openapi: it cannot take anything away, replaces `nodeSelector`, and adds a port a second time whose
//! protocol is left out. See `docs/decisions/0024-patches-of-the-pod-template.md`.

use serde_json::{Map, Value};

/// What is done with a map or a list: `delete`, `replace` or `merge`.
pub const DIRECTIVE: &str = "$patch";
/// The members of a map that stay; what it does not name goes.
pub const RETAIN_KEYS: &str = "$retainKeys";

/// The lists of a pod template that are merged, and by which member: `patchMergeKey` of Kubernetes' types. Every other list is
/// replaced.
const MERGE_KEYS: [(&str, &str); 13] = [
    ("containers", "name"),
    ("env", "name"),
    ("evictionResponders", "name"),
    ("hostAliases", "ip"),
    ("imagePullSecrets", "name"),
    ("initContainers", "name"),
    ("ports", "containerPort"),
    ("resourceClaims", "name"),
    ("schedulingGates", "name"),
    ("topologySpreadConstraints", "topologyKey"),
    ("volumeDevices", "devicePath"),
    ("volumeMounts", "mountPath"),
    ("volumes", "name"),
];

/// The member by which a list is merged; nothing where it is replaced.
pub fn merge_key(list: &str) -> Option<&'static str> {
    MERGE_KEYS
        .iter()
        .find(|(name, _)| *name == list)
        .map(|(_, key)| *key)
}

/// Merges a patch that was found to be one.
pub fn merge(target: &mut Value, patch: &Map<String, Value>) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Some(target) = target.as_object_mut() {
        merge_map(target, patch);
    }
}

fn merge_map(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    match directive(patch) {
        Some("delete") => return target.clear(),
        Some("replace") => target.clear(),
        _ => {}
    }
    if let Some(retained) = patch.get(RETAIN_KEYS).and_then(Value::as_array) {
        target.retain(|name, _| retained.iter().any(|retained| retained == name));
    }
    for (name, value) in patch {
        match value {
            _ if name.starts_with('$') => {}
            Value::Null => drop(target.remove(name)),
            Value::Object(patch) => merge(target.entry(name.clone()).or_insert(Value::Null), patch),
            Value::Array(patch) => match merge_key(name) {
                Some(key) => {
                    let list = target.entry(name.clone()).or_insert(Value::Null);
                    let mut entries = std::mem::take(list).as_array().cloned().unwrap_or_default();
                    merge_list(&mut entries, patch, key);
                    *list = Value::Array(entries);
                }
                None => drop(target.insert(name.clone(), value.clone())),
            },
            _ => drop(target.insert(name.clone(), value.clone())),
        }
    }
}

/// A member that only says `$patch: replace` stands for the whole list. What a patch adds is no part of what is merged with: it may
/// open one port for two protocols.
fn merge_list(target: &mut Vec<Value>, patch: &[Value], key: &str) {
    let maps = || patch.iter().filter_map(Value::as_object);
    if maps().any(|entry| directive(entry) == Some("replace")) {
        target.clear();
    }
    let mut added = Vec::new();
    for entry in maps() {
        let found = target.iter().position(|other| is_same(other, entry, key));
        match (directive(entry), found) {
            (Some("replace"), _) | (Some("delete"), None) => {}
            (Some("delete"), Some(index)) => drop(target.remove(index)),
            (_, Some(index)) => merge(&mut target[index], entry),
            (_, None) => {
                let mut new = Value::Null;
                merge(&mut new, entry);
                added.push(new);
            }
        }
    }
    target.append(&mut added);
}

/// Ports are told apart by their protocol, too, as the API server does.
fn is_same(one: &Value, other: &Map<String, Value>, key: &str) -> bool {
    let protocol =
        |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("TCP").to_owned();
    one.get(key) == other.get(key)
        && (key != "containerPort"
            || protocol(one.get("protocol")) == protocol(other.get("protocol")))
}

/// What a map of a patch says about itself.
pub fn directive(patch: &Map<String, Value>) -> Option<&str> {
    patch.get(DIRECTIVE).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn merges(target: Value, patch: Value, merged: Value) {
        let mut target = target;
        merge(&mut target, patch.as_object().unwrap());
        assert_eq!(target, merged);
    }

    #[test]
    fn maps_are_merged_and_null_takes_away() {
        merges(
            json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1]}),
            json!({"a": null, "b": {"d": 4, "f": {"g": null, "h": 5}}, "e": [2, 3]}),
            json!({"b": {"c": 2, "d": 4, "f": {"h": 5}}, "e": [2, 3]}),
        );
    }

    #[test]
    fn lists_are_merged_by_their_keys_and_others_replaced() {
        merges(
            json!({"containers": [{"name": "app", "image": "app:1", "args": ["a"], "env": [{"name": "A", "value": "1"}],
                "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}]}]}),
            json!({"containers": [
                {"name": "proxy", "image": "proxy:1"},
                {"name": "app", "args": ["b"], "env": [{"name": "B", "value": "2"}, {"name": "A", "value": "3"}],
                    "ports": [{"containerPort": 80, "hostPort": 8080}]},
            ]}),
            json!({"containers": [
                {"name": "app", "image": "app:1", "args": ["b"], "env": [{"name": "A", "value": "3"}, {"name": "B", "value": "2"}],
                    "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP", "hostPort": 8080}]},
                {"name": "proxy", "image": "proxy:1"},
            ]}),
        );
    }

    #[test]
    fn one_port_can_be_there_for_two_protocols() {
        merges(
            json!({"ports": [{"containerPort": 53, "name": "dns", "protocol": "TCP"}]}),
            json!({"ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "hostPort": 53}, {"containerPort": 54}]}),
            json!({"ports": [{"containerPort": 53, "name": "dns", "protocol": "TCP", "hostPort": 53},
                {"containerPort": 53, "protocol": "UDP"}, {"containerPort": 54}]}),
        );
    }

    #[test]
    fn directives_delete_replace_and_retain() {
        merges(
            json!({"volumes": [{"name": "tmp", "emptyDir": {"medium": "Memory"}}, {"name": "data", "emptyDir": {}}]}),
            json!({"volumes": [{"name": "data", "$patch": "delete"}, {"name": "no", "$patch": "delete"},
                {"name": "tmp", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/tmp"}}]}),
            json!({"volumes": [{"name": "tmp", "hostPath": {"path": "/tmp"}}]}),
        );
        merges(
            json!({"env": [{"name": "A"}], "securityContext": {"runAsUser": 1000, "fsGroup": 1000}, "affinity": {"nodeAffinity": {}}}),
            json!({"env": [{"$patch": "replace"}, {"name": "B"}], "securityContext": {"$patch": "replace", "runAsUser": 5},
                "affinity": {"$patch": "delete"}}),
            json!({"env": [{"name": "B"}], "securityContext": {"runAsUser": 5}, "affinity": {}}),
        );
        merges(
            json!({}),
            json!({"volumes": [{"name": "a", "$patch": "merge", "emptyDir": {"$patch": "replace", "medium": "Memory"}}]}),
            json!({"volumes": [{"name": "a", "emptyDir": {"medium": "Memory"}}]}),
        );
    }
}
