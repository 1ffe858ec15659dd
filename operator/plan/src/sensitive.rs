//! Values that must never be printed: passwords, and everything rendered from one.

use sha2::{Digest, Sha256};

/// A secret value. It can be compared and hashed, but neither `Debug` nor `Display` nor serde shows it, so that it can
/// travel through a plan without a chance to reach a status, an event, a log line or a metric.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sensitive(String);

impl Sensitive {
    /// Wraps a secret value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself. Only the code that writes a Kubernetes Secret may ask for it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the value, in lower-case hexadecimal: what the observed Secret is reduced to before it is cached.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(self.0.as_bytes())
    }
}

/// SHA-256 in lower-case hexadecimal.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

impl std::fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sensitive(redacted)")
    }
}

impl std::fmt::Display for Sensitive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("redacted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_display_shows_the_value() {
        let secret = Sensitive::new("hunter2");
        assert!(!format!("{secret:?} {secret}").contains("hunter2"));
    }
}
