//! The AWS identity of a workload.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shopkeeper_api::identity::{Identity, IdentityType};

use super::{Context, component::Place};
use crate::{aws::IamRole, failure::Failure};

/// Longest name of a role.
const LONGEST_ROLE: usize = 64;
/// Name of the inline policy.
const POLICY_NAME: &str = "shopkeeper";

/// How a workload gets its AWS identity.
#[derive(Clone, Debug)]
pub enum ComponentIdentity {
    /// A role and a Pod Identity association.
    PodIdentity(Box<RoleDraft>),
    /// A role that trusts the cluster's OIDC provider.
    Irsa(Box<RoleDraft>),
    /// An association with a role that exists.
    Existing {
        /// Its ARN.
        role_arn: String,
    },
    /// None.
    None,
}

/// A role whose permissions are not complete before the data tier is known.
#[derive(Clone, Debug)]
pub struct RoleDraft {
    role: IamRole,
    statements: Vec<Value>,
}

impl RoleDraft {
    /// Name of the role.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.role.name
    }

    /// The role with these permissions beside those that were declared; `None` where there are none at all, because a
    /// workload that needs nothing of AWS gets nothing.
    #[must_use]
    pub fn with_permissions(&self, permissions: Vec<Value>) -> Option<IamRole> {
        let statements: Vec<Value> = permissions
            .into_iter()
            .chain(self.statements.iter().cloned())
            .collect();
        if statements.is_empty() {
            return None;
        }
        let mut role = self.role.clone();
        role.inline_policies = BTreeMap::from([(
            POLICY_NAME.to_owned(),
            json!({"Version": "2012-10-17", "Statement": statements}),
        )]);
        Some(role)
    }
}

pub(super) fn identity(
    context: Context<'_>,
    place: &Place<'_>,
    service_account: &str,
    declared: Option<&Identity>,
) -> Result<ComponentIdentity, Failure> {
    let statements = declared.map(declared_statements).unwrap_or_default();
    match declared.map(|identity| identity.type_) {
        Some(IdentityType::None) => Ok(ComponentIdentity::None),
        Some(IdentityType::Existing) => {
            let existing = declared.and_then(|identity| identity.existing.as_ref());
            let existing = existing.ok_or_else(|| {
                Failure::invalid(
                    &format!("{}.identity.existing", place.field),
                    "is missing",
                    "name the role",
                )
            })?;
            Ok(ComponentIdentity::Existing {
                role_arn: existing.role_arn.clone(),
            })
        }
        Some(IdentityType::IRSA) => {
            let issuer = context.platform.oidc_issuer.as_deref().ok_or_else(|| {
                Failure::invalid(
                    &format!("{}.identity.type", place.field),
                    "IRSA needs a cluster with an OIDC issuer",
                    "choose PodIdentity",
                )
            })?;
            Ok(ComponentIdentity::Irsa(Box::new(draft(
                context,
                place,
                irsa_trust(context, service_account, issuer),
                statements,
            ))))
        }
        Some(IdentityType::PodIdentity) | None => {
            Ok(ComponentIdentity::PodIdentity(Box::new(draft(
                context,
                place,
                pod_identity_trust(context, service_account),
                statements,
            ))))
        }
    }
}

fn draft(
    context: Context<'_>,
    place: &Place<'_>,
    trust_policy: Value,
    statements: Vec<Value>,
) -> RoleDraft {
    let role_part = place.role.strip_prefix("frontends.").unwrap_or_default();
    RoleDraft {
        role: IamRole {
            name: context.name(role_part, LONGEST_ROLE),
            description: format!("Pods of {}", context.owner.path()),
            trust_policy,
            inline_policies: BTreeMap::new(),
            managed_policy_arns: std::collections::BTreeSet::new(),
            tags: context.tags(),
        },
        statements,
    }
}

fn declared_statements(identity: &Identity) -> Vec<Value> {
    identity
        .statements
        .iter()
        .map(|statement| json!({"Effect": "Allow", "Action": statement.actions, "Resource": statement.resources}))
        .collect()
}

/// The agent tags its session with cluster, namespace and service account: the role is good for these pods alone.
fn pod_identity_trust(context: Context<'_>, service_account: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {"StringEquals": {
                "aws:RequestTag/kubernetes-namespace": context.owner.namespace,
                "aws:RequestTag/kubernetes-service-account": service_account,
                "aws:RequestTag/eks-cluster-name": context.platform.cluster,
            }},
        }],
    })
}

fn irsa_trust(context: Context<'_>, service_account: &str, issuer: &str) -> Value {
    let provider = issuer.trim_start_matches("https://");
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": context.platform.iam_arn(&format!("oidc-provider/{provider}"))},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {
                format!("{provider}:aud"): "sts.amazonaws.com",
                format!("{provider}:sub"): format!("system:serviceaccount:{}:{}", context.owner.namespace, service_account),
            }},
        }],
    })
}
