//! Fargate as a place for pods: the profile that takes them, its role, and what pods cannot have there.
//!
//! See `docs/decisions/0028-fargate-profiles.md`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use shopkeeper_api::{
    exposures::TrafficSource, network::ServiceType, nodes as api, storefront::Exposure,
};

use super::{
    Component, Context, Placement, ResolvedService, Way, component::Place, exposures::short,
    nodes::LONGEST_BASE, site::Site,
};
use crate::{
    aws::{FargateProfile, FargateSelector, IamRole},
    blueprint::{Remark, Section},
    difference::quantity,
    facts::SubnetFacts,
    failure::Failure,
    kubernetes::{bindings::Bound, object::Frame, pod},
    names::{self, Owner},
};

/// Label of pods by which a profile selects them. Its value is the name of the profile: pods go from one to another as a rollout.
pub const FARGATE_LABEL: &str = "shopkeeper.dev/fargate-profile";
/// Label that EKS gives to pods that a profile took.
pub const EKS_FARGATE_LABEL: &str = "eks.amazonaws.com/fargate-profile";

/// Managed policies that EKS requires of a pod execution role.
pub(crate) const POD_EXECUTION_POLICIES: [&str; 1] = ["AmazonEKSFargatePodExecutionRolePolicy"];
/// The most that Fargate gives to a pod: vCPUs, and memory of which it takes 256 MiB for itself.
const MOST_CPU: f64 = 16.0;
const MOST_MEMORY: f64 = (120.0 * 1024.0 - 256.0) * 1_048_576.0;

/// A profile of a workload's own.
#[derive(Clone, Debug)]
pub struct FargateNodes {
    /// The profile.
    pub profile: FargateProfile,
    /// The role by which Fargate pulls images and joins the cluster.
    pub role: IamRole,
    /// What the profile may be called, and where it may be.
    pub site: Site,
    /// The namespace of the pods.
    namespace: String,
}

impl FargateNodes {
    /// The same in these subnets, under the name that it has there, by which the pods choose it.
    #[must_use]
    pub fn in_subnets(&self, subnets: &BTreeSet<String>) -> Self {
        let role = &self.profile.pod_execution_role_arn;
        let immutable = json!(["fargate", role, subnets, self.namespace]);
        let mut moved = self.called(&names::with_hash(&self.site.base, &immutable));
        moved.profile.subnets.clone_from(subnets);
        moved
    }

    /// The same under another name.
    #[must_use]
    pub(crate) fn called(&self, name: &str) -> Self {
        let mut other = self.clone();
        other.profile.name = name.to_owned();
        other.profile.selectors = self.selectors(name);
        other
    }

    /// A profile takes the pods that have its name as a label.
    fn selectors(&self, name: &str) -> BTreeSet<FargateSelector> {
        BTreeSet::from([FargateSelector {
            namespace: self.namespace.clone(),
            labels: BTreeMap::from([(FARGATE_LABEL.to_owned(), name.to_owned())]),
        }])
    }
}

pub(super) fn placement(
    context: Context<'_>,
    place: &Place<'_>,
    declared: Option<&api::Fargate>,
) -> Result<FargateNodes, Failure> {
    let role_part = place.role.strip_prefix("frontends.").unwrap_or_default();
    let role = pod_execution_role(context, role_part);
    let nodes = FargateNodes {
        profile: FargateProfile {
            cluster: context.platform.cluster.clone(),
            name: String::new(),
            pod_execution_role_arn: context.platform.iam_arn(&format!("role/{}", role.name)),
            subnets: BTreeSet::new(),
            selectors: BTreeSet::new(),
            tags: context.tags(),
        },
        role,
        site: Site {
            base: context.name(role_part, LONGEST_BASE),
            subnets: subnets(context, place, declared)?,
            is_free: declared.is_none_or(|fargate| fargate.subnets.is_empty()),
        },
        namespace: context.owner.namespace.clone(),
    };
    Ok(nodes.in_subnets(&nodes.site.ids()))
}

/// The private subnets of the Platform, or those of them that were asked for: Fargate takes no others.
fn subnets(
    context: Context<'_>,
    place: &Place<'_>,
    declared: Option<&api::Fargate>,
) -> Result<Vec<SubnetFacts>, Failure> {
    let private: BTreeSet<String> = context.platform.private_subnet_ids().collect();
    let asked = declared.map_or(&[][..], |fargate| &fargate.subnets);
    if let Some(other) = asked.iter().find(|id| !private.contains(*id)) {
        let known: Vec<&str> = private.iter().map(String::as_str).collect();
        return Err(Failure::invalid(
            &format!("{}.nodes.fargate.subnets", place.field),
            &format!(
                "{other} is no private subnet of Platform {}, and Fargate runs pods in no others",
                context.platform.name
            ),
            &format!("choose from {}", known.join(", ")),
        ));
    }
    let subnets = context.platform.private_subnets.iter();
    Ok(subnets
        .filter(|subnet| asked.is_empty() || asked.contains(&subnet.id))
        .cloned()
        .collect())
}

