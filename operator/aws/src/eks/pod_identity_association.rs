//! EKS Pod Identity association.

use async_trait::async_trait;
use shopkeeper_plan::{
    aws::PodIdentityAssociation,
    failure::{Class, Failure},
    outputs::Outputs,
    plan::DeleteMode,
};

use super::{NOT_FOUND, tag, unless_role_is_new};
use crate::{
    account::{Account, Scope},
    error::{classify, is_code},
    listing::{Pages, unlisted},
    parts::{part, trailed_setting},
    resource::{DeletionToken, Found, ResourceApi},
};

pub(crate) struct PodIdentityAssociationApi<'a>(pub(crate) &'a Account);

impl PodIdentityAssociationApi<'_> {
    /// The ids of all associations of a cluster.
    async fn all_ids(&self, cluster: &str) -> Option<Pages<String>> {
        let mut found = Pages::default();
        let call = self.0.eks.list_pod_identity_associations();
        let mut pages = call
            .cluster_name(cluster)
            .max_results(100)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let told = |error| unlisted(&classify("ListPodIdentityAssociations", &error));
            let page = page.map_err(told).ok()?;
            found.pages += 1;
            found
                .resources
                .extend(page.associations().iter().filter_map(|association| {
                    let (namespace, account) =
                        (association.namespace()?, association.service_account()?);
                    let id = association.association_id()?.to_owned();
                    Some((format!("{cluster}/{namespace}/{account}"), id))
                }));
        }
        Some(found)
    }

    /// EKS allows one association for a service account, so that a filtered list has one entry or none. It leaves out the
    /// role and the tags.
    async fn find_id(
        &self,
        cluster: &str,
        namespace: &str,
        service_account: &str,
    ) -> Result<Option<String>, Failure> {
        let answer = self
            .0
            .eks
            .list_pod_identity_associations()
            .cluster_name(cluster)
            .namespace(namespace)
            .service_account(service_account)
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(answer
                .associations()
                .iter()
                .find_map(|association| association.association_id())
                .map(str::to_owned)),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(None),
            Err(error) => Err(classify("ListPodIdentityAssociations", &error)),
        }
    }
}

#[async_trait]
impl ResourceApi<PodIdentityAssociation> for PodIdentityAssociationApi<'_> {
    async fn observe(
        &self,
        name: &str,
        _scope: &Scope,
    ) -> Result<Option<Found<PodIdentityAssociation>>, Failure> {
        // None of the three parts can hold a slash.
        let parts: Vec<_> = name.split('/').collect();
        let [cluster, namespace, service_account] = parts[..] else {
            return Err(Failure::new(
                Class::Bug,
                format!("no name of a Pod Identity association: {name}"),
            ));
        };
        let all = || self.all_ids(cluster);
        let id = match self.0.listings.associations.find(name, all).await {
            Some(id) => Some(id),
            None => {
                let id = self.find_id(cluster, namespace, service_account);
                part("ListPodIdentityAssociations", id).await?
            }
        };
        let Some(id) = id else { return Ok(None) };
        let call = self
            .0
            .eks
            .describe_pod_identity_association()
            .cluster_name(cluster)
            .association_id(&id);
        let answer =
            trailed_setting(format!("DescribePodIdentityAssociation {id}"), call.send()).await;
        let association = match answer {
            Ok(answer) => answer.association,
            Err(error) if is_code(&error, NOT_FOUND) => return Ok(None),
            Err(error) => return Err(classify("DescribePodIdentityAssociation", &error)),
        };
        Ok(association.map(|association| {
            let arn = association.association_arn().map(str::to_owned);
            let resource = PodIdentityAssociation {
                cluster: cluster.to_owned(),
                namespace: namespace.to_owned(),
                service_account: service_account.to_owned(),
                role_arn: association.role_arn().unwrap_or_default().to_owned(),
                tags: association
                    .tags()
                    .into_iter()
                    .flatten()
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect(),
            };
            let outputs = Outputs::new().with_optional("arn", arn.clone());
            Found {
                arn,
                id: Some(id),
                outputs,
                ..Found::available(resource)
            }
        }))
    }

    /// Without a client token, here and in [`Self::update`]: what is made once more as it was, and drift that comes back, would
    /// carry a known token, and EKS might take it for a repeat. A service account has one association: a real repeat meets it.
    async fn create(&self, desired: &PodIdentityAssociation) -> Result<(), Failure> {
        self.0
            .eks
            .create_pod_identity_association()
            .cluster_name(&desired.cluster)
            .namespace(&desired.namespace)
            .service_account(&desired.service_account)
            .role_arn(&desired.role_arn)
            .set_tags(Some(desired.tags.clone().into_iter().collect()))
            .send()
            .await
            .map_err(|error| {
                unless_role_is_new(
                    self.0,
                    &desired.role_arn,
                    classify("CreatePodIdentityAssociation", &error),
                )
            })?;
        Ok(())
    }

    async fn update(
        &self,
        desired: &PodIdentityAssociation,
        found: &Found<PodIdentityAssociation>,
        fields: &[String],
    ) -> Result<(), Failure> {
        if fields.iter().any(|field| field == "roleArn") {
            self.0
                .eks
                .update_pod_identity_association()
                .cluster_name(&desired.cluster)
                .association_id(id_of(found)?)
                .role_arn(&desired.role_arn)
                .send()
                .await
                .map_err(|error| {
                    unless_role_is_new(
                        self.0,
                        &desired.role_arn,
                        classify("UpdatePodIdentityAssociation", &error),
                    )
                })?;
            return Ok(());
        }
        match &found.arn {
            Some(arn) => tag(self.0, arn, &desired.tags).await,
            None => Err(Failure::new(
                Class::Bug,
                "a Pod Identity association without an ARN",
            )),
        }
    }

    async fn delete(
        &self,
        found: &Found<PodIdentityAssociation>,
        _mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        let answer = self
            .0
            .eks
            .delete_pod_identity_association()
            .cluster_name(&found.resource.cluster)
            .association_id(id_of(found)?)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(()),
            Err(error) => Err(classify("DeletePodIdentityAssociation", &error)),
        }
    }
}

fn id_of(found: &Found<PodIdentityAssociation>) -> Result<&str, Failure> {
    found
        .id
        .as_deref()
        .ok_or_else(|| Failure::new(Class::Bug, "a Pod Identity association without an id"))
}
