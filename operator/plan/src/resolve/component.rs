//! A workload: a service, or a frontend of a Storefront.

use std::collections::{BTreeMap, BTreeSet};

use core::net::IpAddr;

use shopkeeper_api::{
    Tier,
    bindings::{Binding, EnvTemplate},
    defaults,
    disruption::Disruption,
    exposures::TrafficSource,
    external::External,
    network::Caller,
    nodes::NodesType,
    pod::Probe,
    workload::{Metrics, MetricsStyle, Port, Workload},
};

use super::{
    Context, Referred, ResolvedExposure, ServiceFacts, ServiceKey, ServicePort, container,
    exposures, external,
    external::ResolvedExternal,
    external_secrets, fargate, identity,
    identity::ComponentIdentity,
    image, network,
    network::ResolvedService,
    nodes, pod_template_patch,
    replicas::{disruption, replicas},
    variables,
};
pub use super::{nodes::Placement, replicas::Replicas};
use crate::{
    failure::{Class, Failure},
    outputs::{Output, Outputs},
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
    /// Whose identity they have in AWS.
    pub identity: ComponentIdentity,
    /// What it uses and nobody makes.
    pub externals: Vec<ResolvedExternal>,
    /// Bindings to the data tier.
    pub bindings: Vec<ResolvedBinding>,
    /// Variables that say where other services are.
    pub endpoints: Vec<ResolvedEndpoint>,
    /// Path a load balancer asks for.
    pub health_path: String,
    /// Where metrics are found.
    pub metrics: Option<ResolvedMetrics>,
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

/// A variable that says where another service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedEndpoint {
    /// Name of the variable.
    pub name: String,
    /// Its value.
    pub value: Referred<String>,
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
}

/// What tells components of one custom resource apart.
pub(super) struct Place<'a> {
    pub name: &'a str,
    pub role: &'a str,
    /// Path of its part in the specification, for errors: `spec`, `spec.frontends[web]`.
    pub field: &'a str,
    pub routed_from: &'a BTreeSet<TrafficSource>,
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
    let health_path = place
        .health_path
        .map(str::to_owned)
        .or_else(|| probe_path(&workload))
        .unwrap_or_else(|| defaults::HEALTH_PATH.to_owned());
    let service = network::service(context, place, &workload, tier.network)?;
    let exposures = exposures::exposures(
        context,
        place,
        &workload,
        &health_path,
        &service,
        tier.network.map_or(&[], |network| &network.exposures),
    )?;
    let component = Component {
        name: place.name.to_owned(),
        role: place.role.to_owned(),
        disruption: disruption(tier.disruption, &replicas),
        placement: nodes::placement(context, place, tier.nodes)?,
        callers: callers(context, place, tier)?,
        security_groups: network::security_groups(context, place, tier.network),
        service,
        exposures,
        routed_from: place.routed_from.clone(),
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
            .and_then(|metrics| resolve_metrics(context, metrics, &workload)),
        service_account,
        service_account_annotations: tier
            .identity
            .map(|identity| identity.service_account_annotations.clone())
            .unwrap_or_default(),
        health_path,
        replicas,
        workload,
    };
    pod_template_patch::check(context.owner, &component, place.field)?;
    fargate::check(context.owner, &component, place.field)?;
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

fn probe_path(workload: &Workload) -> Option<String> {
    let readiness: &Probe = workload.probes.as_ref()?.readiness.as_ref()?;
    readiness.http_get.as_ref()?.path.clone()
}