/// Only profiles of the cluster can use it: without the condition another account could have AWS use it in its stead.
fn pod_execution_role(context: Context<'_>, role_part: &str) -> IamRole {
    let part = if role_part.is_empty() {
        "fargate".to_owned()
    } else {
        format!("{role_part}-fargate")
    };
    let partition = context.platform.partition();
    let profiles = format!("fargateprofile/{}/*", context.platform.cluster);
    IamRole {
        name: context.role_name(&part),
        description: format!("Fargate for {}", context.owner.path()),
        trust_policy: json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"Service": "eks-fargate-pods.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"ArnLike": {"aws:SourceArn": context.platform.arn("eks", &profiles)}},
            }],
        }),
        inline_policies: BTreeMap::new(),
        managed_policy_arns: POD_EXECUTION_POLICIES
            .iter()
            .map(|policy| format!("arn:{partition}:iam::aws:policy/{policy}"))
            .collect(),
        tags: context.tags(),
    }
}

/// Refuses pods that Fargate would leave pending for ever. The schema refuses what it can; a patch of the pod template, and what was
/// stored before the schema knew Fargate, are seen here.
pub(super) fn check(owner: &Owner, component: &Component, field: &str) -> Result<(), Failure> {
    if !matches!(component.placement, Placement::Fargate(_)) {
        return Ok(());
    }
    if let Some(place) = at_nodes(component) {
        return Err(Failure::invalid(
            &format!("{field}.network.{place}"),
            "pods on Fargate have no ports at nodes",
            "set its type to ClusterIP or LoadBalancer, whose targets are the pods, and leave nodePorts out",
        ));
    }
    let frame = Frame {
        owner,
        component: &component.name,
    };
    let template = pod::template(&frame, component, &Bound::default(), &[]);
    match unsupported(&template["spec"]) {
        None => Ok(()),
        Some((path, problem)) => Err(Failure::invalid(
            &format!("{field}.workload"),
            &format!("spec.{path} of the pods: {problem}"),
            "take it out, of podTemplatePatch too, or choose another nodes.type",
        )),
    }
}

/// The first Service that is published at ports of nodes, by its place in `network`.
fn at_nodes(component: &Component) -> Option<String> {
    let is_at_nodes = |service: &ResolvedService| {
        service.type_ == ServiceType::NodePort || !service.node_ports.is_empty()
    };
    if is_at_nodes(&component.service) {
        return Some("service".to_owned());
    }
    component.exposures.iter().find_map(|exposure| {
        let name = short(exposure);
        match &exposure.way {
            Way::Service(service) if is_at_nodes(service) => {
                Some(format!("exposures[{name}].service"))
            }
            _ => None,
        }
    })
}

/// What people should hear of who mean to let in some alone: for pods on Fargate EKS enforces no NetworkPolicy, and security groups of
/// their own are what is left.
pub(super) fn unenforced(component: &Component, field: &str) -> Option<Remark> {
    let on_fargate = matches!(component.placement, Placement::Fargate(_));
    let has_groups = !matches!(&component.security_groups, Ok(groups) if groups.is_empty());
    if !on_fargate || has_groups {
        return None;
    }
    let internal = component
        .exposures
        .iter()
        .find(|exposure| exposure.traffic_from != TrafficSource::PublicSubnets);
    let meant = if !component.callers.is_empty() {
        format!("{field}.callers")
    } else if component.service.entered_from() == Some(Exposure::Internal) {
        format!("{field}.network.service")
    } else if let Some(exposure) = internal {
        let name = short(exposure);
        format!("{field}.network.exposures[{name}]")
    } else if component
        .routed_from
        .contains(&TrafficSource::PrivateSubnets)
    {
        "the load balancer that is Internal".to_owned()
    } else {
        return None;
    };
    Some(Remark {
        section: Section::Workload,
        reason: "NetworkPolicyNotEnforced",
        text: format!(
            "{field}.nodes.type: EKS enforces no NetworkPolicy for pods on Fargate, so that not only {meant} but all of the VPC may reach \
             their ports: set {field}.network.securityGroupIds, or choose another nodes.type"
        ),
    })
}

