//! Parameter groups of RDS and ElastiCache: which parameters the next call takes.

use std::collections::BTreeMap;

/// How many parameters RDS and ElastiCache take in one call.
const MOST: usize = 20;

/// The source of values that were set, as opposed to the engine's and the service's own (some 400).
pub(crate) const SET_BY_THE_USER: &str = "user";

/// Names of the parameters whose value is not as desired, as many as one call takes.
pub(crate) fn to_set(
    desired: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
) -> Vec<String> {
    let different = desired
        .iter()
        .filter(|(name, value)| found.get(*name) != Some(*value));
    different.map(|(name, _)| name.clone()).take(MOST).collect()
}

/// Names of the parameters that were set and are not desired any more, as many as one call takes.
pub(crate) fn to_reset(
    desired: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
) -> Vec<String> {
    found
        .keys()
        .filter(|name| !desired.contains_key(*name))
        .take(MOST)
        .cloned()
        .collect()
}
