//! The node group or Fargate profile that a workload has already, where that may stay in the subnets that it was made in.
//!
//! See `docs/decisions/0032-places-keep-their-subnets.md`.

use std::{borrow::Cow, collections::BTreeSet};

use crate::{
    aws::{AwsKind, AwsSpecification as _},
    names::is_with_hash,
    observed::{Lifecycle, Observation, Observed, Present},
    resolve::{Component, Placement, site::Site},
    resource::ResourceKey,
};

/// The component in the place that it has already, if that is its own in all but subnets that came later.
pub(super) fn in_its_place<'a>(
    component: &'a Component,
    observed: &Observed,
) -> Cow<'a, Component> {
    match existing(&component.placement, observed) {
        None => Cow::Borrowed(component),
        Some(placement) => Cow::Owned(Component {
            placement,
            ..component.clone()
        }),
    }
}

impl Placement {
    fn key(&self) -> Option<ResourceKey> {
        match self {
            Self::Own(own) => Some(ResourceKey::aws(AwsKind::NodeGroup, own.group.name())),
            Self::Fargate(fargate) => Some(ResourceKey::aws(
                AwsKind::FargateProfile,
                fargate.profile.name(),
            )),
            Self::Shared { .. } | Self::Anywhere => None,
        }
    }

    fn site(&self) -> Option<&Site> {
        match self {
            Self::Own(own) => Some(&own.site),
            Self::Fargate(fargate) => Some(&fargate.site),
            Self::Shared { .. } | Self::Anywhere => None,
        }
    }

    fn in_subnets(&self, subnets: &BTreeSet<String>) -> Self {
        match self {
            Self::Own(own) => Self::Own(Box::new(own.in_subnets(subnets))),
            Self::Fargate(fargate) => Self::Fargate(Box::new(fargate.in_subnets(subnets))),
            Self::Shared { .. } | Self::Anywhere => self.clone(),
        }
    }

    /// The same under the name of one of which AWS does not say where it is.
    fn called(mut self, name: &str) -> Self {
        match &mut self {
            Self::Own(own) => name.clone_into(&mut own.group.name),
            Self::Fargate(fargate) => **fargate = fargate.called(name),
            Self::Shared { .. } | Self::Anywhere => {}
        }
        self
    }
}

/// Another place than the one of all subnets.
fn existing(placement: &Placement, observed: &Observed) -> Option<Placement> {
    let (own, site) = (placement.key()?, placement.site()?);
    if !matches!(observed.aws.get(&own), None | Some(Observation::Absent)) {
        return None;
    }
    let candidates = || {
        observed
            .aws
            .iter()
            .filter(|(key, _)| key.kind == own.kind && **key != own)
            .filter(|(key, _)| is_with_hash(&site.base, &key.name))
    };
    // The name holds the hash of everything else that EKS cannot change: one that is not as desired has another.
    let in_subnets = |key: &ResourceKey, subnets: &BTreeSet<String>| {
        let placement = placement.in_subnets(subnets);
        (site.leaves(subnets) && placement.key().as_ref() == Some(key)).then_some(placement)
    };
    let seen = candidates().find_map(|(key, observation)| match observation {
        Observation::Present(present) if is_there(present) => {
            in_subnets(key, present.resource.subnets_of_place()?)
        }
        _ => None,
    });
    // What AWS does not tell of just now is taken for what it was. Where that is not known nothing is made beside it: the place waits
    // under its name.
    let unseen = || {
        let silent = candidates().filter(|(_, observation)| observation.failure().is_some());
        let mut places = silent.filter_map(|(key, _)| match observed.lately.get(key) {
            Some(seen) if !seen.subnets.is_empty() => in_subnets(key, &seen.subnets),
            _ => Some(placement.clone().called(&key.name)),
        });
        places.next()
    };
    seen.or_else(unseen)
}

/// Whether pods may stay on it. One that failed or is on its way out is not worth keeping.
fn is_there(present: &Present) -> bool {
    matches!(
        present.lifecycle,
        Lifecycle::Creating | Lifecycle::Available | Lifecycle::Modifying
    )
}
