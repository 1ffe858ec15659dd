//! Where a place for pods may be, and what it is called there.
//!
//! See `docs/decisions/0032-places-keep-their-subnets.md`.

use std::collections::BTreeSet;

use crate::facts::SubnetFacts;

/// The base of the name of a node group or Fargate profile, and the subnets it may be in. It is made in all of them.
#[derive(Clone, Debug)]
pub struct Site {
    /// The name without the hash behind it.
    pub base: String,
    /// The subnets.
    pub subnets: Vec<SubnetFacts>,
    /// Whether the subnets are those that there are. Otherwise they were asked for one by one.
    pub is_free: bool,
}

impl Site {
    /// Ids of all of its subnets.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<String> {
        self.subnets
            .iter()
            .map(|subnet| subnet.id.clone())
            .collect()
    }

    /// Whether a place that was made in these subnets may stay there: all of them are still among ours, and they reach as many zones.
    /// Subnets that came later are no reason to exchange every node.
    #[must_use]
    pub fn leaves(&self, subnets: &BTreeSet<String>) -> bool {
        let zones = |subnets: &BTreeSet<String>| -> BTreeSet<&str> {
            self.subnets
                .iter()
                .filter(|subnet| subnets.contains(&subnet.id))
                .map(|subnet| subnet.zone.as_str())
                .collect()
        };
        let all = self.ids();
        self.is_free && subnets.is_subset(&all) && zones(subnets) == zones(&all)
    }
}
