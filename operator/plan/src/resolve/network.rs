//! The place of pods in the network.

use std::collections::{BTreeMap, BTreeSet};

use core::net::IpAddr;

use shopkeeper_api::{
    network::{Network, ServiceLoadBalancer, ServiceSettings, ServiceType},
    storefront::Exposure,
    workload::Workload,
};

use super::{Context, Referred, component::Place};
use crate::{
    facts::VpcFacts,
    failure::{Class, Failure},
};

/// The class of the AWS Load Balancer Controller.
const CONTROLLER_CLASS: &str = "service.k8s.aws/nlb";
/// The classes that the annotations of the AWS Load Balancer Controller mean something to: EKS Auto Mode reads the same.
const NETWORK_LOAD_BALANCERS: [&str; 2] = [CONTROLLER_CLASS, "eks.amazonaws.com/nlb"];

/// The Service in front of pods, defaults applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedService {
    /// Its type.
    pub type_: ServiceType,
    /// Annotations of the user.
    pub annotations: BTreeMap<String, String>,
    /// Ports at the nodes, by the name of the port.
    pub node_ports: BTreeMap<String, i32>,
    /// The load balancer.
    pub load_balancer: Option<ResolvedServiceLoadBalancer>,
}

/// The load balancer of a Service, defaults applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedServiceLoadBalancer {
    /// Who reaches it.
    pub exposure: Exposure,
    /// Who makes it.
    pub class: String,
    /// Networks that may connect; empty for all.
    pub source_ranges: Vec<String>,
    /// Attributes by AWS's names.
    pub attributes: BTreeMap<String, String>,
}

impl ResolvedServiceLoadBalancer {
    /// Whether it is a Network Load Balancer of AWS, made by somebody who reads the controller's annotations.
    #[must_use]
    pub fn is_of_aws(&self) -> bool {
        NETWORK_LOAD_BALANCERS.contains(&self.class.as_str())
    }
}

impl ResolvedService {
    /// From where packets of UDP come through a Network Load Balancer, where there is one: it hands them on with the addresses of those
    /// who sent them, and with pods as its targets nothing turns that off.
    #[must_use]
    pub fn senders(&self, vpc: &VpcFacts) -> Vec<String> {
        let load_balancer = self.load_balancer.as_ref();
        let Some(load_balancer) = load_balancer.filter(|found| found.is_of_aws()) else {
            return Vec::new();
        };
        let ranges = &load_balancer.source_ranges;
        match load_balancer.exposure {
            _ if !ranges.is_empty() => ranges
                .iter()
                .filter_map(|range| network_of(range))
                .collect(),
            Exposure::Public => ["0.0.0.0/0", "::/0"].map(str::to_owned).to_vec(),
            Exposure::Internal => vec![vpc.cidr.clone()],
        }
    }

    /// From which subnets packets come that entered outside of the cluster: a load balancer has its addresses there, and a node hands
    /// on with its own.
    #[must_use]
    pub fn entered_from(&self) -> Option<Exposure> {
        match (self.type_, &self.load_balancer) {
            (ServiceType::ClusterIP, _) => None,
            (ServiceType::LoadBalancer, Some(load_balancer)) => Some(load_balancer.exposure),
            _ => Some(Exposure::Internal),
        }
    }
}

pub(super) fn service(
    context: Context<'_>,
    place: &Place<'_>,
    workload: &Workload,
    declared: Option<&Network>,
) -> Result<ResolvedService, Failure> {
    let Some(settings) = declared.and_then(|network| network.service.as_ref()) else {
        return Ok(ResolvedService {
            type_: ServiceType::ClusterIP,
            annotations: BTreeMap::new(),
            node_ports: BTreeMap::new(),
            load_balancer: None,
        });
    };
    let ports: Vec<&str> = workload
        .ports
        .iter()
        .map(|port| port.name.as_str())
        .collect();
    let field = format!("{}.network.service", place.field);
    self::settings(context, place, &field, &ports, settings)
}

