//! The AWS identity of a workload.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shopkeeper_api::identity::{Identity, IdentityMode, IdentityType};

use super::{Context, Referred, component::Place};
use crate::{
    aws::IamRole,
    facts::OidcProvider,
    failure::{Class, Failure},
    kubernetes::service_account::ROLE_ANNOTATION,
};

/// Name of the inline policy.
const POLICY_NAME: &str = "shopkeeper";

/// How a workload gets its AWS identity.
#[derive(Clone, Debug)]
pub enum ComponentIdentity {
    /// From a role that is made.
    Made(Box<RoleDraft>),
    /// From a role that exists.
    Existing {
        /// Its ARN.
        role_arn: String,
        /// How pods get its credentials.
        mode: IdentityMode,
        /// Why it is not given to pods that do not have it yet.
        unlisted: Option<Failure>,
    },
    /// From what cannot be had yet: what there is stays as it is.
    Awaited {
        /// The role that is to be made.
        role: Option<Box<RoleDraft>>,
        /// What is missing.
        failure: Failure,
    },
    /// None.
    None,
}

/// A role whose permissions are not complete before the data tier is known.
#[derive(Clone, Debug)]
pub struct RoleDraft {
    role: IamRole,
    statements: Vec<Value>,
    mode: IdentityMode,
    trust: Value,
    other_trust: Option<Value>,
}

impl RoleDraft {
    /// How pods get its credentials.
    #[must_use]
    pub const fn mode(&self) -> IdentityMode {
        self.mode
    }

    /// The statement by which it trusts the pods.
    #[must_use]
    pub const fn trust(&self) -> &Value {
        &self.trust
    }

    /// The statement by which it would trust them in the other mode.
    #[must_use]
    pub const fn other_trust(&self) -> Option<&Value> {
        self.other_trust.as_ref()
    }

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
    on_fargate: bool,
) -> Result<ComponentIdentity, Failure> {
    let draft = |mode| {
        let statements = declared.map(declared_statements).unwrap_or_default();
        Box::new(role_draft(
            context,
            place,
            service_account,
            mode,
            statements,
        ))
    };
    if let Some(role) =
        declared.and_then(|identity| identity.service_account_annotations.get(ROLE_ANNOTATION))
    {
        // Stored before admission refused it: it would get around what the Platform allows.
        return Err(Failure::invalid(
            &format!("{}.identity.serviceAccountAnnotations", place.field),
            &format!("{ROLE_ANNOTATION} names the role {role}"),
            "choose type Existing with existing.roleArn and mode IRSA",
        ));
    }
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
            let field = format!("{}.identity.existing.roleArn", place.field);
            let unlisted = may_be_brought_along(context, &field, &existing.role_arn)?;
            let mode = existing.mode.unwrap_or(IdentityMode::PodIdentity);
            if on_fargate && mode == IdentityMode::PodIdentity {
                return Err(not_on_fargate(&format!(
                    "{}.identity.existing.mode",
                    place.field
                )));
            }
            let field = format!("{}.identity.existing.mode", place.field);
            let known = match mode {
                IdentityMode::IRSA => issuer(context, &field)?,
                IdentityMode::PodIdentity => Ok(()),
            };
            Ok(match known {
                Ok(()) => ComponentIdentity::Existing {
                    role_arn: existing.role_arn.clone(),
                    mode,
                    unlisted,
                },
                Err(failure) => ComponentIdentity::Awaited {
                    role: None,
                    failure,
                },
            })
        }
        Some(IdentityType::IRSA) => {
            let issuer = issuer(context, &format!("{}.identity.type", place.field))?;
            Ok(by_token(issuer, draft(IdentityMode::IRSA)))
        }
        Some(IdentityType::PodIdentity) if on_fargate => {
            Err(not_on_fargate(&format!("{}.identity.type", place.field)))
        }
        // A frontend for which nothing is declared has nothing that it could be allowed.
        None if on_fargate && !place.role.is_empty() => Ok(ComponentIdentity::None),
        None if on_fargate => {
            let issuer = issuer(context, &format!("{}.nodes.type", place.field))?;
            Ok(by_token(issuer, draft(IdentityMode::IRSA)))
        }
        Some(IdentityType::PodIdentity) | None => {
            Ok(ComponentIdentity::Made(draft(IdentityMode::PodIdentity)))
        }
    }
}

/// The identity of pods that show the cluster's tokens, which is nothing before IAM knows their issuer.
fn by_token(issuer: Referred<()>, draft: Box<RoleDraft>) -> ComponentIdentity {
    match issuer {
        Ok(()) => ComponentIdentity::Made(draft),
        Err(failure) => ComponentIdentity::Awaited {
            role: Some(draft),
            failure,
        },
    }
}

/// The agent of Pod Identity is a DaemonSet, and Fargate has none.
fn not_on_fargate(field: &str) -> Failure {
    Failure::invalid(
        field,
        "EKS Pod Identity does not reach pods on Fargate",
        "choose IRSA or None",
    )
}

