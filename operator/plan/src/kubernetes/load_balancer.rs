//! What the AWS Load Balancer Controller is told of every load balancer, by annotations of an Ingress or of a Service.

use std::collections::BTreeMap;

use super::{ingress, object::Frame};
use crate::{
    facts::PlatformFacts,
    names::{CLUSTER_TAG, OWNER_TAG},
    resolve::HealthProbe,
};

/// The end of the name of the annotation with the path that is asked for.
pub const HEALTH_PATH: &str = "healthcheck-path";

/// The end of the name of the annotation with the answers that are well.
pub const SUCCESS_CODES: &str = "success-codes";

/// Ends of names of annotations of an Application Load Balancer that hold together: the answers that are well are those of the protocol.
const OF_HEALTH: [&str; 5] = [
    "healthcheck-port",
    "healthcheck-protocol",
    SUCCESS_CODES,
    "backend-protocol",
    "backend-protocol-version",
];

/// Whether annotations of the user say how pods are asked, or spoken to: then nothing but the path is said beside them.
pub fn are_of_health(annotations: &BTreeMap<String, String>) -> bool {
    annotations.keys().any(|name| {
        let end = name
            .strip_prefix(ingress::PREFIX)
            .and_then(|end| end.strip_prefix('/'));
        end.is_some_and(|end| OF_HEALTH.contains(&end))
    })
}

/// How a readiness probe is asked, beside its path. What Kubernetes takes for ready has to be healthy, and a load balancer takes 200
/// alone by itself. The port is a number: the controller knows no names of ports that a Service names in its turn.
pub fn of_probe(probe: Option<&HealthProbe>) -> Vec<(&'static str, String)> {
    let Some(probe) = probe else {
        return Vec::new();
    };
    let protocol = if probe.tls { "HTTPS" } else { "HTTP" };
    let port = probe.beside_traffic.then(|| probe.port.to_string());
    [
        ("healthcheck-protocol", Some(protocol.to_owned())),
        ("healthcheck-port", port),
        (SUCCESS_CODES, Some("200-399".to_owned())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// Its subnets, by id: discovery by tags would find those of other clusters.
pub fn subnets(platform: &PlatformFacts, public: bool) -> String {
    platform.load_balancer_subnets(public).join(",")
}

/// The tags of the Platform, and those that say whose it is.
pub fn tags(frame: &Frame<'_>, platform: &PlatformFacts) -> String {
    let mut tags = platform.tags.clone();
    tags.insert(OWNER_TAG.to_owned(), frame.owner.path());
    tags.insert(CLUSTER_TAG.to_owned(), platform.cluster_arn().to_string());
    pairs(&tags)
}

/// The tags of a load balancer that several Storefronts share: it belongs to none of them, and the controller refuses members with different
/// values of one tag.
pub fn shared_tags(platform: &PlatformFacts) -> String {
    let mut tags = platform.tags.clone();
    tags.insert(CLUSTER_TAG.to_owned(), platform.cluster_arn().to_string());
    pairs(&tags)
}

/// Names and values as the controller reads them.
pub fn pairs(map: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = map
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join(",")
}
