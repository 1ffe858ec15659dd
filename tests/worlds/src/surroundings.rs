//! What a custom resource is resolved with: what its Platform knows, and what it refers to.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shopkeeper_api::{
    CatalogService, Managed, OrderService, Platform, Storefront, exposures::TrafficSource,
};
use shopkeeper_plan::{
    allowed::Allowed,
    build,
    claims::Standing,
    facts::{KeyFacts, OidcProvider, PlatformFacts, PodIdentityAgent, VpcFacts},
    failure::{Class, Failure},
    quota::Quotas,
    resolve::{
        GroupMember, References, Resolve, Resolved, ServiceKey, groups, owner_of, platform,
        platform::PlatformLookups,
    },
};
use shopkeeper_specifications::{Choices, Definitions};

use crate::fixture::{self, Wanted, facts, lookups, references, routed_from, typed, wanted};

/// Everything beside the custom resource that is resolved.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// What AWS tells a Platform.
    pub lookups: PlatformLookups,
    /// What a service knows of its Platform.
    pub facts: PlatformFacts,
    /// What it refers to.
    pub references: References,
}

/// Something that may come later than the custom resource that needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The account of the credentials, and its EKS cluster.
    Cluster,
    /// The quotas of the account.
    Quotas,
    /// The role of the operator itself.
    OperatorRole,
    /// A service that is referred to.
    Service(ServiceKey),
    /// Storefronts with routes to the service.
    Routes,
    /// The ServiceMonitor kind.
    ServiceMonitors,
    /// The HTTPRoute kind.
    HttpRoutes,
    /// The SecurityGroupPolicy kind.
    SecurityGroupPolicies,
}

impl Surroundings {
    /// Those in which an example, or a changed form of it, finds all that it needs.
    #[must_use]
    pub fn complete(shop: &str, object: &Value) -> Self {
        let cluster = object.pointer("/spec/cluster/name").and_then(Value::as_str);
        let facts = facts(shop);
        Self {
            lookups: lookups(cluster.unwrap_or(&facts.cluster)),
            facts,
            references: References {
                routed_from: routed_from(shop, object),
                ..references(shop)
            },
        }
    }

    /// All that may come later, in the order in which it was chosen to.
    #[must_use]
    pub fn arrivals(&self, choices: &mut Choices<'_>) -> Vec<Arrival> {
        let mut ordered = vec![
            Arrival::Cluster,
            Arrival::Quotas,
            Arrival::OperatorRole,
            Arrival::Routes,
            Arrival::ServiceMonitors,
            Arrival::HttpRoutes,
            Arrival::SecurityGroupPolicies,
        ];
        ordered.extend(
            self.references
                .services
                .keys()
                .cloned()
                .map(Arrival::Service),
        );
        let mut arrivals = Vec::new();
        while !ordered.is_empty() {
            arrivals.push(ordered.remove(choices.up_to(ordered.len() - 1)));
        }
        arrivals
    }

