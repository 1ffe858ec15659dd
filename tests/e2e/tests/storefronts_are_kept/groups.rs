//! Storefronts of several namespaces behind one load balancer. The environment names load balancers as the AWS Load Balancer Controller
//! does: one for each group.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{PATIENCE, Shop, Subject, equals, includes, says};

/// Nothing else happens in these.
const NEAR: &str = "near-group";
const FAR: &str = "far-group";

/// One of those that share a load balancer.
pub fn member(name: &str) -> Subject {
    let namespace = if name == "two" { FAR } else { NEAR };
    Subject::new("Storefront", namespace, name)
}

fn specification(name: &str) -> Value {
    json!({
        "hosts": [format!("{name}.group.example")],
        "loadBalancerGroups": {"public": "shops"},
        "frontends": [{
            "name": "web",
            "workload": {
                "image": "registry.example/web:1",
                "ports": [{"name": "http", "containerPort": 8080}],
            },
            "nodes": {"type": "None"},
        }],
        "routes": [{"path": "/", "frontend": "web"}],
    })
}

pub async fn share_a_load_balancer(shop: &Shop) -> Result<()> {
    shop.namespace(NEAR).await?;
    shop.namespace(FAR).await?;
    let (one, two) = (member("one"), member("two"));
    for subject in [&one, &two] {
        let specification = specification(&subject.name);
        shop.apply_specification(subject, &specification).await?;
        shop.until_ready(subject).await?;
    }
    let shared = address(shop, &one).await?;
    ensure!(shared.starts_with("k8s-shops-"), "it is {shared}");
    equals("the address of both", &address(shop, &two).await?, &shared)?;
    // The controller refuses members with different values of a tag.
    let tags = annotation(shop, &one, "tags").await?;
    ensure!(!tags.to_string().contains("owner"), "it is tagged {tags}");
    equals("the tags", &annotation(shop, &two, "tags").await?, &tags)?;

    what_only_one_says_is_told(shop, &one, &two).await?;
    a_newcomer_stops_nobody(shop, &one).await?;
    out_of_the_group_is_an_interruption(shop, &two, &shared).await
}

/// An edit of the one waits for the edit of the other, and both are as before meanwhile.
async fn what_only_one_says_is_told(shop: &Shop, one: &Subject, two: &Subject) -> Result<()> {
    let slower = json!({"spec": {"loadBalancer": {"idleTimeoutSeconds": 120}}});
    shop.merge(two, slower.clone()).await?;
    let message = shop
        .until_condition(two, "EdgeReady", "False", "Failed")
        .await?;
    says(
        &message,
        &[
            "spec.loadBalancer.idleTimeoutSeconds: makes it 120",
            "Storefront near-group/one",
            "group shops, has 60",
        ],
    )?;
    let seconds = async |subject: &Subject| -> Result<bool> {
        let attributes = annotation(shop, subject, "load-balancer-attributes").await?;
        Ok(attributes.to_string().contains("timeout_seconds=120"))
    };
    ensure!(!seconds(two).await?, "the controller was told all the same");
    shop.merge(one, slower).await?;
    for subject in [one, two] {
        shop.until_ready(subject).await?;
        ensure!(seconds(subject).await?, "{subject} is as it was");
    }
    let order = json!({"spec": {"loadBalancerGroups": {"order": 7}}});
    shop.merge(two, order).await?;
    shop.until_ready(two).await?;
    equals(
        "its place",
        annotation(shop, two, "group.order").await?,
        json!("7"),
    )
}

