//! A workload: a service, or a frontend of a Storefront.

use std::collections::{BTreeMap, BTreeSet};

use shopkeeper_api::{
    Tier,
    bindings::{Binding, EnvTemplate},
    defaults,
    disruption::Disruption,
    exposures::TrafficSource,
    external::External,
    network::Caller,
    nodes::NodesType,
    workload::{Metrics, MetricsStyle, Port, Workload},
};

use super::{
    Context, Referred, ResolvedEndpoint, ResolvedExposure, ServiceKey, container,
    endpoints::{check_name, endpoints},
    exposures, external,
    external::ResolvedExternal,
    external_secrets, fargate,
    health::{self, HealthCheck},
    identity,
    identity::ComponentIdentity,
    image, network,
    network::ResolvedService,
    nodes, pod_template_patch, remarks,
    replicas::{disruption, replicas},
    utilization, variables,
};
pub use super::{nodes::Placement, replicas::Replicas};
use crate::{
    blueprint::Remark,
    failure::{Class, Failure},
    template::Template,
};

/// A workload with every default applied that does not depend on AWS.
#[derive(Clone, Debug)]
pub struct Component {
    /// Name of its Kubernetes objects: the custom resource's, or `<storefront>-<frontend>`.
    pub name: String,
    /// Role in the custom resource: empty for a service, `frontends.web` for a frontend.
    pub role: String,
    /// The pods.
    pub workload: Workload,
    /// How many there are.
    pub replicas: Replicas,
    /// How many may be missing.
    pub disruption: Disruption,
    /// Where they run.
    pub placement: Placement,
    /// Name of the ServiceAccount.
    pub service_account: String,
    /// Annotations of the ServiceAccount that were asked for.
    pub service_account_annotations: BTreeMap<String, String>,
    /// Who may call.
    pub callers: Vec<Caller>,
    /// Security groups of the pods; empty for those of their node.
    pub security_groups: Referred<BTreeSet<String>>,
    /// The Service in front of the pods.
    pub service: ResolvedService,
    /// Further ways to the pods.
    pub exposures: Vec<ResolvedExposure>,
    /// Where the packets of those come from who serve the routes of Storefronts that lead here; empty where none does.
    pub routed_from: BTreeSet<TrafficSource>,
    /// Why that is not known. What goes by it stays as it is.
    pub routes_unknown: Option<Failure>,
    /// Whose identity they have in AWS.
    pub identity: ComponentIdentity,
    /// What it uses and nobody makes.
    pub externals: Vec<ResolvedExternal>,
    /// Bindings to the data tier.
    pub bindings: Vec<ResolvedBinding>,
    /// Variables that say where other services are.
    pub endpoints: Vec<ResolvedEndpoint>,
    /// What load balancers ask of the pods.
    pub health: HealthCheck,
    /// Where metrics are found.
    pub metrics: Option<ResolvedMetrics>,
    /// What people should hear of, though it stops nothing.
    pub remarks: Vec<Remark>,
}

/// A binding to a resource of the data tier.
#[derive(Clone, Debug)]
pub struct ResolvedBinding {
    /// The resource.
    pub resource: String,
    /// Name of its Secret.
    pub secret_name: String,
    /// Variables and their templates.
    pub env: Vec<(String, Template)>,
}

/// Where Prometheus finds metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedMetrics {
    /// The port.
    pub port: Port,
    /// The path.
    pub path: String,
    /// Whether by annotations of the pods. Whether the cluster has another way changes nothing about it, or installing that would
    /// replace all pods.
    pub annotations: bool,
    /// Whether by a ServiceMonitor.
    pub service_monitor: bool,
    /// Why there can be no ServiceMonitor, where one is asked for and the cluster does not have that kind.
    pub lacking: Option<Failure>,
}

/// What tells components of one custom resource apart.
pub(super) struct Place<'a> {
    pub name: &'a str,
    pub role: &'a str,
    /// Path of its part in the specification, for errors: `spec`, `spec.frontends[web]`.
    pub field: &'a str,
    pub routed_from: &'a BTreeSet<TrafficSource>,
    pub routes_unknown: Option<&'a Failure>,
    pub health_path: Option<&'a str>,
}

