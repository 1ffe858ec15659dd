//! Storefront.

use std::collections::BTreeMap;

use shopkeeper_api::{
    Storefront, StorefrontSpec, defaults,
    exposures::TrafficSource,
    network::Caller,
    storefront::{Exposure, Frontend, Route},
};

use super::{
    Backend, Component, Context, LoadBalancer, LoadBalancerGroup, References, Referred, Resolve,
    Resolved, Rule, ServiceKey,
    component::{self, Place},
    edge::{self, IngressClass},
    endpoints, external_secrets, groups, named_services, owner_of,
};
use crate::{
    claims::{self, Claim, Name, Standing},
    facts::PlatformFacts,
    failure::Failure,
};

impl Resolve for Storefront {
    fn resolve(
        &self,
        platform: &PlatformFacts,
        references: &References,
    ) -> Result<Resolved, Failure> {
        let owner = owner_of(self);
        let context = Context {
            owner: &owner,
            platform,
            references,
        };
        let components = self
            .spec
            .frontends
            .iter()
            .map(|frontend| frontend_component(context, &self.spec, frontend))
            .collect::<Result<Vec<_>, _>>()?;
        let mut load_balancers = Vec::new();
        if !self.spec.routes.is_empty() {
            if self.spec.gateway.is_some() {
                edge::check_gateways(context, "spec.gateway", "leave gateway out")?;
            }
            if self.spec.gateway.is_none() && platform.public_subnets.is_empty() {
                return Err(Failure::invalid(
                    "spec.routes",
                    &format!("Platform {} has no public subnets", platform.name),
                    "name them in the Platform's spec.network.existing.publicSubnets, or leave out the routes",
                ));
            }
            load_balancers
                .push(public(context, &self.spec)?.within_limits("spec.routes", "Storefront")?);
        }
        for (frontend, component) in self.spec.frontends.iter().zip(&components) {
            if is_internal(frontend) {
                load_balancers.push(internal(&self.spec, frontend, component)?);
            }
        }
        for load_balancer in &load_balancers {
            load_balancer.check_arns(context, "spec")?;
        }
        let memberships = groups::memberships(self);
        groups::check_own(self, &memberships)?;
        for membership in memberships {
            let mut load_balancers = load_balancers.iter_mut();
            let found = load_balancers.find(|found| found.name == membership.ingress);
            if let Some(load_balancer) = found {
                load_balancer.group = Some(LoadBalancerGroup {
                    standing: Standing::of(self),
                    others: references.others_in(&membership.group).cloned().collect(),
                    membership,
                });
            }
        }
        Resolved {
            platform: platform.clone(),
            components,
            data: Vec::new(),
            load_balancers,
            owner: owner.clone(),
        }
        .checked()
    }

    fn referenced_services(&self) -> Vec<ServiceKey> {
        let namespace = self.metadata.namespace.as_deref().unwrap_or_default();
        let of_routes = self
            .spec
            .routes
            .iter()
            .filter_map(|route| route.service.as_ref());
        let of_frontends = self
            .spec
            .frontends
            .iter()
            .flat_map(|frontend| named_services(&frontend.endpoints, &frontend.callers));
        of_routes
            .chain(of_frontends)
            .map(|service| ServiceKey::of(service, namespace))
            .collect()
    }

    fn callers(&self) -> Vec<&Caller> {
        let frontends = self.spec.frontends.iter();
        frontends.flat_map(|frontend| &frontend.callers).collect()
    }

    fn read_secrets(&self) -> Vec<&str> {
        self.spec
            .frontends
            .iter()
            .flat_map(|frontend| external_secrets(&frontend.external))
            .collect()
    }

    fn load_balancer_groups(&self) -> Vec<&str> {
        let groups = self.spec.load_balancer_groups.iter();
        groups
            .flat_map(|groups| [&groups.public, &groups.internal])
            .flatten()
            .map(String::as_str)
            .collect()
    }

    fn component_names(&self) -> Vec<String> {
        let storefront = self.metadata.name.as_deref().unwrap_or_default();
        let frontends = self.spec.frontends.iter();
        frontends
            .map(|frontend| component_name(storefront, frontend))
            .collect()
    }

    fn claims(&self) -> Vec<Claim> {
        let storefront = self.metadata.name.as_deref().unwrap_or_default();
        let mut claims = Vec::new();
        if !self.spec.routes.is_empty() {
            let name = Name::Route(storefront.to_owned());
            claims.push(Claim::new(name, claims::METADATA_NAME));
        }
        for frontend in &self.spec.frontends {
            let name = component_name(storefront, frontend);
            let field = format!("spec.frontends[{}]", frontend.name);
            let named = format!("{field}.name");
            claims.extend(claims::of_component(
                &name,
                &role(frontend),
                &named,
                &field,
                &frontend.tier(),
            ));
            if is_internal(frontend) {
                claims.push(Claim::new(Name::Route(name), named));
            }
        }
        claims
    }
}

fn component_name(storefront: &str, frontend: &Frontend) -> String {
    format!("{storefront}-{}", frontend.name)
}

fn role(frontend: &Frontend) -> String {
    format!("frontends.{}", frontend.name)
}

