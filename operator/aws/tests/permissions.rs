//! The IAM policy allows what the modules call, and nothing that none of them calls.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use shopkeeper_plan::{
    aws::AwsKind,
    permissions::{LOOKUPS, calls},
};

/// Operations of the AWS API begin with one of these.
const VERBS: [&str; 27] = [
    "Abort",
    "Add",
    "Attach",
    "Cancel",
    "Create",
    "Decrease",
    "Delete",
    "Deregister",
    "Describe",
    "Detach",
    "Disable",
    "Enable",
    "Get",
    "Increase",
    "List",
    "Lookup",
    "Modify",
    "Put",
    "Register",
    "Reset",
    "Schedule",
    "Set",
    "Subscribe",
    "Tag",
    "Unsubscribe",
    "Untag",
    "Update",
];

/// A call that is covered by a statement of its own: secrets are no kind of resource.
const ELSEWHERE: &str = "secretsmanager:GetSecretValue";
/// A call that AWS answers to everybody: no policy can forbid it, so that none need allow it.
const FREE: &str = "sts:GetCallerIdentity";

/// A folder of no service: it counts calls by their verbs.
const NO_SERVICE: &str = "budget";

/// Every operation in the sources of a service, as `service:Operation`. Each call names its operation in a literal, to say
/// which one failed.
fn called() -> BTreeSet<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut called = BTreeSet::new();
    for service in folders(&sources) {
        // IAM has names of its own for these.
        let name = match service.file_name().unwrap().to_str().unwrap() {
            "applicationautoscaling" => "application-autoscaling",
            "resourcegroupstagging" => "tag",
            // It counts the calls of all services, and makes none.
            "budget" => continue,
            name => name,
        };
        for file in files(&service) {
            let text = fs::read_to_string(&file).unwrap();
            // Tests tell of refusals that no code of ours provokes.
            let text = text.split("#[cfg(test)]").next().unwrap();
            called.extend(
                literals(text)
                    .filter(|literal| is_operation(literal))
                    .map(|operation| format!("{name}:{operation}")),
            );
        }
    }
    called
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    fs::read_dir(parent)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() && path.join("mod.rs").exists() && !path.ends_with(NO_SERVICE))
        .collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect()
}

fn literals(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .flat_map(|line| line.split('"').skip(1).step_by(2))
}

fn is_operation(literal: &str) -> bool {
    let is_word = literal
        .chars()
        .all(|character| character.is_ascii_alphanumeric());
    let is_error = ["Exception", "Fault", "Error"]
        .iter()
        .any(|end| literal.ends_with(end));
    is_word
        && !is_error
        && VERBS.iter().any(|verb| {
            literal
                .strip_prefix(verb)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_uppercase))
        })
}

fn allowed() -> BTreeSet<String> {
    AwsKind::ALL
        .iter()
        .flat_map(|kind| calls(*kind))
        .chain(LOOKUPS)
        .map(|call| format!("{}:{}", call.service, call.operation))
        .collect()
}

#[test]
fn every_call_is_allowed() {
    let called = called();
    assert!(
        called.len() > 90,
        "the sources are not read as they were: {called:?}"
    );
    let mut allowed = allowed();
    allowed.extend([ELSEWHERE, FREE].map(str::to_owned));
    let missing: Vec<_> = called.difference(&allowed).collect();
    assert!(
        missing.is_empty(),
        "not in shopkeeper_plan::permissions: {missing:?}"
    );
}

#[test]
fn nothing_is_allowed_that_is_not_called() {
    let called = called();
    // The crate of EC2 is not this one.
    let superfluous: Vec<_> = allowed()
        .into_iter()
        .filter(|call| !call.starts_with("ec2:") && !called.contains(call))
        .collect();
    assert!(superfluous.is_empty(), "no code calls {superfluous:?}");
}
