//! What the operator itself may do in AWS: one table, from which its IAM policies are written.
//!
//! A call that is not in the table is refused by AWS in every account that uses the policy, so a test in `shopkeeper-aws` holds
//! the table against the calls that its modules make.

use serde_json::{Value, json};

use crate::{
    aws::AwsKind,
    names::CLUSTER_TAG,
    resolve::{fargate::POD_EXECUTION_POLICIES, nodes::NODE_POLICIES},
};

mod calls;

pub use calls::{LOOKUPS, calls};

/// Where a call may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only looks. Everything, because AWS lists without regard to tags, and what is not ours has to be seen to be left alone.
    Look,
    /// Makes or tags something, which has to be given the tag of the operator's own cluster by the same call.
    Make,
    /// Changes or deletes something that has the tag of the operator's own cluster.
    Change,
    /// Changes something that AWS cannot tell by tags. Kept to the account.
    Untagged,
}

/// One operation that the operator calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The service, as in IAM actions.
    pub service: &'static str,
    /// The operation, as in AWS's API.
    pub operation: &'static str,
    /// The IAM actions that AWS asks for, where they have other names than the operation.
    renamed: &'static [&'static str],
    /// Where it may reach.
    pub reach: Reach,
}

impl Call {
    /// The IAM actions that AWS asks for.
    #[must_use]
    pub fn actions(&self) -> Vec<String> {
        let names = if self.renamed.is_empty() {
            std::slice::from_ref(&self.operation)
        } else {
            self.renamed
        };
        names
            .iter()
            .map(|name| format!("{}:{name}", self.service))
            .collect()
    }

    const fn renamed(mut self, actions: &'static [&'static str]) -> Self {
        self.renamed = actions;
        self
    }
}

/// Services whose calls make them use the Platform's key on the operator's behalf.
const USING_KEYS: [&str; 4] = ["dynamodb", "elasticache", "rds", "secretsmanager"];

/// What other services look at as the caller: Application Auto Scaling at the alarms of its policies.
const LOOKED_AT_FOR_US: [&str; 1] = ["cloudwatch:DescribeAlarms"];

/// Services that have to be allowed a role of their own in the account, the first time they are used.
const SERVICE_LINKED: [&str; 5] = [
    "dynamodb.application-autoscaling",
    "eks-fargate",
    "eks-nodegroup",
    "elasticache",
    "rds",
];

/// Services that roles of ours are given to: EKS for nodes, Fargate and Pod Identity for pods.
const PASSED_TO: [&str; 4] = [
    "ec2.amazonaws.com",
    "eks-fargate-pods.amazonaws.com",
    "eks.amazonaws.com",
    "pods.eks.amazonaws.com",
];

/// The operator's IAM policies by name: `look`, which reads, and `change`. Two, because one would be longer than IAM lets a managed
/// policy be.
///
/// Its own cluster is told by the tag `eks-cluster-arn` of its session: EKS Pod Identity gives it to every session, and for
/// IRSA it has to be on the role.
#[must_use]
pub fn policies() -> [(&'static str, Value); 2] {
    let own = "${aws:PrincipalTag/eks-cluster-arn}";
    let everything = json!("*");
    let node_policies: Vec<String> = NODE_POLICIES
        .iter()
        .chain(&POD_EXECUTION_POLICIES)
        .map(|name| format!("arn:*:iam::aws:policy/{name}"))
        .collect();
    // IAM knows no resource for some of these calls, and then no account of it either.
    let account =
        json!({"StringEqualsIfExists": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}});
    let statements = [
        statement(
            "Look",
            actions(Reach::Look)
                .into_iter()
                .chain(LOOKED_AT_FOR_US.map(str::to_owned))
                .collect(),
            &everything,
            None,
        ),
        statement(
            "MakeWithTheTagOfThisCluster",
            actions(Reach::Make),
            &everything,
            Some(json!({"StringEquals": {format!("aws:RequestTag/{CLUSTER_TAG}"): own}})),
        ),
        statement(
            "ChangeWhatHasTheTagOfThisCluster",
            actions(Reach::Change)
                .into_iter()
                .filter(|action| action != "iam:AttachRolePolicy")
                .collect(),
            &everything,
            Some(json!({"StringEquals": {format!("aws:ResourceTag/{CLUSTER_TAG}"): own}})),
        ),
        // A role of ours must not be given more than nodes need by a policy that somebody else wrote.
        statement(
            "AttachNodePolicies",
            vec!["iam:AttachRolePolicy".to_owned()],
            &everything,
            Some(json!({
                "StringEquals": {format!("aws:ResourceTag/{CLUSTER_TAG}"): own},
                "ArnLike": {"iam:PolicyARN": node_policies},
            })),
        ),
        statement(
            "WhatAwsCannotTellByTags",
            actions(Reach::Untagged),
            &everything,
            Some(account.clone()),
        ),
        // Named in the same requests as resources of ours: AWS's default groups, a user group that makes room for
        // ours, and the last snapshot that is not made yet.
        statement(
            "NamedBesideOurs",
            [
                "elasticache:DeleteReplicationGroup",
                "elasticache:ModifyReplicationGroup",
                "rds:DeleteDBInstance",
                "rds:ModifyDBInstance",
            ]
            .map(str::to_owned)
            .to_vec(),
            &json!([
                "arn:*:elasticache:*:*:parametergroup:default*",
                "arn:*:elasticache:*:*:snapshot:*",
                "arn:*:elasticache:*:*:usergroup:*",
                "arn:*:rds:*:*:og:default*",
                "arn:*:rds:*:*:pg:default*",
                "arn:*:rds:*:*:snapshot:*",
            ]),
            None,
        ),
        statement(
            "PassRoles",
            vec!["iam:PassRole".to_owned()],
            &everything,
            Some(json!({"StringEquals": {"iam:PassedToService": PASSED_TO}})),
        ),
        statement(
            "ServiceLinkedRoles",
            vec!["iam:CreateServiceLinkedRole".to_owned()],
            &json!("arn:*:iam::*:role/aws-service-role/*"),
            Some(
                json!({"StringEquals": {"iam:AWSServiceName": SERVICE_LINKED.map(|service| format!("{service}.amazonaws.com"))}}),
            ),
        ),
        // Application Auto Scaling makes the alarms of its policies with a role of its own, and refuses whoever could not make them
        // in its place.
        statement(
            "AlarmsThroughAutoscaling",
            ["DeleteAlarms", "PutMetricAlarm"]
                .map(|action| format!("cloudwatch:{action}"))
                .to_vec(),
            &json!("arn:*:cloudwatch:*:*:alarm:TargetTracking*"),
            Some(
                json!({"StringEquals": {"aws:CalledViaLast": "application-autoscaling.amazonaws.com"}}),
            ),
        ),
        // RDS makes, rotates and tags the secret of a master password as the caller; the operator reads it for bindings.
        statement(
            "MasterPasswords",
            [
                "CreateSecret",
                "GetSecretValue",
                "RotateSecret",
                "TagResource",
            ]
            .map(|action| format!("secretsmanager:{action}"))
            .to_vec(),
            &json!("arn:*:secretsmanager:*:*:secret:rds!*"),
            Some(account),
        ),
        statement(
            "KeysThroughServices",
            [
                "CreateGrant",
                "Decrypt",
                "Encrypt",
                "GenerateDataKey*",
                "ReEncrypt*",
            ]
            .map(|action| format!("kms:{action}"))
            .to_vec(),
            &everything,
            Some(
                json!({"StringLike": {"kms:ViaService": USING_KEYS.map(|service| format!("{service}.*.amazonaws.com*"))}}),
            ),
        ),
    ];
    let (look, change): (Vec<Value>, Vec<Value>) = statements
        .into_iter()
        .partition(|statement| statement["Sid"] == "Look");
    let document = |statements| json!({"Version": "2012-10-17", "Statement": statements});
    [("look", document(look)), ("change", document(change))]
}

