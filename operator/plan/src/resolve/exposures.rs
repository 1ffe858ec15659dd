//! Further ways to a workload, beside its Service.

use std::collections::{BTreeMap, BTreeSet};

use shopkeeper_api::{
    defaults,
    exposures::{ExposedPath, ServiceExposure, ServiceHttpRoute, ServiceIngress, TrafficSource},
    storefront::{Exposure, TlsType},
    workload::Workload,
};

use super::{
    Backend, Context, LoadBalancer, Referred, ResolvedService, ResolvedTls, Rule,
    component::Place,
    edge::{self, IngressClass},
    endpoints,
    health::HealthCheck,
    network,
};
use crate::failure::Failure;

/// Class of the AWS Load Balancer Controller.
const ALB: &str = "alb";

/// One more way to the pods, defaults applied.
#[derive(Clone, Debug)]
pub struct ResolvedExposure {
    /// Name of its object.
    pub name: String,
    /// Role in the custom resource: `exposures.partners`, or `frontends.web.exposures.partners`.
    pub role: String,
    /// Names of the ports that it leads to.
    pub ports: BTreeSet<String>,
    /// Where its packets come from.
    pub traffic_from: TrafficSource,
    /// What it is.
    pub way: Way,
}

/// What an exposure is.
#[derive(Clone, Debug)]
pub enum Way {
    /// A Service.
    Service(ResolvedService),
    /// An Ingress or an HTTPRoute.
    Route(Box<LoadBalancer>),
}

/// Name of the object of an exposure.
pub(crate) fn object_name(component: &str, exposure: &ServiceExposure) -> String {
    format!("{component}-{}", exposure.name)
}

