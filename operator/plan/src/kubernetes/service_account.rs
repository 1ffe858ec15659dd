//! ServiceAccount.

use serde_json::json;

use super::{
    KubernetesKind, KubernetesObject,
    object::{Frame, ObjectBuilder, texts},
};
use crate::resolve::Component;

/// Prefix of the annotations that the webhook of EKS reads.
pub(super) const PREFIX: &str = "eks.amazonaws.com/";

/// Names the role, for the webhook of EKS.
pub const ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";

/// The identity of the pods. They do not talk to the Kubernetes API, so no token is mounted; Pod Identity and IRSA bring
/// their own.
pub fn build(
    frame: &Frame<'_>,
    component: &Component,
    irsa_role: Option<&str>,
) -> KubernetesObject {
    let mut annotations = texts(&component.service_account_annotations);
    if let Some(arn) = irsa_role {
        annotations.insert(ROLE_ANNOTATION.to_owned(), json!(arn));
    }
    ObjectBuilder::new(
        frame,
        KubernetesKind::ServiceAccount,
        &component.service_account,
    )
    .annotations(annotations)
    .with("automountServiceAccountToken", json!(false))
    .build()
}
