//! How load balancers speak to pods, as far as the name or the application protocol of a port says.

use shopkeeper_api::workload::{Port, Protocol, Workload};

use super::{ResolvedTls, edge::IngressClass};
use crate::failure::Failure;

/// The version of HTTP that a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1, unless something else is said.
    Http1,
    /// HTTP/2.
    Http2,
    /// gRPC, which is HTTP/2 with statuses of its own.
    Grpc,
}

/// How a load balancer speaks to the pods of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendProtocol {
    /// Whether by TLS.
    pub tls: bool,
    /// The version of HTTP.
    pub version: HttpVersion,
}

/// Whether a port speaks TLS.
pub(super) fn speaks_tls(port: &Port) -> bool {
    port.name == "https" || port.app_protocol.as_deref() == Some("https")
}

fn version(port: &Port) -> HttpVersion {
    match port.app_protocol.as_deref() {
        Some("grpc") => HttpVersion::Grpc,
        Some("http2" | "kubernetes.io/h2c") => HttpVersion::Http2,
        None if port.name == "grpc" => HttpVersion::Grpc,
        _ => HttpVersion::Http1,
    }
}

/// How load balancers speak to a workload: as its first port does, since the controller is told by Service and not by port.
pub(super) fn backend_protocol(workload: &Workload) -> BackendProtocol {
    let mut ports = workload.ports.iter();
    let first = ports.find(|port| port.protocol != Some(Protocol::UDP));
    BackendProtocol {
        tls: first.is_some_and(speaks_tls),
        version: first.map_or(HttpVersion::Http1, version),
    }
}

/// An Application Load Balancer speaks HTTP/2 and gRPC to pods for what came to it by TLS alone. The controller would fail at all of
/// the load balancer.
pub(super) fn check_listener(
    field: &str,
    class: &IngressClass,
    tls: &ResolvedTls,
    version: HttpVersion,
) -> Result<(), Failure> {
    if *class != IngressClass::Alb || *tls != ResolvedTls::None || version == HttpVersion::Http1 {
        return Ok(());
    }
    let spoken = match version {
        HttpVersion::Grpc => "gRPC",
        _ => "HTTP/2",
    };
    Err(Failure::invalid(
        field,
        &format!(
            "leads to pods that speak {spoken}, and an Application Load Balancer speaks that only for what came by TLS, which it has not"
        ),
        "give the load balancer hosts and certificates in tls, or the port another appProtocol",
    ))
}
