//! IAM: roles, and the identity provider of a cluster.

mod oidc_provider;
mod role;

pub use oidc_provider::oidc_provider;
pub(crate) use role::RoleApi;
