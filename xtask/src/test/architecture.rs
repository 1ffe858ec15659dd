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

/// What would let the planner's own code wait, talk, or say something else the next time. What time it is, it is told.
const EFFECTS: [&str; 10] = [
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
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
    let sources = sources("operator/plan/src")?;
    let broken: Vec<String> = sources
        .iter()
        .filter_map(|(path, text)| {
            let effects = effects(text).join(" and ");
            (!effects.is_empty()).then(|| format!("{path} has {effects}"))
        })
        .collect();
    if !broken.is_empty() {
        bail!(
            "shopkeeper-plan has to stay pure, but {}",
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
        "{} dependencies and {} files of shopkeeper-plan, {} manifests",
        planned.len(),
        sources.len(),
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

/// Path and text of each Rust file in a folder and below.
fn sources(folder: &str) -> Result<Vec<(String, String)>> {
    let root = repository::root()?;
    let mut folders = vec![root.join(folder)];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        let listed = fs::read_dir(&folder);
        for entry in listed.with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                let path = path.strip_prefix(&root).unwrap_or(&path);
                sources.push((path.display().to_string(), text));
            }
        }
    }
    sources.sort();
    if sources.is_empty() {
        bail!("there are no sources in {folder}");
    }
    Ok(sources)
}

/// What a source reaches beyond what its functions are given. Comments may speak of it. `use std::{fs, env}` is read as `std::fs` and
/// `std::env`.
fn effects(source: &str) -> Vec<&'static str> {
    let code: String = source
        .lines()
        .filter_map(|line| line.split("//").next())
        .flat_map(str::split_whitespace)
        .collect();
    let mut spelled_out = code.clone();
    for group in code.split("std::{").skip(1) {
        let mut depth = 0;
        spelled_out.push_str("\nstd::");
        for character in group.chars() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    spelled_out.push_str("\nstd::");
                    continue;
                }
                _ => {}
            }
            spelled_out.push(character);
        }
    }
    EFFECTS
        .into_iter()
        .filter(|effect| spelled_out.contains(effect))
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
    fn what_reaches_out_is_found_however_it_is_spelled() {
        for source in [
            "use std::fs;",
            "use std::{\n    collections::{BTreeMap, BTreeSet},\n    fs,\n};",
            "use std::{collections::{BTreeMap}, fs::{self, File}, sync::Arc};",
            "let text = std::fs\n    ::read_to_string(path);",
        ] {
            assert_eq!(effects(source), ["std::fs"], "{source}");
        }
        let clocks = "let now = jiff::Timestamp::now(); let then = Instant::now();";
        assert_eq!(effects(clocks), ["Instant::now", "Timestamp::now"]);
        for source in [
            "use std::{collections::BTreeMap, fmt::{self, Write as _}, time::{Duration, SystemTime}};",
            "// std::fs is for others, as is `Instant::now`.\nuse std::fmt;",
            "let found = Instant::from(now);",
        ] {
            assert_eq!(effects(source), Vec::<&str>::new(), "{source}");
        }
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
