//! The data tier of a custom resource.

use crate::{aws::AwsResource, blueprint::Remark, failure::Failure, resource::ResourceKey};

/// A resource of the data tier, and how applications hear of it.
#[derive(Clone, Debug)]
pub struct DataResource {
    /// Its role: `database`, `products`, `topics.buy`.
    pub role: String,
    /// What is desired of it.
    pub resource: AwsResource,
    /// What has to be usable before.
    pub depends_on: Vec<ResourceKey>,
    /// The binding it belongs to and the prefix of its outputs there; `None` for what applications do not see.
    pub binding: Option<BindingPart>,
    /// What people should hear of, though it stops nothing.
    pub remarks: Vec<Remark>,
    /// Why it is not made. Where it is there, that is told and stops nothing: it was made before anybody looked.
    pub contradictions: Vec<Failure>,
}

/// The part of a binding that one resource fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingPart {
    /// Name of the binding: `database`, `notifications`.
    pub name: String,
    /// Prefix of the outputs: empty, or `topics.buy`.
    pub prefix: String,
}

impl DataResource {
    pub(super) fn hidden(role: impl Into<String>, resource: impl Into<AwsResource>) -> Self {
        Self {
            role: role.into(),
            resource: resource.into(),
            depends_on: Vec::new(),
            binding: None,
            remarks: Vec::new(),
            contradictions: Vec::new(),
        }
    }

    pub(super) fn bound(
        name: &str,
        prefix: impl Into<String>,
        role: impl Into<String>,
        resource: impl Into<AwsResource>,
    ) -> Self {
        let binding = Some(BindingPart {
            name: name.to_owned(),
            prefix: prefix.into(),
        });
        Self {
            role: role.into(),
            resource: resource.into(),
            depends_on: Vec::new(),
            binding,
            remarks: Vec::new(),
            contradictions: Vec::new(),
        }
    }

    pub(super) fn after(mut self, depends_on: &[ResourceKey]) -> Self {
        self.depends_on.extend_from_slice(depends_on);
        self
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> ResourceKey {
        self.resource.key()
    }
}
