//! From a custom resource and what it refers to, to a typed value on which nothing fails any more: defaults applied,
//! references looked up, names derived. Pure.

use std::collections::{BTreeMap, BTreeSet};

use shopkeeper_api::{
    Managed, Tier, bindings::Endpoint, external::External, network::Caller, policy::Policy,
    reference::ServiceReference, resource::Service,
};

use crate::{
    claims::{self, Claim, Name},
    facts::PlatformFacts,
    failure::Failure,
    names::Owner,
    planner::Policies,
};

mod cache;
mod catalog_service;
mod component;
mod container;
mod data;
mod database;
mod database_name;
mod edge;
mod endpoints;
mod exposures;
mod external;
pub mod fargate;
pub mod groups;
mod health;
mod identity;
mod image;
mod media;
mod network;
pub mod nodes;
mod notifications;
mod order_service;
pub(crate) mod permissions;
pub mod platform;
mod pod_template_patch;
mod promised;
mod references;
mod remarks;
mod replicas;
pub mod site;
mod storefront;
mod table;
mod utilization;
mod variables;

pub use component::{Component, Placement, Replicas, ResolvedBinding, ResolvedMetrics, selector};
pub(crate) use component::{secret_name, service_account};
pub use data::{BindingPart, DataResource};
pub use edge::{Backend, IngressClass, LoadBalancer, ResolvedSettings, ResolvedTls, Rule};
pub use endpoints::ResolvedEndpoint;
pub(crate) use exposures::object_name as exposure_name;
pub use exposures::{ResolvedExposure, Way};
pub use external::{ExternalSecret, ResolvedExternal, SecretEntry};
pub use groups::{GroupMember, LoadBalancerGroup, Membership};
pub use health::{HealthCheck, HealthProbe};
pub use identity::{ComponentIdentity, RoleDraft};
pub use network::{ResolvedService, ResolvedServiceLoadBalancer};
pub(crate) use notifications::DEAD_LETTERS;
pub use platform::ResolvedPlatform;
pub use promised::promised_outputs;
pub use references::{AbsentCallers, References, ServiceFacts, ServiceKey, ServicePort};
pub use remarks::frontend_of;
pub use shopkeeper_api::identity::IdentityMode;
pub use storefront::routes_come_from;

/// What a reference leads to, or what is missing, with the field and what to do. The part that needs it waits, stays as it is or is left
/// out (`docs/decisions/0034-references-that-lead-nowhere.md`); everything else goes on.
pub type Referred<T> = Result<T, Failure>;

/// A custom resource that runs workloads, resolved.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Who owns what is made.
    pub owner: Owner,
    /// The platform it runs on.
    pub platform: PlatformFacts,
    /// Its workloads.
    pub components: Vec<Component>,
    /// Its data tier.
    pub data: Vec<DataResource>,
    /// Its load balancers.
    pub load_balancers: Vec<LoadBalancer>,
}

impl Resolved {
    /// Refuses what would be two resources of the same name, and what asks for what never comes. The schema cannot tell: names are
    /// derived, and a queue `a-dead` meets the dead letters of a queue `a`.
    fn checked(self) -> Result<Self, Failure> {
        let mut data = BTreeMap::new();
        for resource in &self.data {
            if let Some(other) = data.insert(resource.key(), &resource.role) {
                let problem = format!(
                    "{other} and {} would both be {}",
                    resource.role,
                    resource.key()
                );
                return Err(Failure::invalid(
                    "spec",
                    &problem,
                    "give one of them another name, or take it out",
                ));
            }
        }
        self.check_names()?;
        self.check_tags()?;
        let mut accounts = BTreeSet::new();
        let mut secrets = BTreeSet::new();
        for component in &self.components {
            promised::check(&self, component)?;
            let field = component.field();
            if !accounts.insert(&component.service_account) {
                let problem = format!(
                    "{} is also the ServiceAccount of another frontend",
                    component.service_account
                );
                return Err(Failure::invalid(
                    &format!("{field}.workload.serviceAccountName"),
                    &problem,
                    "give each frontend one of its own, or leave it out",
                ));
            }
            for binding in &component.bindings {
                if !secrets.insert(&binding.secret_name) {
                    let problem = format!(
                        "{} is also the Secret of another binding",
                        binding.secret_name
                    );
                    return Err(Failure::invalid(
                        &format!("{field}.bindings[{}].secretName", binding.resource),
                        &problem,
                        "give each binding a Secret of its own, or leave the name out",
                    ));
                }
            }
        }
        Ok(self)
    }

