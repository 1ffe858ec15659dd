//! What all kinds have in common, for code that does not care which kind it is.

use std::fmt::Debug;

use kube::CustomResourceExt;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    bindings::{Binding, Endpoint},
    catalog_service::CatalogService,
    disruption::Disruption,
    external::External,
    identity::Identity,
    network::{Caller, Network},
    nodes::Nodes,
    order_service::OrderService,
    platform::Platform,
    policy::Policy,
    reference::{PlatformReference, ServiceKind},
    scaling::Scaling,
    status::Status,
    storefront::{Frontend, Storefront},
    workload::Workload,
};

/// A custom resource of this group.
pub trait Managed:
    kube::Resource<DynamicType = ()>
    + CustomResourceExt
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Name of the kind.
    const KIND: &'static str;

    /// `spec.policy`, as written.
    fn policy(&self) -> Option<&Policy>;

    /// `spec.platformRef`, as written. A Platform has none.
    fn platform_ref(&self) -> Option<&PlatformReference>;

    /// The status that all kinds share.
    fn shared_status(&self) -> Option<&Status>;

    /// The status that all kinds share, made when there is none yet.
    fn shared_status_mut(&mut self) -> &mut Status;
}

/// A workload with everything around it, as every service kind and every frontend has it.
#[derive(Clone, Copy, Debug)]
pub struct Tier<'a> {
    /// The pods.
    pub workload: &'a Workload,
    /// Where they run.
    pub nodes: Option<&'a Nodes>,
    /// How many there are.
    pub scaling: Option<&'a Scaling>,
    /// How many may be missing.
    pub disruption: Option<&'a Disruption>,
    /// Who may call them.
    pub callers: &'a [Caller],
    /// Their place in the network.
    pub network: Option<&'a Network>,
    /// Their AWS identity.
    pub identity: Option<&'a Identity>,
    /// What they use and nobody makes.
    pub external: &'a [External],
    /// How they learn of their resources.
    pub bindings: &'a [Binding],
    /// How they learn of their peers.
    pub endpoints: &'a [Endpoint],
}

/// A kind that is one workload with a data tier.
pub trait Service: Managed {
    /// The kind, as references name it.
    const SERVICE_KIND: ServiceKind;

    /// The workload with everything around it.
    fn tier(&self) -> Tier<'_>;
}

macro_rules! managed {
    ($kind:ident) => {
        impl Managed for $kind {
            const KIND: &'static str = stringify!($kind);

            fn policy(&self) -> Option<&Policy> {
                self.spec.policy.as_ref()
            }

            fn platform_ref(&self) -> Option<&PlatformReference> {
                self.spec.platform_ref.as_ref()
            }

            fn shared_status(&self) -> Option<&Status> {
                self.status.as_ref()
            }

            fn shared_status_mut(&mut self) -> &mut Status {
                self.status.get_or_insert_default()
            }
        }
    };
}

macro_rules! service {
    ($kind:ident) => {
        managed!($kind);

        impl Service for $kind {
            const SERVICE_KIND: ServiceKind = ServiceKind::$kind;

            fn tier(&self) -> Tier<'_> {
                Tier {
                    workload: &self.spec.workload,
                    nodes: self.spec.nodes.as_ref(),
                    scaling: self.spec.scaling.as_ref(),
                    disruption: self.spec.disruption.as_ref(),
                    callers: &self.spec.callers,
                    network: self.spec.network.as_ref(),
                    identity: self.spec.identity.as_ref(),
                    external: &self.spec.external,
                    bindings: &self.spec.bindings,
                    endpoints: &self.spec.endpoints,
                }
            }
        }
    };
}

managed!(Storefront);
service!(CatalogService);
service!(OrderService);

impl Managed for Platform {
    const KIND: &'static str = "Platform";

    fn policy(&self) -> Option<&Policy> {
        self.spec.policy.as_ref()
    }

    fn platform_ref(&self) -> Option<&PlatformReference> {
        None
    }

    fn shared_status(&self) -> Option<&Status> {
        self.status.as_ref().map(|status| &status.shared)
    }

    fn shared_status_mut(&mut self) -> &mut Status {
        &mut self.status.get_or_insert_default().shared
    }
}

impl Frontend {
    /// The workload with everything around it.
    pub fn tier(&self) -> Tier<'_> {
        Tier {
            workload: &self.workload,
            nodes: self.nodes.as_ref(),
            scaling: self.scaling.as_ref(),
            disruption: self.disruption.as_ref(),
            callers: &self.callers,
            network: self.network.as_ref(),
            identity: self.identity.as_ref(),
            external: &self.external,
            bindings: &self.bindings,
            endpoints: &self.endpoints,
        }
    }
}
