//! Which Fargate profile pods were started under.
//!
//! EKS looks at a pod when it is made, and never again: one that was made while its profile was gone stays where the scheduler put it.
//! So pods carry AWS's id of their profile, and are replaced when there is another one of the same name.

use super::{ComponentBuilder, marks::Wanted};
use crate::{
    aws::AwsSpecification as _, observed::Lifecycle, resolve::Placement, resource::ResourceKey,
};

/// Annotation of pods with AWS's id of their profile.
pub(super) const PODS_ANNOTATION: &str = "shopkeeper.dev/fargate-profile-id";

impl ComponentBuilder<'_> {
    /// The value of [`PODS_ANNOTATION`], for pods on Fargate.
    pub(super) fn of_profile(&self) -> Option<String> {
        let Placement::Fargate(fargate) = &self.component.placement else {
            return None;
        };
        let key = ResourceKey::aws(crate::aws::AwsKind::FargateProfile, fargate.profile.name());
        let present = self.observed.present(&key);
        let id = present.and_then(|present| present.id.as_deref());
        let is_ready = present.is_some_and(|present| present.lifecycle == Lifecycle::Available);
        self.mark(
            PODS_ANNOTATION,
            &Wanted {
                value: id.unwrap_or_default(),
                unmarked: &[""],
                in_place: is_ready && id.is_some(),
            },
        )
    }
}
