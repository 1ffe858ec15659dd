//! KMS: keys and their aliases.

mod key;
mod key_changes;

pub(crate) use key::KeyApi;