pub(super) fn exposures(
    context: Context<'_>,
    place: &Place<'_>,
    workload: &Workload,
    health: &HealthCheck,
    service: &ResolvedService,
    declared: &[ServiceExposure],
) -> Result<Vec<ResolvedExposure>, Failure> {
    let resolved = declared
        .iter()
        .map(|declared| {
            Exposing {
                context,
                place,
                workload,
                health,
                declared,
                field: format!("{}.network.exposures[{}]", place.field, declared.name),
            }
            .resolve()
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut taken = BTreeMap::new();
    let own = ("service".to_owned(), service);
    let further = resolved.iter().filter_map(|exposure| match &exposure.way {
        Way::Service(service) => Some((format!("exposures[{}].service", short(exposure)), service)),
        Way::Route(_) => None,
    });
    for (part, service) in [own].into_iter().chain(further) {
        for (name, number) in &service.node_ports {
            let protocol = workload
                .ports
                .iter()
                .find(|port| port.name == *name)
                .and_then(|port| port.protocol)
                .map_or("TCP", |protocol| protocol.as_str());
            if let Some(other) = taken.insert((*number, protocol), part.clone()) {
                return Err(Failure::invalid(
                    &format!("{}.network.{part}.nodePorts.{name}", place.field),
                    &format!("{number} is also a port of {}.network.{other}", place.field),
                    "name another one, or leave it to the API server",
                ));
            }
        }
    }
    Ok(resolved)
}

/// The last part of its role, which is its name in the specification.
pub(super) fn short(exposure: &ResolvedExposure) -> &str {
    exposure.role.rsplit('.').next().unwrap_or_default()
}

struct Exposing<'a> {
    context: Context<'a>,
    place: &'a Place<'a>,
    workload: &'a Workload,
    health: &'a HealthCheck,
    declared: &'a ServiceExposure,
    field: String,
}

/// Rules of an exposure, and the names of the ports that they lead to.
type Rules = (Vec<Rule<Referred<Backend>>>, BTreeSet<String>);

impl Exposing<'_> {
    fn resolve(&self) -> Result<ResolvedExposure, Failure> {
        let declared = self.declared;
        match (&declared.service, &declared.ingress, &declared.http_route) {
            (Some(settings), None, None) => {
                let ports = self.ports()?;
                let field = format!("{}.service", self.field);
                let published: Vec<&str> = ports.iter().map(String::as_str).collect();
                let service =
                    network::settings(self.context, self.place, &field, &published, settings)?;
                let entered = service.entered_from();
                let from = entered.map_or(TrafficSource::Callers, TrafficSource::from);
                Ok(self.exposure(ports, from, Way::Service(service)))
            }
            (None, Some(ingress), None) => self.ingress(ingress),
            (None, None, Some(route)) => self.http_route(route),
            _ => Err(Failure::invalid(
                &self.field,
                "is not one of service, ingress and httpRoute",
                "set the one that type names",
            )),
        }
    }

    fn exposure(
        &self,
        ports: BTreeSet<String>,
        traffic_from: TrafficSource,
        way: Way,
    ) -> ResolvedExposure {
        ResolvedExposure {
            name: object_name(self.place.name, self.declared),
            role: self.role(),
            ports,
            traffic_from,
            way,
        }
    }

    fn role(&self) -> String {
        let part = format!("exposures.{}", self.declared.name);
        if self.place.role.is_empty() {
            part
        } else {
            format!("{}.{part}", self.place.role)
        }
    }

    /// The names of the ports that a Service publishes.
    fn ports(&self) -> Result<BTreeSet<String>, Failure> {
        let of_workload = || self.workload.ports.iter().map(|port| &port.name);
        if let Some(unknown) = self
            .declared
            .ports
            .iter()
            .find(|name| !of_workload().any(|port| port == *name))
        {
            return Err(Failure::invalid(
                &format!("{}.ports", self.field),
                &format!("{unknown} is no port"),
                &format!("use names of {}.workload.ports", self.place.field),
            ));
        }
        if of_workload().next().is_none() {
            return Err(self.without_ports());
        }
        Ok(if self.declared.ports.is_empty() {
            of_workload().cloned().collect()
        } else {
            self.declared.ports.iter().cloned().collect()
        })
    }

    fn without_ports(&self) -> Failure {
        Failure::invalid(
            &self.field,
            "there is no port to expose",
            &format!("add one to {}.workload.ports", self.place.field),
        )
    }

    fn ingress(&self, declared: &ServiceIngress) -> Result<ResolvedExposure, Failure> {
        let field = format!("{}.ingress", self.field);
        let class = match declared.class_name.as_deref() {
            None | Some(ALB) => IngressClass::Alb,
            Some(name) => IngressClass::Other {
                name: name.to_owned(),
                secret_name: declared.secret_name.clone(),
            },
        };
        let exposure = declared.exposure.unwrap_or(Exposure::Internal);
        let platform = self.context.platform;
        if exposure == Exposure::Public && platform.public_subnets.is_empty() {
            return Err(Failure::invalid(
                &format!("{field}.exposure"),
                &format!("Platform {} has no public subnets", platform.name),
                "name them in the Platform's spec.network.existing.publicSubnets, or choose Internal",
            ));
        }
        let traffic_from = match class {
            IngressClass::Alb => exposure.into(),
            IngressClass::Other { .. } => declared.traffic_from.unwrap_or(TrafficSource::Callers),
        };
        // Without host names no certificate can be discovered.
        let declared_tls = declared.tls.as_ref().map(|tls| tls.type_);
        let tls = match edge::tls(declared.tls.as_ref()) {
            ResolvedTls::Discovered { .. } if declared.hosts.is_empty() => {
                if exposure == Exposure::Public || declared_tls == Some(TlsType::Discovered) {
                    return Err(Failure::invalid(
                        &format!("{field}.hosts"),
                        "certificates are found by hosts, and there are none",
                        "list the host names, or set tls.type to Existing or None",
                    ));
                }
                ResolvedTls::None
            }
            tls => tls,
        };
        let (rules, ports) = self.rules(&field, &declared.paths)?;
        let load_balancer = LoadBalancer {
            name: object_name(self.place.name, self.declared),
            role: self.role(),
            public: exposure == Exposure::Public,
            hosts: declared.hosts.clone(),
            rules,
            tls,
            settings: edge::settings(declared.load_balancer.as_ref()),
            gateways: Vec::new(),
            class,
            annotations: declared.annotations.clone(),
            health: Some(self.health.clone()),
            group: None,
        }
        .within_limits(&format!("{field}.paths"), "exposure")?;
        load_balancer.check_arns(self.context, &field)?;
        Ok(self.exposure(ports, traffic_from, Way::Route(Box::new(load_balancer))))
    }

    fn http_route(&self, declared: &ServiceHttpRoute) -> Result<ResolvedExposure, Failure> {
        let field = format!("{}.httpRoute", self.field);
        edge::check_gateways(self.context, &field, "use another type")?;
        let (rules, ports) = self.rules(&field, &declared.paths)?;
        let load_balancer = LoadBalancer {
            name: object_name(self.place.name, self.declared),
            role: self.role(),
            public: false,
            hosts: declared.hosts.clone(),
            rules,
            tls: ResolvedTls::None,
            settings: edge::settings(None),
            gateways: declared.parent_refs.clone(),
            class: IngressClass::Alb,
            annotations: declared.annotations.clone(),
            health: None,
            group: None,
        }
        .within_limits(&format!("{field}.paths"), "exposure")?;
        let traffic_from = declared
            .traffic_from
            .unwrap_or(defaults::GATEWAY_TRAFFIC_FROM);
        Ok(self.exposure(ports, traffic_from, Way::Route(Box::new(load_balancer))))
    }

    /// The rules for paths, and the names of the ports that they lead to.
    fn rules(&self, field: &str, declared: &[ExposedPath]) -> Result<Rules, Failure> {
        let everything = [ExposedPath {
            path: "/".to_owned(),
            path_type: None,
            port: None,
        }];
        let paths = if declared.is_empty() {
            &everything
        } else {
            declared
        };
        let ports = endpoints::service_ports(self.workload);
        let mut rules = Vec::new();
        let mut names = BTreeSet::new();
        for path in paths {
            let port = match &path.port {
                Some(name) => ports.iter().find(|port| port.name == *name),
                None => ports.first(),
            };
            let Some(port) = port else {
                return Err(match &path.port {
                    Some(name) => Failure::invalid(
                        &format!("{field}.paths[{}].port", path.path),
                        &format!("{name} is no port"),
                        &format!("use a name of {}.workload.ports", self.place.field),
                    ),
                    None => self.without_ports(),
                });
            };
            names.insert(port.name.clone());
            rules.push(Rule {
                path: path.path.clone(),
                exact: edge::is_exact(path.path_type),
                backend: Ok(Backend {
                    service: self.place.name.to_owned(),
                    port: port.number,
                }),
            });
        }
        Ok((rules, names))
    }
}