/// The settings of a Service that publishes these ports, at a path of the specification.
pub(super) fn settings(
    context: Context<'_>,
    place: &Place<'_>,
    field: &str,
    ports: &[&str],
    settings: &ServiceSettings,
) -> Result<ResolvedService, Failure> {
    if settings.type_ != ServiceType::ClusterIP && ports.is_empty() {
        return Err(Failure::invalid(
            field,
            "there is no port to publish",
            &format!("add one to {}.workload.ports", place.field),
        ));
    }
    for name in settings.node_ports.keys() {
        if !ports.contains(&name.as_str()) {
            return Err(Failure::invalid(
                &format!("{field}.nodePorts.{name}"),
                "names no port that is published",
                &format!("use a name of {}.workload.ports", place.field),
            ));
        }
    }
    let load_balancer = (settings.type_ == ServiceType::LoadBalancer)
        .then(|| load_balancer(settings.load_balancer.as_ref()));
    if let Some(load_balancer) = &load_balancer
        && load_balancer.exposure == Exposure::Public
        && load_balancer.is_of_aws()
        && context.platform.public_subnets.is_empty()
    {
        return Err(Failure::invalid(
            &format!("{field}.loadBalancer.exposure"),
            &format!("Platform {} has no public subnets", context.platform.name),
            "name them in the Platform's spec.network.existing.publicSubnets, or choose Internal",
        ));
    }
    Ok(ResolvedService {
        type_: settings.type_,
        annotations: settings.annotations.clone(),
        node_ports: settings.node_ports.clone(),
        load_balancer,
    })
}

fn load_balancer(declared: Option<&ServiceLoadBalancer>) -> ResolvedServiceLoadBalancer {
    let nothing = ServiceLoadBalancer::default();
    let declared = declared.unwrap_or(&nothing);
    ResolvedServiceLoadBalancer {
        exposure: declared.exposure.unwrap_or(Exposure::Internal),
        class: declared
            .class
            .clone()
            .unwrap_or_else(|| CONTROLLER_CLASS.to_owned()),
        source_ranges: declared.source_ranges.clone(),
        attributes: declared.attributes.clone(),
    }
}

/// The security groups of the pods, in order; empty for those of their node.
pub(super) fn security_groups(
    context: Context<'_>,
    place: &Place<'_>,
    declared: Option<&Network>,
) -> Referred<BTreeSet<String>> {
    let groups: BTreeSet<String> = declared
        .map(|network| network.security_group_ids.iter().cloned().collect())
        .unwrap_or_default();
    // Pods without the groups that they are meant to have may reach, and be reached by, whatever their node may.
    if !groups.is_empty() && !context.references.security_group_policies {
        return Err(Failure::new(
            Class::NotReady,
            format!(
                "{}.network.securityGroupIds: the cluster has no kind SecurityGroupPolicy (vpcresources.k8s.aws/v1beta1)",
                place.field
            ),
        )
        .with_remedy(
            "use an EKS cluster with its VPC resource controller, whose definition that is, or leave securityGroupIds out",
        ));
    }
    Ok(groups)
}

/// The network that a range of addresses is in, without bits beyond the length of its prefix.
pub(crate) fn network_of(range: &str) -> Option<String> {
    let (address, length) = range.split_once('/')?;
    let length: u32 = length.parse().ok()?;
    let network = match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(length)?);
            IpAddr::from((address.to_bits() & mask.unwrap_or(0)).to_be_bytes())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.checked_sub(length)?);
            IpAddr::from((address.to_bits() & mask.unwrap_or(0)).to_be_bytes())
        }
    };
    Some(format!("{network}/{length}"))
}

/// Whether all bits beyond the length of the prefix are zero. That it is a network at all was checked at admission.
pub(super) fn is_network(cidr: &str) -> bool {
    let Some((address, length)) = cidr.split_once('/') else {
        return false;
    };
    let (bits, width) = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => (u128::from(address.to_bits()) << 96, 32),
        Ok(IpAddr::V6(address)) => (address.to_bits(), 128),
        Err(_) => return false,
    };
    match length.parse::<u32>() {
        Ok(length) if length <= width => bits.checked_shl(length).unwrap_or(0) == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_in_a_network() {
        for (range, network) in [
            ("10.20.3.4/16", "10.20.0.0/16"),
            ("10.20.3.4/32", "10.20.3.4/32"),
            ("10.20.3.4/0", "0.0.0.0/0"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::1/0", "::/0"),
        ] {
            assert_eq!(network_of(range).as_deref(), Some(network));
        }
        assert_eq!(network_of("10.0.0.0/33"), None);
    }

    #[test]
    fn a_network_has_no_bits_beyond_its_prefix() {
        for network in [
            "10.20.0.0/16",
            "10.20.0.1/32",
            "0.0.0.0/0",
            "2001:db8::/32",
            "::/0",
            "::1/128",
        ] {
            assert!(is_network(network), "{network}");
        }
        for other in [
            "10.20.0.1/16",
            "10.20.1.0/16",
            "0.0.0.1/0",
            "2001:db8::1/32",
            "10.0.0.0/33",
            "10.0.0.0",
        ] {
            assert!(!is_network(other), "{other}");
        }
    }
}