/// It makes everything but the Ingress, and goes on by itself once it says the same.
async fn a_newcomer_stops_nobody(shop: &Shop, one: &Subject) -> Result<()> {
    let three = member("three");
    let mut specification = specification("three");
    specification["loadBalancer"] = json!({"idleTimeoutSeconds": 120});
    specification["tls"] = json!({"type": "None"});
    shop.apply_specification(&three, &specification).await?;
    let message = shop
        .until_condition(&three, "EdgeReady", "False", "Failed")
        .await?;
    ensure!(
        message.contains("spec.tls.type: makes it plain HTTP"),
        "{message}"
    );
    shop.until("its pods are made", PATIENCE, async || {
        shop.get("Deployment", NEAR, "three-web").await.map(drop)
    })
    .await?;
    let ingress = Subject::new("Ingress", NEAR, "three");
    ensure!(shop.find(&ingress).await?.is_none(), "it joined the group");
    shop.request_pass(one, "2026-11-24T15:00:00Z").await?;
    shop.until_ready(one).await?;
    shop.merge(&three, json!({"spec": {"tls": null}})).await?;
    shop.until_ready(&three).await?;
    // In its group of internal ones nobody can be that is public.
    let both = json!({"spec": {"loadBalancerGroups": {"public": null, "internal": "shops"}, "frontends": [{
        "name": "web", "exposure": "Internal", "hosts": ["three.group.example"], "nodes": {"type": "None"},
        "workload": {"image": "registry.example/web:1", "ports": [{"name": "http", "containerPort": 8080}]},
    }], "routes": null}});
    shop.merge(&three, both).await?;
    let message = shop
        .until_condition(&three, "EdgeReady", "False", "Failed")
        .await?;
    ensure!(
        message.contains("spec.loadBalancerGroups.internal: makes it internal"),
        "{message}"
    );
    let staff = json!({"spec": {"loadBalancerGroups": {"internal": "staff"}}});
    shop.merge(&three, staff).await?;
    shop.until_ready(&three).await?;
    let found = shop.get("Ingress", NEAR, "three-web").await?;
    includes(
        "the internal load balancer",
        &found["metadata"]["annotations"],
        &json!({"alb.ingress.kubernetes.io/group.name": "staff", "alb.ingress.kubernetes.io/scheme": "internal"}),
    )
}

async fn out_of_the_group_is_an_interruption(
    shop: &Shop,
    two: &Subject,
    shared: &str,
) -> Result<()> {
    shop.merge(two, json!({"spec": {"loadBalancerGroups": null}}))
        .await?;
    shop.until_condition(two, "Ready", "False", "ApprovalRequired")
        .await?;
    let plan = shop.plan_of(two).await?;
    includes(
        "what waits",
        &plan["steps"],
        &json!([{"kind": "Ingress", "name": "two", "effect": "Downtime"}]),
    )?;
    let change = plan["steps"][0]["change"].to_string();
    ensure!(change.contains("group.name]"), "{change}");
    equals("the address", address(shop, two).await?.as_str(), shared)?;
    shop.approve(two).await?;
    shop.until_ready(two).await?;
    shop.until("it has a load balancer of its own", PATIENCE, async || {
        let own = address(shop, two).await?;
        ensure!(own.starts_with("k8s-fargroup-two-"), "it is {own}");
        Ok(())
    })
    .await?;
    let tags = annotation(shop, two, "tags").await?;
    ensure!(
        tags.to_string()
            .contains("shopkeeper.dev/owner=Storefront/far-group/two"),
        "it is tagged {tags}"
    );
    Ok(())
}

async fn annotation(shop: &Shop, subject: &Subject, name: &str) -> Result<Value> {
    let ingress = shop
        .get("Ingress", &subject.namespace, &subject.name)
        .await?;
    let annotations = &ingress["metadata"]["annotations"];
    Ok(annotations[format!("alb.ingress.kubernetes.io/{name}")].clone())
}

/// Where the load balancer of the routes is.
async fn address(shop: &Shop, subject: &Subject) -> Result<String> {
    let ingress = shop
        .get("Ingress", &subject.namespace, &subject.name)
        .await?;
    let address = &ingress["status"]["loadBalancer"]["ingress"][0]["hostname"];
    Ok(address.as_str().unwrap_or_default().to_owned())
}
