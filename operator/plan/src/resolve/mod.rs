//! From a custom resource and what it refers to, to a typed value on which nothing fails any more: defaults applied,
//! references looked up, names derived. Pure.

use std::collections::{BTreeMap, BTreeSet};

use shopkeeper_api::{
    Managed, Tier, external::External, policy::Policy, reference::ServiceKind, resource::Service,
    storefront::Exposure,
};

use crate::{
    aws::AwsResource,
    claims::{self, Claim},
    facts::PlatformFacts,
    failure::Failure,
    names::Owner,
    planner::Policies,
    resource::ResourceKey,
};

mod cache;
mod catalog_service;
mod component;
mod container;
mod database;
mod edge;
mod external;
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
mod replicas;
mod storefront;
mod table;

pub use component::{
    Component, Placement, Replicas, ResolvedBinding, ResolvedEndpoint, ResolvedMetrics, selector,
};
pub(crate) use component::{secret_name, service_account};
pub use edge::{Backend, LoadBalancer, ResolvedSettings, ResolvedTls, Rule};
pub use external::{ExternalSecret, ResolvedExternal, SecretEntry};
pub use identity::{ComponentIdentity, RoleDraft};
pub use network::{ResolvedService, ResolvedServiceLoadBalancer};
pub use platform::ResolvedPlatform;
pub use shopkeeper_api::identity::IdentityMode;

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
}

/// A resource of the data tier, and how applications hear of it.
#[derive(Clone, Debug)]
pub struct DataResource {
    /// Its role: `database`, `products`, `topics.buy`.
    pub role: String,
    /// What is desired of it.
    pub resource: AwsResource,
    /// What has to be usable before.
    pub depends_on: Vec<ResourceKey>,
    /// The binding it belongs to and the prefix of its outputs there; `None` for what applications do not see.
    pub binding: Option<BindingPart>,
}

/// The part of a binding that one resource fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingPart {
    /// Name of the binding: `database`, `notifications`.
    pub name: String,
    /// Prefix of the outputs: empty, or `topics.buy`.
    pub prefix: String,
}

impl DataResource {
    fn hidden(role: impl Into<String>, resource: impl Into<AwsResource>) -> Self {
        Self {
            role: role.into(),
            resource: resource.into(),
            depends_on: Vec::new(),
            binding: None,
        }
    }

    fn bound(
        name: &str,
        prefix: impl Into<String>,
        role: impl Into<String>,
        resource: impl Into<AwsResource>,
    ) -> Self {
        let binding = Some(BindingPart {
            name: name.to_owned(),
            prefix: prefix.into(),
        });
        Self {
            role: role.into(),
            resource: resource.into(),
            depends_on: Vec::new(),
            binding,
        }
    }

    fn after(mut self, depends_on: &[ResourceKey]) -> Self {
        self.depends_on.extend_from_slice(depends_on);
        self
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> ResourceKey {
        self.resource.key()
    }
}

/// Another service, as far as it matters to those that refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Its ports on its Service, in order.
    pub ports: Vec<ServicePort>,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Name.
    pub name: String,
    /// Number on the Service.
    pub number: i32,
    /// Whether it speaks TLS, as far as its name or application protocol says.
    pub tls: bool,
}

/// Identifies a service of the shop.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceKey {
    /// Kind.
    pub kind: ServiceKind,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// What a custom resource refers to, as observed.
#[derive(Clone, Debug, Default)]
pub struct References {
    /// Services by key; one that is not in here does not exist.
    pub services: BTreeMap<ServiceKey, ServiceFacts>,
    /// Whether a Storefront routes to this service, so that load balancers must reach it.
    pub routed: bool,
    /// Whether the cluster has the ServiceMonitor kind.
    pub service_monitors: bool,
    /// Whether the cluster has the HTTPRoute kind.
    pub http_routes: bool,
    /// Whether the cluster has the SecurityGroupPolicy kind.
    pub security_group_policies: bool,
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
        tags.extend(self.owner.tags(&self.platform.cluster));
        tags
    }

    fn name(&self, role: &str, longest: usize) -> String {
        self.owner.aws_name(&self.platform.name, role, longest)
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
    /// `Invalid` with the field and the remedy where the specification cannot work; `NotReady` where something it refers
    /// to does not exist yet.
    fn resolve(
        &self,
        platform: &PlatformFacts,
        references: &References,
    ) -> Result<Resolved, Failure>;

    /// The services it refers to and needs to know the ports of.
    fn referenced_services(&self) -> Vec<ServiceKey>;

    /// The Secrets of others that its bindings read.
    fn read_secrets(&self) -> Vec<&str>;

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
        load_balancer: context.references.routed.then_some(Exposure::Public),
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

/// The services that the endpoints of a service name.
fn endpoint_services<K: Managed>(object: &K, tier: &Tier<'_>) -> Vec<ServiceKey> {
    let namespace = object.meta().namespace.clone().unwrap_or_default();
    tier.endpoints
        .iter()
        .map(|endpoint| ServiceKey {
            kind: endpoint.service.kind,
            namespace: endpoint
                .service
                .namespace
                .clone()
                .unwrap_or_else(|| namespace.clone()),
            name: endpoint.service.name.clone(),
        })
        .collect()
}
