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

/// What is known of a Deployment that an autoscaler scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Autoscaled {
    /// The fewest replicas.
    pub least: i32,
    /// Whether all pods were seen to have this version: what its controller has not seen yet is another number then.
    pub rolled_out: bool,
}

/// The readiness of an object as the API server has it; `autoscaled` where it is a Deployment whose replicas an autoscaler sets.
#[must_use]
pub fn readiness(kind: KubernetesKind, body: &Value, autoscaled: Option<Autoscaled>) -> Readiness {
    match kind {
        KubernetesKind::Deployment => deployment(body, autoscaled),
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

/// The rules of `kubectl rollout status`. Where an autoscaler sets the number of replicas, that rises with the load and is no rollout: the
/// fewest are enough, and more are on their way.
fn deployment(body: &Value, autoscaled: Option<Autoscaled>) -> Readiness {
    let number = |pointer: &str| body.pointer(pointer).and_then(Value::as_i64);
    let wanted = autoscaled.map_or_else(
        || number("/spec/replicas").unwrap_or(1),
        |autoscaled| i64::from(autoscaled.least),
    );
    let of_status = |field: &str| number(&format!("/status/{field}")).unwrap_or(0);
    let is_seen = number("/status/observedGeneration").unwrap_or(0)
        >= number("/metadata/generation").unwrap_or(0);
    if !is_seen && !autoscaled.is_some_and(|autoscaled| autoscaled.rolled_out) {
        return Readiness::Progressing("the new version is not rolled out yet".to_owned());
    }
    let condition = |kind: &str, status: &str| {
        let conditions = body.pointer("/status/conditions")?.as_array()?;
        let is_meant = |it: &&Value| it["type"] == kind && it["status"] == status;
        conditions.iter().find(is_meant)
    };
    // A quota, an admission policy or a priority class that is missing refuses the pods, and not the Deployment.
    let refused = condition("ReplicaFailure", "True")
        .and_then(|it| it["message"].as_str())
        .map(|message| format!("; the API server refuses pods: {message}"))
        .unwrap_or_default();
    let given_up =
        condition("Progressing", "False").filter(|it| it["reason"] == "ProgressDeadlineExceeded");
    if given_up.is_some() {
        return Readiness::Failed(format!(
            "the rollout made no progress within its deadline: {} of {wanted} replicas are available{refused}",
            of_status("availableReplicas")
        ));
    }
    if of_status("updatedReplicas") < wanted {
        return Readiness::Progressing(format!(
            "{} of {wanted} replicas have the new version{refused}",
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
            None,
        )
    }

    #[test]
    fn why_pods_are_refused_is_told() {
        let refused = |progressing: Value| {
            deployment_with(
                1,
                json!({"observedGeneration": 1, "conditions": [
                    {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: pods"},
                    progressing,
                ]}),
            )
        };
        let on_its_way = refused(json!({"type": "Progressing", "status": "True"}));
        assert_eq!(
            on_its_way,
            Readiness::Progressing(
                "0 of 3 replicas have the new version; the API server refuses pods: exceeded quota: pods".into()
            )
        );
        let reason = "ProgressDeadlineExceeded";
        let given_up = refused(json!({"type": "Progressing", "status": "False", "reason": reason}));
        assert!(
            matches!(given_up, Readiness::Failed(told) if told.ends_with("exceeded quota: pods"))
        );
    }

    #[test]
    fn an_autoscaled_deployment_is_ready_with_the_fewest_replicas_and_without_a_rollout() {
        let scaled = |seen: i64, rolled_out: bool, counts: [i64; 3]| {
            let [replicas, updated, available] = counts;
            let body = json!({"metadata": {"generation": 4}, "spec": {"replicas": 6}, "status": {
                "observedGeneration": seen, "replicas": replicas, "updatedReplicas": updated, "availableReplicas": available,
            }});
            let autoscaled = Autoscaled {
                least: 3,
                rolled_out,
            };
            readiness(KubernetesKind::Deployment, &body, Some(autoscaled)) == Readiness::Ready
        };
        assert!(scaled(4, false, [6, 6, 3]), "three more are starting");
        assert!(scaled(4, false, [3, 3, 3]), "three more are to be made");
        assert!(scaled(3, true, [3, 3, 3]), "the number was not seen yet");
        assert!(!scaled(3, false, [3, 3, 3]), "nor was the new version");
        assert!(!scaled(4, true, [7, 6, 6]), "an old one has to end");
        assert!(!scaled(4, true, [6, 0, 6]), "all are old");
        assert!(!scaled(4, true, [6, 6, 2]), "fewer than the fewest");
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
