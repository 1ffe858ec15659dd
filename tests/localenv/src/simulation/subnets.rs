//! The availability zones of subnets.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::REGION;

/// Looks up zones, and remembers them: a subnet never moves.
///
/// This is one call of EC2's API in its query protocol, done by hand: the SDK's crate for EC2 takes minutes and 7 GB of
/// memory to compile.
pub(super) struct SubnetZones {
    endpoint: String,
    client: Client<HttpConnector, Full<Bytes>>,
    known: HashMap<String, String>,
}

impl SubnetZones {
    pub(super) fn new(endpoint: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            endpoint: endpoint.into(),
            client,
            known: HashMap::new(),
        }
    }

    /// The zones of these subnets, in their order and each once; the region's first three where EC2 does not know them.
    pub(super) async fn of(&mut self, subnets: &[String]) -> Vec<String> {
        if subnets
            .iter()
            .any(|subnet| !self.known.contains_key(subnet))
        {
            match self.describe().await {
                Ok(found) => self.known.extend(found),
                Err(problem) => {
                    tracing::debug!(problem = format!("{problem:#}"), "cannot describe subnets")
                }
            }
        }
        let mut zones: Vec<String> = Vec::new();
        for zone in subnets.iter().filter_map(|subnet| self.known.get(subnet)) {
            if !zones.contains(zone) {
                zones.push(zone.clone());
            }
        }
        if zones.is_empty() {
            default_zones()
        } else {
            zones
        }
    }

    async fn describe(&self) -> Result<Vec<(String, String)>> {
        // The double, like moto, reads the service and the region out of the signature and does not verify it.
        let scope = format!("test/20260101/{REGION}/ec2/aws4_request");
        let request = http::Request::post(&self.endpoint)
            .header(
                http::header::CONTENT_TYPE,
                "application/x-www-form-urlencoded",
            )
            .header(http::header::USER_AGENT, super::USER_AGENT)
            .header(
                http::header::AUTHORIZATION,
                format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
            )
            .body(Full::new(Bytes::from_static(
                b"Action=DescribeSubnets&Version=2016-11-15",
            )))?;
        let response = self
            .client
            .request(request)
            .await
            .context("EC2 does not answer")?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        if !status.is_success() {
            bail!("EC2 answered {status}: {text}");
        }
        Ok(subnets_in(&text))
    }
}

/// The zones that a cluster's own nodes are spread over.
pub(super) fn default_zones() -> Vec<String> {
    ["a", "b", "c"]
        .map(|zone| format!("{REGION}{zone}"))
        .to_vec()
}

/// Subnet and zone of each item of a DescribeSubnets answer.
fn subnets_in(answer: &str) -> Vec<(String, String)> {
    // Both elements occur once in each item, in either order.
    let ids = elements(answer, "subnetId");
    let zones = elements(answer, "availabilityZone");
    ids.into_iter().zip(zones).collect()
}

fn elements(text: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    text.split(&open)
        .skip(1)
        .filter_map(|rest| rest.split_once(&close))
        .map(|(value, _)| value.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_ec2_is_read() {
        let answer = "<DescribeSubnetsResponse><subnetSet>\
            <item><subnetId>subnet-1</subnetId><availabilityZone>eu-west-1b</availabilityZone>\
            <availabilityZoneId>euw1-az2</availabilityZoneId></item>\
            <item><subnetId>subnet-2</subnetId><availabilityZone>eu-west-1a</availabilityZone></item>\
            </subnetSet></DescribeSubnetsResponse>";
        let pairs = [("subnet-1", "eu-west-1b"), ("subnet-2", "eu-west-1a")];
        assert_eq!(
            subnets_in(answer),
            pairs.map(|(id, zone)| (id.to_owned(), zone.to_owned()))
        );
    }
}
