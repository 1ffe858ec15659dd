//! The example shops, and a Platform for them.

use std::{collections::BTreeSet, path::PathBuf};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shopkeeper_api::{
    CatalogService, OrderService, Platform, exposures::TrafficSource, reference::ServiceKind,
};
use shopkeeper_plan::{
    allowed::Allowed,
    blueprint::Blueprint,
    build,
    facts::{
        ClusterArn, ClusterFacts, OidcProvider, PlatformFacts, PodIdentityAgent, SubnetFacts,
        VpcFacts,
    },
    failure::Failure,
    names::Owner,
    observed::Observed,
    quota::Quotas,
    resolve::{
        AbsentCallers, ComponentIdentity, HasPorts, References, Resolve, Resolved, ServiceFacts,
        ServiceKey, platform, platform::PlatformLookups,
    },
};

use crate::surroundings::Surroundings;

/// An example of one of the shops in `examples/`, as JSON: `read("octank", "orders")`.
pub fn read(shop: &str, name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../../examples/{shop}/{name}.yaml"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut object: Value = serde_yaml_ng::from_str(&text).expect("YAML");
    object["metadata"]["uid"] = json!(format!("{shop}-{name}-uid"));
    object
}

/// The custom resource that some JSON is.
pub fn typed<K: DeserializeOwned>(object: &Value) -> K {
    serde_json::from_value(object.clone()).expect("a valid custom resource")
}

/// Takes a member of a specification out: `without(&mut object, "/spec/database")`.
pub fn without(object: &mut Value, pointer: &str) {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).expect("the parent is there");
    assert!(
        parent.as_object_mut().unwrap().remove(member).is_some(),
        "{pointer} is not there"
    );
}

/// A subnet in each of two zones.
pub fn subnets(prefix: &str, third: u8) -> Vec<SubnetFacts> {
    ["a", "b"]
        .iter()
        .zip(0..)
        .map(|(zone, index)| SubnetFacts {
            id: format!("subnet-{prefix}-{zone}"),
            zone: format!("eu-west-1{zone}"),
            cidr: format!("10.0.{}.0/24", third + index),
        })
        .collect()
}

/// What AWS tells of the account, the cluster and its network.
pub fn lookups(cluster: &str) -> PlatformLookups {
    PlatformLookups {
        account_id: Some("123456789012".into()),
        cluster: Some(ClusterFacts {
            arn: format!("arn:aws:eks:eu-west-1:123456789012:cluster/{cluster}"),
            status: "ACTIVE".into(),
            version: "1.36".into(),
            endpoint: "https://eks.example".into(),
            vpc_id: "vpc-1".into(),
            security_group_id: Some("sg-cluster".into()),
            oidc_issuer: Some("https://oidc.eks.eu-west-1.amazonaws.com/id/ABC".into()),
            oidc_provider: Some(OidcProvider::Active),
            pod_identity_agent: PodIdentityAgent::AddOn,
        }),
        vpcs: vec![VpcFacts {
            id: "vpc-1".into(),
            cidr: "10.0.0.0/16".into(),
        }],
        private_subnets: subnets("private", 0),
        public_subnets: subnets("public", 100),
        quotas: Some(Quotas::default()),
        existing_key: None,
    }
}

/// What the Platform of an example knows once it is ready.
pub fn facts(shop: &str) -> PlatformFacts {
    let declared: Platform = typed(&read(shop, "platform"));
    let found = lookups(&declared.spec.cluster.name);
    PlatformFacts {
        pod_identity_agent: PodIdentityAgent::AddOn,
        allowed_roles: Allowed::default(),
        prometheus: platform::prometheus(declared.spec.prometheus.as_ref()),
        adoptable: Allowed::default(),
        name: declared.metadata.name.clone().unwrap(),
        account_id: declared.spec.aws.account_id.clone(),
        region: declared.spec.aws.region.clone(),
        cluster: declared.spec.cluster.name.clone(),
        oidc_issuer: found.cluster.unwrap().oidc_issuer,
        oidc_provider: Some(OidcProvider::Active),
        vpc: found.vpcs[0].clone(),
        private_subnets: found.private_subnets,
        public_subnets: found.public_subnets,
        data_security_groups: vec!["sg-cluster".into()],
        key_arn: "arn:aws:kms:eu-west-1:123456789012:key/1".into(),
        key_is_managed: true,
        quotas: found.quotas,
        image_tag: declared
            .spec
            .defaults
            .as_ref()
            .and_then(|defaults| defaults.image_tag.clone()),
        tags: declared
            .spec
            .defaults
            .map(|defaults| defaults.tags)
            .unwrap_or_default(),
    }
}

