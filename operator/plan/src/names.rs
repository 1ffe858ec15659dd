//! Names of AWS resources, derived from their owner: the same owner always gets the same name, so that a resource whose
//! creation was never recorded is found again.

use serde::Serialize;

use crate::{aws::Tags, facts::ClusterArn, sensitive::fingerprint};

/// Who owns a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Kind of the custom resource, `OrderService`.
    pub kind: String,
    /// API version of the custom resource, `shopkeeper.dev/v1alpha1`.
    pub api_version: String,
    /// Namespace; empty for a Platform.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// Generation of the specification that is being carried out.
    pub generation: i64,
}

/// Tag that names the owner: `OrderService/shop/orders`.
pub const OWNER_TAG: &str = "shopkeeper.dev/owner";
/// Tag that holds the owner's uid.
pub const OWNER_UID_TAG: &str = "shopkeeper.dev/owner-uid";
/// Tag that holds the ARN of the EKS cluster the owner lives in: two clusters may have owners of the same name, and two regions of
/// an account clusters of the same name.
pub const CLUSTER_TAG: &str = "shopkeeper.dev/cluster";

/// Tag that says that a resource was kept when its owner stopped declaring it (`policy.deletion`): it is in no inventory, and is not
/// taken for one that an inventory lost.
pub const RETAINED_TAG: &str = "shopkeeper.dev/retained";

/// Length of the hash at the end of a shortened name, in hexadecimal digits: 32 bits, for names that already agree in
/// their first dozens of characters.
const HASH: usize = 8;

