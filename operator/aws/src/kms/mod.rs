//! KMS: keys and their aliases.

mod key;
mod key_changes;

pub(crate) use key::{ALIAS_TAG, KeyApi};
pub use key::{key_facts, made_at};