impl Component {
    /// The block of the specification that it comes from.
    pub(crate) fn field(&self) -> String {
        if self.role.is_empty() {
            "spec".to_owned()
        } else {
            format!("spec.{}", self.role)
        }
    }

    /// The ports that an exposure publishes.
    pub(crate) fn ports_of(&self, exposure: &ResolvedExposure) -> Vec<&Port> {
        let ports = self.workload.ports.iter();
        ports
            .filter(|port| exposure.ports.contains(&port.name))
            .collect()
    }

    /// What a binding names, where that is external.
    pub(crate) fn external(&self, resource: &str) -> Option<&ResolvedExternal> {
        self.externals
            .iter()
            .find(|external| external.resource == resource)
    }

    /// The role of a part of it: `nodes`, or `frontends.web.nodes` where its owner has several.
    pub(crate) fn role_of(&self, part: &str) -> String {
        if self.role.is_empty() {
            part.to_owned()
        } else {
            format!("{}.{part}", self.role)
        }
    }
}

pub(super) fn component(
    context: Context<'_>,
    place: &Place<'_>,
    tier: &Tier<'_>,
) -> Result<Component, Failure> {
    let workload = tagged(tier.workload, context.platform.image_tag.as_deref());
    container::check(&format!("{}.workload", place.field), &workload)?;
    variables::check(place.field, tier)?;
    let replicas = replicas(tier.scaling);
    let service_account = service_account(place.name, &workload);
    let health = health::health_check(&workload, place.health_path);
    let service = network::service(context, place, &workload, tier.network)?;
    let exposures = exposures::exposures(
        context,
        place,
        &workload,
        &health,
        &service,
        tier.network.map_or(&[], |network| &network.exposures),
    )?;
    let mut remarks = remarks::remarks(context, place, tier, &workload);
    remarks.extend(health::remark(place, &workload, &exposures));
    let mut component = Component {
        name: place.name.to_owned(),
        role: place.role.to_owned(),
        disruption: disruption(tier.disruption, &replicas),
        placement: nodes::placement(context, place, tier.nodes)?,
        callers: callers(context, place, tier)?,
        security_groups: network::security_groups(context, place, tier.network),
        service,
        exposures,
        routed_from: place.routed_from.clone(),
        routes_unknown: place.routes_unknown.cloned(),
        identity: identity::identity(
            context,
            place,
            &service_account,
            tier.identity,
            tier.nodes
                .is_some_and(|nodes| nodes.type_ == NodesType::Fargate),
        )?,
        bindings: tier
            .bindings
            .iter()
            .map(|binding| resolve_binding(place, tier, binding))
            .collect::<Result<_, _>>()?,
        externals: tier
            .external
            .iter()
            .map(|declared| external::external(place.field, declared))
            .collect(),
        endpoints: endpoints(context, place, tier)?,
        metrics: workload
            .metrics
            .as_ref()
            .and_then(|metrics| resolve_metrics(context, place, metrics, &workload)),
        service_account,
        service_account_annotations: tier
            .identity
            .map(|identity| identity.service_account_annotations.clone())
            .unwrap_or_default(),
        remarks,
        health,
        replicas,
        workload,
    };
    pod_template_patch::check(context.owner, &component, place.field)?;
    utilization::complete(context.owner, &mut component, place.field);
    fargate::check(context.owner, &component, place.field)?;
    component
        .remarks
        .extend(fargate::unenforced(&component, place.field));
    Ok(component)
}

/// The workload with the tag of the whole shop on images that name none.
fn tagged(declared: &Workload, tag: Option<&str>) -> Workload {
    let mut workload = declared.clone();
    workload.image = image::tagged(&workload.image, tag);
    for container in &mut workload.init_containers {
        container.image = image::tagged(&container.image, tag);
    }
    workload
}

/// Name of the ServiceAccount of a component.
pub(crate) fn service_account(component: &str, workload: &Workload) -> String {
    let declared = workload.service_account_name.as_deref();
    declared.unwrap_or(component).to_owned()
}

/// Name of the Secret of a binding of a component.
pub(crate) fn secret_name(component: &str, binding: &Binding) -> String {
    binding.secret_name.clone().unwrap_or_else(|| {
        format!("{component}-{}", binding.resource.replace('.', "-")).to_lowercase()
    })
}