impl Owner {
    /// The value of [`OWNER_TAG`].
    #[must_use]
    pub fn path(&self) -> String {
        if self.namespace.is_empty() {
            format!("{}/{}", self.kind, self.name)
        } else {
            format!("{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }

    /// The tags by which its AWS resources are known.
    #[must_use]
    pub fn tags(&self, cluster: &ClusterArn) -> Tags {
        [
            (OWNER_TAG, self.path()),
            (OWNER_UID_TAG, self.uid.clone()),
            (CLUSTER_TAG, cluster.to_string()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }

    /// A name of at most `longest` characters for a role of this owner on a platform: `octank-shop-orders`, with
    /// `-fulfilment` for a role that is not the main one.
    ///
    /// Names that are too long keep their beginning and end in a hash of the whole. A namespace `a-b` with name `c` and a
    /// namespace `a` with name `b-c` would get the same name: a hash is added wherever a part contains a hyphen. Two
    /// kinds with the same namespace and name still meet in one name; only one of them gets to make anything, see
    /// [`crate::claims`].
    #[must_use]
    pub fn aws_name(&self, platform: &str, role: &str, longest: usize) -> String {
        self.name_of(platform, None, role, longest)
    }

    /// As [`Self::aws_name`], for IAM, where a name is one in all regions of an account: `octank-eu-west-1-shop-orders`.
    #[must_use]
    pub fn iam_name(&self, platform: &str, region: &str, role: &str, longest: usize) -> String {
        self.name_of(platform, Some(region), role, longest)
    }

    fn name_of(&self, platform: &str, region: Option<&str>, role: &str, longest: usize) -> String {
        let mut parts = vec![platform];
        if !self.namespace.is_empty() {
            parts.push(&self.namespace);
        }
        if self.name != platform || !self.namespace.is_empty() {
            parts.push(&self.name);
        }
        if !role.is_empty() {
            parts.push(role);
        }
        let ambiguous = parts.iter().any(|part| part.contains('-'));
        if let Some(region) = region {
            // The hyphens of a region mislead nobody: the first part behind the platform that is a number ends it.
            parts.insert(1, region);
        }
        let plain = parts.join("-").to_lowercase();
        let whole = format!("{}\n{}", self.kind, parts.join("\n"));
        if ambiguous || plain.len() > longest {
            shorten(&plain, &whole, longest)
        } else {
            plain
        }
    }

    /// As [`Self::aws_name`], for RDS and ElastiCache: their identifiers begin with a letter and have no two hyphens in a row.
    /// A name that is made so ends in a hash of what it was.
    #[must_use]
    pub fn aws_identifier(&self, platform: &str, role: &str, longest: usize) -> String {
        let name = self.aws_name(platform, role, longest);
        let begins_with_letter = name.starts_with(|first: char| first.is_ascii_alphabetic());
        if begins_with_letter && !name.contains("--") {
            return name;
        }
        let whole = self.aws_name(platform, role, usize::MAX);
        let words: Vec<&str> = whole.split('-').filter(|word| !word.is_empty()).collect();
        let letter = if begins_with_letter { "" } else { "p" };
        shorten(&format!("{letter}{}", words.join("-")), &whole, longest)
    }
}

/// `text` cut to fit into `longest` characters together with a hash of `whole`.
fn shorten(text: &str, whole: &str, longest: usize) -> String {
    let kept: String = text
        .chars()
        .take(longest.saturating_sub(HASH + 1))
        .collect();
    format!(
        "{}-{}",
        kept.trim_end_matches(['-', '.']),
        &fingerprint(whole.as_bytes())[..HASH]
    )
}

/// The value of a label: `text` where a label has room for it, else its beginning with a hash of the whole.
#[must_use]
pub fn label(text: &str) -> String {
    /// Longest value of a label in Kubernetes.
    const LONGEST: usize = 63;
    if text.len() <= LONGEST {
        text.to_owned()
    } else {
        shorten(text, text, LONGEST)
    }
}

/// The name of a node group or Fargate profile: a base and a hash of the fields that EKS cannot change, so that changing one of them
/// asks for another. At most 63 characters, EKS's limit.
#[must_use]
pub fn with_hash(base: &str, immutable: &impl Serialize) -> String {
    // Structs of strings and numbers: serialising them cannot fail.
    let text = serde_json::to_string(immutable).unwrap_or_default();
    let hash = &fingerprint(text.as_bytes())[..IN_NAME];
    format!("{}-{hash}", before_hash(base))
}

/// Whether a name is this base with some hash.
#[must_use]
pub fn is_with_hash(base: &str, name: &str) -> bool {
    name.strip_prefix(before_hash(base))
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|hash| hash.len() == IN_NAME && hash.chars().all(|c| c.is_ascii_hexdigit()))
}

/// Length of the hash in the name of a place for pods, in hexadecimal digits.
const IN_NAME: usize = 6;

/// What of a base the limit of 63 characters leaves room for.
fn before_hash(base: &str) -> &str {
    let end = base
        .char_indices()
        .nth(63 - IN_NAME - 1)
        .map_or(base.len(), |(end, _)| end);
    base[..end].trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(kind: &str, namespace: &str, name: &str) -> Owner {
        Owner {
            kind: kind.into(),
            api_version: "shopkeeper.dev/v1alpha1".into(),
            namespace: namespace.into(),
            name: name.into(),
            uid: "u".into(),
            generation: 1,
        }
    }

    #[test]
    fn short_names_are_plain() {
        assert_eq!(
            owner("OrderService", "shop", "orders").aws_name("octank", "", 63),
            "octank-shop-orders"
        );
        assert_eq!(
            owner("Platform", "", "octank").aws_name("octank", "", 63),
            "octank"
        );
    }

    #[test]
    fn owners_that_would_collide_do_not() {
        let one = owner("OrderService", "a-b", "c").aws_name("p", "", 63);
        let other = owner("OrderService", "a", "b-c").aws_name("p", "", 63);
        assert_ne!(one, other);
    }

    #[test]
    fn names_in_iam_hold_the_region_and_fit() {
        let orders = owner("OrderService", "shop", "orders");
        assert_eq!(
            orders.iam_name("octank", "eu-west-1", "nodes", 64),
            "octank-eu-west-1-shop-orders-nodes"
        );
        let long = "x".repeat(60);
        for orders in [
            orders,
            owner("OrderService", "shop", &long),
            owner("OrderService", "a-b", "c"),
        ] {
            for platform in ["octank", "octank-prod", &long] {
                let [one, other] = ["eu-west-1", "us-gov-west-1"]
                    .map(|region| orders.iam_name(platform, region, "nodes", 64));
                assert!(one.len() <= 64 && other.len() <= 64, "{one} {other}");
                assert_ne!(one, other);
            }
        }
    }

    #[test]
    fn identifiers_begin_with_a_letter_and_have_no_two_hyphens_in_a_row() {
        let orders = owner("OrderService", "shop", "orders");
        let platforms = ["1shop", "p1shop", "a--b", "a-b", "0", "9--9"];
        let names = platforms.map(|platform| orders.aws_identifier(platform, "", 40));
        for name in &names {
            assert!(name.starts_with(|c: char| c.is_ascii_lowercase()), "{name}");
            assert!(name.len() <= 40 && !name.contains("--"), "{name}");
        }
        let apart: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(apart.len(), names.len(), "{names:?}");
        // What could be made before keeps its name.
        for platform in ["octank", "octank-eu", &"x".repeat(60)] {
            assert_eq!(
                orders.aws_identifier(platform, "app", 40),
                orders.aws_name(platform, "app", 40)
            );
        }
    }

    #[test]
    fn long_names_fit_and_stay_apart() {
        let long = "x".repeat(60);
        let one =
            owner("OrderService", "shop", &format!("{long}1")).aws_name("octank", "nodes", 40);
        let other =
            owner("OrderService", "shop", &format!("{long}2")).aws_name("octank", "nodes", 40);
        assert_eq!(one.len(), 40);
        assert_ne!(one, other);
    }
}
