//! How load balancers see whether a pod is well: by its readiness probe, as far as they can ask the same.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use shopkeeper_api::{
    defaults,
    exposures::TrafficSource,
    pod::{HttpProbe, Probe, ProbeScheme},
    workload::Workload,
};

use super::{ResolvedExposure, ResolvedService, Way, component::Place};
use crate::blueprint::{Remark, Section};

/// What a load balancer asks of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The path.
    pub path: String,
    /// The probe that the path is taken from. Where there is none it is asked for at the port that requests go to.
    pub probe: Option<HealthProbe>,
}

/// The readiness probe of a pod, where that is of HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthProbe {
    /// Number of its port in the container.
    pub port: i32,
    /// Whether requests go to some other port.
    pub beside_traffic: bool,
    /// Whether it is asked with TLS.
    pub tls: bool,
    /// Whether it is asked with headers, which no load balancer sends.
    pub has_headers: bool,
}

impl HealthCheck {
    /// The probe as the load balancer of a Service asks it, where it has a Network Load Balancer. Without its headers the probe may be
    /// answered otherwise.
    pub(crate) fn asked_through(&self, service: &ResolvedService) -> Option<&HealthProbe> {
        let load_balancer = service.load_balancer.as_ref()?;
        let probe = self.probe.as_ref();
        probe.filter(|probe| load_balancer.is_of_aws() && !probe.has_headers)
    }
}

fn readiness(workload: &Workload) -> Option<&Probe> {
    workload.probes.as_ref()?.readiness.as_ref()
}

/// A path that is declared stands for itself: where it is not that of the probe, nothing of the probe holds for it.
pub(super) fn health_check(workload: &Workload, declared: Option<&str>) -> HealthCheck {
    let http = readiness(workload).and_then(|probe| probe.http_get.as_ref());
    match (declared, http) {
        (None, Some(http)) => HealthCheck {
            path: path(http).to_owned(),
            probe: health_probe(workload, http),
        },
        (declared, _) => HealthCheck {
            path: declared.unwrap_or(defaults::HEALTH_PATH).to_owned(),
            probe: None,
        },
    }
}

fn path(http: &HttpProbe) -> &str {
    http.path.as_deref().unwrap_or(defaults::HEALTH_PATH)
}

fn health_probe(workload: &Workload, http: &HttpProbe) -> Option<HealthProbe> {
    let mut ports = workload.ports.iter();
    let port = match &http.port {
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(name)) => ports.find(|port| port.name == *name)?.container_port,
        None => ports.next()?.container_port,
    };
    let mut ports = workload.ports.iter();
    Some(HealthProbe {
        port,
        beside_traffic: ports.any(|other| other.container_port != port),
        tls: http.scheme == Some(ProbeScheme::HTTPS),
        has_headers: !http.http_headers.is_empty(),
    })
}

/// A pod that is ready and that load balancers take for ill gets no request through them, and nothing in the cluster shows it.
pub(super) fn remark(
    place: &Place<'_>,
    workload: &Workload,
    exposures: &[ResolvedExposure],
) -> Option<Remark> {
    let probe = readiness(workload).filter(|probe| probe.http_get.is_none())?;
    let is_exposed = || {
        exposures
            .iter()
            .any(|exposure| matches!(&exposure.way, Way::Route(route) if route.is_of_aws()))
    };
    let is_routed = || {
        let mut sources = place.routed_from.iter();
        sources.any(|source| *source != TrafficSource::Callers)
    };
    if place.health_path.is_some() || !(is_routed() || is_exposed()) {
        return None;
    }
    let way = match (&probe.grpc, &probe.tcp_socket) {
        (Some(_), _) => "grpc",
        (None, Some(_)) => "tcpSocket",
        (None, None) => "exec",
    };
    let or = if place.role.is_empty() {
        String::new()
    } else {
        format!(", or set {}.healthPath", place.field)
    };
    Some(Remark {
        section: Section::Workload,
        reason: "HealthPathNotDeclared",
        text: format!(
            "{}.workload.probes.readiness asks by {way}, and load balancers ask for {} by HTTP and send nothing to pods that do not answer \
             200: ask by httpGet{or}",
            place.field,
            defaults::HEALTH_PATH
        ),
    })
}
