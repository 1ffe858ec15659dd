//! Who has set what of an object: what is kept of its `managedFields`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::{Map, Value};

use crate::FIELD_MANAGER;

/// Of a Deployment: who has set the replicas, and what others than we have a part in its pods. The rest is the larger part of a
/// Deployment, and nobody reads it.
pub fn keep_of_deployment(entries: &mut Vec<ManagedFieldsEntry>) {
    keep(entries, |is_ours| {
        if is_ours {
            &[&["f:spec", "f:replicas"]]
        } else {
            &[
                &["f:spec", "f:replicas"],
                &["f:spec", "f:template", "f:spec"],
            ]
        }
    });
}

/// Of an object that only we write as a rule: what others have set, which is nothing as a rule.
pub fn keep_of_others(entries: &mut Vec<ManagedFieldsEntry>) {
    keep(entries, |is_ours| {
        if is_ours {
            &[]
        } else {
            &[
                &["f:metadata", "f:annotations"],
                &["f:spec"],
                &["f:data"],
                &["f:binaryData"],
            ]
        }
    });
}

type Paths = &'static [&'static [&'static str]];

/// Keeps of each entry what lies below some paths, and no entry that has nothing there.
fn keep(entries: &mut Vec<ManagedFieldsEntry>, paths: impl Fn(bool) -> Paths) {
    entries.retain_mut(|entry| {
        let is_ours = entry.manager.as_deref() == Some(FIELD_MANAGER);
        let mut kept = Map::new();
        for path in paths(is_ours) {
            let pointer = format!("/{}", path.join("/"));
            let fields = entry.fields_v1.as_mut();
            if let Some(fields) = fields.and_then(|fields| fields.0.pointer_mut(&pointer)) {
                put(&mut kept, path, fields.take());
            }
        }
        let is_kept = !kept.is_empty();
        entry.fields_v1 = Some(FieldsV1(Value::Object(kept)));
        entry.time = None;
        is_kept
    });
}

fn put(into: &mut Map<String, Value>, path: &[&str], value: Value) {
    match path {
        [] => {}
        [last] => {
            into.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            let inner = into
                .entry((*first).to_owned())
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.to_owned()),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        }
    }

    #[test]
    fn of_a_deployment_the_replicas_and_the_pods_of_others_are_kept() {
        let pods = json!({"f:containers": {"k:{\"name\":\"debug\"}": {".": {}}}});
        let mut entries = vec![
            entry(
                "shopkeeper",
                json!({"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {}}}}),
            ),
            entry(
                "kubectl-edit",
                json!({"f:spec": {"f:paused": {}, "f:template": {"f:metadata": {}, "f:spec": pods}}}),
            ),
            entry("kubectl", json!({"f:spec": {"f:paused": {}}})),
            entry(
                "kube-controller-manager",
                json!({"f:status": {"f:replicas": {}}}),
            ),
            ManagedFieldsEntry::default(),
        ];
        keep_of_deployment(&mut entries);
        assert_eq!(
            entries,
            [
                entry("shopkeeper", json!({"f:spec": {"f:replicas": {}}})),
                entry(
                    "kubectl-edit",
                    json!({"f:spec": {"f:template": {"f:spec": pods}}})
                ),
            ]
        );
    }

    #[test]
    fn of_what_only_we_write_nothing_is_kept_unless_others_wrote() {
        let added = json!({"f:metadata": {"f:annotations": {"f:x": {}}}, "f:data": {"f:X": {}}});
        let mut with_labels = added.clone();
        with_labels["f:metadata"]["f:labels"] = json!({"f:y": {}});
        let mut entries = vec![
            entry("shopkeeper", json!({"f:data": {"f:A": {}}})),
            entry("elbv2", json!({"f:metadata": {"f:finalizers": {}}})),
            entry("kubectl-patch", with_labels),
        ];
        keep_of_others(&mut entries);
        assert_eq!(entries, [entry("kubectl-patch", added)]);
    }
}
