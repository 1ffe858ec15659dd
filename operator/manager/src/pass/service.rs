//! The pass over a custom resource that runs workloads.

use std::{sync::Arc, time::Duration};

use kube::{Api, Client};
use serde_json::Value;
use shopkeeper_api::{
    CatalogService, OrderService, Platform, Storefront,
    policy::Policy,
    reference::ServiceKind,
    status::{PlatformInUse, Status},
};
use shopkeeper_aws::{Scope, budget::with_urgency, sts::Caller};
use shopkeeper_kube::{
    Error,
    controller::{Outcome, Pass},
    store::{ObjectKey, Store},
};
use shopkeeper_plan::{
    blueprint::Blueprint,
    build,
    facts::PlatformFacts,
    failure::{Class, Failure},
    observed::Observed,
    resolve::{Resolve, Resolved, owner_of, platform, policies},
};

use super::{Scoped, Site, Subject, World, events, references, unreadable};
use crate::stores::Stores;

/// What the manager needs to know of a kind.
pub trait Reconciled: Resolve + Scoped {
    /// Its kind as a service, where others can call it.
    const SERVICE: Option<ServiceKind>;

    /// Its store.
    fn store(stores: &Stores) -> &Store<Self>;

    /// Where it is reached, for the column.
    fn endpoint(&self, resolved: &Resolved) -> Option<String>;
}

impl Reconciled for CatalogService {
    const SERVICE: Option<ServiceKind> = Some(ServiceKind::CatalogService);

    fn store(stores: &Stores) -> &Store<Self> {
        &stores.catalog_services
    }

    fn endpoint(&self, resolved: &Resolved) -> Option<String> {
        service_endpoint(resolved)
    }
}

impl Reconciled for OrderService {
    const SERVICE: Option<ServiceKind> = Some(ServiceKind::OrderService);

    fn store(stores: &Stores) -> &Store<Self> {
        &stores.order_services
    }

    fn endpoint(&self, resolved: &Resolved) -> Option<String> {
        service_endpoint(resolved)
    }
}

impl Reconciled for Storefront {
    const SERVICE: Option<ServiceKind> = None;

    fn store(stores: &Stores) -> &Store<Self> {
        &stores.storefronts
    }

    fn endpoint(&self, resolved: &Resolved) -> Option<String> {
        let load_balancer = resolved
            .load_balancers
            .iter()
            .find(|load_balancer| load_balancer.public)?;
        let scheme = if load_balancer.tls == shopkeeper_plan::resolve::ResolvedTls::None {
            "http"
        } else {
            "https"
        };
        load_balancer
            .hosts
            .first()
            .map(|host| format!("{scheme}://{host}"))
    }
}

macro_rules! namespaced {
    ($($kind:ident)+) => {
        $(impl Scoped for $kind {
            fn api(client: Client, namespace: &str) -> Api<Self> {
                Api::namespaced(client, namespace)
            }
        })+
    };
}

namespaced!(CatalogService OrderService Storefront);

fn service_endpoint(resolved: &Resolved) -> Option<String> {
    let component = resolved.components.first()?;
    let port = component.workload.ports.first()?;
    Some(format!(
        "{}.{}.svc:{}",
        component.name,
        resolved.owner.namespace,
        port.effective_service_port()
    ))
}

/// Runs one pass.
pub async fn run<K: Reconciled>(world: Arc<World>, pass: Pass<ObjectKey>) -> Outcome {
    let store = K::store(&world.stores);
    let mut found = store.get(&pass.key);
    if store.invalid(&pass.key).is_some()
        && let Some(substitute) = unreadable::look::<K>(&world, &pass.key).await
    {
        found = Some(Arc::new(substitute));
    }
    let Some(object) = found else {
        return Outcome::done();
    };
    let subject = Subject {
        world: &world,
        owner: owner_of(object.as_ref()),
        object: object.as_ref(),
        pass: &pass,
    };
    let outcome = match with_urgency(subject.urgency(), subject.run()).await {
        Ok(outcome) => outcome,
        Err(Error::NotFound(_)) => Outcome::done(),
        Err(error) => subject.not_completed(&error).await,
    };
    subject.forget_if_gone(K::store(&world.stores).get(&pass.key));
    outcome
}

