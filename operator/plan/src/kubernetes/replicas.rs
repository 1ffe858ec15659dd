//! Replicas of a Deployment that an autoscaler scales.
//!
//! A server-side apply that leaves out a field which it set before gives the field up, and where nobody else has set it the
//! API server falls back to its default: a Deployment that leaves out `replicas` on the day it gets an autoscaler runs one
//! pod until the autoscaler raises it again. So the number is sent along until somebody else has set it, and never after
//! (`docs/decisions/0012-replicas-of-autoscaled-deployments.md`).

use serde_json::Value;

use super::object::SHOPKEEPER;

/// Whether somebody else than our applies says how many replicas there are: an autoscaler, or a person with `kubectl scale`.
#[must_use]
pub fn set_by_another(deployment: &Value) -> bool {
    deployment
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array)
        .is_some_and(|entries| {
            entries.iter().any(|entry| {
                let ours = entry["manager"] == SHOPKEEPER && entry["operation"] == "Apply";
                !ours && entry.pointer(POINTER_TO_REPLICAS).is_some()
            })
        })
}

/// Where an entry of `managedFields` says that its manager has set the replicas.
const POINTER_TO_REPLICAS: &str = "/fieldsV1/f:spec/f:replicas";

/// Adds the replicas to what is sent: at least `least`, and not fewer than there are. Says of which version of the
/// Deployment that is true, so that the API server refuses it where an autoscaler was quicker.
pub(super) fn carry(body: &mut Value, least: i32, found: Option<&Value>) {
    let Some(found) = found else {
        body["spec"]["replicas"] = Value::from(least);
        return;
    };
    if set_by_another(found) {
        return;
    }
    // The API server fills it in: every Deployment that was read has it.
    let running = found.pointer("/spec/replicas").and_then(Value::as_i64);
    body["spec"]["replicas"] = Value::from(running.unwrap_or(0).max(i64::from(least)));
    if let Some(version) = found.pointer("/metadata/resourceVersion") {
        body["metadata"]["resourceVersion"] = version.clone();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(replicas: i32, managers: &[(&str, &str)]) -> Value {
        let entries: Vec<Value> = managers
            .iter()
            .map(|(manager, operation)| {
                json!({"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {"f:replicas": {}}}})
            })
            .collect();
        json!({"metadata": {"resourceVersion": "7", "managedFields": entries}, "spec": {"replicas": replicas}})
    }

    fn carried(least: i32, found: Option<&Value>) -> Value {
        let mut body = json!({"metadata": {}, "spec": {}});
        carry(&mut body, least, found);
        body
    }

    #[test]
    fn a_new_deployment_starts_with_as_many_as_its_autoscaler_allows() {
        assert_eq!(
            carried(3, None),
            json!({"metadata": {}, "spec": {"replicas": 3}})
        );
    }

    #[test]
    fn what_runs_is_kept_until_somebody_else_has_set_it() {
        let ours = deployment(5, &[(SHOPKEEPER, "Apply")]);
        assert_eq!(
            carried(3, Some(&ours)),
            json!({"metadata": {"resourceVersion": "7"}, "spec": {"replicas": 5}})
        );
        assert_eq!(carried(8, Some(&ours))["spec"]["replicas"], 8);
        for other in [
            ("kube-controller-manager", "Update"),
            ("kubectl", "Update"),
            (SHOPKEEPER, "Update"),
        ] {
            let scaled = deployment(5, &[(SHOPKEEPER, "Apply"), other]);
            assert_eq!(
                carried(3, Some(&scaled)),
                json!({"metadata": {}, "spec": {}}),
                "{other:?}"
            );
        }
    }
}