    /// The Ingresses and HTTPRoutes of all parts.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &LoadBalancer> {
        let exposures = self
            .components
            .iter()
            .flat_map(|component| &component.exposures);
        self.load_balancers
            .iter()
            .chain(exposures.filter_map(|exposure| match &exposure.way {
                Way::Route(load_balancer) => Some(&**load_balancer),
                Way::Service(_) => None,
            }))
    }

    /// An exposure `a` of a frontend `web` would be called as a frontend `web-a` is.
    fn check_names(&self) -> Result<(), Failure> {
        let mut names: BTreeSet<Name> = self
            .components
            .iter()
            .map(|component| Name::Workload(component.name.clone()))
            .chain(
                self.load_balancers
                    .iter()
                    .map(|load_balancer| Name::Route(load_balancer.name.clone())),
            )
            .collect();
        for exposure in self
            .components
            .iter()
            .flat_map(|component| &component.exposures)
        {
            let name = match exposure.way {
                Way::Service(_) => Name::Workload(exposure.name.clone()),
                Way::Route(_) => Name::Route(exposure.name.clone()),
            };
            if names.contains(&name) {
                return Err(Failure::invalid(
                    &format!("spec.{}", exposure.role),
                    &format!("{name} is also asked for by another part of this custom resource"),
                    "give the exposure another name",
                ));
            }
            names.insert(name);
        }
        Ok(())
    }

    /// The AWS Load Balancer Controller reads tags from a text in which commas part them, and knows no other way to write one.
    fn check_tags(&self) -> Result<(), Failure> {
        let of_aws = |service: &ResolvedService| {
            service
                .load_balancer
                .as_ref()
                .is_some_and(ResolvedServiceLoadBalancer::is_of_aws)
        };
        let balanced = self.components.iter().any(|component| {
            of_aws(&component.service)
                || component.exposures.iter().any(
                    |exposure| matches!(&exposure.way, Way::Service(service) if of_aws(service)),
                )
        });
        if !balanced && !self.routes().any(LoadBalancer::is_of_aws) {
            return Ok(());
        }
        let unreadable = self
            .platform
            .tags
            .iter()
            .find(|(key, value)| key.contains([',', '=']) || value.contains(','));
        match unreadable {
            None => Ok(()),
            Some((key, _)) => Err(Failure::invalid(
                &format!(
                    "spec.defaults.tags[{key}] of Platform {}",
                    self.platform.name
                ),
                "a load balancer cannot have this tag: the AWS Load Balancer Controller reads a comma as the end of a tag, and the first = as the \
                 end of its key",
                "write it without commas, and the key without =",
            )),
        }
    }
}

/// What every resolve function needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub owner: &'a Owner,
    pub platform: &'a PlatformFacts,
    pub references: &'a References,
}

impl Context<'_> {
    /// Tags of every AWS resource of this owner: the user's, and ours, which win.
    fn tags(&self) -> crate::aws::Tags {
        let mut tags = self.platform.tags.clone();
        tags.extend(self.owner.tags(&self.platform.cluster_arn()));
        tags
    }

    fn name(&self, role: &str, longest: usize) -> String {
        self.owner.aws_name(&self.platform.name, role, longest)
    }

    /// Name of an IAM role.
    fn role_name(&self, role: &str) -> String {
        /// Longest name of a role.
        const LONGEST: usize = 64;
        let platform = self.platform;
        self.owner
            .iam_name(&platform.name, &platform.region, role, LONGEST)
    }

    fn identifier(&self, role: &str, longest: usize) -> String {
        let platform = &self.platform.name;
        self.owner.aws_identifier(platform, role, longest)
    }

    fn security_groups(&self) -> BTreeSet<String> {
        self.platform.data_security_groups.iter().cloned().collect()
    }

    fn private_subnets(&self) -> BTreeSet<String> {
        self.platform.private_subnet_ids().collect()
    }
}

