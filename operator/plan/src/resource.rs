//! What identifies a resource in blueprints, plans, inventories, events and metrics.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    aws::{AwsKind, Holding},
    kubernetes::KubernetesKind,
};

/// A kind of resource that Shopkeeper makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// A resource of AWS.
    Aws(AwsKind),
    /// A Kubernetes object in the namespace of the custom resource.
    Kubernetes(KubernetesKind),
}

impl ResourceKind {
    /// All kinds there are.
    pub fn all() -> impl Iterator<Item = Self> {
        AwsKind::ALL.iter().map(|kind| Self::Aws(*kind)).chain(
            KubernetesKind::ALL
                .iter()
                .map(|kind| Self::Kubernetes(*kind)),
        )
    }

    /// The stable identifier used in inventories and metrics: `RdsInstance`, `Deployment`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Aws(kind) => kind.id(),
            Self::Kubernetes(kind) => kind.id(),
        }
    }

    /// The name a person uses: `RDS instance`, `Deployment`.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Aws(kind) => kind.title(),
            Self::Kubernetes(kind) => kind.id(),
        }
    }

    /// The kind with this identifier.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        Self::all().find(|kind| kind.id() == id)
    }

    /// Whether a resource of this kind needs one of the other kind, which goes after it, for as long as it is there.
    #[must_use]
    pub const fn rests_on(self, other: Self) -> bool {
        match (self, other) {
            (Self::Kubernetes(own), Self::Kubernetes(other)) => own.rests_on(other),
            // Pods use all that there is. What leads to them needs them, and they hold up the rest.
            (Self::Kubernetes(own), Self::Aws(_)) => matches!(own, KubernetesKind::Deployment),
            (Self::Aws(own), Self::Aws(other)) => own.rests_on(other),
            (Self::Aws(_), Self::Kubernetes(_)) => false,
        }
    }

    /// When it is taken down: a lower stage goes first, and the next stage starts when AWS or Kubernetes says that the
    /// one before is gone. A fixed order by kind needs neither a valid specification nor a Platform that is still there.
    #[must_use]
    pub const fn teardown_stage(self) -> u8 {
        match self {
            Self::Kubernetes(kind) => kind.teardown_stage(),
            Self::Aws(kind) => kind.teardown_stage(),
        }
    }
}

/// Identifies one resource of one custom resource: a kind and the name AWS or Kubernetes knows it by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// The kind.
    pub kind: ResourceKind,
    /// The name, as AWS or Kubernetes knows it.
    pub name: String,
}

impl ResourceKey {
    /// A resource of AWS.
    #[must_use]
    pub fn aws(kind: AwsKind, name: impl Into<String>) -> Self {
        Self {
            kind: ResourceKind::Aws(kind),
            name: name.into(),
        }
    }

    /// A Kubernetes object.
    #[must_use]
    pub fn kubernetes(kind: KubernetesKind, name: impl Into<String>) -> Self {
        Self {
            kind: ResourceKind::Kubernetes(kind),
            name: name.into(),
        }
    }

    /// Whether it is a resource of AWS that holds this.
    #[must_use]
    pub fn holds(&self, what: Holding) -> bool {
        matches!(self.kind, ResourceKind::Aws(kind) if kind.holding() == what)
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.title(), self.name)
    }
}

impl Serialize for ResourceKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}/{}", self.kind.id(), self.name))
    }
}

impl<'de> Deserialize<'de> for ResourceKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.split_once('/')
            .and_then(|(kind, name)| {
                Some(Self {
                    kind: ResourceKind::from_id(kind)?,
                    name: name.to_owned(),
                })
            })
            .ok_or_else(|| serde::de::Error::custom(format!("no resource key: {text}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_goes_later() {
        for kind in ResourceKind::all() {
            for other in ResourceKind::all().filter(|other| kind.rests_on(*other)) {
                assert!(
                    kind.teardown_stage() <= other.teardown_stage()
                        || kind == ResourceKind::Kubernetes(KubernetesKind::Deployment),
                    "{} needs {}, which goes first",
                    kind.id(),
                    other.id()
                );
            }
        }
    }

    #[test]
    fn every_kind_is_found_by_its_identifier() {
        let mut seen = std::collections::BTreeSet::new();
        for kind in ResourceKind::all() {
            assert_eq!(ResourceKind::from_id(kind.id()), Some(kind));
            assert!(seen.insert(kind.id()), "{} is used twice", kind.id());
        }
    }
}
