//! The pass over a Platform.

use std::{sync::Arc, time::Duration};

use kube::{Api, Client};
use serde_json::{Value, json};
use shopkeeper_api::{Platform, platform::ExistingNetwork, status::Status};
use shopkeeper_aws::{
    Scope,
    budget::with_urgency,
    eks, iam, kms,
    parts::{Since, part},
    servicequotas,
};
use shopkeeper_ec2::Selector;
use shopkeeper_kube::{
    Error,
    controller::{Outcome, Pass},
    store::ObjectKey,
};
use shopkeeper_plan::{
    allowed::Allowed,
    blueprint::Blueprint,
    build,
    facts::{PodIdentityAgent, SubnetFacts},
    failure::{Class, Failure},
    names::OWNER_UID_TAG,
    observed::{Observation, Observed},
    planner::DeletionPolicy,
    quota::Quotas,
    report,
    resolve::{
        ResolvedPlatform, owner_of,
        platform::{self, KeyNeed, PlatformLookups, cluster_arn, known_quotas, resolve},
        policies,
    },
    resource::ResourceKey,
};

use super::{Scoped, Site, Subject, World, events, service::drift_interval, status, unreadable};
use crate::accounts::Session;

/// For how long the quotas of an account are taken to be what they were: they change by a request that AWS takes days for.
const QUOTAS_FRESHNESS: Duration = Duration::from_secs(60 * 60);

