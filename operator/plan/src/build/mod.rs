//! From a resolved custom resource to its blueprint. Pure, and total: what could fail has failed before.

use std::collections::BTreeMap;

use crate::{
    aws::{AwsKind, AwsResource, PodIdentityAssociation},
    blueprint::{Blueprint, MissingOutput, Section},
    kubernetes::{
        KubernetesKind, bindings, deployment, horizontal_pod_autoscaler, ingress, network_policy,
        object::Frame, pod_disruption_budget, service, service_account, service_monitor,
    },
    observed::Observed,
    outputs::Outputs,
    resolve::{Component, ComponentIdentity, Placement, Resolved, ResolvedPlatform, permissions},
    resource::ResourceKey,
};

mod outputs;

/// The blueprint of a custom resource that runs workloads. `observed` gives the outputs of the data tier; what is not
/// known yet makes the nodes that need it pending.
#[must_use]
pub fn blueprint(resolved: &Resolved, observed: &Observed) -> Blueprint {
    let mut blueprint = Blueprint::default();
    let mut data_keys = Vec::new();
    for resource in &resolved.data {
        let key = blueprint.aws(
            Section::Data,
            resource.role.clone(),
            resource.resource.clone(),
            &resource.depends_on,
        );
        // Pods use a table, and do not wait for its autoscaling.
        if !matches!(resource.resource, AwsResource::ScalableTarget(_)) {
            data_keys.push(key);
        }
    }
    for component in &resolved.components {
        ComponentBuilder {
            resolved,
            component,
            observed,
            blueprint: &mut blueprint,
        }
        .build(&data_keys);
    }
    for load_balancer in &resolved.load_balancers {
        let frame = Frame {
            owner: &resolved.owner,
            component: &load_balancer.name,
        };
        blueprint.kubernetes(
            Section::Edge,
            load_balancer.role.clone(),
            ingress::build(&frame, load_balancer, &resolved.platform),
            &[],
        );
    }
    blueprint
}

/// The blueprint of a Platform: its key.
#[must_use]
pub fn platform_blueprint(resolved: &ResolvedPlatform) -> Blueprint {
    let mut blueprint = Blueprint::default();
    if let Some(key) = &resolved.key {
        blueprint.aws(Section::Data, "encryption", key.clone(), &[]);
    }
    blueprint
}

/// The key of the Platform's KMS key, where it makes one.
#[must_use]
pub fn platform_key(resolved: &ResolvedPlatform) -> Option<ResourceKey> {
    resolved
        .key
        .as_ref()
        .map(|key| ResourceKey::aws(AwsKind::KmsKey, crate::aws::AwsSpecification::name(key)))
}

/// The role that pods take on.
struct PodsRole {
    arn: String,
    /// Its key, where it is ours.
    key: Option<ResourceKey>,
}

struct ComponentBuilder<'a> {
    resolved: &'a Resolved,
    component: &'a Component,
    observed: &'a Observed,
    blueprint: &'a mut Blueprint,
}

