//! The pass over a Platform.

use std::{sync::Arc, time::Duration};

use kube::{Api, Client};
use serde_json::{Value, json};
use shopkeeper_api::{Platform, platform::ExistingNetwork, status::Status};
use shopkeeper_aws::{Scope, eks, servicequotas};
use shopkeeper_ec2::Selector;
use shopkeeper_kube::{
    Error,
    controller::{Outcome, Pass},
    store::ObjectKey,
};
use shopkeeper_plan::{
    blueprint::Blueprint,
    build,
    facts::SubnetFacts,
    failure::{Class, Failure},
    observed::Observed,
    quota::Quotas,
    report,
    resolve::{
        ResolvedPlatform, owner_of,
        platform::{AGENT_MISSING, PlatformLookups, known_quotas, resolve},
        policies,
    },
};

use super::{Scoped, Site, Subject, World, events, failure_of, service::drift_interval, status};
use crate::accounts::Session;

/// For how long the quotas of an account are taken to be what they were: they change by a request that AWS takes days for.
const QUOTAS_FRESHNESS: Duration = Duration::from_secs(60 * 60);

/// Runs one pass.
pub async fn run(world: Arc<World>, pass: Pass<ObjectKey>) -> Outcome {
    let Some(object) = world.stores.platforms.get(&pass.key) else {
        return Outcome::done();
    };
    let subject = Subject {
        world: &world,
        owner: owner_of(object.as_ref()),
        object: object.as_ref(),
        pass: &pass,
    };
    let outcome = match subject.run_platform().await {
        Ok(outcome) => outcome,
        Err(Error::NotFound(_)) => Outcome::done(),
        Err(error) => {
            tracing::warn!(%error, "pass not completed");
            subject.failed(&failure_of(&error))
        }
    };
    subject.forget_if_gone(world.stores.platforms.get(&pass.key));
    outcome
}

impl Scoped for Platform {
    fn api(client: Client, _namespace: &str) -> Api<Self> {
        Api::all(client)
    }
}

impl Subject<'_, Platform> {
    async fn run_platform(&self) -> Result<Outcome, Error> {
        let spec = &self.object.spec;
        let own = spec.policy.clone().unwrap_or_default();
        let defaults = spec
            .defaults
            .as_ref()
            .and_then(|defaults| defaults.policy.clone())
            .unwrap_or_default();
        let policy = own.or(&defaults);
        if policy.suspend == Some(true) {
            return self.report_suspension().await;
        }
        let session = self.world.accounts.session(&spec.aws.region).await;
        let resolved = if self.deleting() {
            let dependents = self.world.stores.dependents(&self.owner.name);
            if let Some((kind, key)) = dependents.first() {
                let others = match dependents.len() - 1 {
                    0 => "still runs".to_owned(),
                    others => format!("and {others} more still run"),
                };
                let failure = Failure::new(
                    Class::NotReady,
                    format!("{} {key} {others} on this Platform", kind.name()),
                )
                .with_remedy(
                    "delete them first; what they made cannot be taken down without their Platform",
                );
                return self.report_failure(&failure).await;
            }
            // Whatever became of the network: the key is found by its alias.
            None
        } else {
            let lookups = match self.look_up(&session).await {
                Ok(lookups) => {
                    self.world.memory.was_answered(&self.owner.uid);
                    lookups
                }
                Err(failure) => return self.report_silence(&failure).await,
            };
            match resolve(self.object, &lookups) {
                Ok(resolved) => Some(resolved),
                Err(failure) => return self.report_failure(&failure).await,
            }
        };
        if resolved.is_some() && self.hold().await?.is_none() {
            return Ok(Outcome::done());
        }
        let blueprint = |_: &Observed| {
            resolved
                .as_ref()
                .map_or_else(Blueprint::default, build::platform_blueprint)
        };
        let agent = resolved
            .as_ref()
            .map(|resolved| report::of_pod_identity_agent(resolved.cluster.pod_identity_agent));
        let before = self.status();
        let extend = |observed: &Observed, status: &mut Status| {
            let generation = self.object.metadata.generation;
            if let Some(agent) = &agent {
                status
                    .conditions
                    .push(status::condition_of(agent, generation));
            }
            resolved
                .as_ref()
                .map_or(Value::Null, |resolved| extension(resolved, observed))
        };
        let site = Site {
            platform: None,
            scope: Scope {
                account_id: spec.aws.account_id.clone(),
                region: spec.aws.region.clone(),
                cluster: spec.cluster.name.clone(),
                owner_tags: self.owner.tags(&spec.cluster.name),
            },
            policies: policies(Some(&policy), None),
            quotas: None,
            // A Platform has no pods of its own.
            pod_identity_agent: true,
            interval: drift_interval(&policy),
            session,
            blueprint: &blueprint,
            extend: &extend,
        };
        let outcome = self.reconcile(&site).await?;
        if let Some(agent) = &agent {
            events::agent(self, &before, agent).await;
        }
        Ok(outcome)
    }

    /// Reads what the Platform adopts.
    async fn look_up(&self, session: &Session) -> Result<PlatformLookups, Failure> {
        let spec = &self.object.spec;
        let cluster = eks::cluster_facts(&session.account, &spec.cluster.name).await?;
        // arn:aws:eks:<region>:<account>:cluster/<name>: the account that the credentials belong to.
        let account_id = cluster
            .as_ref()
            .and_then(|cluster| cluster.arn.split(':').nth(4).map(str::to_owned));
        let mut lookups = PlatformLookups {
            account_id,
            cluster,
            quotas: self.quotas(session).await,
            ..PlatformLookups::default()
        };
        let Some(network) = &spec.network.existing else {
            return Ok(lookups);
        };
        lookups.vpcs = session.network.find_vpcs(&vpc_selector(network)).await?;
        if let [vpc] = lookups.vpcs.as_slice() {
            let vpc = vpc.id.clone();
            lookups.private_subnets = session
                .network
                .find_subnets(&vpc, &subnet_selector(&network.private_subnets))
                .await?;
            if let Some(public) = &network.public_subnets {
                lookups.public_subnets = session
                    .network
                    .find_subnets(&vpc, &subnet_selector(public))
                    .await?;
            }
        }
        Ok(lookups)
    }
}