/// Runs one pass.
pub async fn run(world: Arc<World>, pass: Pass<ObjectKey>) -> Outcome {
    if world.stores.platforms.invalid(&pass.key).is_some() {
        unreadable::tell_only::<Platform>(&world, &pass.key).await;
    }
    let Some(object) = world.stores.platforms.get(&pass.key) else {
        return Outcome::done();
    };
    let subject = Subject {
        world: &world,
        owner: owner_of(object.as_ref()),
        object: object.as_ref(),
        pass: &pass,
    };
    let outcome = match with_urgency(subject.urgency(), subject.run_platform()).await {
        Ok(outcome) => outcome,
        Err(Error::NotFound(_)) => Outcome::done(),
        Err(error) => subject.not_completed(&error).await,
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
        let policy = platform::policy(self.object);
        if policy.suspend == Some(true) {
            return self.report_suspension().await;
        }
        let session = self.world.session(&spec.aws.region).await;
        if let Err(failure) = session.check_account(self.object).await {
            return self.report_silence(&failure).await;
        }
        let resolved = if self.deleting() {
            if let Some((kind, key)) = self.world.stores.unread_workloads().first() {
                let failure = Failure::new(
                    Class::NotReady,
                    format!(
                        "{} {key} cannot be read, and may run on this Platform",
                        kind.name()
                    ),
                )
                .with_remedy("correct it with kubectl edit, or delete it first");
                return self.report_failure(&failure).await;
            }
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
            let memory = &self.world.memory;
            let since = memory.looking_since(&self.owner.uid, self.requested().as_deref());
            let parts = memory.parts(&self.owner.uid);
            let lookups = match parts
                .looking(Since::moment(since), self.look_up(&session))
                .await
            {
                Ok(lookups) => {
                    parts.complete();
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
        let mut policies = policies(Some(&policy), None);
        let scope = Scope {
            account_id: spec.aws.account_id.clone(),
            region: spec.aws.region.clone(),
            cluster: spec.cluster.name.clone(),
            owner_tags: self.owner.tags(&cluster_arn(self.object)),
        };
        let mut retained = self
            .object
            .status
            .as_ref()
            .map(|status| status.retained.clone())
            .unwrap_or_default();
        if self.deleting() && policies.deletion == DeletionPolicy::Delete {
            let need = match self.key_need(&session, &scope).await? {
                Ok(need) => need,
                Err(failure) => return self.report_silence(&failure).await,
            };
            policies.deletion = platform::deletion_of_key(policies.deletion, need.as_ref());
            if let Some(need) = &need {
                events::key_kept(self, need).await;
            }
            if let Some(KeyNeed::Retained(known)) = need {
                retained = known;
            }
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
        let known_key = self.status_json()["encryption"].take();
        let extend = |observed: &Observed, status: &mut Status| {
            let generation = self.object.metadata.generation;
            if let Some(agent) = &agent {
                status
                    .conditions
                    .push(status::condition_of(agent, generation));
            }
            let mut members = resolved.as_ref().map_or(Value::Null, |resolved| {
                let mut members = extension(resolved);
                let key = encryption(resolved, observed, &self.owner.uid, &known_key);
                if !key.is_null() {
                    members["encryption"] = key;
                }
                members
            });
            if !retained.is_empty() {
                members["retained"] = json!(retained);
            }
            members
        };
        let site = Site {
            platform: None,
            scope,
            policies,
            // Who writes a Platform says what may be taken over.
            adoptable: Allowed::default(),
            quotas: None,
            // A Platform has no pods of its own.
            pod_identity_agent: PodIdentityAgent::AddOn,
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
        let mut cluster = eks::cluster_facts(&session.account, &spec.cluster.name).await?;
        if let Some(cluster) = &mut cluster {
            let provider = iam::oidc_provider(&session.account, cluster);
            cluster.oidc_provider = part("OIDC provider", provider).await?;
        }
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
        if let Some(arn) = platform::existing_key_arn(self.object) {
            let key = kms::key_facts(&session.account, arn);
            let key = part("existing key", key).await;
            lookups.existing_key = key.map_err(platform::existing_key_denied)?;
        }
        let Some(network) = &spec.network.existing else {
            return Ok(lookups);
        };
        let selector = vpc_selector(network);
        lookups.vpcs = part("VPCs", session.network.find_vpcs(&selector)).await?;
        if let [vpc] = lookups.vpcs.as_slice() {
            let vpc = vpc.id.clone();
            let selector = subnet_selector(&network.private_subnets);
            let private = session.network.find_subnets(&vpc, &selector);
            lookups.private_subnets = part("private subnets", private).await?;
            if let Some(public) = &network.public_subnets {
                let selector = subnet_selector(public);
                let public = session.network.find_subnets(&vpc, &selector);
                lookups.public_subnets = part("public subnets", public).await?;
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
fn extension(resolved: &ResolvedPlatform) -> Value {
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
            "podIdentityAgent": resolved.cluster.pod_identity_agent.as_str(),
        },
    });
    if let Some(provider) = resolved.cluster.oidc_provider {
        extension["cluster"]["oidcProvider"] = Value::from(provider.as_str());
    }
    if let Some(quotas) = resolved.quotas {
        extension["quotas"] = json!({
            "nodeGroupsPerCluster": quotas.node_groups_per_cluster,
            "nodesPerNodeGroup": quotas.nodes_per_node_group,
            "fargateProfilesPerCluster": quotas.fargate_profiles_per_cluster,
        });
    }
    extension
}

/// The key that those on the Platform encrypt with.
fn encryption(resolved: &ResolvedPlatform, observed: &Observed, uid: &str, known: &Value) -> Value {
    match (&resolved.existing_key_arn, build::platform_key(resolved)) {
        (Some(arn), _) => json!({"keyArn": arn}),
        (None, Some(key)) => made_key(&key, observed, uid, known),
        (None, None) => Value::Null,
    }
}

/// The key that the Platform made. While AWS does not tell of it, what was `known` holds: one answer that is missing must not take a key away
/// from every shop. Likewise where its alias leads to a key that is not ours: everything would be encrypted anew with what others may delete.
fn made_key(key: &ResourceKey, observed: &Observed, uid: &str, known: &Value) -> Value {
    match observed.aws.get(key) {
        Some(Observation::Absent) => Value::Null,
        Some(Observation::Present(present))
            if present.tags().get(OWNER_UID_TAG).map(String::as_str) == Some(uid)
                && present.arn.is_some() =>
        {
            json!({"keyArn": present.arn, "alias": key.name})
        }
        Some(Observation::Present(_) | Observation::Unknown(_)) | None => known.clone(),
    }
}

#[cfg(test)]
mod tests {
    use shopkeeper_plan::{
        aws::{AwsKind, AwsResource, KmsKey},
        observed::{Lifecycle, Present},
        outputs::Outputs,
    };

    use super::*;

    fn told(observation: Observation, known: &Value) -> Value {
        let key = ResourceKey::aws(AwsKind::KmsKey, "alias/shopkeeper-octank");
        let mut observed = Observed::default();
        observed.aws.insert(key.clone(), observation);
        made_key(&key, &observed, "ours", known)
    }

    fn present(arn: &str, uid: &str) -> Observation {
        Observation::Present(Box::new(Present {
            resource: AwsResource::from(KmsKey {
                tags: [(OWNER_UID_TAG.to_owned(), uid.to_owned())].into(),
                alias: Some("alias/shopkeeper-octank".to_owned()),
                description: String::new(),
                policy: None,
                rotation_period_days: None,
                enabled: true,
            }),
            lifecycle: Lifecycle::Available,
            arn: Some(arn.to_owned()),
            id: None,
            outputs: Outputs::new(),
            empty: None,
            note: None,
        }))
    }

    #[test]
    fn a_key_stays_while_aws_is_silent_and_one_of_others_is_never_taken() {
        let ours = json!({"keyArn": "arn:ours", "alias": "alias/shopkeeper-octank"});
        assert_eq!(told(present("arn:ours", "ours"), &Value::Null), ours);
        for silent in [Class::Throttled, Class::Transient, Class::Denied] {
            let silent = Observation::Unknown(Failure::new(silent, "no answer"));
            assert_eq!(told(silent, &ours), ours);
        }
        assert_eq!(told(present("arn:theirs", "theirs"), &ours), ours);
        assert_eq!(
            told(present("arn:theirs", "theirs"), &Value::Null),
            Value::Null
        );
        assert_eq!(told(Observation::Absent, &ours), Value::Null);
    }
}