impl ComponentBuilder<'_> {
    fn build(&mut self, data: &[ResourceKey]) {
        let component = self.component;
        let frame = Frame {
            owner: &self.resolved.owner,
            component: &component.name,
        };
        let nodes = self.nodes();
        let pods_role = self.pods_role();
        let role = |part: &str| component.role_of(part);

        let (irsa_role, before_account) = match (&component.identity, &pods_role) {
            (ComponentIdentity::Irsa(_), Some(pods_role)) => {
                (Some(pods_role.arn.as_str()), pods_role.key.as_slice())
            }
            _ => (None, &[][..]),
        };
        let account = self.blueprint.kubernetes(
            Section::Workload,
            role("serviceAccount"),
            service_account::build(&frame, component, irsa_role),
            before_account,
        );
        let association = self.association(pods_role.as_ref(), &account);
        if !component.workload.ports.is_empty() {
            self.blueprint.kubernetes(
                Section::Workload,
                role("service"),
                service::build(&frame, component),
                &[],
            );
        }
        self.blueprint.kubernetes(
            Section::Workload,
            role("networkPolicy"),
            network_policy::build(&frame, component, &self.resolved.platform),
            &[],
        );
        let (binding_keys, bound, missing) = self.bindings(&frame, data);
        // Pods come last: what they mount, read and authenticate with is there when the first of them starts.
        let mut before: Vec<ResourceKey> = vec![account];
        before.extend(nodes);
        before.extend(pods_role.and_then(|pods_role| pods_role.key));
        before.extend(association);
        before.extend(data.iter().cloned());
        before.extend(binding_keys);
        let deployment_key =
            ResourceKey::kubernetes(KubernetesKind::Deployment, component.name.clone());
        if missing.is_empty() {
            let object = deployment::build(&frame, component, &bound);
            self.blueprint
                .kubernetes(Section::Workload, role("deployment"), object, &before);
        } else {
            self.blueprint.pending(
                Section::Workload,
                role("deployment"),
                deployment_key.clone(),
                missing,
                &before,
            );
        }
        if let Some(autoscaler) = horizontal_pod_autoscaler::build(&frame, component) {
            self.blueprint.kubernetes(
                Section::Workload,
                role("autoscaler"),
                autoscaler,
                std::slice::from_ref(&deployment_key),
            );
        }
        self.blueprint.kubernetes(
            Section::Workload,
            role("disruptionBudget"),
            pod_disruption_budget::build(&frame, component),
            &[],
        );
        if let Some(monitor) = service_monitor::build(&frame, component) {
            self.blueprint
                .kubernetes(Section::Workload, role("serviceMonitor"), monitor, &[]);
        }
    }

    fn nodes(&mut self) -> Vec<ResourceKey> {
        let Placement::Own(own) = &self.component.placement else {
            return Vec::new();
        };
        let role = |part: &str| self.component.role_of(part);
        let role_key =
            self.blueprint
                .aws(Section::Nodes, role("nodes.role"), own.role.clone(), &[]);
        vec![self.blueprint.aws(
            Section::Nodes,
            role("nodes"),
            own.group.clone(),
            std::slice::from_ref(&role_key),
        )]
    }

    /// The role of the pods, where they have one.
    fn pods_role(&mut self) -> Option<PodsRole> {
        let component = self.component;
        let draft = match &component.identity {
            ComponentIdentity::None => return None,
            ComponentIdentity::Existing { role_arn } => {
                return Some(PodsRole {
                    arn: role_arn.clone(),
                    key: None,
                });
            }
            ComponentIdentity::Irsa(draft) | ComponentIdentity::PodIdentity(draft) => draft,
        };
        let platform = &self.resolved.platform;
        let permissions = if component.role.is_empty() {
            let mut statements = permissions::statements(platform, &self.resolved.data);
            if !outputs::are_in_force(self.resolved, self.observed) {
                permissions::keep_connecting(&mut statements, self.observed, draft.name());
            }
            statements
        } else {
            Vec::new()
        };
        let role = draft.with_permissions(permissions)?;
        Some(PodsRole {
            arn: platform.iam_arn(&format!("role/{}", role.name)),
            key: Some(self.blueprint.aws(
                Section::Workload,
                component.role_of("identity.role"),
                role,
                &[],
            )),
        })
    }

    /// What gives the pods their role. It names the ServiceAccount, and whoever runs as that gets the role: it has to be ours
    /// before.
    fn association(
        &mut self,
        pods_role: Option<&PodsRole>,
        account: &ResourceKey,
    ) -> Option<ResourceKey> {
        let component = self.component;
        if matches!(component.identity, ComponentIdentity::Irsa(_)) {
            return None;
        }
        let pods_role = pods_role?;
        let platform = &self.resolved.platform;
        let mut tags = platform.tags.clone();
        tags.extend(self.resolved.owner.tags(&platform.cluster));
        let association = PodIdentityAssociation {
            cluster: platform.cluster.clone(),
            namespace: self.resolved.owner.namespace.clone(),
            service_account: component.service_account.clone(),
            role_arn: pods_role.arn.clone(),
            tags,
        };
        let mut before = vec![account.clone()];
        before.extend(pods_role.key.clone());
        Some(self.blueprint.aws(
            Section::Workload,
            component.role_of("identity.association"),
            association,
            &before,
        ))
    }

    /// The Secrets and the ConfigMap of the bindings, what the pods read of them, and what is still missing.
    fn bindings(
        &mut self,
        frame: &Frame<'_>,
        data: &[ResourceKey],
    ) -> (Vec<ResourceKey>, bindings::Bound, Vec<MissingOutput>) {
        let mut keys = Vec::new();
        let mut bound = bindings::Bound::default();
        let mut missing = Vec::new();
        let mut plain = BTreeMap::new();
        for binding in &self.component.bindings {
            let gathered = outputs::gather(self.resolved, &binding.resource, self.observed);
            let rendered = gathered.and_then(|outputs: Outputs| {
                bindings::render(binding, &outputs, || {
                    outputs::main_resource(self.resolved, &binding.resource)
                })
            });
            match rendered {
                Ok(rendered) => {
                    let secret = bindings::secret(
                        frame,
                        binding,
                        &rendered,
                        outputs::description(self.resolved, &binding.resource),
                    );
                    keys.push(self.blueprint.kubernetes(
                        Section::Workload,
                        format!("bindings.{}", binding.resource),
                        secret,
                        data,
                    ));
                    plain.extend(rendered.plain.clone());
                    bound.add(&binding.secret_name, &rendered);
                }
                Err(absent) => {
                    let key = ResourceKey::kubernetes(
                        KubernetesKind::Secret,
                        binding.secret_name.clone(),
                    );
                    self.blueprint.pending(
                        Section::Workload,
                        format!("bindings.{}", binding.resource),
                        key,
                        absent.clone(),
                        &[],
                    );
                    missing.extend(absent);
                }
            }
        }
        let map_key = ResourceKey::kubernetes(
            KubernetesKind::ConfigMap,
            bindings::config_map_name(frame.component),
        );
        if !missing.is_empty() {
            // What it should hold is not known: one that is there has to stay, and would look like a leftover.
            if self.observed.kubernetes.contains_key(&map_key) {
                self.blueprint.pending(
                    Section::Workload,
                    "bindings",
                    map_key,
                    missing.clone(),
                    &[],
                );
            }
        } else if !plain.is_empty() {
            let map = bindings::config_map(frame, &plain);
            bound.config_map = Some(map.name.clone());
            keys.push(
                self.blueprint
                    .kubernetes(Section::Workload, "bindings", map, data),
            );
        }
        (keys, bound, missing)
    }
}