/// Who owns what a custom resource asks for.
#[must_use]
pub fn owner_of<K: Managed>(object: &K) -> Owner {
    let meta = object.meta();
    Owner {
        kind: K::KIND.to_owned(),
        api_version: format!("{}/{}", shopkeeper_api::GROUP, shopkeeper_api::VERSION),
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        generation: meta.generation.unwrap_or_default(),
    }
}

/// The policies of a custom resource: its own, then the platform's defaults, then those of the product.
#[must_use]
pub fn policies(own: Option<&Policy>, platform: Option<&Policy>) -> Policies {
    let nothing = Policy::default();
    let merged = own.unwrap_or(&nothing).or(platform.unwrap_or(&nothing));
    let default = Policies::default();
    Policies {
        deletion: merged.deletion.unwrap_or(default.deletion),
        adoption: merged.adoption.unwrap_or(default.adoption),
        drift: merged.drift.unwrap_or(default.drift),
        changes: merged.changes.unwrap_or(default.changes),
    }
}

/// Resolves a kind that runs workloads.
pub trait Resolve: Managed {
    /// The typed value that everything is built from.
    ///
    /// # Errors
    /// `Invalid` with the field and the remedy where the specification cannot work; `NotReady` where nothing can be made without
    /// something that is not there yet. What only a part waits for is [`Referred`].
    fn resolve(
        &self,
        platform: &PlatformFacts,
        references: &References,
    ) -> Result<Resolved, Failure>;

    /// The services it refers to, in routes, endpoints and callers.
    fn referenced_services(&self) -> Vec<ServiceKey>;

    /// Who may call its workloads.
    fn callers(&self) -> Vec<&Caller>;

    /// The Secrets of others that its bindings read.
    fn read_secrets(&self) -> Vec<&str>;

    /// The groups whose load balancers it shares.
    fn load_balancer_groups(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Names of its workloads. That of a service is called as the service is.
    fn component_names(&self) -> Vec<String> {
        vec![self.meta().name.clone().unwrap_or_default()]
    }

    /// The names of Kubernetes objects that it asks for, whatever the Platform. At least those of all that is built for it.
    fn claims(&self) -> Vec<Claim>;
}

/// A kind that others can call.
pub trait HasPorts {
    /// Its ports as others see them.
    fn service_ports(&self) -> Vec<ServicePort>;
}

/// The one component of a service.
fn service_component(context: Context<'_>, tier: &Tier<'_>) -> Result<Component, Failure> {
    let place = component::Place {
        name: &context.owner.name,
        role: "",
        field: "spec",
        routed_from: &context.references.routed_from,
        routes_unknown: context.references.routes_unknown.as_ref(),
        health_path: None,
    };
    component::component(context, &place, tier)
}

/// The Secrets that something external is reached with.
fn external_secrets(declared: &[External]) -> impl Iterator<Item = &str> {
    declared
        .iter()
        .filter_map(|external| external.secret_ref.as_ref())
        .map(|reference| reference.name.as_str())
}

/// The names that a service asks for.
fn service_claims<K: Service>(object: &K) -> Vec<Claim> {
    let name = object.meta().name.as_deref().unwrap_or_default();
    claims::of_component(name, "", claims::METADATA_NAME, "spec", &object.tier())
}

/// The services that a component names in its endpoints and callers.
fn named_services<'a>(
    endpoints: &'a [Endpoint],
    callers: &'a [Caller],
) -> impl Iterator<Item = &'a ServiceReference> {
    let of_endpoints = endpoints.iter().map(|endpoint| &endpoint.service);
    of_endpoints.chain(callers.iter().filter_map(|caller| caller.service.as_ref()))
}

/// The services that a service names.
fn services_of<K: Service>(object: &K) -> Vec<ServiceKey> {
    let namespace = object.meta().namespace.as_deref().unwrap_or_default();
    let tier = object.tier();
    named_services(tier.endpoints, tier.callers)
        .map(|service| ServiceKey::of(service, namespace))
        .collect()
}