    /// These surroundings before some of it came.
    #[must_use]
    pub fn before<'a>(&self, coming: impl IntoIterator<Item = &'a Arrival>) -> Self {
        let mut earlier = self.clone();
        let references = &mut earlier.references;
        for arrival in coming {
            match arrival {
                Arrival::Cluster => {
                    earlier.lookups.account_id = None;
                    earlier.lookups.cluster = None;
                }
                Arrival::Quotas => {
                    earlier.lookups.quotas = None;
                    earlier.facts.quotas = None;
                }
                Arrival::OperatorRole => references.operator_role = None,
                Arrival::Service(key) => drop(references.services.remove(key)),
                Arrival::Routes => references.routed_from.clear(),
                Arrival::ServiceMonitors => references.service_monitors = false,
                Arrival::HttpRoutes => references.http_routes = false,
                Arrival::SecurityGroupPolicies => references.security_group_policies = false,
            }
        }
        earlier
    }

    /// Any surroundings: mostly with something that lacks, or is not as it should be.
    #[must_use]
    pub fn any(definitions: &Definitions, object: &Value, choices: &mut Choices<'_>) -> Self {
        let mut any = Self::complete("octank", object);
        let coming: Vec<Arrival> = any
            .arrivals(&mut Choices::new(&[]))
            .into_iter()
            .filter(|_| choices.one_in(4))
            .collect();
        any = any.before(&coming);
        any_lookups(&mut any.lookups, choices);
        any_facts(&mut any.facts, choices);
        any_references(&mut any.references, choices);
        any.references.group_members = group_members(definitions, object, choices);
        any
    }

    /// The same, where whatever is listed was listed the other way round.
    #[must_use]
    pub fn listed_otherwise(&self) -> Self {
        let mut other = self.clone();
        other.lookups.vpcs.reverse();
        other.lookups.private_subnets.reverse();
        other.lookups.public_subnets.reverse();
        other.references.group_members.reverse();
        other
    }

    fn resolve_service<K: Resolve>(&self, object: &Value) -> Result<Resolved, Failure> {
        typed::<K>(object).resolve(&self.facts, &self.references)
    }

    /// What is wanted for a custom resource of any kind, or why it is refused.
    ///
    /// # Errors
    /// As `resolve` says.
    pub fn resolve(&self, object: &Value) -> Result<Wanted, Failure> {
        match object["kind"].as_str().unwrap() {
            CatalogService::KIND => self.resolve_service::<CatalogService>(object).map(wanted),
            OrderService::KIND => self.resolve_service::<OrderService>(object).map(wanted),
            Storefront::KIND => self.resolve_service::<Storefront>(object).map(wanted),
            Platform::KIND => {
                let declared: Platform = typed(object);
                let resolved = platform::resolve(&declared, &self.lookups)?;
                Ok(Wanted {
                    owner: owner_of(&declared),
                    cluster: platform::cluster_arn(&declared),
                    blueprint: Box::new(move |_| build::platform_blueprint(&resolved)),
                })
            }
            other => panic!("no such kind: {other}"),
        }
    }
}

fn any_lookups(lookups: &mut PlatformLookups, choices: &mut Choices<'_>) {
    if choices.one_in(8) {
        lookups.account_id = Some("999999999999".into());
    }
    if let Some(cluster) = &mut lookups.cluster {
        if choices.one_in(8) {
            cluster.status = "CREATING".into();
        }
        if choices.one_in(8) {
            cluster.security_group_id = None;
        }
        if choices.one_in(8) {
            cluster.oidc_issuer = None;
            cluster.oidc_provider = None;
        }
    }
    match choices.up_to(15) {
        13 => lookups.vpcs.clear(),
        14 => lookups.vpcs[0].id = "vpc-2".into(),
        15 => lookups.vpcs.push(VpcFacts {
            id: "vpc-2".into(),
            cidr: "10.1.0.0/16".into(),
        }),
        _ => {}
    }
    let further = fixture::subnets("further", 200);
    for subnets in [&mut lookups.private_subnets, &mut lookups.public_subnets] {
        match choices.up_to(7) {
            5 => subnets.truncate(1),
            6 => subnets.extend(further.clone()),
            7 => subnets.clear(),
            _ => {}
        }
    }
    if choices.one_in(2) {
        lookups.existing_key = Some(KeyFacts {
            state: (*choices.of(&["Enabled", "PendingDeletion"]).unwrap()).into(),
            usage: (*choices.of(&["ENCRYPT_DECRYPT", "SIGN_VERIFY"]).unwrap()).into(),
            spec: (*choices.of(&["SYMMETRIC_DEFAULT", "RSA_2048"]).unwrap()).into(),
            is_managed_by_aws: choices.one_in(4),
        });
    }
}

