//! What a custom resource refers to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use shopkeeper_api::{
    exposures::TrafficSource,
    reference::{FrontendReference, ServiceKind, ServiceReference},
};

use super::groups::GroupMember;
use crate::failure::Failure;

/// Another service, as far as it matters to those that refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Its ports on its Service, in order.
    pub ports: Vec<ServicePort>,
    /// Who has its name, where that is not the service itself: whatever is called so leads to the pods of that one.
    pub name_taken_by: Option<String>,
    /// Whether it is being deleted: its pods go first.
    pub is_going: bool,
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

impl ServiceKey {
    /// The service that is meant in a namespace.
    #[must_use]
    pub fn of(reference: &ServiceReference, namespace: &str) -> Self {
        let named = reference.namespace.as_deref();
        Self {
            kind: reference.kind,
            namespace: named.unwrap_or(namespace).to_owned(),
            name: reference.name.clone(),
        }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.as_str();
        write!(f, "{kind} {}/{}", self.namespace, self.name)
    }
}

/// What a custom resource refers to, as observed.
#[derive(Clone, Debug, Default)]
pub struct References {
    /// Services by key; one that is not in here does not exist.
    pub services: BTreeMap<ServiceKey, ServiceFacts>,
    /// Where the packets of those come from who serve the routes of Storefronts that lead to this service; empty where none does.
    pub routed_from: BTreeSet<TrafficSource>,
    /// Why that is not known, where a Storefront cannot be read.
    pub routes_unknown: Option<Failure>,
    /// Name of the role that the operator itself has in the account, where it has one.
    pub operator_role: Option<String>,
    /// Callers that are named and do not exist.
    pub absent: AbsentCallers,
    /// Members of the groups of load balancers that it asks for, which other Storefronts have.
    pub group_members: Vec<GroupMember>,
    /// Whether the cluster has the ServiceMonitor kind.
    pub service_monitors: bool,
    /// Whether the cluster has the HTTPRoute kind.
    pub http_routes: bool,
    /// Whether the cluster has the SecurityGroupPolicy kind.
    pub security_group_policies: bool,
}

impl References {
    /// The members of a group that other Storefronts have.
    pub(super) fn others_in<'a>(&'a self, group: &str) -> impl Iterator<Item = &'a GroupMember> {
        let members = self.group_members.iter();
        members.filter(move |member| member.membership.group == group)
    }
}

/// Callers that are named and do not exist; services that do not are those that are not among the references.
#[derive(Clone, Debug, Default)]
pub struct AbsentCallers {
    /// Namespaces.
    pub namespaces: BTreeSet<String>,
    /// Frontends, with their namespaces.
    pub frontends: BTreeSet<FrontendReference>,
}