/// What the services and frontends of an example refer to; the services with a route from a Storefront, in a cluster with
/// ServiceMonitors.
pub fn references(shop: &str) -> References {
    let catalog: CatalogService = typed(&read(shop, "catalog"));
    let orders: OrderService = typed(&read(shop, "orders"));
    let facts = |kind, meta: &ObjectMeta, ports| {
        let key = ServiceKey {
            kind,
            namespace: meta.namespace.clone().unwrap(),
            name: meta.name.clone().unwrap(),
        };
        (
            key,
            ServiceFacts {
                is_going: false,
                ports,
                name_taken_by: None,
            },
        )
    };
    References {
        routes_unknown: None,
        services: [
            facts(
                ServiceKind::CatalogService,
                &catalog.metadata,
                catalog.service_ports(),
            ),
            facts(
                ServiceKind::OrderService,
                &orders.metadata,
                orders.service_ports(),
            ),
        ]
        .into(),
        absent: AbsentCallers::default(),
        routed_from: [TrafficSource::PublicSubnets].into(),
        operator_role: Some("shopkeeper".into()),
        group_members: Vec::new(),
        service_monitors: true,
        http_routes: true,
        security_group_policies: true,
    }
}

/// Whether the Storefront of an example leads to one of its services.
fn is_routed(shop: &str, object: &Value) -> bool {
    let storefront = read(shop, "storefront");
    storefront["spec"]["routes"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|route| {
            route["service"]["kind"] == object["kind"]
                && route["service"]["name"] == object["metadata"]["name"]
        })
}

/// Where the packets come from that the Storefront of an example sends to one of its services.
pub fn routed_from(shop: &str, object: &Value) -> BTreeSet<TrafficSource> {
    let source = is_routed(shop, object).then_some(TrafficSource::PublicSubnets);
    source.into_iter().collect()
}

/// What an example, or a changed form of it, is resolved to.
pub fn resolve<K: Resolve>(shop: &str, object: &Value) -> Result<Resolved, Failure> {
    let references = References {
        routed_from: routed_from(shop, object),
        ..references(shop)
    };
    typed::<K>(object).resolve(&facts(shop), &references)
}

/// The first reference of a custom resource that leads nowhere.
pub fn lost(resolved: &Resolved) -> Option<Failure> {
    let rules = resolved
        .load_balancers
        .iter()
        .flat_map(|load_balancer| &load_balancer.rules)
        .filter_map(|rule| rule.backend.as_ref().err());
    let of_components = resolved.components.iter().flat_map(|component| {
        let endpoints = component.endpoints.iter();
        let identity = match &component.identity {
            ComponentIdentity::Awaited { failure, .. } => Some(failure),
            _ => None,
        };
        endpoints
            .filter_map(|endpoint| endpoint.value.as_ref().err())
            .chain(identity)
            .chain(component.security_groups.as_ref().err())
    });
    rules.chain(of_components).next().cloned()
}

/// One custom resource: who it is, and what is wanted for it.
pub struct Wanted {
    /// Who it is.
    pub owner: Owner,
    /// The cluster that it runs in.
    pub cluster: ClusterArn,
    /// What is wanted, where this was observed.
    pub blueprint: Box<dyn Fn(&Observed) -> Blueprint>,
}

/// What is wanted for a custom resource that runs workloads.
pub fn wanted(resolved: Resolved) -> Wanted {
    Wanted {
        owner: resolved.owner.clone(),
        cluster: resolved.platform.cluster_arn(),
        blueprint: Box::new(move |observed| build::blueprint(&resolved, observed)),
    }
}

/// What is wanted for a custom resource of any kind, or why it is refused.
pub fn resolved(shop: &str, object: &Value) -> Result<Wanted, Failure> {
    Surroundings::complete(shop, object).resolve(object)
}

/// What is wanted for an example, or for a changed form of it.
pub fn want(shop: &str, object: &Value) -> Wanted {
    resolved(shop, object).expect("it resolves")
}

/// What is wanted for an OrderService on a Platform that is another than that of the example.
pub fn want_on(platform: &PlatformFacts, object: &Value) -> Wanted {
    let references = References {
        routed_from: routed_from("octank", object),
        ..references("octank")
    };
    let resolved = typed::<OrderService>(object).resolve(platform, &references);
    wanted(resolved.expect("it resolves"))
}

/// Every example there is.
pub const EXAMPLES: [(&str, &str); 12] = [
    ("octank", "platform"),
    ("octank", "catalog"),
    ("octank", "orders"),
    ("octank", "storefront"),
    ("minimal", "platform"),
    ("minimal", "catalog"),
    ("minimal", "orders"),
    ("minimal", "storefront"),
    ("retail-store", "platform"),
    ("retail-store", "catalog"),
    ("retail-store", "orders"),
    ("retail-store", "storefront"),
];
