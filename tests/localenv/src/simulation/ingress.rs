//! Gives an Ingress the host name of a load balancer, as the AWS Load Balancer Controller does.

use std::pin::pin;

use anyhow::{Context, Result};
use futures::StreamExt as _;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use super::nodes::hexadecimal;
use crate::REGION;

/// The class of an Ingress that becomes an Application Load Balancer.
const CLASS: &str = "alb";

/// Ingresses that share a group share one load balancer.
const GROUP_ANNOTATION: &str = "alb.ingress.kubernetes.io/group.name";

/// The class that the controller's chart installs.
pub(crate) async fn create_ingress_class(client: &Client) -> Result<()> {
    let class: IngressClass = serde_json::from_value(json!({
        "metadata": {"name": CLASS},
        "spec": {"controller": "ingress.k8s.aws/alb"},
    }))?;
    let classes: Api<IngressClass> = Api::all(client.clone());
    classes
        .create(&PostParams::default(), &class)
        .await
        .context("cannot create the ingress class")?;
    Ok(())
}

/// Runs until it is dropped.
pub(super) async fn run(client: Client) {
    let ingresses = watcher(
        Api::<Ingress>::all(client.clone()),
        watcher::Config::default(),
    );
    let mut ingresses = pin!(ingresses.default_backoff().applied_objects());
    while let Some(event) = ingresses.next().await {
        let result = match event {
            Ok(ingress) => publish(&client, &ingress).await,
            Err(problem) => Err(problem.into()),
        };
        if let Err(problem) = result {
            tracing::debug!(
                problem = format!("{problem:#}"),
                "an ingress has no host name yet"
            );
        }
    }
}

async fn publish(client: &Client, ingress: &Ingress) -> Result<()> {
    let class = ingress
        .spec
        .as_ref()
        .and_then(|spec| spec.ingress_class_name.as_deref());
    if class != Some(CLASS) || ingress.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let wanted = host_name(ingress);
    let balancers = ingress
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref());
    let mut published = balancers
        .and_then(|status| status.ingress.as_ref())
        .into_iter()
        .flatten();
    if published.any(|entry| entry.hostname.as_deref() == Some(&wanted)) {
        return Ok(());
    }
    let status = json!({"status": {"loadBalancer": {"ingress": [{"hostname": wanted}]}}});
    let api: Api<Ingress> =
        Api::namespaced(client.clone(), &ingress.namespace().unwrap_or_default());
    api.patch_status(
        &ingress.name_any(),
        &PatchParams::default(),
        &Patch::Merge(status),
    )
    .await?;
    Ok(())
}

/// `k8s-<group>-<hash>`, or `k8s-<namespace>-<name>-<hash>` with both cut to eight characters, as the controller
/// names its load balancers.
fn host_name(ingress: &Ingress) -> String {
    let cut = |text: &str| {
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .take(8)
            .collect::<String>()
    };
    let (name, hashed) = match ingress.annotations().get(GROUP_ANNOTATION) {
        Some(group) => (
            group
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .take(17)
                .collect(),
            group.clone(),
        ),
        None => {
            let (namespace, name) = (ingress.namespace().unwrap_or_default(), ingress.name_any());
            (
                format!("{}-{}", cut(&namespace), cut(&name)),
                format!("{namespace}/{name}"),
            )
        }
    };
    // AWS appends a number of its own to the name of each load balancer.
    let number: u64 = hexadecimal(&format!("{hashed} number"), 7)
        .chars()
        .fold(0, |sum, digit| {
            sum * 16 + u64::from(digit.to_digit(16).unwrap_or(0))
        });
    format!(
        "k8s-{name}-{}-{number}.{REGION}.elb.amazonaws.com",
        hexadecimal(&hashed, 10)
    )
}
