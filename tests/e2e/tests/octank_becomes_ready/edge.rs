//! Load balancers, and who may call whom.

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{Shop, equals, includes};

use super::{NAMESPACE, seeded};

/// R6, R7, R19.
pub async fn the_back_office_is_internal(shop: &Shop) -> Result<()> {
    let annotation = |ingress: &Value, name: &str| {
        ingress["metadata"]["annotations"][format!("alb.ingress.kubernetes.io/{name}")].clone()
    };
    let subnets = |value: Value| {
        let mut ids: Vec<String> = value
            .as_str()
            .unwrap_or_default()
            .split(',')
            .map(str::to_owned)
            .collect();
        ids.sort();
        json!(ids)
    };
    let mut schemes = Vec::new();
    for ingress in shop.list("Ingress", NAMESPACE, "").await? {
        equals(
            "the ingress class",
            &ingress["spec"]["ingressClassName"],
            &json!("alb"),
        )?;
        ensure!(
            ingress
                .pointer("/status/loadBalancer/ingress/0/hostname")
                .is_some(),
            "the load balancer has no address"
        );
        let backends: Vec<(String, String)> = ingress["spec"]["rules"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|rule| rule["http"]["paths"].as_array().into_iter().flatten())
            .map(|path| {
                let get = |pointer: &str| {
                    path.pointer(pointer)
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .to_owned()
                };
                (get("/path"), get("/backend/service/name"))
            })
            .collect();
        let scheme = annotation(&ingress, "scheme")
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let leads_inside = backends
            .iter()
            .any(|(_, service)| service == "octank-back-office");
        match scheme.as_str() {
            "internet-facing" => {
                ensure!(!leads_inside, "the back office is on the internet");
                equals(
                    "the subnets of the public load balancer",
                    subnets(annotation(&ingress, "subnets")),
                    seeded(shop, "public_subnets")?,
                )?;
                let mut paths: Vec<(&str, &str)> = backends
                    .iter()
                    .map(|(path, service)| (path.as_str(), service.as_str()))
                    .collect();
                paths.sort_unstable();
                equals(
                    "the routes",
                    paths,
                    vec![
                        ("/", "octank-web"),
                        ("/get_item", "catalog"),
                        ("/orders", "orders"),
                    ],
                )?;
                equals(
                    "the host",
                    &ingress["spec"]["rules"][0]["host"],
                    &json!("www.octank.example"),
                )?;
                equals(
                    "plain HTTP",
                    annotation(&ingress, "ssl-redirect"),
                    json!("443"),
                )?;
            }
            "internal" => {
                ensure!(
                    leads_inside,
                    "the internal load balancer leads to {backends:?}"
                );
                equals(
                    "the subnets of the internal load balancer",
                    subnets(annotation(&ingress, "subnets")),
                    seeded(shop, "private_subnets")?,
                )?;
            }
            other => bail!("the scheme is {other}"),
        }
        equals(
            "the targets",
            annotation(&ingress, "target-type"),
            json!("ip"),
        )?;
        schemes.push(scheme);
    }
    schemes.sort();
    equals(
        "the load balancers",
        schemes,
        vec!["internal", "internet-facing"],
    )
}

pub async fn only_callers_may_call(shop: &Shop) -> Result<()> {
    let policy = shop.get("NetworkPolicy", NAMESPACE, "orders").await?;
    includes(
        "the policy",
        &policy["spec"],
        &json!({"policyTypes": ["Ingress"], "podSelector": {"matchLabels": {"app.kubernetes.io/name": "orders"}}}),
    )?;
    let text = policy["spec"]["ingress"].to_string();
    ensure!(
        text.contains("octank-web") || text.contains("\"web\""),
        "the web frontend may not call the orders: {text}"
    );
    ensure!(
        !text.contains("back-office"),
        "the back office may call the orders: {text}"
    );
    let back_office = shop
        .get("NetworkPolicy", NAMESPACE, "octank-back-office")
        .await?;
    ensure!(
        !back_office["spec"]["ingress"]
            .to_string()
            .contains("podSelector"),
        "pods may call the back office: {}",
        back_office["spec"]["ingress"]
    );
    Ok(())
}
