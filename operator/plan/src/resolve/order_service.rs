//! OrderService.

use shopkeeper_api::{OrderService, network::Caller, resource::Service};

use super::{
    Context, References, Resolve, Resolved, ServiceKey, database, endpoints, external_secrets,
    notifications, owner_of,
};
use crate::{claims::Claim, facts::PlatformFacts, failure::Failure};

impl Resolve for OrderService {
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
        let mut data = Vec::new();
        if let Some(declared) = &self.spec.database {
            data.extend(database::database(context, declared)?);
        }
        if let Some(declared) = &self.spec.notifications {
            data.extend(notifications::notifications(context, declared)?);
        }
        let components = vec![super::service_component(context, &self.tier())?];
        Resolved {
            platform: platform.clone(),
            components,
            data,
            load_balancers: Vec::new(),
            owner: owner.clone(),
        }
        .checked()
    }

    fn read_secrets(&self) -> Vec<&str> {
        external_secrets(&self.spec.external).collect()
    }

    fn callers(&self) -> Vec<&Caller> {
        self.spec.callers.iter().collect()
    }

    fn referenced_services(&self) -> Vec<ServiceKey> {
        super::services_of(self)
    }

    fn claims(&self) -> Vec<Claim> {
        super::service_claims(self)
    }
}

impl super::HasPorts for OrderService {
    fn service_ports(&self) -> Vec<super::ServicePort> {
        endpoints::service_ports(&self.spec.workload)
    }
}
