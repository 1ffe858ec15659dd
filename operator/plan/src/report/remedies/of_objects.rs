//! What to do about what the API server refuses: it names a field of the object, and a person wrote one of the custom resource.

use super::block_of;
use crate::{
    failure::{Class, Failure},
    kubernetes::KubernetesKind,
};

/// The failure with the part of the specification that the object is made from; `None` where it says already what to do, or where nothing
/// has to be corrected.
pub(super) fn with_remedy(kind: KubernetesKind, role: &str, failure: &Failure) -> Option<Failure> {
    if failure.class != Class::Invalid || !failure.remedy.is_empty() {
        return None;
    }
    let (above, _) = block_of(role);
    let said = failure.message.as_str();
    let part = match kind {
        // They are those of the taints.
        KubernetesKind::Deployment if said.contains(".tolerations") => "nodes.nodeGroup.taints",
        KubernetesKind::Deployment => "workload",
        KubernetesKind::Service => "network.service",
        KubernetesKind::HorizontalPodAutoscaler => "scaling.autoscale",
        KubernetesKind::PodDisruptionBudget => "disruption",
        KubernetesKind::NetworkPolicy => "callers",
        KubernetesKind::Secret | KubernetesKind::ConfigMap => "bindings",
        KubernetesKind::ServiceMonitor => "workload.metrics",
        KubernetesKind::SecurityGroupPolicy => "network.securityGroupIds",
        KubernetesKind::ServiceAccount => "identity",
        KubernetesKind::Ingress | KubernetesKind::HTTPRoute if role.contains("exposures") => {
            "network.exposures"
        }
        KubernetesKind::Ingress | KubernetesKind::HTTPRoute => {
            return Some(told(failure, "spec.hosts and spec.routes"));
        }
    };
    Some(told(failure, &format!("{above}.{part}")))
}

fn told(failure: &Failure, field: &str) -> Failure {
    failure.clone().with_remedy(format!(
        "correct {field}, from which that is made, by what the API server says here"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_that_an_object_is_made_from_is_named() {
        let said = |kind, role: &str, message: &str| {
            let failure = Failure::new(Class::Invalid, message);
            with_remedy(kind, role, &failure).map(|failure| failure.remedy)
        };
        for (kind, role, message, field) in [
            (
                KubernetesKind::Deployment,
                "deployment",
                "spec.template.spec.containers[0].env[0].valueFrom: Invalid value",
                "spec.workload,",
            ),
            (
                KubernetesKind::Deployment,
                "frontends.web.deployment",
                "spec.template.spec.tolerations[0].operator: Invalid value",
                "spec.frontends[web].nodes.nodeGroup.taints,",
            ),
            (
                KubernetesKind::Service,
                "service",
                "spec.LoadBalancerSourceRanges: Invalid value",
                "spec.network.service,",
            ),
        ] {
            let remedy = said(kind, role, message).unwrap();
            assert!(remedy.contains(field), "{remedy}");
        }
        let known = Failure::new(Class::Invalid, "is taken").with_remedy("rename it");
        assert_eq!(
            with_remedy(KubernetesKind::Service, "service", &known),
            None
        );
    }
}