fn is_internal(frontend: &Frontend) -> bool {
    frontend.exposure == Some(Exposure::Internal)
}

/// Where the packets of those come from who serve the routes of a Storefront.
#[must_use]
pub fn routes_come_from(spec: &StorefrontSpec) -> TrafficSource {
    match &spec.gateway {
        Some(gateway) => gateway
            .traffic_from
            .unwrap_or(defaults::GATEWAY_TRAFFIC_FROM),
        None => Exposure::Public.into(),
    }
}

fn frontend_component(
    context: Context<'_>,
    spec: &StorefrontSpec,
    frontend: &Frontend,
) -> Result<Component, Failure> {
    let named = Some(&frontend.name);
    let mut routes = spec.routes.iter();
    let routed_from = if is_internal(frontend) {
        Some(Exposure::Internal.into())
    } else {
        routes
            .any(|route| route.frontend.as_ref() == named)
            .then(|| routes_come_from(spec))
    };
    let place = Place {
        name: &component_name(&context.owner.name, frontend),
        role: &role(frontend),
        field: &format!("spec.frontends[{}]", frontend.name),
        routed_from: &routed_from.into_iter().collect(),
        routes_unknown: None,
        health_path: frontend.health_path.as_deref(),
    };
    component::component(context, &place, &frontend.tier())
}

/// The load balancer that customers reach.
fn public(context: Context<'_>, spec: &StorefrontSpec) -> Result<LoadBalancer, Failure> {
    let rules = spec
        .routes
        .iter()
        .map(|route| rule(context, spec, route))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(LoadBalancer {
        name: context.owner.name.clone(),
        role: "edge".to_owned(),
        public: true,
        hosts: spec.hosts.clone(),
        rules,
        tls: edge::tls(spec.tls.as_ref()),
        settings: edge::settings(spec.load_balancer.as_ref()),
        gateways: spec
            .gateway
            .as_ref()
            .map(|gateway| gateway.parent_refs.clone())
            .unwrap_or_default(),
        class: IngressClass::Alb,
        annotations: BTreeMap::new(),
        health: None,
        group: None,
    })
}

/// The load balancer of a frontend that the internet must not reach.
fn internal(
    spec: &StorefrontSpec,
    frontend: &Frontend,
    component: &Component,
) -> Result<LoadBalancer, Failure> {
    let field = format!("spec.frontends[{}]", frontend.name);
    let tls = edge::tls(spec.tls.as_ref());
    let tls = if frontend.hosts.is_empty() {
        edge::without_hosts(tls)
    } else {
        tls
    };
    Ok(LoadBalancer {
        name: component.name.clone(),
        role: format!("{}.edge", component.role),
        public: false,
        hosts: frontend.hosts.clone(),
        rules: vec![Rule {
            path: "/".to_owned(),
            exact: false,
            backend: Ok(frontend_backend(frontend, &component.name, &field, None)?),
        }],
        tls,
        settings: edge::settings(spec.load_balancer.as_ref()),
        gateways: Vec::new(),
        class: IngressClass::Alb,
        annotations: BTreeMap::new(),
        health: None,
        group: None,
    })
}

fn frontend_backend(
    frontend: &Frontend,
    service: &str,
    field: &str,
    port: Option<&str>,
) -> Result<Backend, Failure> {
    let ports = endpoints::service_ports(&frontend.workload);
    let found = match port {
        Some(name) => ports.iter().find(|port| port.name == name),
        None => ports.first(),
    };
    found
        .map(|port| Backend {
            service: service.to_owned(),
            port: port.number,
        })
        .ok_or_else(|| {
            Failure::invalid(
                field,
                "leads to a frontend without that port",
                "declare the port in the frontend's workload.ports",
            )
        })
}

fn rule(
    context: Context<'_>,
    spec: &StorefrontSpec,
    route: &Route,
) -> Result<Rule<Referred<Backend>>, Failure> {
    let field = format!("spec.routes[{}]", route.path);
    let backend = match (&route.service, &route.frontend) {
        (Some(service), None) => {
            let key = ServiceKey::of(service, &context.owner.namespace);
            if key.namespace != context.owner.namespace {
                return Err(Failure::invalid(
                    &format!("{field}.service.namespace"),
                    "an Ingress reaches only Services of its own namespace",
                    "put the Storefront into the namespace of its services",
                ));
            }
            endpoints::find_port(context, &key, &field, route.port.as_deref()).map(|port| Backend {
                service: service.name.clone(),
                port: port.number,
            })
        }
        (None, Some(name)) => {
            let frontend = spec
                .frontends
                .iter()
                .find(|frontend| frontend.name == *name);
            let frontend = frontend.ok_or_else(|| {
                Failure::invalid(
                    &format!("{field}.frontend"),
                    "names no frontend",
                    "add it to spec.frontends",
                )
            })?;
            Ok(frontend_backend(
                frontend,
                &format!("{}-{name}", context.owner.name),
                &field,
                route.port.as_deref(),
            )?)
        }
        _ => {
            return Err(Failure::invalid(
                &field,
                "must lead to one service or one frontend",
                "set either service or frontend",
            ));
        }
    };
    Ok(Rule {
        path: route.path.clone(),
        exact: edge::is_exact(route.path_type),
        backend,
    })
}