fn any_facts(facts: &mut PlatformFacts, choices: &mut Choices<'_>) {
    if choices.one_in(4) {
        facts.oidc_issuer = None;
        facts.oidc_provider = None;
    } else if choices.one_in(4) {
        facts.oidc_provider = Some(OidcProvider::WrongAudience);
    }
    let agents = [
        PodIdentityAgent::AddOn,
        PodIdentityAgent::AutoModeNodes,
        PodIdentityAgent::Missing,
    ];
    facts.pod_identity_agent = *choices.of(&agents).unwrap();
    match choices.up_to(7) {
        5 => facts.private_subnets.truncate(1),
        6 => facts
            .private_subnets
            .extend(fixture::subnets("further", 200)),
        7 => facts.public_subnets.clear(),
        _ => {}
    }
    if choices.one_in(4) {
        facts.allowed_roles = Allowed::of(Some(vec!["*".into()]));
        facts.adoptable = Allowed::of(Some(Vec::new()));
    }
    facts.key_is_managed = !choices.one_in(4);
    facts.image_tag = choices.one_in(4).then(|| "1.0".to_owned());
    facts.region = (*choices
        .of(&["eu-west-1", "cn-north-1", "us-gov-west-1"])
        .unwrap())
    .into();
    if choices.one_in(8) {
        facts.tags.insert("a,b=c".into(), "d,e".into());
    }
    if choices.one_in(4) {
        facts.quotas = Some(Quotas {
            node_groups_per_cluster: 1,
            nodes_per_node_group: 2,
            fargate_profiles_per_cluster: 0,
        });
    }
}

fn any_references(references: &mut References, choices: &mut Choices<'_>) {
    for facts in references.services.values_mut() {
        match choices.up_to(7) {
            4 => facts.ports.clear(),
            5 => facts.ports[0].name = "other".into(),
            6 => facts.name_taken_by = Some("Storefront/shop/octank".into()),
            7 => facts.is_going = true,
            _ => {}
        }
    }
    let sources = [
        TrafficSource::PublicSubnets,
        TrafficSource::PrivateSubnets,
        TrafficSource::Callers,
    ];
    references.routed_from = sources
        .into_iter()
        .filter(|_| choices.one_in(3))
        .collect::<BTreeSet<_>>();
    if choices.one_in(8) {
        let failure = Failure::new(Class::NotReady, "Storefront shop/web cannot be read");
        references.routes_unknown = Some(failure);
    }
    if choices.one_in(4) {
        references.absent.namespaces.insert("monitoring".into());
        let frontend = json!({"storefront": "octank", "name": "web"});
        let frontend = serde_json::from_value(frontend).unwrap();
        references.absent.frontends.insert(frontend);
    }
}

/// What other Storefronts have in the groups that a Storefront asks for.
fn group_members(
    definitions: &Definitions,
    object: &Value,
    choices: &mut Choices<'_>,
) -> Vec<GroupMember> {
    let asked = &object["spec"]["loadBalancerGroups"];
    if object["kind"] != Storefront::KIND || !asked.is_object() {
        return Vec::new();
    }
    let mut members = Vec::new();
    for nth in 0..choices.up_to(3) {
        let mut other = definitions.custom_resource(Storefront::KIND, choices);
        other["metadata"]["name"] = json!(format!("other-{nth}"));
        other["metadata"]["uid"] = json!(format!("other-{nth}-uid"));
        other["spec"]["loadBalancerGroups"] = asked.clone();
        let storefront: Storefront = typed(&other);
        let is_inside = choices.one_in(2);
        members.extend(
            groups::memberships(&storefront)
                .into_iter()
                .map(|membership| GroupMember {
                    standing: Standing::of(&storefront),
                    membership,
                    is_inside,
                }),
        );
    }
    members
}

/// Puts a Storefront into groups of load balancers, which its example is not in.
pub fn join_groups(object: &mut Value) {
    object["spec"]["loadBalancerGroups"] = json!({"public": "shop", "internal": "staff"});
}
