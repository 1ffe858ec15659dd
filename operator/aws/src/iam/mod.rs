//! IAM: roles.

mod role;

pub(crate) use role::RoleApi;