/// Whoever may write a custom resource may have any role that it may name. Never the operator's own, which may do to the account what
/// the operator may, and of the others those that the Platform allows: without a list, those of its own account. Gives why pods that have
/// the role of another account keep it, and no others get it: before, none had to be listed.
fn may_be_brought_along(
    context: Context<'_>,
    field: &str,
    role: &str,
) -> Result<Option<Failure>, Failure> {
    let platform = context.platform;
    let of_account = platform.iam_arn("role/");
    let name = role.rsplit('/').next().unwrap_or_default();
    // IAM has one role of a name, however it is written. STS tells no path.
    let is_of_operator = context
        .references
        .operator_role
        .as_deref()
        .is_some_and(|own| role.starts_with(&of_account) && own.eq_ignore_ascii_case(name));
    if is_of_operator {
        return Err(Failure::invalid(
            field,
            &format!(
                "{role} is the role of the operator itself: pods with it could do to the account whatever the operator may"
            ),
            "name a role that may do what these pods need",
        ));
    }
    if !platform.allowed_roles.contains(role) {
        return Err(Failure::invalid(
            field,
            &format!(
                "{role} is none of those that Platform {} allows in spec.identity.allowedRoles",
                platform.name
            ),
            "name one that it allows, or have it added there",
        ));
    }
    let is_known = role.starts_with(&of_account) || platform.allowed_roles.lists(role);
    Ok((!is_known).then(|| {
        Failure::invalid(
            field,
            &format!(
                "{role} is of another account than Platform {}, which is {}",
                platform.name, platform.account_id
            ),
            "name a role of that account, or have this one listed in spec.identity.allowedRoles of the Platform",
        )
    }))
}

/// Whether IAM knows the issuer of the cluster's tokens: before, every request of the pods for credentials would be refused. A cluster
/// without an issuer never gets one.
fn issuer(context: Context<'_>, field: &str) -> Result<Referred<()>, Failure> {
    let platform = context.platform;
    let issuer = platform.oidc_issuer.as_deref().ok_or_else(|| {
        Failure::invalid(
            field,
            "IRSA needs a cluster with an OIDC issuer",
            "choose PodIdentity",
        )
    })?;
    let waits = |problem: String, command: String| {
        Err(
            Failure::new(Class::NotReady, format!("{field}: {problem}")).with_remedy(format!(
                "{command}; it is seen when Platform {} is looked at next, at once with the annotation {}",
                platform.name,
                shopkeeper_api::RECONCILE_REQUESTED_AT
            )),
        )
    };
    Ok(match platform.oidc_provider {
        Some(OidcProvider::Missing) => waits(
            format!(
                "IAM has no OIDC provider for {issuer}, the issuer of EKS cluster {}",
                platform.cluster
            ),
            format!(
                "eksctl utils associate-iam-oidc-provider --cluster {} --approve, or choose PodIdentity",
                platform.cluster
            ),
        ),
        Some(OidcProvider::WrongAudience) => waits(
            format!(
                "IAM's OIDC provider for {issuer} does not accept the audience sts.amazonaws.com"
            ),
            "add it with aws iam add-client-id-to-open-id-connect-provider".to_owned(),
        ),
        Some(OidcProvider::Active) | None => Ok(()),
    })
}

fn role_draft(
    context: Context<'_>,
    place: &Place<'_>,
    service_account: &str,
    mode: IdentityMode,
    statements: Vec<Value>,
) -> RoleDraft {
    let role_part = place.role.strip_prefix("frontends.").unwrap_or_default();
    let by_association = pod_identity_trust(context, service_account);
    let by_token = context
        .platform
        .oidc_issuer
        .as_deref()
        .map(|issuer| irsa_trust(context, service_account, issuer));
    let (trust, other_trust) = match (mode, by_token) {
        (IdentityMode::IRSA, Some(by_token)) => (by_token, Some(by_association)),
        (_, by_token) => (by_association, by_token),
    };
    RoleDraft {
        role: IamRole {
            name: context.role_name(role_part),
            description: format!("Pods of {}", context.owner.path()),
            trust_policy: json!({"Version": "2012-10-17", "Statement": [trust.clone()]}),
            inline_policies: BTreeMap::new(),
            managed_policy_arns: std::collections::BTreeSet::new(),
            tags: context.tags(),
        },
        statements,
        mode,
        trust,
        other_trust,
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
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": {
            "aws:RequestTag/kubernetes-namespace": context.owner.namespace,
            "aws:RequestTag/kubernetes-service-account": service_account,
            "aws:RequestTag/eks-cluster-arn": context.platform.cluster_arn().as_str(),
        }},
    })
}

fn irsa_trust(context: Context<'_>, service_account: &str, issuer: &str) -> Value {
    let provider = issuer.trim_start_matches("https://");
    json!({
        "Effect": "Allow",
        "Principal": {"Federated": context.platform.iam_arn(&format!("oidc-provider/{provider}"))},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {
            format!("{provider}:aud"): "sts.amazonaws.com",
            format!("{provider}:sub"): format!("system:serviceaccount:{}:{}", context.owner.namespace, service_account),
        }},
    })
}
