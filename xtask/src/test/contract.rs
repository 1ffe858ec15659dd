//! The AWS double held against AWS: the contract suite beside the repository, and a floor that only rises.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{Outcome, Session, double::Double};
use crate::repository;

/// The services that the operator uses. The suite knows more of them.
const SERVICES: &str = "eks,rds,elasticache,dynamodb,s3,iam,kms,messaging,secretsmanager,ec2";

/// Of EC2, whose groups are many, the operator calls what these two are about: it reads VPCs and subnets and makes none.
const OF_EC2: [&str; 2] = ["VPC create/describe/attrs/tags", "Subnets"];

/// The suite calls again without waiting nearly everywhere, and looks for the state in between where EKS deletes something.
const TRANSITIONS: [&str; 6] = [
    "--transition",
    "dynamodb.*=0",
    "--transition",
    "eks.*.deleting=1",
    "--transition",
    "sqs.*=0",
];

/// How a group of operations came out.
#[derive(Deserialize)]
struct Group {
    service: String,
    op: String,
    status: String,
    #[serde(default)]
    dev: Vec<String>,
}

/// Runs the suite against an empty double. Fails when fewer groups are right than the floor says.
pub(super) fn run(session: &mut Session) -> Result<Outcome> {
    let root = repository::root()?;
    let suite = root.join("../shared/aws-contract/run.py");
    if !suite.is_file() {
        if std::env::var_os("CI").is_some() {
            anyhow::bail!(
                "the contract suite has to be beside this repository (../shared/aws-contract)"
            );
        }
        return Ok(Outcome::Skipped(
            "the contract suite is not beside this repository (../shared/aws-contract)".into(),
        ));
    }
    let floor = floor(&root.join("tests/localenv/aws/contract-floor"))?;
    let python = session.python()?;
    let double = Double::start(&python, &TRANSITIONS)?;
    let results = double.folder().join("contract.json");
    repository::run(
        Command::new(&python)
            .arg(&suite)
            .arg(double.endpoint())
            .args(["--only", SERVICES, "--json"])
            .arg(&results),
    )?;
    let text = fs::read_to_string(&results).context("the contract suite wrote no results")?;
    let mut groups: Vec<Group> = serde_json::from_str(&text)?;
    groups.retain(is_used);
    judge(&groups, floor).map(Outcome::Passed)
}

/// Whether the operator depends on what a group is about.
fn is_used(group: &Group) -> bool {
    !group.service.contains("EC2") || OF_EC2.contains(&group.op.as_str())
}

fn floor(path: &Path) -> Result<usize> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.trim()
        .parse()
        .with_context(|| format!("{} holds no number", path.display()))
}

/// Names every group that is not right, and compares their number with the floor.
fn judge(groups: &[Group], floor: usize) -> Result<String> {
    let mut services: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for group in groups {
        let (right, all) = services.entry(&group.service).or_default();
        *all += 1;
        if group.status == "ok" {
            *right += 1;
        } else {
            println!(
                "{} {} {}: {}",
                group.status,
                group.service,
                group.op,
                group.dev.join("; ")
            );
        }
    }
    for (service, (right, all)) in &services {
        println!("{service:16} {right} of {all}");
    }
    let right: usize = services.values().map(|(right, _)| right).sum();
    let result = format!("{right} of {} groups right, floor {floor}", groups.len());
    if right < floor {
        bail!("{result}");
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(status: &str) -> Group {
        Group {
            service: "EKS".into(),
            op: "CreateNodegroup".into(),
            status: status.into(),
            dev: Vec::new(),
        }
    }

    #[test]
    fn of_ec2_only_what_is_called_counts() {
        let of = |service: &str, op: &str| {
            is_used(&Group {
                service: service.into(),
                op: op.into(),
                ..group("wrong")
            })
        };
        assert!(of("EC2", "Subnets") && of("EKS", "CreateNodegroup"));
        assert!(!of("EC2", "Network ACL") && !of("VPN (EC2)", "Transit gateway + VPN over TGW"));
    }

    #[test]
    fn fewer_right_groups_than_the_floor_are_refused() {
        let groups = [group("ok"), group("wrong"), group("ok")];
        assert!(judge(&groups, 2).is_ok());
        assert!(
            judge(&groups, 3)
                .unwrap_err()
                .to_string()
                .contains("2 of 3")
        );
    }
}
