//! What may depend on what. The compiler does not know; this does.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::repository;

/// Crates that would let the planner wait or talk, and with `aws-` whatever begins like that. The facade `kube` is not among
/// them: without its features it describes custom resources, and with them it brings in one of these.
const IMPURE: [&str; 10] = [
    "hyper",
    "hyper-util",
    "kube-client",
    "kube-runtime",
    "reqwest",
    "rustls",
    "tokio",
    "tokio-rustls",
    "tokio-util",
    "tower",
];

/// The one place that says which Kubernetes version the types are of.
const VERSIONED: &str = "k8s-openapi";

/// Checks all rules; returns what was looked at.
pub(super) fn check() -> Result<String> {
    let planned = dependencies("shopkeeper-plan")?;
    let broken = impure(&planned);
    if !broken.is_empty() {
        bail!(
            "shopkeeper-plan has to stay pure, but depends on {}",
            broken.join(", ")
        );
    }
    let members = manifests()?;
    let setting: Vec<&str> = members
        .iter()
        .filter(|(_, manifest)| sets_version(manifest))
        .map(|(path, _)| path.as_str())
        .collect();
    if !setting.is_empty() {
        bail!(
            "only the workspace's Cargo.toml chooses features of {VERSIONED}, but these do too: {}",
            setting.join(", ")
        );
    }
    Ok(format!(
        "{} dependencies of shopkeeper-plan, {} manifests",
        planned.len(),
        members.len()
    ))
}

/// Names of all crates that a package is built from, without what only its tests need.
fn dependencies(package: &str) -> Result<Vec<String>> {
    let tree = repository::read(&mut repository::cargo(&[
        "tree",
        "--locked",
        "--package",
        package,
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ])?)?;
    let mut names: Vec<String> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    if names.len() < 2 {
        bail!("cargo tree names no dependencies of {package}");
    }
    Ok(names)
}

fn impure(names: &[String]) -> Vec<&str> {
    names
        .iter()
        .map(String::as_str)
        .filter(|name| name.starts_with("aws-") || IMPURE.contains(name))
        .collect()
}

/// Path and text of each member's manifest.
fn manifests() -> Result<Vec<(String, String)>> {
    let metadata = repository::read(&mut repository::cargo(&[
        "metadata",
        "--locked",
        "--no-deps",
        "--format-version",
        "1",
    ])?)?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let root = repository::root()?;
    metadata["packages"]
        .as_array()
        .context("cargo metadata names no packages")?
        .iter()
        .filter_map(|package| package["manifest_path"].as_str())
        .map(|path| {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
            let path = path
                .strip_prefix(root.to_string_lossy().as_ref())
                .unwrap_or(path);
            Ok((path.trim_start_matches('/').to_owned(), text))
        })
        .collect()
}

/// Whether a member's manifest says more of k8s-openapi than that it uses the workspace's.
fn sets_version(manifest: &str) -> bool {
    manifest
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| {
            line.starts_with(VERSIONED) || line.starts_with(&format!("[dependencies.{VERSIONED}"))
        })
        .any(|line| !line.contains("workspace") || line.contains("v1_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_talks_is_told_from_what_only_describes() {
        let names = [
            "aws-sdk-rds",
            "hyper-util",
            "kube-client",
            "kube-core",
            "kube-derive",
            "serde",
            "tokio",
        ]
        .map(String::from);
        assert_eq!(
            impure(&names),
            ["aws-sdk-rds", "hyper-util", "kube-client", "tokio"]
        );
    }

    #[test]
    fn only_the_workspace_chooses_the_kubernetes_version() {
        assert!(!sets_version("k8s-openapi = { workspace = true }\n"));
        assert!(!sets_version("k8s-openapi.workspace = true\n"));
        assert!(sets_version(
            "k8s-openapi = { workspace = true, features = [\"v1_35\"] }\n"
        ));
        assert!(sets_version("k8s-openapi = { version = \"0.29\" }\n"));
    }
}
