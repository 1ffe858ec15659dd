//! Secrets Manager: the master passwords that RDS keeps there, and the passwords that are generated for users of caches.

mod passwords;
mod secret;

pub(crate) use passwords::Passwords;
pub(crate) use secret::{SecretApi, generate};

/// The code for a secret, or a version of one, that does not exist.
pub(crate) const MISSING: &str = "ResourceNotFoundException";
