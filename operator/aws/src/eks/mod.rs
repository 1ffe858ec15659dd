//! EKS: managed node groups, Fargate profiles, Pod Identity associations, and what there is to know of the cluster.

use shopkeeper_plan::{
    aws::Tags,
    failure::{Class, Failure},
};

use crate::{account::Account, error::classify, iam::purpose_of_role};

mod associations_of;
mod begun_updates;
mod cluster;
mod fargate_profile;
mod node_group;
mod node_group_description;
mod pod_identity_association;

pub(crate) use associations_of::associations_of;
pub(crate) use begun_updates::BegunUpdates;
pub use cluster::{cluster_facts, count_fargate_profiles, count_node_groups};
pub(crate) use fargate_profile::FargateProfileApi;
pub(crate) use node_group::NodeGroupApi;
pub(crate) use pod_identity_association::PodIdentityAssociationApi;

/// What EKS answers when a resource, or the cluster it would be in, does not exist.
const NOT_FOUND: &[&str] = &["ResourceNotFoundException"];

/// Adds tags.
async fn tag(account: &Account, arn: &str, tags: &Tags) -> Result<(), Failure> {
    account
        .eks
        .tag_resource()
        .resource_arn(arn)
        .set_tags(Some(tags.clone().into_iter().collect()))
        .send()
        .await
        .map_err(|error| classify("TagResource", &error))?;
    Ok(())
}

/// What EKS says of a role that IAM has not told it of yet.
const FRESH_ROLE: [&str; 7] = [
    "does not exist",
    "cannot be found",
    "not found",
    "could not be assumed",
    "trust relationship",
    "trust policy",
    "doesn't have",
];

/// IAM takes some seconds to tell other services of a new role or of the policies of one; until then EKS refuses the role as
/// if it were wrong, with the same code and words as one that does not exist. A role that we did not touch lately is wrong.
fn unless_role_is_new(account: &Account, role_arn: &str, failure: Failure) -> Failure {
    let name = role_arn.rsplit('/').next().unwrap_or_default();
    if account.made.may_be_new(&purpose_of_role(name)) {
        role_may_be_fresh(failure)
    } else {
        failure
    }
}

fn role_may_be_fresh(mut failure: Failure) -> Failure {
    let refused = matches!(
        failure.code.as_deref(),
        Some("InvalidParameterException" | "InvalidRequestException")
    );
    let message = failure.message.to_lowercase();
    if refused
        && message.contains("role")
        && FRESH_ROLE.iter().any(|phrase| message.contains(phrase))
    {
        failure.class = Class::NotReady;
    }
    failure
}

/// What EKS says is wrong with something, of pairs of code and message: without the resources concerned, which change from minute to
/// minute.
fn told<'a>(issues: impl Iterator<Item = (Option<&'a str>, Option<&'a str>)>) -> Vec<String> {
    let mut told: Vec<String> = issues
        .map(|(code, message)| {
            let code = code.unwrap_or("Unknown");
            message.map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"))
        })
        .collect();
    told.sort();
    told.dedup();
    told
}

fn with_issues(what: &str, issues: &[String]) -> String {
    if issues.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {}", issues.join("; "))
    }
}

/// The last part of an ARN, which tells a resource from an earlier one of the same name.
fn id_in(arn: &str) -> Option<String> {
    arn.rsplit('/').next().map(str::to_owned)
}

/// Something that a call told is none of what is known here.
fn unknown(call: &str, what: &str, value: Option<&str>) -> Failure {
    let value = value.unwrap_or("none");
    Failure::new(
        Class::Bug,
        format!("{call}: no {what} that is known here: {value}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: &str) -> Failure {
        Failure::new(Class::Invalid, message).with_code("InvalidParameterException")
    }

    #[test]
    fn a_role_that_eks_does_not_know_yet_is_waited_for() {
        for message in [
            "CreateNodegroup: The role with name nodes cannot be found.",
            "CreatePodIdentityAssociation: Role provided in the request does not exist.",
            "CreatePodIdentityAssociation: Trust policy of the role provided is invalid",
            "CreateNodegroup: Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of nodeRole arn:aws:iam::1:role/nodes",
        ] {
            assert_eq!(
                role_may_be_fresh(refusal(message)).class,
                Class::NotReady,
                "{message}"
            );
        }
    }

    #[test]
    fn other_mistakes_stay_mistakes() {
        assert_eq!(
            role_may_be_fresh(refusal(
                "CreateNodegroup: The subnet ID 'subnet-1' does not exist"
            ))
            .class,
            Class::Invalid
        );
        assert_eq!(
            role_may_be_fresh(refusal("CreateNodegroup: Invalid Role Arn: 'x'")).class,
            Class::Invalid
        );
    }
}
