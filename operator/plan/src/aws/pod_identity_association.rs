//! EKS Pod Identity association.

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};

/// Lets the pods of one service account assume a role. EKS allows one association for a cluster, namespace and service
/// account, which is what it is found by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodIdentityAssociation {
    /// The EKS cluster.
    pub cluster: String,
    /// Namespace of the service account.
    pub namespace: String,
    /// Name of the service account.
    pub service_account: String,
    /// ARN of the role.
    pub role_arn: String,
    /// Tags.
    pub tags: Tags,
}

impl AwsSpecification for PodIdentityAssociation {
    const KIND: AwsKind = AwsKind::PodIdentityAssociation;
    const FIELDS: &'static [Field] = &[Field::harmless("roleArn")];

    /// `cluster/namespace/serviceaccount`: the association's own id is chosen by EKS.
    fn name(&self) -> String {
        format!(
            "{}/{}/{}",
            self.cluster, self.namespace, self.service_account
        )
    }
    tagged!();
}