impl<K: Reconciled> Subject<'_, K> {
    async fn run(&self) -> Result<Outcome, Error> {
        let stores = &self.world.stores;
        let found = references::platform(self.object, self.status().platform.as_ref(), stores);
        let defaults = found
            .as_ref()
            .ok()
            .and_then(|platform| platform.spec.defaults.as_ref()?.policy.clone())
            .unwrap_or_default();
        let own = self.object.policy().cloned().unwrap_or_default();
        if own.or(&defaults).suspend == Some(true) {
            return self.report_suspension().await;
        }
        if self.deleting() {
            return self.take_down(found, &own.or(&defaults)).await;
        }
        let mut operator_role = None;
        if let Ok(platform) = &found {
            match self.check_account(platform).await {
                Ok(caller) => operator_role = caller.role,
                Err(failure) => return self.report_silence(&failure).await,
            }
        }
        let resolved = found.and_then(|platform| {
            references::check_namespace(&platform, &self.owner.namespace, stores)?;
            references::check_alive(&platform)?;
            let facts = platform::facts(&platform)?;
            self.object.resolve(
                &facts,
                &references::references(self.object, K::SERVICE, operator_role, self.world),
            )
        });
        let resolved = match resolved {
            Ok(resolved) => resolved,
            Err(failure) => return self.report_failure(&failure).await,
        };
        if let Err(failure) = self.take_names() {
            return self.report_failure(&failure).await;
        }
        if self.hold().await?.is_none() {
            return Ok(Outcome::done());
        }
        let endpoint = self.object.endpoint(&resolved);
        let blueprint = |observed: &Observed| build::blueprint(&resolved, observed);
        let extend = |_: &Observed, status: &mut Status| {
            status.endpoint.clone_from(&endpoint);
            Value::Null
        };
        let site = self
            .site(&resolved.platform, &own.or(&defaults), &blueprint, &extend)
            .await;
        self.reconcile(&site).await
    }

    /// Makes sure that this process may speak for the account of a Platform, before anything is looked at there.
    async fn check_account(&self, platform: &Platform) -> Result<Caller, Failure> {
        let session = self.world.session(&platform.spec.aws.region).await;
        session.check_account(platform).await
    }

    /// Takes everything down. The specification may be invalid by now and the services it refers to gone: what the inventory
    /// has is enough.
    async fn take_down(
        &self,
        found: Result<Arc<Platform>, Failure>,
        policy: &Policy,
    ) -> Result<Outcome, Error> {
        if !kube::ResourceExt::finalizers(self.object)
            .iter()
            .any(|finalizer| finalizer == shopkeeper_api::FINALIZER)
        {
            self.world.memory.forget(&self.owner.uid);
            return Ok(Outcome::done());
        }
        if let Ok(platform) = &found
            && let Err(failure) = self.check_account(platform).await
        {
            return self.report_silence(&failure).await;
        }
        // One that is not named, or cannot be read, may be there all the same.
        let platforms = &self.world.stores.platforms;
        let is_gone = found
            .as_ref()
            .is_err_and(|failure| failure.class == Class::NotReady)
            && platforms.unread().is_empty();
        let facts = found.and_then(|platform| platform::facts(&platform));
        let facts = match facts {
            Ok(facts) => facts,
            // There is nowhere to look. Either nothing was ever made, or the status is lost together with the Platform.
            Err(failure) if self.inventory().is_empty() && is_gone => {
                events::not_searched(self, &failure).await;
                return self.let_go().await;
            }
            Err(failure) => return self.report_failure(&failure).await,
        };
        let resolved = self
            .object
            .resolve(
                &facts,
                // Nothing is given to anybody any more.
                &references::references(self.object, K::SERVICE, None, self.world),
            )
            .ok();
        let blueprint = |observed: &Observed| {
            resolved
                .as_ref()
                .map_or_else(Blueprint::default, |resolved| {
                    build::blueprint(resolved, observed)
                })
        };
        let extend = |_: &Observed, _: &mut Status| Value::Null;
        let site = self.site(&facts, policy, &blueprint, &extend).await;
        self.reconcile(&site).await
    }

    async fn site<'a>(
        &self,
        facts: &PlatformFacts,
        policy: &Policy,
        blueprint: &'a (dyn Fn(&Observed) -> Blueprint + Sync),
        extend: &'a (dyn Fn(&Observed, &mut Status) -> Value + Sync),
    ) -> Site<'a> {
        Site {
            platform: Some(PlatformInUse {
                name: facts.name.clone(),
                account_id: facts.account_id.clone(),
                region: facts.region.clone(),
                cluster: facts.cluster.clone(),
            }),
            session: self.world.session(&facts.region).await,
            scope: Scope {
                account_id: facts.account_id.clone(),
                region: facts.region.clone(),
                cluster: facts.cluster.clone(),
                owner_tags: self.owner.tags(&facts.cluster_arn()),
            },
            policies: policies(Some(policy), None),
            adoptable: facts.adoptable.clone(),
            quotas: facts.quotas,
            pod_identity_agent: facts.pod_identity_agent,
            interval: drift_interval(policy),
            blueprint,
            extend,
        }
    }
}

/// How often AWS is looked at when nothing happens.
pub(super) fn drift_interval(policy: &Policy) -> Duration {
    let text = policy
        .drift_interval
        .as_deref()
        .unwrap_or(shopkeeper_api::defaults::DRIFT_INTERVAL);
    shopkeeper_plan::duration::parse(text).unwrap_or(Duration::from_secs(60 * 60))
}