/// The first thing that Fargate does not have, by its path in a pod's specification, and why.
fn unsupported(spec: &Value) -> Option<(String, String)> {
    for member in ["hostNetwork", "hostPID", "hostIPC"] {
        if spec[member] == true {
            return refusal(member, "a pod on Fargate has no host to share");
        }
    }
    if let Some(selector) = spec["nodeSelector"]
        .as_object()
        .filter(|map| !map.is_empty())
    {
        let known = |(key, value): (&String, &Value)| match key.as_str() {
            "kubernetes.io/os" => value == "linux",
            "kubernetes.io/arch" => value == "amd64",
            _ => false,
        };
        if let Some(key) = selector
            .iter()
            .find(|entry| !known(*entry))
            .map(|(key, _)| key)
        {
            return refusal(
                &format!("nodeSelector[{key}]"),
                "Fargate makes a node of its own for each pod, Linux on x86-64, with no other labels to choose by",
            );
        }
    }
    for (index, volume) in list(&spec["volumes"]).iter().enumerate() {
        for (source, why) in [
            ("hostPath", "there is no host whose files could be seen"),
            (
                "ephemeral",
                "Fargate provides no volumes, those of EBS included",
            ),
            (
                "awsElasticBlockStore",
                "Fargate does not attach volumes of EBS",
            ),
            (
                "csi",
                "drivers run as a DaemonSet, which Fargate does not have",
            ),
        ] {
            if volume.get(source).is_some() {
                return refusal(&format!("volumes[{index}].{source}"), why);
            }
        }
    }
    for containers in ["containers", "initContainers"] {
        for container in list(&spec[containers]) {
            let path = |member: &str| {
                format!(
                    "{containers}[{}].{member}",
                    container["name"].as_str().unwrap_or("?")
                )
            };
            if container["securityContext"]["privileged"] == true {
                return refusal(
                    &path("securityContext.privileged"),
                    "Fargate runs no privileged containers",
                );
            }
            let on_host = |port: &Value| port["hostPort"].as_i64().unwrap_or(0) != 0;
            if list(&container["ports"]).iter().any(on_host) {
                return refusal(&path("ports"), "Fargate has no host ports");
            }
            for kind in ["requests", "limits"] {
                let device = container["resources"][kind]
                    .as_object()
                    .into_iter()
                    .flat_map(serde_json::Map::keys)
                    .find(|name| name.contains('/'));
                if let Some(device) = device {
                    return refusal(
                        &path(&format!("resources.{kind}[{device}]")),
                        "Fargate has no GPUs and no other devices",
                    );
                }
            }
        }
    }
    for (resource, most, shown) in [
        ("cpu", MOST_CPU, "16 vCPUs"),
        ("memory", MOST_MEMORY, "120 GiB, 256 MiB of it for itself"),
    ] {
        let requested: f64 = list(&spec["containers"])
            .iter()
            .filter_map(|container| quantity(&container["resources"]["requests"][resource]))
            .sum();
        if requested > most {
            return refusal(
                &format!("containers[*].resources.requests[{resource}]"),
                &format!("Fargate gives a pod at most {shown}"),
            );
        }
    }
    None
}

fn refusal(path: &str, problem: &str) -> Option<(String, String)> {
    Some((path.to_owned(), problem.to_owned()))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fargate_does_not_have_is_named() {
        for (spec, path) in [
            (json!({"hostNetwork": true}), "hostNetwork"),
            (
                json!({"nodeSelector": {"kubernetes.io/arch": "arm64"}}),
                "nodeSelector[kubernetes.io/arch]",
            ),
            (
                json!({"volumes": [{"emptyDir": {}}, {"hostPath": {}}]}),
                "volumes[1].hostPath",
            ),
            (
                json!({"initContainers": [{"name": "a", "securityContext": {"privileged": true}}]}),
                "initContainers[a].securityContext.privileged",
            ),
            (
                json!({"containers": [{"name": "a", "ports": [{"containerPort": 80, "hostPort": 80}]}]}),
                "containers[a].ports",
            ),
            (
                json!({"containers": [{"name": "a", "resources": {"limits": {"nvidia.com/gpu": 1}}}]}),
                "containers[a].resources.limits[nvidia.com/gpu]",
            ),
            (
                json!({"containers": [
                    {"name": "a", "resources": {"requests": {"cpu": "8"}}},
                    {"name": "b", "resources": {"requests": {"cpu": "8500m"}}},
                ]}),
                "containers[*].resources.requests[cpu]",
            ),
            (
                json!({"containers": [{"name": "a", "resources": {"requests": {"memory": "120Gi"}}}]}),
                "containers[*].resources.requests[memory]",
            ),
        ] {
            assert_eq!(
                unsupported(&spec).map(|(path, _)| path).as_deref(),
                Some(path),
                "{spec}"
            );
        }
        let usual = json!({
            "nodeSelector": {"kubernetes.io/arch": "amd64"},
            "volumes": [{"emptyDir": {}}, {"persistentVolumeClaim": {"claimName": "efs"}}],
            "containers": [{
                "name": "a",
                "ports": [{"containerPort": 80}],
                "resources": {"requests": {"cpu": "16", "memory": "100Gi"}},
                "securityContext": {"privileged": false},
            }],
        });
        assert_eq!(unsupported(&usual), None);
    }
}
