//! What the AWS Load Balancer Controller is told of every load balancer, by annotations of an Ingress or of a Service.

use std::collections::BTreeMap;

use super::object::Frame;
use crate::{
    facts::PlatformFacts,
    names::{CLUSTER_TAG, OWNER_TAG},
    resolve::{BackendProtocol, HealthCheck, HealthProbe, HttpVersion},
};

/// The end of the name of the annotation with the path that is asked for.
pub const HEALTH_PATH: &str = "healthcheck-path";
const HEALTH_PORT: &str = "healthcheck-port";
/// The end of the name of the annotation with the answers that are well.
pub const SUCCESS_CODES: &str = "success-codes";

/// What an Application Load Balancer asks of pods.
pub fn of_health(health: &HealthCheck) -> Vec<(&'static str, String)> {
    let Some(grpc) = &health.grpc else {
        let mut annotations = vec![(HEALTH_PATH, health.path.clone())];
        annotations.extend(of_probe(health.probe.as_ref()));
        return annotations;
    };
    let port = grpc.port.map(|port| (HEALTH_PORT, port.to_string()));
    let mut annotations = vec![
        (HEALTH_PATH, grpc.path.to_owned()),
        (SUCCESS_CODES, grpc.success_codes.to_owned()),
    ];
    annotations.extend(port);
    annotations
}

/// How an Application Load Balancer speaks to pods, where that is not plain HTTP/1.
pub fn of_protocol(protocol: BackendProtocol) -> Vec<(&'static str, String)> {
    let version = match protocol.version {
        HttpVersion::Http1 => None,
        HttpVersion::Http2 => Some("HTTP2"),
        HttpVersion::Grpc => Some("GRPC"),
    };
    [
        ("backend-protocol", protocol.tls.then_some("HTTPS")),
        ("backend-protocol-version", version),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?.to_owned())))
    .collect()
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
        (HEALTH_PORT, port),
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