fn resolve_metrics(
    context: Context<'_>,
    place: &Place<'_>,
    declared: &Metrics,
    workload: &Workload,
) -> Option<ResolvedMetrics> {
    let port = match &declared.port {
        Some(name) => workload.ports.iter().find(|port| port.name == *name),
        None => workload.ports.first(),
    }?;
    let (annotations, service_monitor) = match declared.style {
        Some(MetricsStyle::None) => return None,
        Some(MetricsStyle::ServiceMonitor) => (false, true),
        Some(MetricsStyle::Annotations) => (true, false),
        None => (true, context.references.service_monitors),
    };
    // Not being scraped is no reason to keep the shop from running.
    let lacking = (service_monitor && !context.references.service_monitors).then(|| {
        let text = format!(
            "{}.workload.metrics.style: the cluster has no kind ServiceMonitor (monitoring.coreos.com/v1)",
            place.field
        );
        Failure::new(Class::NotReady, text).with_remedy(
            "install the Prometheus Operator, whose definition that is, or set style to Annotations",
        )
    });
    Some(ResolvedMetrics {
        port: port.clone(),
        path: declared
            .path
            .clone()
            .unwrap_or_else(|| defaults::METRICS_PATH.to_owned()),
        annotations,
        service_monitor,
        lacking,
    })
}

fn resolve_binding(
    place: &Place<'_>,
    tier: &Tier<'_>,
    declared: &Binding,
) -> Result<ResolvedBinding, Failure> {
    let field = format!("{}.bindings[{}]", place.field, declared.resource);
    let is_declared =
        |external: &External| declared.resource == format!("external.{}", external.name);
    if external::is_external(&declared.resource) && !tier.external.iter().any(is_declared) {
        return Err(Failure::invalid(
            &format!("{field}.resource"),
            "names nothing that is external",
            &format!("add it to {}.external, or correct the name", place.field),
        ));
    }
    // The one is made from the other.
    let secret_name = secret_name(place.name, declared);
    if external_secrets(tier.external).any(|name| name == secret_name) {
        return Err(Failure::invalid(
            &format!("{field}.secretName"),
            &format!("{secret_name} is also the Secret that something external is reached with"),
            "give the binding a Secret of its own",
        ));
    }
    Ok(ResolvedBinding {
        resource: declared.resource.clone(),
        secret_name,
        env: templates(&field, &declared.env)?,
    })
}

pub(super) fn templates(
    field: &str,
    declared: &[EnvTemplate],
) -> Result<Vec<(String, Template)>, Failure> {
    declared
        .iter()
        .map(|env| {
            Ok((
                env.name.clone(),
                Template::parse(
                    &format!("{field}.env[{}].template", env.name),
                    &env.template,
                )?,
            ))
        })
        .collect()
}

/// Who may connect. A service that is not there yet lets nobody in.
fn callers(
    context: Context<'_>,
    place: &Place<'_>,
    tier: &Tier<'_>,
) -> Result<Vec<Caller>, Failure> {
    for network in tier
        .callers
        .iter()
        .filter_map(|caller| caller.cidr.as_ref())
    {
        if !network::is_network(network) {
            return Err(Failure::invalid(
                &format!("{}.callers[{network}].cidr", place.field),
                "has bits set beyond the length of its prefix, which Kubernetes refuses",
                "write the network itself, such as 10.20.0.0/16, or a single address with /32",
            ));
        }
    }
    for caller in tier
        .callers
        .iter()
        .filter_map(|caller| caller.service.as_ref())
    {
        let key = ServiceKey::of(caller, &context.owner.namespace);
        // Of its own name it is told when it asks for it.
        let is_itself = key.kind.as_str() == context.owner.kind
            && (&key.namespace, &key.name) == (&context.owner.namespace, &context.owner.name);
        if let Some(service) = context.references.services.get(&key).filter(|_| !is_itself) {
            check_name(
                &key,
                service,
                &format!("{}.callers[{}]", place.field, caller.name),
            )?;
        }
    }
    Ok(tier.callers.to_vec())
}

/// Labels by which the pods of a component are selected. They can never change: a Deployment's selector is immutable.
#[must_use]
pub fn selector(component: &str, instance: &str) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name", component),
        ("app.kubernetes.io/instance", instance),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}
