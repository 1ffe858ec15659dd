//! What there is in Kubernetes and in AWS once a shop runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use anyhow::Result;
use serde_json::Value;
use shopkeeper_localenv::{LocalEnvironment, REGION};
use shopkeeper_plan::kubernetes::KubernetesKind;

/// The label of every object that Shopkeeper makes.
const OURS: &str = "app.kubernetes.io/managed-by=shopkeeper";

/// One AWS resource: service and type, then name, then status.
type AwsEntry = (String, String, String);

/// Every object in Kubernetes that is Shopkeeper's, by kind, and the nodes.
pub(super) async fn kubernetes(environment: &LocalEnvironment) -> Result<String> {
    let served = environment
        .kubectl(&["api-resources", "--output", "name"])
        .await?;
    let served: BTreeSet<&str> = served.lines().map(str::trim).collect();
    let mut page = String::from("\nIn Kubernetes\n");
    for kind in KubernetesKind::ALL {
        let resource = resource(*kind);
        // A kind that others bring, such as ServiceMonitor, may not be there.
        if !served.contains(resource.as_str()) {
            continue;
        }
        let names = names(
            environment,
            &[&resource, "--all-namespaces", "--selector", OURS],
        )
        .await?;
        line(&mut page, kind.id(), &names)?;
    }
    let nodes = names(
        environment,
        &["nodes", "--selector", "eks.amazonaws.com/nodegroup"],
    )
    .await?;
    writeln!(page, "  {:30} {:>3}", "Node of a node group", nodes.len())?;
    Ok(page.trim_end().to_owned())
}

/// `deployments.apps`; `services` for the core group.
fn resource(kind: KubernetesKind) -> String {
    match kind.api_version().split_once('/') {
        Some((group, _)) => format!("{}.{group}", kind.plural()),
        None => kind.plural().to_owned(),
    }
}

async fn names(environment: &LocalEnvironment, what: &[&str]) -> Result<Vec<String>> {
    let mut arguments = vec!["get"];
    arguments.extend(what);
    arguments.extend([
        "--output",
        "jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}{end}",
    ]);
    let listed = environment.kubectl(&arguments).await?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// Everything in the account.
pub(super) async fn aws(environment: &LocalEnvironment) -> Result<BTreeSet<AwsEntry>> {
    let resources = environment.aws_control()?.inventory().await?;
    Ok(resources.iter().map(entry).collect())
}

fn entry(resource: &Value) -> AwsEntry {
    let text = |field: &str| resource[field].as_str().unwrap_or_default().to_owned();
    (
        format!("{} {}", text("service"), text("type")),
        text("name"),
        text("status"),
    )
}

/// What is there now and was not before, by service and type.
pub(super) fn made_in_aws(before: &BTreeSet<AwsEntry>, now: &BTreeSet<AwsEntry>) -> String {
    let known: BTreeSet<(&str, &str)> = before
        .iter()
        .map(|(kind, name, _)| (kind.as_str(), name.as_str()))
        .collect();
    let mut made: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (kind, name, status) in now {
        if known.contains(&(kind, name)) {
            continue;
        }
        let shown = if status.is_empty() {
            name.clone()
        } else {
            format!("{name} ({status})")
        };
        made.entry(kind).or_default().push(shown);
    }
    let mut page = format!("\nIn AWS, {REGION}\n");
    for (kind, names) in &made {
        // Writing to a string does not fail.
        let _ = line(&mut page, kind, names);
    }
    page.trim_end().to_owned()
}

fn line(page: &mut String, kind: &str, names: &[String]) -> std::fmt::Result {
    if names.is_empty() {
        return Ok(());
    }
    writeln!(page, "  {kind:30} {:>3}  {}", names.len(), names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, name: &str, status: &str) -> AwsEntry {
        (kind.into(), name.into(), status.into())
    }

    #[test]
    fn what_was_there_before_is_not_shown() {
        let before = BTreeSet::from([entry("eks cluster", "octank-prod", "CREATING")]);
        let now = BTreeSet::from([
            entry("eks cluster", "octank-prod", "ACTIVE"),
            entry("rds db-instance", "octank-shop-orders", "available"),
        ]);
        let page = made_in_aws(&before, &now);
        assert!(page.contains("octank-shop-orders (available)"));
        assert!(!page.contains("octank-prod"));
    }

    #[test]
    fn kinds_are_named_as_the_api_server_names_them() {
        assert_eq!(resource(KubernetesKind::Deployment), "deployments.apps");
        assert_eq!(resource(KubernetesKind::Service), "services");
    }
}
