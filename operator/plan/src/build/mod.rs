//! From a resolved custom resource to its blueprint. Pure, and total: what could fail has failed before.

use std::collections::BTreeMap;

use crate::{
    aws::{AwsKind, AwsResource},
    blueprint::{Blueprint, MissingOutput, Section},
    failure::{Class, Failure},
    kubernetes::{
        KubernetesKind, KubernetesObject, bindings, deployment, horizontal_pod_autoscaler,
        http_route, ingress, network_policy, object::Frame, pod, pod_disruption_budget, service,
        service_account, service_monitor,
    },
    observed::Observed,
    outputs::Outputs,
    resolve::{
        Component, Placement, Resolved, ResolvedBinding, ResolvedExternal, ResolvedPlatform, Way,
    },
    resource::ResourceKey,
};

mod data;
mod external;
mod fargate;
mod identity;
mod marks;
mod outputs;
mod places;
mod references;
mod security_groups;

pub use outputs::with_derived;

/// The blueprint of a custom resource that runs workloads. `observed` gives the outputs of the data tier; what is not
/// known yet makes the nodes that need it pending.
#[must_use]
pub fn blueprint(resolved: &Resolved, observed: &Observed) -> Blueprint {
    let mut blueprint = Blueprint::default();
    let mut data_keys = Vec::new();
    for resource in &resolved.data {
        let key = data::add(resource, observed, &mut blueprint);
        // Pods use a table, and do not wait for its autoscaling.
        if !matches!(resource.resource, AwsResource::ScalableTarget(_)) {
            data_keys.push(key);
        }
    }
    for component in &resolved.components {
        ComponentBuilder {
            resolved,
            component: &places::in_its_place(component, observed),
            observed,
            blueprint: &mut blueprint,
        }
        .build(&data_keys);
    }
    for component in &resolved.components {
        for exposure in &component.exposures {
            if let Way::Service(service) = &exposure.way {
                let owner = &resolved.owner;
                let object = service::build_exposure(
                    owner,
                    component,
                    exposure,
                    service,
                    &resolved.platform,
                );
                blueprint.kubernetes(Section::Edge, exposure.role.clone(), object, &[]);
            }
        }
    }
    for component in &resolved.components {
        tell_of_missing_nodes(component, &mut blueprint, observed);
    }
    for load_balancer in resolved.routes() {
        let frame = Frame {
            owner: &resolved.owner,
            component: &load_balancer.name,
        };
        let kind = if load_balancer.gateways.is_empty() {
            KubernetesKind::Ingress
        } else {
            KubernetesKind::HTTPRoute
        };
        let key = ResourceKey::kubernetes(kind, load_balancer.name.clone());
        let found = observed
            .kubernetes
            .get(&key)
            .filter(|found| found.ours)
            .map(|found| &found.body);
        let (rules, awaits) = references::rules(load_balancer, kind, found);
        let role = load_balancer.role.clone();
        if rules.is_empty() {
            // Without rules it would answer everything, or be refused.
            blueprint.pending(Section::Edge, role, key.clone(), Vec::new(), &[]);
        } else {
            let object = match kind {
                KubernetesKind::HTTPRoute => http_route::build(&frame, load_balancer, &rules),
                _ => ingress::build(&frame, load_balancer, &rules, &resolved.platform, found),
            };
            let obstacle = load_balancer
                .group
                .as_ref()
                .and_then(|group| group.obstacle(ingress::place_in_group(&object, found)));
            match obstacle {
                None => blueprint.kubernetes(Section::Edge, role, object, &[]),
                Some(failure) => blueprint.held(Section::Edge, role, key.clone(), failure),
            };
        }
        blueprint.wait_for(&key, awaits);
    }
    blueprint
}