/// Every action of one reach, once each.
fn actions(reach: Reach) -> Vec<String> {
    let kinds = AwsKind::ALL.iter().flat_map(|kind| calls(*kind));
    let mut actions: Vec<String> = LOOKUPS
        .iter()
        .chain(kinds)
        .filter(|call| call.reach == reach)
        .flat_map(Call::actions)
        .collect();
    actions.sort();
    actions.dedup();
    actions
}

fn statement(id: &str, actions: Vec<String>, resource: &Value, condition: Option<Value>) -> Value {
    let mut statement =
        json!({"Sid": id, "Effect": "Allow", "Action": actions, "Resource": resource});
    if let (Some(condition), Some(fields)) = (condition, statement.as_object_mut()) {
        fields.insert("Condition".to_owned(), condition);
    }
    statement
}

#[cfg(test)]
mod tests {
    use super::*;

    /// IAM counts the characters of a managed policy without white space, and refuses more.
    const LONGEST_POLICY: usize = 6144;

    #[test]
    fn each_policy_fits_into_a_managed_policy() {
        for (name, policy) in policies() {
            let length = policy
                .to_string()
                .chars()
                .filter(|character| !character.is_whitespace())
                .count();
            assert!(length <= LONGEST_POLICY, "{name}: {length}");
        }
    }

    #[test]
    fn nothing_is_changed_by_the_policy_that_looks() {
        let [(name, look), _] = policies();
        assert_eq!(name, "look");
        let actions = look["Statement"][0]["Action"].as_array().unwrap();
        assert!(actions.len() > 30);
        for action in actions {
            let (_, operation) = action.as_str().unwrap().split_once(':').unwrap();
            let looks = ["Describe", "Get", "List", "Lookup"];
            assert!(
                looks.iter().any(|verb| operation.starts_with(verb)),
                "{action}"
            );
        }
    }

    #[test]
    fn nothing_is_deleted_without_the_tag_but_what_has_none() {
        let deletes = |reach| {
            actions(reach)
                .into_iter()
                .filter(|action| action.contains(":Delete"))
                .collect::<Vec<_>>()
        };
        assert!(deletes(Reach::Make).is_empty() && deletes(Reach::Look).is_empty());
        assert_eq!(
            deletes(Reach::Untagged),
            [
                "kms:DeleteAlias",
                "s3:DeleteBucket",
                "s3:DeleteObject",
                "s3:DeleteObjectVersion"
            ]
        );
    }

    #[test]
    fn every_kind_is_looked_at_made_and_deleted() {
        for kind in AwsKind::ALL {
            let reaches = |reach| calls(*kind).iter().any(|call| call.reach == reach);
            assert!(reaches(Reach::Look), "{kind:?}");
            assert!(calls(*kind).len() >= 5, "{kind:?}");
        }
    }
}
