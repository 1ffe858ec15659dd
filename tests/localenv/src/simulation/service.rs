//! Gives a Service the host name of a Network Load Balancer, as the AWS Load Balancer Controller does.

use std::pin::pin;

use anyhow::Result;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use super::nodes::hexadecimal;
use crate::REGION;

/// The class of a Service that becomes a Network Load Balancer.
const CLASS: &str = "service.k8s.aws/nlb";

/// Holds a Service until its load balancer is gone.
const FINALIZER: &str = "service.k8s.aws/resources";

/// Runs until it is dropped.
pub(super) async fn run(client: Client) {
    let services = watcher(
        Api::<Service>::all(client.clone()),
        watcher::Config::default(),
    );
    let mut services = pin!(services.default_backoff().applied_objects());
    while let Some(event) = services.next().await {
        let result = match event {
            Ok(service) => follow(&client, &service).await,
            Err(problem) => Err(problem.into()),
        };
        if let Err(problem) = result {
            tracing::debug!(
                problem = format!("{problem:#}"),
                "a service has no host name yet"
            );
        }
    }
}

async fn follow(client: &Client, service: &Service) -> Result<()> {
    let spec = service.spec.as_ref();
    let is_wanted = service.metadata.deletion_timestamp.is_none()
        && spec.and_then(|spec| spec.type_.as_deref()) == Some("LoadBalancer")
        && spec.and_then(|spec| spec.load_balancer_class.as_deref()) == Some(CLASS);
    let is_held = service.finalizers().iter().any(|name| name == FINALIZER);
    let api: Api<Service> =
        Api::namespaced(client.clone(), &service.namespace().unwrap_or_default());
    let (name, parameters) = (service.name_any(), PatchParams::default());
    if is_wanted != is_held {
        let mut finalizers = service.finalizers().to_vec();
        finalizers.retain(|name| name != FINALIZER);
        if is_wanted {
            finalizers.push(FINALIZER.to_owned());
        }
        let patch = json!({"metadata": {
            "finalizers": finalizers,
            "resourceVersion": service.resource_version(),
        }});
        api.patch(&name, &parameters, &Patch::Merge(patch)).await?;
        // The change is an event of its own.
        return Ok(());
    }
    let has_status = service
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref())
        .and_then(|status| status.ingress.as_ref())
        .is_some_and(|entries| !entries.is_empty());
    if is_wanted && !has_status {
        let status =
            json!({"status": {"loadBalancer": {"ingress": [{"hostname": host_name(service)}]}}});
        api.patch_status(&name, &parameters, &Patch::Merge(status))
            .await?;
    }
    Ok(())
}

/// `k8s-<namespace>-<name>-<hash>`, both cut to eight characters, and a number of AWS.
fn host_name(service: &Service) -> String {
    let (namespace, name) = (service.namespace().unwrap_or_default(), service.name_any());
    let cut = |text: &str| {
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .take(8)
            .collect::<String>()
    };
    let whole = format!("{namespace}/{name}");
    format!(
        "k8s-{}-{}-{}-{}.elb.{REGION}.amazonaws.com",
        cut(&namespace),
        cut(&name),
        hexadecimal(&whole, 10),
        hexadecimal(&format!("{whole} number"), 16)
    )
}