impl Subject<'_, Platform> {
    /// The quotas of the account. A Platform works without them: where AWS does not answer, what was told before holds.
    async fn quotas(&self, session: &Session) -> Option<Quotas> {
        // A person who raised one asks for a pass, and does not want to wait for an hour.
        let freshness = match self.requested() {
            Some(_) => Duration::ZERO,
            None => QUOTAS_FRESHNESS,
        };
        match servicequotas::quotas(&session.account, freshness).await {
            Ok(quotas) => quotas,
            Err(failure) => {
                tracing::info!(class = failure.class.label(), %failure, "quotas not read");
                known_quotas(self.object)
            }
        }
    }
}

fn vpc_selector(network: &ExistingNetwork) -> Selector {
    match &network.vpc.id {
        Some(id) => Selector::Ids([id.clone()].into()),
        None => Selector::Tags(network.vpc.tags.clone()),
    }
}

fn subnet_selector(declared: &shopkeeper_api::platform::SubnetSelector) -> Selector {
    if declared.ids.is_empty() {
        Selector::Tags(declared.tags.clone())
    } else {
        Selector::Ids(declared.ids.iter().cloned().collect())
    }
}

/// What a Platform adds to the common status: what was found, for people and for those that run on it.
fn extension(resolved: &ResolvedPlatform, observed: &Observed) -> Value {
    let subnets = |subnets: &[SubnetFacts]| -> Vec<Value> {
        subnets
            .iter()
            .map(|subnet| json!({"id": subnet.id, "zone": subnet.zone, "cidr": subnet.cidr}))
            .collect()
    };
    let mut extension = json!({
        "network": {
            "vpcId": resolved.vpc.id,
            "cidr": resolved.vpc.cidr,
            "privateSubnets": subnets(&resolved.private_subnets),
            "publicSubnets": subnets(&resolved.public_subnets),
        },
        "cluster": {
            "arn": resolved.cluster.arn,
            "version": resolved.cluster.version,
            "endpoint": resolved.cluster.endpoint,
            "oidcIssuer": resolved.cluster.oidc_issuer,
            "securityGroupId": resolved.cluster.security_group_id,
            "podIdentityAgent": if resolved.cluster.pod_identity_agent { "ACTIVE" } else { AGENT_MISSING },
        },
    });
    if let Some(quotas) = resolved.quotas {
        extension["quotas"] = json!({
            "nodeGroupsPerCluster": quotas.node_groups_per_cluster,
            "nodesPerNodeGroup": quotas.nodes_per_node_group,
        });
    }
    if let Some(arn) = &resolved.existing_key_arn {
        extension["encryption"] = json!({"keyArn": arn});
    } else if let Some(key) = build::platform_key(resolved)
        && let Some(arn) = observed
            .present(&key)
            .and_then(|present| present.arn.clone())
    {
        extension["encryption"] = json!({"keyArn": arn, "alias": key.name});
    }
    extension
}
