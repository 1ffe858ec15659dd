//! The Pod Identity associations of a namespace.

use crate::{
    account::Account,
    error::{classify, is_code},
};
use shopkeeper_plan::failure::Failure;

use super::NOT_FOUND;

/// An association as the list of a cluster has it: without its role and tags.
#[derive(Clone)]
pub(crate) struct ListedAssociation {
    pub(crate) arn: String,
    pub(crate) service_account: String,
}

/// Those of a namespace. Of a cluster that is not there there are none.
pub(crate) async fn associations_of(
    account: &Account,
    cluster: &str,
    namespace: &str,
) -> Result<Vec<ListedAssociation>, Failure> {
    let mut found = Vec::new();
    let mut pages = account
        .eks
        .list_pod_identity_associations()
        .cluster_name(cluster)
        .namespace(namespace)
        .max_results(100)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = match page {
            Ok(page) => page,
            Err(error) if is_code(&error, NOT_FOUND) => return Ok(found),
            Err(error) => return Err(classify("ListPodIdentityAssociations", &error)),
        };
        let listed = page.associations.unwrap_or_default().into_iter();
        found.extend(listed.filter_map(|association| {
            Some(ListedAssociation {
                arn: association.association_arn?,
                service_account: association.service_account?,
            })
        }));
    }
    Ok(found)
}
