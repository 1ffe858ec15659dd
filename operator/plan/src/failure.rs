//! What can go wrong, in classes, and the one place that decides when to try again.

use std::time::Duration;

use serde::Serialize;

/// The class of a failure. It alone decides the retry; no class is final, since the cause may lie outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Class {
    /// The specification, or a value in it, is refused. A person has to change something.
    Invalid,
    /// Somebody else wrote first, or the resource is busy with another change.
    Conflict,
    /// Something that is needed is not there yet.
    NotReady,
    /// The API asked for fewer calls.
    Throttled,
    /// Permission is missing. A person has to grant it.
    Denied,
    /// A server or the network failed; the same call may succeed.
    Transient,
    /// An answer that the code does not understand, or a panic.
    Bug,
}

impl Class {
    /// Stable label for metrics and condition reasons.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Invalid => "Invalid",
            Self::Conflict => "Conflict",
            Self::NotReady => "NotReady",
            Self::Throttled => "Throttled",
            Self::Denied => "Denied",
            Self::Transient => "Transient",
            Self::Bug => "Bug",
        }
    }

    /// True where nothing was answered, or to ask again later: what was known before is still the best that is known.
    #[must_use]
    pub const fn is_silence(self) -> bool {
        matches!(self, Self::Throttled | Self::Transient)
    }

    /// True where waiting alone does not help: the condition `Stalled` is for these.
    #[must_use]
    pub const fn needs_a_person(self) -> bool {
        matches!(self, Self::Invalid | Self::Denied | Self::Bug)
    }
}

/// A failure as it is reported: which class, what AWS or Kubernetes said, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}{message}", code.as_deref().map(|code| format!("{code}: ")).unwrap_or_default())]
pub struct Failure {
    /// The class, which decides the retry.
    pub class: Class,
    /// The error code of AWS or the reason of Kubernetes, where there is one.
    pub code: Option<String>,
    /// What happened, without request ids or times: the text must be the same on every try, or each try would be a
    /// status write.
    pub message: String,
    /// What a person can do, as an imperative sentence; empty where only waiting helps.
    pub remedy: String,
    /// How long the same call would be in vain, where that is known.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure without an error code.
    #[must_use]
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            code: None,
            message: message.into(),
            remedy: String::new(),
            retry_after: None,
        }
    }

    /// A specification that cannot work: names the field and the remedy.
    #[must_use]
    pub fn invalid(field: &str, problem: &str, remedy: &str) -> Self {
        Self {
            class: Class::Invalid,
            code: None,
            message: format!("{field}: {problem}"),
            remedy: remedy.to_owned(),
            retry_after: None,
        }
    }

    /// The same failure with an error code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The same failure with a remedy.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// The same failure with the time for which the same call would be in vain.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// A wait before the same call, lengthened to the time for which that would be in vain.
    #[must_use]
    pub fn as_asked(&self, wait: Duration) -> Duration {
        wait.max(self.retry_after.unwrap_or_default())
    }

    /// Whether the call was not made, since the budget was spent. See [`crate::budget`].
    #[must_use]
    pub fn is_budget_spent(&self) -> bool {
        self.code.as_deref() == Some(crate::budget::SPENT)
    }

    /// The text for a condition: code, message and remedy in one line.
    #[must_use]
    pub fn describe(&self) -> String {
        if self.remedy.is_empty() {
            self.to_string()
        } else {
            format!("{self}. To do: {}", self.remedy)
        }
    }
}

/// Whether the code of a failure that lasts tells of a quota: `TopicLimitExceeded`, `InstanceQuotaExceeded`, `OverLimit`, `TooManyBuckets`.
#[must_use]
pub fn is_quota(code: &str) -> bool {
    ["LimitExceeded", "Quota", "OverLimit"]
        .iter()
        .any(|words| code.contains(words))
        || code.starts_with("TooMany")
}

/// First wait and longest wait of a class. Doubling from the first to the longest.
const fn bounds(class: Class) -> (Duration, Duration) {
    match class {
        // Looked at again slowly: an edit or a grant starts a pass at once, so the wait only matters when the cause is
        // outside (a quota raised, a policy attached).
        Class::Invalid | Class::Denied | Class::Bug => {
            (Duration::from_secs(30), Duration::from_secs(30 * 60))
        }
        Class::Conflict => (Duration::from_millis(500), Duration::from_secs(60)),
        // EKS, RDS and ElastiCache take minutes; polling under 10 s buys nothing but calls.
        Class::NotReady => (Duration::from_secs(1), Duration::from_secs(15)),
        // AWS refills its buckets once a second; starting below that only adds refusals.
        Class::Throttled => (Duration::from_secs(2), Duration::from_secs(120)),
        Class::Transient => (Duration::from_millis(500), Duration::from_secs(60)),
    }
}

/// The one retry decision: how long to wait before the next pass.
///
/// `attempt` counts the failures in a row, from 0. `seed` spreads objects that failed together (the object's uid is a
/// good one); the result lies between half of the doubled wait and the whole of it, and never over the longest wait of
/// the class.
#[must_use]
pub fn retry_after(class: Class, attempt: u32, seed: u64) -> Duration {
    let (first, longest) = bounds(class);
    let doubled = first
        .saturating_mul(2_u32.saturating_pow(attempt.min(16)))
        .min(longest);
    // A multiplicative hash (the 64-bit golden ratio) is enough to spread; no randomness, so that a test can repeat it.
    let spread = seed
        .wrapping_add(u64::from(attempt))
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        >> 48;
    let half = doubled / 2;
    half + half.mul_f64(f64::from(u32::try_from(spread).unwrap_or(0)) / 65_536.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Class; 7] = [
        Class::Invalid,
        Class::Conflict,
        Class::NotReady,
        Class::Throttled,
        Class::Denied,
        Class::Transient,
        Class::Bug,
    ];

    #[test]
    fn no_class_waits_for_ever_and_none_spins() {
        for class in ALL {
            for attempt in [0, 1, 5, 100, u32::MAX] {
                let wait = retry_after(class, attempt, 7);
                assert!(
                    wait >= Duration::from_millis(250),
                    "{class:?} {attempt} {wait:?}"
                );
                assert!(
                    wait <= Duration::from_secs(1800),
                    "{class:?} {attempt} {wait:?}"
                );
            }
        }
    }

    #[test]
    fn quotas_go_by_many_names() {
        for code in [
            "LimitExceededException",
            "TopicLimitExceeded",
            "InstanceQuotaExceeded",
            "NodeQuotaForCustomerExceeded",
            "OverLimit",
            "TooManyBuckets",
        ] {
            assert!(is_quota(code), "{code}");
        }
        assert!(!is_quota("InvalidParameterValue"));
    }

    #[test]
    fn waits_grow_with_attempts_up_to_the_bound() {
        for class in ALL {
            assert!(
                retry_after(class, 12, 3) > retry_after(class, 0, 3),
                "{class:?}"
            );
        }
    }

    #[test]
    fn two_objects_that_fail_together_do_not_return_together() {
        assert_ne!(
            retry_after(Class::Transient, 4, 1),
            retry_after(Class::Transient, 4, 2)
        );
    }
}
