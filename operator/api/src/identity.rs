//! The AWS identity of a workload.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{pattern, schema};

/// The AWS identity of the workload. Its permissions come from what is declared: a service with a table may use that table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.existing) == (self.type == 'Existing')")
        .message("existing must be set when type is Existing, and left out otherwise"),
    validation = Rule::new("!has(self.statements) || self.type in ['PodIdentity', 'IRSA']")
        .message("statements are added to a role that Shopkeeper makes: choose type PodIdentity or IRSA, or add them to your role yourself"),
    validation = Rule::new("!has(self.serviceAccountAnnotations) || !('eks.amazonaws.com/role-arn' in self.serviceAccountAnnotations)")
        .message("the annotation eks.amazonaws.com/role-arn is not for serviceAccountAnnotations: choose type Existing with existing.roleArn and mode IRSA")
)]
pub struct Identity {
    /// `PodIdentity` makes a role and an EKS Pod Identity association, `IRSA` a role trusted through the cluster's OIDC provider,
    /// `Existing` gives a role of yours, in the way that `existing.mode` says, `None` gives no AWS access. A role is only made where
    /// there is something to allow.
    #[serde(rename = "type")]
    pub type_: IdentityType,
    /// Your role, for type Existing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<ExistingRole>,
    /// Permissions beyond those that follow from what is declared. Only Allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub statements: Vec<Statement>,
    /// Annotations of the ServiceAccount, beside those that Shopkeeper needs itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub service_account_annotations: BTreeMap<String, String>,
}

/// How a workload gets its AWS identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum IdentityType {
    /// A role and an EKS Pod Identity association.
    PodIdentity,
    /// A role trusted through the cluster's OIDC provider.
    IRSA,
    /// A role that exists.
    Existing,
    /// No AWS access.
    None,
}

/// A role that exists and stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExistingRole {
    /// ARN of the role, in the Platform's account; one of another account has to be listed in `identity.allowedRoles` of the Platform
    /// before pods get it.
    /// For mode PodIdentity it must trust `pods.eks.amazonaws.com` with `sts:AssumeRole` and `sts:TagSession`, for mode IRSA the
    /// cluster's OIDC provider with `sts:AssumeRoleWithWebIdentity`.
    #[schemars(length(min = 20, max = 2048), regex(pattern = pattern::ROLE_ARN))]
    pub role_arn: String,
    /// `PodIdentity` makes an EKS Pod Identity association, `IRSA` annotates the ServiceAccount. Default: PodIdentity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<IdentityMode>,
}

/// How pods get the credentials of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum IdentityMode {
    /// Through an EKS Pod Identity association.
    PodIdentity,
    /// Through the cluster's OIDC provider.
    IRSA,
}

/// A permission, as in an IAM policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// Actions, such as `bedrock:InvokeModel`.
    #[schemars(
        length(min = 1, max = 64),
        inner(
            length(min = 3, max = 128),
            regex(pattern = r"^[a-z0-9-]+:[A-Za-z0-9*?]+$")
        )
    )]
    pub actions: Vec<String>,
    /// ARNs that the actions apply to. `*` where the action knows no resources.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 1024)))]
    pub resources: Vec<String>,
}
