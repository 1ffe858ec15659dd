//! Versions as AWS writes them: numbers and dots, and sometimes a date or a patch behind a hyphen.

use std::cmp::Ordering;

/// How an observed version stands to a declared one, as far as the declared one goes: `17` is any 17.x, and `7.1` is 7.1.0. `None` where
/// that cannot be said, as of two hashes.
#[must_use]
pub fn compare(observed: &str, declared: &str) -> Option<Ordering> {
    let parts =
        |version: &str| -> Vec<String> { version.split(['.', '-']).map(str::to_owned).collect() };
    let (observed, declared) = (parts(observed), parts(declared));
    for (place, declared) in declared.iter().enumerate() {
        // What is left out is 0: `7.1.0` may be reported as 7.1.
        let observed = observed.get(place).map_or("0", String::as_str);
        let order = match (observed.parse::<u64>(), declared.parse::<u64>()) {
            (Ok(observed), Ok(declared)) => observed.cmp(&declared),
            _ if observed == declared => Ordering::Equal,
            _ => return None,
        };
        if order != Ordering::Equal {
            return Some(order);
        }
    }
    Some(Ordering::Equal)
}

/// Whether the observed version is the declared one or a more exact form of it.
#[must_use]
pub fn is_version_of(observed: &str, declared: &str) -> bool {
    compare(observed, declared) == Some(Ordering::Equal)
}

/// Whether the observed version is newer than the declared one: AWS does not go back.
#[must_use]
pub fn is_newer(observed: &str, declared: &str) -> bool {
    compare(observed, declared) == Some(Ordering::Greater)
}

/// Whether two versions differ in their first numbers, as many of them as make a major version. One that is given in part is compared
/// as far as it goes.
#[must_use]
pub fn is_other_major(one: &str, other: &str, numbers: usize) -> bool {
    one.split('.')
        .zip(other.split('.'))
        .take(numbers)
        .any(|(one, other)| one != other)
}

/// A version that is newer than the declared one. It is not brought back: AWS refuses that, and with it whatever else is in the same call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newer {
    /// The field of the specification, as it is found below the service or frontend.
    pub field: &'static str,
    /// What runs.
    pub observed: String,
    /// What is declared.
    pub declared: String,
    /// Whether it is a newer major version.
    pub is_major: bool,
}

impl Newer {
    /// What a person is told.
    #[must_use]
    pub fn describe(&self) -> String {
        let Self {
            field,
            observed,
            declared,
            is_major,
        } = self;
        let (major, parameters) = if *is_major {
            (
                "major ",
                "; what is declared for the older one, as its parameters are, does not reach it",
            )
        } else {
            ("", "")
        };
        format!(
            "runs version {observed}, a newer {major}version than {declared} as declared, and AWS does not go back: write {observed} \
             in {field}{parameters}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number_as_far_as_the_declared_one_goes() {
        use Ordering::{Equal, Greater, Less};
        for (observed, declared, order) in [
            ("17.6", "17", Some(Equal)),
            ("170.6", "17", Some(Greater)),
            ("17.6", "17.4", Some(Greater)),
            ("17.4", "17.6", Some(Less)),
            ("17.10", "17.9", Some(Greater)),
            ("16.8", "17", Some(Less)),
            ("7.1.0", "7.1", Some(Equal)),
            ("7.1", "7.1.0", Some(Equal)),
            ("7.1", "7.1.2", Some(Less)),
            ("8.0.40", "8.0", Some(Equal)),
            ("8.4.3", "8.0.40", Some(Greater)),
            ("1.36", "1.35", Some(Greater)),
            ("1.36.0-20260301", "1.36.0-20260101", Some(Greater)),
            ("1.36.0-20260101", "1.36.0-20260301", Some(Less)),
            ("11.22-rds.20240418", "11.22", Some(Equal)),
            ("1.20.0-fcf71a47", "1.20.0-fcf71a47", Some(Equal)),
            ("1.20.0-fcf71a47", "1.20.0-9a52bd11", None),
            ("1.21.0-fcf71a47", "1.20.0-9a52bd11", Some(Greater)),
            ("6.2.6", "6.x", None),
        ] {
            assert_eq!(
                compare(observed, declared),
                order,
                "{observed} for {declared}"
            );
        }
    }

    #[test]
    fn major_versions_have_as_many_numbers_as_the_engine_says() {
        assert!(!is_other_major("17", "17.4", 1));
        assert!(is_other_major("17", "16.8", 1));
        assert!(is_other_major("8.4", "8.0.40", 2));
        assert!(!is_other_major("8.0.41", "8.0.40", 2));
        assert!(!is_other_major("11", "11.4.4", 2));
    }
}
