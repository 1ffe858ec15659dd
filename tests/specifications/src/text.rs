//! A text that a pattern accepts.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::choices::Choices;

/// Most repetitions where a pattern has no bound of its own.
const MOST: u32 = 8;
/// Texts that some fields would take and others do not, for those without a pattern.
const ANYTHING: [&str; 10] = [
    "a",
    "",
    " ",
    "registry.example/app:1",
    "Ünïcode ☃ \u{1f6d2}",
    "{{host}}:{{port}}",
    "{{",
    "$(HOME)\"'\\\n",
    "10.0.0.0/8",
    "-1",
];

/// A text of a pattern with a length between these, in characters. `None` where none was found.
pub(crate) fn text(
    pattern: Option<&str>,
    shortest: usize,
    longest: usize,
    choices: &mut Choices<'_>,
) -> Option<String> {
    let fits = |text: &String| (shortest..=longest).contains(&text.chars().count());
    let Some(pattern) = pattern else {
        let plain = choices.of(&ANYTHING).map(|&text| text.to_owned());
        let padded = "x".repeat(shortest.max(if choices.one_in(16) {
            longest.min(4096)
        } else {
            1
        }));
        return plain.filter(fits).or_else(|| Some(padded).filter(fits));
    };
    let hir = regex_syntax::parse(pattern).ok()?;
    // A pattern that is not anchored at its end lets anything follow.
    let tail = if pattern.ends_with('$') { "" } else { "x" };
    for _ in 0..8 {
        let mut text = String::new();
        append(&hir, &mut text, choices);
        text.push_str(tail);
        if fits(&text) {
            return Some(text);
        }
    }
    None
}

fn append(hir: &Hir, text: &mut String, choices: &mut Choices<'_>) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(Class::Unicode(class)) => {
            let ranges: Vec<_> = class.iter().collect();
            if let Some(range) = choices.of(&ranges) {
                let (first, last) = (u32::from(range.start()), u32::from(range.end()));
                // Of what a negated class lets in, the lower end is enough.
                let width = usize::try_from(last - first).unwrap_or(0).min(94);
                let offset = u32::try_from(choices.up_to(width)).unwrap_or(0);
                text.push(char::from_u32(first + offset).unwrap_or(range.start()));
            }
        }
        HirKind::Class(Class::Bytes(_)) => {}
        HirKind::Capture(capture) => append(&capture.sub, text, choices),
        HirKind::Concat(parts) => parts.iter().for_each(|part| append(part, text, choices)),
        HirKind::Alternation(branches) => {
            if let Some(branch) = choices.of(branches) {
                append(branch, text, choices);
            }
        }
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(repetition.min + MOST);
            let more = usize::try_from(most - repetition.min).unwrap_or(0);
            let times = repetition.min + u32::try_from(choices.up_to(more)).unwrap_or(0);
            for _ in 0..times {
                append(&repetition.sub, text, choices);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_its_pattern_asks_for() {
        for seed in 0..200_u8 {
            let bytes: Vec<u8> = (0..64_u8)
                .map(|nth| seed.wrapping_mul(31).wrapping_add(nth.wrapping_mul(7)))
                .collect();
            let mut choices = Choices::new(&bytes);
            let name = text(Some("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), 1, 40, &mut choices);
            if let Some(name) = name {
                assert!(
                    name.chars()
                        .all(|c| c == '-' || c.is_ascii_lowercase() || c.is_ascii_digit()),
                    "{name}"
                );
                assert!(!name.starts_with('-') && !name.ends_with('-'), "{name}");
            }
            let percent = text(Some("^(100|[1-9]?[0-9])%$"), 0, 4, &mut choices);
            if let Some(percent) = percent {
                let number: u32 = percent.trim_end_matches('%').parse().unwrap_or(u32::MAX);
                assert!(number <= 100, "{percent}");
            }
        }
    }
}
