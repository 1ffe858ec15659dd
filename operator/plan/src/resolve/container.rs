//! What a container may ask for, where the API server would only refuse the Deployment in its own words.

use std::collections::BTreeSet;

use serde_json::Value;
use shopkeeper_api::{pod::Resources, workload::Workload};

use crate::{difference::quantity, failure::Failure};

/// The resources that Kubernetes itself knows; others are named with their domain, as `nvidia.com/gpu`.
const KNOWN: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const HUGE_PAGES: &str = "hugepages-";

/// Checks ports and resources of a workload at a path of the specification.
///
/// # Errors
/// `Invalid` with the field and the remedy.
pub(super) fn check(field: &str, workload: &Workload) -> Result<(), Failure> {
    ports(field, workload)?;
    probed_ports(field, workload)?;
    if let Some(declared) = &workload.resources {
        resources(&format!("{field}.resources"), declared)?;
    }
    for container in &workload.init_containers {
        if let Some(declared) = &container.resources {
            let field = format!("{field}.initContainers[{}].resources", container.name);
            resources(&field, declared)?;
        }
    }
    Ok(())
}

fn ports(field: &str, workload: &Workload) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    let mut published = BTreeSet::new();
    for port in &workload.ports {
        let is_udp = port.is_udp();
        if !seen.insert((port.container_port, is_udp)) {
            return Err(Failure::invalid(
                &format!("{field}.ports[{}].containerPort", port.name),
                &format!(
                    "{} is the port of another member with the same protocol",
                    port.container_port
                ),
                "leave one of them out, or let the container listen on another port",
            ));
        }
        if !published.insert((port.effective_service_port(), is_udp)) {
            return Err(Failure::invalid(
                &format!("{field}.ports[{}].servicePort", port.name),
                &format!(
                    "{} is the port of another member on the Service, with the same protocol",
                    port.effective_service_port()
                ),
                "give one of them another servicePort",
            ));
        }
    }
    Ok(())
}

/// A probe of a port that nobody named would fail for ever, and the pods would never be ready.
fn probed_ports(field: &str, workload: &Workload) -> Result<(), Failure> {
    let Some(probes) = &workload.probes else {
        return Ok(());
    };
    for (name, probe) in [
        ("startup", &probes.startup),
        ("readiness", &probes.readiness),
        ("liveness", &probes.liveness),
    ] {
        let Some(named) = probe.as_ref().and_then(|probe| probe.port_name()) else {
            continue;
        };
        if workload.ports.iter().all(|port| port.name != named) {
            return Err(Failure::invalid(
                &format!("{field}.probes.{name}"),
                &format!("asks at the port {named}, which is no member of {field}.ports"),
                "name one of the ports, or write its number",
            ));
        }
    }
    Ok(())
}

fn resources(field: &str, declared: &Resources) -> Result<(), Failure> {
    for (member, amounts) in [
        ("requests", &declared.requests),
        ("limits", &declared.limits),
    ] {
        for name in amounts.keys() {
            if !KNOWN.contains(&name.as_str())
                && !name.starts_with(HUGE_PAGES)
                && !name.contains('/')
            {
                return Err(Failure::invalid(
                    &format!("{field}.{member}.{name}"),
                    "is no resource of a container",
                    &format!(
                        "name one of {}, {HUGE_PAGES}<size>, or an extended resource with its domain",
                        KNOWN.join(", ")
                    ),
                ));
            }
        }
    }
    for (name, request) in &declared.requests {
        let Some(limit) = declared.limits.get(name) else {
            continue;
        };
        let amount = |text: &str| quantity(&Value::from(text));
        if amount(&request.0) > amount(&limit.0) && amount(&limit.0).is_some() {
            return Err(Failure::invalid(
                &format!("{field}.requests.{name}"),
                &format!("{} is more than the limit of {}", request.0, limit.0),
                "raise the limit, or ask for less",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(workload: Value) -> Option<String> {
        let mut whole = json!({"image": "registry.example/orders:1"});
        whole.as_object_mut()?.extend(workload.as_object()?.clone());
        let workload: Workload = serde_json::from_value(whole).unwrap();
        check("spec.workload", &workload)
            .err()
            .map(|failure| failure.describe())
    }

    #[test]
    fn what_no_container_can_have_is_told_with_its_field() {
        let port = |name: &str, protocol: &str| json!({"name": name, "containerPort": 80, "protocol": protocol});
        for (workload, part) in [
            (
                json!({"ports": [port("http", "TCP")], "probes": {"readiness": {"httpGet": {"port": "admin"}}}}),
                "spec.workload.probes.readiness: asks at the port admin, which is no member of spec.workload.ports. To do: ",
            ),
            (
                json!({"ports": [port("a", "TCP"), {"name": "b", "containerPort": 80}]}),
                "spec.workload.ports[b].containerPort: 80 is the port of another member",
            ),
            (
                json!({"ports": [{"name": "http", "containerPort": 8080}, {"name": "b", "containerPort": 80}]}),
                "spec.workload.ports[b].servicePort: 80 is the port of another member on the Service",
            ),
            (
                json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}}),
                "spec.workload.resources.requests.cpu: 2 is more than the limit of 1500m",
            ),
            (
                json!({"resources": {"limits": {"banana": "1"}}}),
                "spec.workload.resources.limits.banana: is no resource of a container",
            ),
            (
                json!({"initContainers": [{"name": "i", "image": "registry.example/i:1", "resources":
                    {"requests": {"memory": "1Gi"}, "limits": {"memory": "1000Mi"}}}]}),
                "spec.workload.initContainers[i].resources.requests.memory: 1Gi is more",
            ),
        ] {
            let said = said(workload).unwrap_or_default();
            assert!(
                said.contains(part) && said.contains("To do: "),
                "{part}: {said}"
            );
        }
        for workload in [
            json!({"ports": [port("a", "TCP"), port("b", "UDP")]}),
            json!({"resources": {"requests": {"cpu": "1500m", "nvidia.com/gpu": "1"}, "limits": {"cpu": "1.5", "nvidia.com/gpu": "1"}}}),
            json!({"resources": {"limits": {"hugepages-2Mi": "2Mi"}}}),
        ] {
            assert_eq!(said(workload), None);
        }
    }
}
