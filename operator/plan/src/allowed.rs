//! What a Platform lets custom resources have of what was there before them.

/// Texts that are let through: those that a pattern matches, in which `*` stands for any text. Without a list, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Option<Vec<String>>);

impl Allowed {
    /// Everything.
    pub const ALL: &'static Self = &Self(None);

    /// What these patterns match; `None` for everything.
    #[must_use]
    pub fn of(patterns: Option<Vec<String>>) -> Self {
        Self(patterns)
    }

    /// Whether a text is let through.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern, text)))
    }

    /// Whether a text is let through because a pattern says so, and not for want of a list.
    #[must_use]
    pub fn lists(&self, text: &str) -> bool {
        self.0.is_some() && self.contains(text)
    }
}

/// Whether a text is as a pattern says.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let begins = parts.next().and_then(|first| text.strip_prefix(first));
    let Some(mut rest) = begins else { return false };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::Allowed;

    #[test]
    fn a_star_stands_for_any_text() {
        let table = [
            ("legacy", "legacy", true),
            ("legacy", "legacy-orders", false),
            ("legacy-*", "legacy-orders", true),
            ("legacy-*", "legacy-", true),
            ("legacy-*", "the-legacy-orders", false),
            ("*-orders", "legacy-orders", true),
            ("l*-o*s", "legacy-orders", true),
            ("l*-o*s", "legacy-order", false),
            // The ends may not overlap.
            ("ab*ba", "aba", false),
            ("*", "", true),
        ];
        for (pattern, text, expected) in table {
            let allowed = Allowed::of(Some(vec![pattern.to_owned()]));
            assert_eq!(allowed.contains(text), expected, "{pattern} {text}");
        }
        assert!(!Allowed::of(Some(Vec::new())).contains("legacy"));
        assert!(Allowed::ALL.contains("legacy"));
        assert!(!Allowed::ALL.lists("legacy"));
        assert!(Allowed::of(Some(vec!["leg*".to_owned()])).lists("legacy"));
    }
}
