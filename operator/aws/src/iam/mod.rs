//! IAM: roles, and the identity provider of a cluster.

mod listed_role;
mod oidc_provider;
mod role;
mod tagged_roles;

pub(crate) use listed_role::ListedRole;
pub use oidc_provider::oidc_provider;
pub(crate) use role::{RoleApi, purpose_of_role};
pub(crate) use tagged_roles::tagged_roles;
