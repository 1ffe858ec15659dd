//! Where other services are.

use shopkeeper_api::{Tier, workload::Workload};

use super::{
    Context, Referred, ServiceFacts, ServiceKey, ServicePort,
    component::{Place, templates},
};
use crate::{
    failure::{Class, Failure},
    outputs::{Output, Outputs},
};

/// A variable that says where another service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedEndpoint {
    /// Name of the variable.
    pub name: String,
    /// Its value.
    pub value: Referred<String>,
}

/// The ports of a service as others see them.
#[must_use]
pub fn service_ports(workload: &Workload) -> Vec<ServicePort> {
    workload
        .ports
        .iter()
        .map(|port| ServicePort {
            name: port.name.clone(),
            number: port.effective_service_port(),
            tls: port.name == "https" || port.app_protocol.as_deref() == Some("https"),
        })
        .collect()
}

/// Finds a referenced service's port.
pub(super) fn find_port<'a>(
    context: Context<'a>,
    key: &ServiceKey,
    field: &str,
    port: Option<&str>,
) -> Result<&'a ServicePort, Failure> {
    let service = context.references.services.get(key).ok_or_else(|| {
        Failure::new(
            Class::NotReady,
            format!("{field} names {key}, which does not exist"),
        )
        .with_remedy("create it, or correct the name")
    })?;
    check_name(key, service, field)?;
    if service.is_going {
        return Err(Failure::new(
            Class::NotReady,
            format!("{field} names {key}, which is being deleted"),
        )
        .with_remedy("take it out here, or create the other one again"));
    }
    let found = match port {
        Some(name) => service.ports.iter().find(|port| port.name == name),
        None => service.ports.first(),
    };
    found.ok_or_else(|| match port {
        Some(name) => Failure::invalid(
            &format!("{field}.port"),
            &format!("{key} has no port {name}"),
            "name one of its workload.ports",
        ),
        None => Failure::invalid(
            field,
            &format!("{key} has no ports"),
            "give it a port in workload.ports",
        ),
    })
}

/// Refuses a reference that means the pods of somebody else.
pub(super) fn check_name(
    key: &ServiceKey,
    service: &ServiceFacts,
    field: &str,
) -> Result<(), Failure> {
    let Some(other) = &service.name_taken_by else {
        return Ok(());
    };
    Err(Failure::new(
        Class::NotReady,
        format!("{field} names {key}, whose name belongs to {other}: the pods that go by it are not of that service"),
    )
    .with_remedy(format!(
        "see the condition Ready of {key}; give one of the two another name, or name {other} here if that is meant"
    )))
}

pub(super) fn endpoints(
    context: Context<'_>,
    place: &Place<'_>,
    tier: &Tier<'_>,
) -> Result<Vec<ResolvedEndpoint>, Failure> {
    let mut resolved = Vec::new();
    for endpoint in tier.endpoints {
        let field = format!("{}.endpoints[{}]", place.field, endpoint.service.name);
        let key = ServiceKey::of(&endpoint.service, &context.owner.namespace);
        let port = find_port(context, &key, &field, endpoint.port.as_deref());
        // Of a service that is not there the names of the outputs are known, and what else is wrong is told at once.
        let nobody = ServicePort {
            name: String::new(),
            number: 0,
            tls: false,
        };
        let outputs = endpoint_outputs(&key, port.as_ref().copied().unwrap_or(&nobody));
        for (name, template) in templates(&field, &endpoint.env)? {
            match template.render(&outputs) {
                Ok(Output::Plain(value)) => resolved.push(ResolvedEndpoint {
                    name,
                    value: port.as_ref().map(|_| value).map_err(Failure::clone),
                }),
                Ok(Output::Secret(_)) => {}
                Err(missing) => {
                    let missing: Vec<_> = missing.into_iter().collect();
                    let problem = format!("no endpoint has {}", missing.join(", "));
                    return Err(Failure::invalid(
                        &format!("{field}.env[{name}].template"),
                        &problem,
                        "use host, port, scheme, endpoint or url",
                    ));
                }
            }
        }
    }
    Ok(resolved)
}

fn endpoint_outputs(key: &ServiceKey, port: &ServicePort) -> Outputs {
    let host = format!("{}.{}.svc", key.name, key.namespace);
    let scheme = if port.tls { "https" } else { "http" };
    let default = if port.tls { 443 } else { 80 };
    let endpoint = format!("{host}:{}", port.number);
    let url = if port.number == default {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{endpoint}")
    };
    Outputs::new()
        .with("host", host)
        .with("port", port.number.to_string())
        .with("scheme", scheme)
        .with("endpoint", endpoint)
        .with("url", url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_leaves_out_the_port_that_its_scheme_implies() {
        let key = ServiceKey {
            kind: shopkeeper_api::reference::ServiceKind::OrderService,
            namespace: "shop".into(),
            name: "orders".into(),
        };
        let url = |number, tls| {
            endpoint_outputs(
                &key,
                &ServicePort {
                    name: "p".into(),
                    number,
                    tls,
                },
            )
            .plain("url")
            .unwrap()
            .to_owned()
        };
        assert_eq!(url(80, false), "http://orders.shop.svc");
        assert_eq!(url(8080, false), "http://orders.shop.svc:8080");
        assert_eq!(url(443, true), "https://orders.shop.svc");
    }
}
