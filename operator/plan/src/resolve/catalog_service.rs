//! CatalogService.

use shopkeeper_api::{CatalogService, network::Caller, resource::Service};

use super::{
    Context, References, Resolve, Resolved, ServiceKey, cache, endpoints, external_secrets, media,
    owner_of, table,
};
use crate::{claims::Claim, facts::PlatformFacts, failure::Failure};

impl Resolve for CatalogService {
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
        if let Some(products) = &self.spec.products {
            let field = "spec.products";
            data.extend(table::table(
                context, field, "products", "products", products,
            ));
        }
        for named in &self.spec.tables {
            data.extend(table::table(
                context,
                &format!("spec.tables[{}].table", named.name),
                &format!("tables.{}", named.name),
                &named.name,
                &named.table,
            ));
        }
        if let Some(declared) = &self.spec.cache {
            data.extend(cache::cache(context, declared));
        }
        if let Some(declared) = &self.spec.media {
            data.push(media::media(context, declared)?);
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

impl super::HasPorts for CatalogService {
    fn service_ports(&self) -> Vec<super::ServicePort> {
        endpoints::service_ports(&self.spec.workload)
    }
}
