//! EC2: finds the network that a Platform uses.
//!
//! A crate of its own because the EC2 SDK alone takes more memory and time to compile than all other SDKs together: only the
//! binary depends on it. It reads and changes nothing.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Filter, Subnet, Vpc};
use shopkeeper_aws::{Account, error::classify};
use shopkeeper_plan::{
    aws::Tags,
    facts::{SubnetFacts, VpcFacts},
    failure::Failure,
};

/// Which VPCs or subnets are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Those with these ids.
    Ids(BTreeSet<String>),
    /// Those with all of these tags.
    Tags(Tags),
}

/// The network of one account and region.
#[derive(Clone, Debug)]
pub struct Network {
    client: aws_sdk_ec2::Client,
}

impl Network {
    /// The network of an account, with the same credentials, endpoint and record of calls as all else.
    #[must_use]
    pub fn new(account: &Account) -> Self {
        let configuration = aws_sdk_ec2::config::Builder::from(account.configuration())
            .interceptor(account.recorder())
            .build();
        Self {
            client: aws_sdk_ec2::Client::from_conf(configuration),
        }
    }

    /// The VPCs that match, in the order of their ids. Ids that no VPC has are left out.
    ///
    /// # Errors
    /// AWS's refusal.
    pub async fn find_vpcs(&self, selector: &Selector) -> Result<Vec<VpcFacts>, Failure> {
        let mut found = Vec::new();
        let call = self
            .client
            .describe_vpcs()
            .set_filters(Some(filters("vpc-id", selector)));
        let mut pages = call.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("DescribeVpcs", &error))?;
            found.extend(page.vpcs().iter().filter_map(vpc_facts));
        }
        found.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(found)
    }

    /// The subnets of a VPC that match, by zone and id.
    ///
    /// # Errors
    /// AWS's refusal; `Invalid` where one of the ids is not that of a subnet of the VPC, since whoever names ids means each of
    /// them.
    pub async fn find_subnets(
        &self,
        vpc_id: &str,
        selector: &Selector,
    ) -> Result<Vec<SubnetFacts>, Failure> {
        let mut found = Vec::new();
        let call = self
            .client
            .describe_subnets()
            .filters(filter("vpc-id", [vpc_id.to_owned()]));
        let call = filters("subnet-id", selector)
            .into_iter()
            .fold(call, |call, filter| call.filters(filter));
        let mut pages = call.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("DescribeSubnets", &error))?;
            found.extend(page.subnets().iter().filter_map(subnet_facts));
        }
        if let Selector::Ids(ids) = selector {
            let missing: Vec<_> = ids
                .iter()
                .filter(|id| found.iter().all(|subnet| subnet.id != **id))
                .map(String::as_str)
                .collect();
            if !missing.is_empty() {
                let problem = format!("{vpc_id} has no {}", missing.join(", "));
                return Err(Failure::invalid(
                    "subnets",
                    &problem,
                    "correct the ids, or the VPC",
                ));
            }
        }
        found.sort_by(|one, other| (&one.zone, &one.id).cmp(&(&other.zone, &other.id)));
        Ok(found)
    }
}

/// As filters, ids that nothing has are no error, in contrast to the parameters for ids.
fn filters(id_filter: &str, selector: &Selector) -> Vec<Filter> {
    match selector {
        Selector::Ids(ids) => vec![filter(id_filter, ids.iter().cloned())],
        Selector::Tags(tags) => tags
            .iter()
            .map(|(key, value)| filter(&format!("tag:{key}"), [literal(value)]))
            .collect(),
    }
}

fn filter(name: &str, values: impl IntoIterator<Item = String>) -> Filter {
    Filter::builder()
        .name(name)
        .set_values(Some(values.into_iter().collect()))
        .build()
}

/// A value that matches itself alone: EC2 takes `*` and `?` in the values of filters for wildcards.
fn literal(value: &str) -> String {
    value
        .chars()
        .fold(String::with_capacity(value.len()), |mut text, character| {
            if matches!(character, '*' | '?' | '\\') {
                text.push('\\');
            }
            text.push(character);
            text
        })
}

fn vpc_facts(vpc: &Vpc) -> Option<VpcFacts> {
    Some(VpcFacts {
        id: vpc.vpc_id()?.to_owned(),
        cidr: vpc.cidr_block()?.to_owned(),
    })
}

/// `None` for a subnet without an IPv4 block, in which nothing of ours can run.
fn subnet_facts(subnet: &Subnet) -> Option<SubnetFacts> {
    Some(SubnetFacts {
        id: subnet.subnet_id()?.to_owned(),
        zone: subnet.availability_zone()?.to_owned(),
        cidr: subnet.cidr_block()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_with_an_asterisk_is_no_wildcard() {
        assert_eq!(literal(r"shop-*?\"), r"shop-\*\?\\");
        assert_eq!(literal("octank"), "octank");
    }
}
