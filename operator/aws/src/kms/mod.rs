//! KMS: keys and their aliases.

mod key;
mod key_changes;

pub use key::made_at;
pub(crate) use key::{ALIAS_TAG, KeyApi};
