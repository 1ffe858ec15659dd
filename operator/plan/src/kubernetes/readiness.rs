//! When a Kubernetes object does what it was made for.

use serde_json::Value;

use super::KubernetesKind;

/// Whether an object is ready, and if not, what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does its work.
    Ready,
    /// It is on its way; the text says to where.
    Progressing(String),
    /// Kubernetes gave up on it; the text says why.
    Failed(String),
}

/// The readiness of an object as the API server has it.
#[must_use]
pub fn readiness(kind: KubernetesKind, body: &Value) -> Readiness {
    match kind {
        KubernetesKind::Deployment => deployment(body),
        KubernetesKind::Ingress => load_balancer(body),
        KubernetesKind::HTTPRoute => route(body),
        KubernetesKind::Service if body.pointer("/spec/type") == Some(&"LoadBalancer".into()) => {
            load_balancer(body)
        }
        _ => Readiness::Ready,
    }
}

fn load_balancer(body: &Value) -> Readiness {
    let addresses = body
        .pointer("/status/loadBalancer/ingress")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    if addresses > 0 {
        Readiness::Ready
    } else {
        Readiness::Progressing("load balancer has no address yet".to_owned())
    }
}

/// Every Gateway says for itself whether it takes a route, and whether it finds what that leads to.
fn route(body: &Value) -> Readiness {
    let list = |pointer: &str| {
        body.pointer(pointer)
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice)
    };
    let generation = body.pointer("/metadata/generation");
    for gateway in list("/spec/parentRefs") {
        let name = gateway["name"].as_str().unwrap_or_default();
        let said = list("/status/parents").iter().find(|said| {
            ["name", "namespace"]
                .iter()
                .all(|part| said["parentRef"][part] == gateway[part])
        });
        for condition in ["Accepted", "ResolvedRefs"] {
            let found = said
                .and_then(|said| said["conditions"].as_array())
                .and_then(|conditions| {
                    conditions.iter().find(|found| {
                        found["type"] == condition
                            && Some(&found["observedGeneration"]) == generation
                    })
                });
            match found {
                Some(found) if found["status"] == "True" => {}
                Some(found) => {
                    return Readiness::Progressing(format!(
                        "Gateway {name} does not take it: {}: {}",
                        found["reason"].as_str().unwrap_or_default(),
                        found["message"].as_str().unwrap_or_default()
                    ));
                }
                None => {
                    return Readiness::Progressing(format!("Gateway {name} has not taken it yet"));
                }
            }
        }
    }
    Readiness::Ready
}

/// How many replicas of a Deployment are ready, and how many are wanted.
#[must_use]
pub fn replicas(body: &Value) -> (i64, i64) {
    let number = |pointer: &str| body.pointer(pointer).and_then(Value::as_i64);
    (
        number("/status/availableReplicas").unwrap_or(0),
        number("/spec/replicas").unwrap_or(1),
    )
}

/// The rules of `kubectl rollout status`.
fn deployment(body: &Value) -> Readiness {
    let number = |pointer: &str| body.pointer(pointer).and_then(Value::as_i64);
    let wanted = number("/spec/replicas").unwrap_or(1);
    let of_status = |field: &str| number(&format!("/status/{field}")).unwrap_or(0);
    if number("/status/observedGeneration").unwrap_or(0)
        < number("/metadata/generation").unwrap_or(0)
    {
        return Readiness::Progressing("the new version is not rolled out yet".to_owned());
    }
    let given_up = body
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .and_then(|conditions| {
            conditions.iter().find(|condition| {
                condition["type"] == "Progressing"
                    && condition["reason"] == "ProgressDeadlineExceeded"
                    && condition["status"] == "False"
            })
        });
    if given_up.is_some() {
        return Readiness::Failed(format!(
            "the rollout made no progress within its deadline: {} of {wanted} replicas are available",
            of_status("availableReplicas")
        ));
    }
    if of_status("updatedReplicas") < wanted {
        return Readiness::Progressing(format!(
            "{} of {wanted} replicas have the new version",
            of_status("updatedReplicas")
        ));
    }
    if of_status("replicas") > of_status("updatedReplicas") {
        return Readiness::Progressing(format!(
            "{} old replicas have to end",
            of_status("replicas") - of_status("updatedReplicas")
        ));
    }
    if of_status("availableReplicas") < wanted {
        return Readiness::Progressing(format!(
            "{} of {wanted} replicas are available",
            of_status("availableReplicas")
        ));
    }
    Readiness::Ready
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment_with(generation: i64, status: Value) -> Readiness {
        readiness(
            KubernetesKind::Deployment,
            &json!({"metadata": {"generation": generation}, "spec": {"replicas": 3}, "status": status}),
        )
    }

    #[test]
    fn a_deployment_is_ready_when_all_replicas_have_the_new_version_and_are_available() {
        let done = json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3});
        assert_eq!(deployment_with(2, done.clone()), Readiness::Ready);
        assert!(matches!(
            deployment_with(3, done),
            Readiness::Progressing(_)
        ));
        let old = json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 3, "availableReplicas": 3});
        assert!(matches!(deployment_with(2, old), Readiness::Progressing(_)));
    }

    #[test]
    fn a_rollout_past_its_deadline_has_failed() {
        let stuck = json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 1, "availableReplicas": 3,
            "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]});
        assert!(matches!(deployment_with(2, stuck), Readiness::Failed(_)));
    }
}
