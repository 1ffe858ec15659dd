//! KMS: keys and their aliases.

mod key;

pub(crate) use key::KeyApi;