/// A node group that the pods are to share is somebody else's, and only looked at. One that is not there would leave them Pending without
/// a word; they are made all the same, for it may come.
fn tell_of_missing_nodes(component: &Component, blueprint: &mut Blueprint, observed: &Observed) {
    let Placement::Shared { name, field, .. } = &component.placement else {
        return;
    };
    blueprint.share_node_group(name);
    let key = ResourceKey::aws(AwsKind::NodeGroup, name.clone());
    let is_wanted = blueprint.get(&key).is_some();
    if !observed.missing_node_groups.contains(name) || is_wanted {
        return;
    }
    let failure = Failure::new(
        Class::NotReady,
        format!("{field}: the cluster has no node group {name}, and the pods wait for its nodes"),
    )
    .with_remedy("correct the name, or make the group; it is looked for again by itself");
    blueprint.held(Section::Nodes, component.role_of("nodes"), key, failure);
}

/// The blueprint of a Platform: its key, and what is told of its network.
#[must_use]
pub fn platform_blueprint(resolved: &ResolvedPlatform) -> Blueprint {
    let mut blueprint = Blueprint::default();
    for remark in &resolved.remarks {
        blueprint.remark(remark.clone());
    }
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
        let identity = self.identity();
        let held = self.held_off_fargate();
        let role = |part: &str| component.role_of(part);

        let before_account = match identity.account_role {
            Some(_) => identity.keys.as_slice(),
            None => &[],
        };
        let account = self.blueprint.kubernetes(
            Section::Workload,
            role("serviceAccount"),
            service_account::build(&frame, component, identity.account_role.as_deref()),
            before_account,
        );
        // An association names the ServiceAccount, and whoever runs as that gets the role: it has to be ours before.
        let association = identity.association.map(|association| {
            let mut before = vec![account.clone()];
            before.extend(identity.keys.iter().cloned());
            let part = role("identity.association");
            self.blueprint
                .aws(Section::Workload, part, association, &before)
        });
        if !component.workload.ports.is_empty() {
            let service = service::build(&frame, component, &self.resolved.platform);
            self.by_routes(role("service"), service);
        }
        let network_policy = network_policy::build(&frame, component, &self.resolved.platform);
        self.by_routes(role("networkPolicy"), network_policy);
        let (binding_keys, mut bound, missing) = self.bindings(&frame, data);
        let (groups, of_groups, no_groups) = self.security_groups(&frame);
        let lost = self.lost_endpoints();
        bound.kept_endpoints = lost.kept;
        // Pods that run have what they were started with; new ones would be without.
        let is_held = lost.lacking
            || no_groups.is_some()
            || identity.awaits.is_some() && (held.is_some() || self.deployment().is_none());
        let awaits = identity
            .awaits
            .into_iter()
            .chain(no_groups)
            .chain(lost.awaits);
        let marks: Vec<pod::Mark> = [
            (identity::PODS_ANNOTATION, identity.of_pods),
            (security_groups::PODS_ANNOTATION, of_groups),
            (fargate::PODS_ANNOTATION, self.of_profile()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        // Pods come last: what they mount, read and authenticate with is there when the first of them starts.
        let mut before: Vec<ResourceKey> = vec![account];
        before.extend(nodes);
        before.extend(identity.keys);
        before.extend(association);
        before.extend(groups);
        before.extend(data.iter().cloned());
        before.extend(binding_keys);
        let deployment_key =
            ResourceKey::kubernetes(KubernetesKind::Deployment, component.name.clone());
        if let (Some(failure), false) = (held, is_held) {
            self.blueprint.held(
                Section::Workload,
                role("deployment"),
                deployment_key.clone(),
                failure,
            );
        } else if missing.is_empty() && !is_held {
            let object = deployment::build(&frame, component, &bound, &marks);
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
        self.blueprint.wait_for(&deployment_key, awaits);
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
        let lacking = component
            .metrics
            .as_ref()
            .and_then(|metrics| metrics.lacking.clone());
        if let Some(failure) = lacking {
            let key =
                ResourceKey::kubernetes(KubernetesKind::ServiceMonitor, component.name.clone());
            self.blueprint
                .held(Section::Workload, role("serviceMonitor"), key, failure);
        } else if let Some(monitor) = service_monitor::build(&frame, component) {
            self.blueprint
                .kubernetes(Section::Workload, role("serviceMonitor"), monitor, &[]);
        }
        for remark in &component.remarks {
            self.blueprint.remark(remark.clone());
        }
    }

    /// What goes by the routes that lead here. While those are not known it stays as it is: a rule that is taken out closes a shop.
    fn by_routes(&mut self, role: String, object: KubernetesObject) {
        let key = ResourceKey::kubernetes(object.kind, object.name.clone());
        let is_there = self.observed.kubernetes.contains_key(&key);
        match &self.component.routes_unknown {
            Some(failure) if is_there => {
                let failure = failure.clone();
                self.blueprint.held(Section::Workload, role, key, failure);
            }
            _ => {
                self.blueprint
                    .kubernetes(Section::Workload, role, object, &[]);
            }
        }
    }

    fn nodes(&mut self) -> Vec<ResourceKey> {
        let (iam_role, place): (_, AwsResource) = match &self.component.placement {
            Placement::Own(own) => (&own.role, own.group.clone().into()),
            Placement::Fargate(fargate) => (&fargate.role, fargate.profile.clone().into()),
            Placement::Shared { .. } | Placement::Anywhere => return Vec::new(),
        };
        let role = |part: &str| self.component.role_of(part);
        let role_key =
            self.blueprint
                .aws(Section::Nodes, role("nodes.role"), iam_role.clone(), &[]);
        vec![
            self.blueprint
                .aws(Section::Nodes, role("nodes"), place, &[role_key]),
        ]
    }

    /// The outputs of something external. Its Secret is read, also where that is not there.
    fn external(
        &mut self,
        binding: &ResolvedBinding,
        external: &ResolvedExternal,
    ) -> Result<Outputs, Failure> {
        if let Some(secret) = &external.secret {
            self.blueprint.read_secret(&secret.name);
        }
        let outputs = external::outputs(external, self.observed)?;
        match external::lacking(binding, external, &outputs) {
            Some(failure) => Err(failure),
            None => Ok(outputs),
        }
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
            let role = self
                .component
                .role_of(&format!("bindings.{}", binding.resource));
            let (gathered, description) = match self.component.external(&binding.resource) {
                None => (
                    outputs::gather(self.resolved, &binding.resource, self.observed),
                    outputs::description(self.resolved, &binding.resource),
                ),
                Some(external) => match self.external(binding, external) {
                    Ok(outputs) => (Ok(outputs), external::description(external)),
                    Err(failure) => {
                        let key = ResourceKey::kubernetes(
                            KubernetesKind::Secret,
                            binding.secret_name.clone(),
                        );
                        missing.push(MissingOutput {
                            resource: key.clone(),
                            output: "entries".to_owned(),
                        });
                        self.blueprint.held(Section::Workload, role, key, failure);
                        continue;
                    }
                },
            };
            let rendered = gathered.and_then(|outputs: Outputs| {
                bindings::render(binding, &outputs, || {
                    outputs::main_resource(self.resolved, &binding.resource)
                })
            });
            match rendered {
                Ok(rendered) => {
                    let secret = bindings::secret(frame, binding, &rendered, &description);
                    keys.push(
                        self.blueprint
                            .kubernetes(Section::Workload, role, secret, data),
                    );
                    plain.extend(rendered.plain.clone());
                    bound.add(&binding.secret_name, &rendered);
                }
                Err(absent) => {
                    let key = ResourceKey::kubernetes(
                        KubernetesKind::Secret,
                        binding.secret_name.clone(),
                    );
                    self.blueprint
                        .pending(Section::Workload, role, key, absent.clone(), &[]);
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
                    self.component.role_of("bindings"),
                    map_key,
                    missing.clone(),
                    &[],
                );
            }
        } else if !plain.is_empty() {
            let map = bindings::config_map(frame, &plain);
            bound.config_map = Some(map.name.clone());
            keys.push(self.blueprint.kubernetes(
                Section::Workload,
                self.component.role_of("bindings"),
                map,
                data,
            ));
        }
        (keys, bound, missing)
    }
}