fn resolve_metrics(
    context: Context<'_>,
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
    Some(ResolvedMetrics {
        port: port.clone(),
        path: declared
            .path
            .clone()
            .unwrap_or_else(|| defaults::METRICS_PATH.to_owned()),
        annotations,
        service_monitor,
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

fn templates(field: &str, declared: &[EnvTemplate]) -> Result<Vec<(String, Template)>, Failure> {
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

/// The ports of a service as others see them.
#[must_use]
pub fn service_ports(workload: &Workload) -> Vec<ServicePort> {
    workload
        .ports
        .iter()
        .map(|port| ServicePort {
            name: port.name.clone(),
            number: port.effective_service_port(),
            tls: port.name == "https" || port.app_protocol.as_deref() == Some("https"),
        })
        .collect()
}

/// Finds a referenced service's port.
pub(super) fn find_port<'a>(
    context: Context<'a>,
    key: &ServiceKey,
    field: &str,
    port: Option<&str>,
) -> Result<&'a ServicePort, Failure> {
    let service = context.references.services.get(key).ok_or_else(|| {
        Failure::new(
            Class::NotReady,
            format!("{field} names {key}, which does not exist"),
        )
        .with_remedy("create it, or correct the name")
    })?;
    check_name(key, service, field)?;
    let found = match port {
        Some(name) => service.ports.iter().find(|port| port.name == name),
        None => service.ports.first(),
    };
    found.ok_or_else(|| match port {
        Some(name) => Failure::invalid(
            &format!("{field}.port"),
            &format!("{key} has no port {name}"),
            "name one of its workload.ports",
        ),
        None => Failure::invalid(
            field,
            &format!("{key} has no ports"),
            "give it a port in workload.ports",
        ),
    })
}

/// Refuses a reference that means the pods of somebody else.
fn check_name(key: &ServiceKey, service: &ServiceFacts, field: &str) -> Result<(), Failure> {
    let Some(other) = &service.name_taken_by else {
        return Ok(());
    };
    Err(Failure::new(
        Class::NotReady,
        format!("{field} names {key}, whose name belongs to {other}: the pods that go by it are not of that service"),
    )
    .with_remedy(format!(
        "see the condition Ready of {key}; give one of the two another name, or name {other} here if that is meant"
    )))
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
        if !is_network(network) {
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

/// Whether all bits beyond the length of the prefix are zero. That it is a network at all was checked at admission.
fn is_network(cidr: &str) -> bool {
    let Some((address, length)) = cidr.split_once('/') else {
        return false;
    };
    let (bits, width) = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => (u128::from(address.to_bits()) << 96, 32),
        Ok(IpAddr::V6(address)) => (address.to_bits(), 128),
        Err(_) => return false,
    };
    match length.parse::<u32>() {
        Ok(length) if length <= width => bits.checked_shl(length).unwrap_or(0) == 0,
        _ => false,
    }
}

fn endpoints(
    context: Context<'_>,
    place: &Place<'_>,
    tier: &Tier<'_>,
) -> Result<Vec<ResolvedEndpoint>, Failure> {
    let mut resolved = Vec::new();
    for endpoint in tier.endpoints {
        let field = format!("{}.endpoints[{}]", place.field, endpoint.service.name);
        let key = ServiceKey::of(&endpoint.service, &context.owner.namespace);
        let port = find_port(context, &key, &field, endpoint.port.as_deref());
        // Of a service that is not there the names of the outputs are known, and what else is wrong is told at once.
        let nobody = ServicePort {
            name: String::new(),
            number: 0,
            tls: false,
        };
        let outputs = endpoint_outputs(&key, port.as_ref().copied().unwrap_or(&nobody));
        for (name, template) in templates(&field, &endpoint.env)? {
            match template.render(&outputs) {
                Ok(Output::Plain(value)) => resolved.push(ResolvedEndpoint {
                    name,
                    value: port.as_ref().map(|_| value).map_err(Failure::clone),
                }),
                Ok(Output::Secret(_)) => {}
                Err(missing) => {
                    let missing: Vec<_> = missing.into_iter().collect();
                    let problem = format!("no endpoint has {}", missing.join(", "));
                    return Err(Failure::invalid(
                        &format!("{field}.env[{name}].template"),
                        &problem,
                        "use host, port, scheme, endpoint or url",
                    ));
                }
            }
        }
    }
    Ok(resolved)
}

fn endpoint_outputs(key: &ServiceKey, port: &ServicePort) -> Outputs {
    let host = format!("{}.{}.svc", key.name, key.namespace);
    let scheme = if port.tls { "https" } else { "http" };
    let default = if port.tls { 443 } else { 80 };
    let endpoint = format!("{host}:{}", port.number);
    let url = if port.number == default {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{endpoint}")
    };
    Outputs::new()
        .with("host", host)
        .with("port", port.number.to_string())
        .with("scheme", scheme)
        .with("endpoint", endpoint)
        .with("url", url)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_leaves_out_the_port_that_its_scheme_implies() {
        let key = ServiceKey {
            kind: shopkeeper_api::reference::ServiceKind::OrderService,
            namespace: "shop".into(),
            name: "orders".into(),
        };
        let url = |number, tls| {
            endpoint_outputs(
                &key,
                &ServicePort {
                    name: "p".into(),
                    number,
                    tls,
                },
            )
            .plain("url")
            .unwrap()
            .to_owned()
        };
        assert_eq!(url(80, false), "http://orders.shop.svc");
        assert_eq!(url(8080, false), "http://orders.shop.svc:8080");
        assert_eq!(url(443, true), "https://orders.shop.svc");
    }

    #[test]
    fn a_network_has_no_bits_beyond_its_prefix() {
        for network in [
            "10.20.0.0/16",
            "10.20.0.1/32",
            "0.0.0.0/0",
            "2001:db8::/32",
            "::/0",
            "::1/128",
        ] {
            assert!(is_network(network), "{network}");
        }
        for other in [
            "10.20.0.1/16",
            "10.20.1.0/16",
            "0.0.0.1/0",
            "2001:db8::1/32",
            "10.0.0.0/33",
            "10.0.0.0",
        ] {
            assert!(!is_network(other), "{other}");
        }
    }
}
