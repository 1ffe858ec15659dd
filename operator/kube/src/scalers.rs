//! Who has set the replicas of a Deployment.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::json;

/// Keeps of `managedFields` only who has set `spec.replicas`, and of that nothing else: the rest is the larger part of a
/// Deployment, and nobody reads it.
pub fn keep_scalers(entries: &mut Vec<ManagedFieldsEntry>) {
    entries.retain_mut(|entry| {
        let sets_replicas = entry
            .fields_v1
            .as_ref()
            .is_some_and(|fields| fields.0.pointer("/f:spec/f:replicas").is_some());
        entry.fields_v1 = Some(FieldsV1(json!({"f:spec": {"f:replicas": {}}})));
        entry.time = None;
        sets_replicas
    });
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn entry(manager: &str, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.to_owned()),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        }
    }

    #[test]
    fn only_those_who_set_the_replicas_are_kept() {
        let mut entries = vec![
            entry(
                "shopkeeper",
                json!({"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {}}}}),
            ),
            entry("kubectl", json!({"f:spec": {"f:paused": {}}})),
            entry(
                "kube-controller-manager",
                json!({"f:status": {"f:replicas": {}}}),
            ),
            ManagedFieldsEntry::default(),
        ];
        keep_scalers(&mut entries);
        assert_eq!(
            entries,
            [entry("shopkeeper", json!({"f:spec": {"f:replicas": {}}}))]
        );
    }
}
