//! EKS Fargate profile.

use async_trait::async_trait;
use aws_sdk_eks::types::{
    FargateProfile as EksProfile, FargateProfileSelector, FargateProfileStatus,
};
use shopkeeper_plan::{
    aws::{FargateProfile, FargateSelector},
    failure::{Class, Failure},
    observed::{Lifecycle, Note, Notes},
    outputs::Outputs,
    plan::DeleteMode,
};

use super::{NOT_FOUND, id_in, tag, told, unknown, unless_role_is_new, with_issues};
use crate::{
    account::{Account, Scope},
    error::{classify, is_code},
    resource::{DeletionToken, Found, ResourceApi},
};

pub(crate) struct FargateProfileApi<'a>(pub(crate) &'a Account);

#[async_trait]
impl ResourceApi<FargateProfile> for FargateProfileApi<'_> {
    async fn observe(
        &self,
        name: &str,
        scope: &Scope,
    ) -> Result<Option<Found<FargateProfile>>, Failure> {
        match self
            .0
            .eks
            .describe_fargate_profile()
            .cluster_name(&scope.cluster)
            .fargate_profile_name(name)
            .send()
            .await
        {
            Ok(answer) => answer.fargate_profile().map(found).transpose(),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(None),
            Err(error) => Err(classify("DescribeFargateProfile", &error)),
        }
    }

    /// EKS makes or deletes one profile of a cluster at a time, and answers ResourceInUseException meanwhile: a conflict, which is
    /// tried again. Without a client token, as node groups: a creation that is really repeated meets the profile of its name.
    async fn create(&self, desired: &FargateProfile) -> Result<(), Failure> {
        let selectors = desired
            .selectors
            .iter()
            .map(|selector| {
                FargateProfileSelector::builder()
                    .namespace(&selector.namespace)
                    .set_labels(Some(selector.labels.clone().into_iter().collect()))
                    .build()
            })
            .collect();
        self.0
            .eks
            .create_fargate_profile()
            .cluster_name(&desired.cluster)
            .fargate_profile_name(&desired.name)
            .pod_execution_role_arn(&desired.pod_execution_role_arn)
            .set_subnets(Some(desired.subnets.iter().cloned().collect()))
            .set_selectors(Some(selectors))
            .set_tags(Some(desired.tags.clone().into_iter().collect()))
            .send()
            .await
            .map_err(|error| {
                unless_role_is_new(
                    self.0,
                    &desired.pod_execution_role_arn,
                    classify("CreateFargateProfile", &error),
                )
            })?;
        Ok(())
    }

    /// EKS changes nothing of a profile but its tags.
    async fn update(
        &self,
        desired: &FargateProfile,
        found: &Found<FargateProfile>,
        _fields: &[String],
    ) -> Result<(), Failure> {
        match &found.arn {
            Some(arn) => tag(self.0, arn, &desired.tags).await,
            None => Err(Failure::new(Class::Bug, "a Fargate profile without an ARN")),
        }
    }

    async fn delete(
        &self,
        found: &Found<FargateProfile>,
        _mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        if found.lifecycle == Lifecycle::Deleting {
            return Ok(());
        }
        let FargateProfile { cluster, name, .. } = &found.resource;
        match self
            .0
            .eks
            .delete_fargate_profile()
            .cluster_name(cluster)
            .fargate_profile_name(name)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, NOT_FOUND) => Ok(()),
            Err(error) => Err(classify("DeleteFargateProfile", &error)),
        }
    }
}

/// A profile as EKS describes it.
fn found(profile: &EksProfile) -> Result<Found<FargateProfile>, Failure> {
    let strings = |map: Option<&std::collections::HashMap<String, String>>| {
        map.into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let resource = FargateProfile {
        cluster: profile.cluster_name().unwrap_or_default().to_owned(),
        name: profile
            .fargate_profile_name()
            .unwrap_or_default()
            .to_owned(),
        pod_execution_role_arn: profile
            .pod_execution_role_arn()
            .unwrap_or_default()
            .to_owned(),
        subnets: profile.subnets().iter().cloned().collect(),
        selectors: profile
            .selectors()
            .iter()
            .map(|selector| FargateSelector {
                namespace: selector.namespace().unwrap_or_default().to_owned(),
                labels: strings(selector.labels()),
            })
            .collect(),
        tags: strings(profile.tags()),
    };
    let issues = profile
        .health()
        .map(|health| health.issues())
        .unwrap_or_default()
        .iter();
    let issues =
        told(issues.map(|issue| (issue.code().map(|code| code.as_str()), issue.message())));
    let arn = profile.fargate_profile_arn().map(str::to_owned);
    let id = arn.as_deref().and_then(id_in);
    let outputs = Outputs::new().with_optional("arn", arn.clone());
    Ok(Found {
        lifecycle: lifecycle(profile.status(), &issues)?,
        arn,
        id,
        outputs,
        note: Notes::of(issues.into_iter().map(Note::danger).collect()),
        ..Found::available(resource)
    })
}

fn lifecycle(
    status: Option<&FargateProfileStatus>,
    issues: &[String],
) -> Result<Lifecycle, Failure> {
    Ok(match status {
        Some(FargateProfileStatus::Creating) => Lifecycle::Creating,
        Some(FargateProfileStatus::Active) => Lifecycle::Available,
        Some(FargateProfileStatus::Deleting) => Lifecycle::Deleting,
        Some(FargateProfileStatus::CreateFailed) => Lifecycle::Failed(with_issues(
            "EKS could not make the Fargate profile",
            issues,
        )),
        Some(FargateProfileStatus::DeleteFailed) => Lifecycle::DeletionFailed(with_issues(
            "EKS could not delete the Fargate profile",
            issues,
        )),
        other => {
            let status = other.map(|status| status.as_str());
            return Err(unknown("DescribeFargateProfile", "status", status));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_that_failed_says_what_eks_says_of_it() {
        let issues = ["AccessDenied: the role has no policy".to_owned()];
        assert_eq!(
            lifecycle(Some(&FargateProfileStatus::CreateFailed), &issues).unwrap(),
            Lifecycle::Failed(
                "EKS could not make the Fargate profile: AccessDenied: the role has no policy"
                    .into()
            )
        );
        assert_eq!(
            lifecycle(Some(&FargateProfileStatus::DeleteFailed), &[]).unwrap(),
            Lifecycle::DeletionFailed("EKS could not delete the Fargate profile".into())
        );
        assert!(lifecycle(None, &[]).is_err());
    }
}
