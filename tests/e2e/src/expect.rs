//! Comparing what is there with what should be, so that a failure names the field.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Checks that `actual` has everything that `expected` has: objects may have more members, lists have to be equally long.
///
/// Fails with the path of the first difference and both values.
pub fn includes(what: &str, actual: &Value, expected: &Value) -> Result<()> {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => {
            for (name, expected) in expected {
                let path = format!("{what}.{name}");
                // What is expected to be null may as well be left out.
                includes(&path, actual.get(name).unwrap_or(&Value::Null), expected)?;
            }
            Ok(())
        }
        (Value::Array(actual), Value::Array(expected)) => {
            ensure!(
                actual.len() == expected.len(),
                "{what} has {} members and not {}: {actual:?}",
                actual.len(),
                expected.len()
            );
            for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
                includes(&format!("{what}[{index}]"), actual, expected)?;
            }
            Ok(())
        }
        (actual, expected) if actual == expected => Ok(()),
        (actual, expected) => bail!("{what} is {actual} and not {expected}"),
    }
}

/// Checks that two values are the same; fails with both.
pub fn equals<T: PartialEq<U> + std::fmt::Debug, U: std::fmt::Debug>(
    what: &str,
    actual: T,
    expected: U,
) -> Result<()> {
    ensure!(
        actual == expected,
        "{what} is {actual:?} and not {expected:?}"
    );
    Ok(())
}

/// Checks that a text has all these words in it; fails with what is missing and with the text.
pub fn says(text: &str, words: &[&str]) -> Result<()> {
    for words in words {
        ensure!(text.contains(words), "{words:?} is not said: {text}");
    }
    Ok(())
}

/// The text at a JSON pointer. Fails where there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .with_context(|| format!("there is no text at {pointer}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn more_members_are_fine_and_other_values_are_named() {
        let actual = json!({"a": {"b": [1, 2]}, "c": 3});
        includes("it", &actual, &json!({"a": {"b": [1, 2]}})).unwrap();
        let problem = includes("it", &actual, &json!({"a": {"b": [1, 3]}}))
            .unwrap_err()
            .to_string();
        assert_eq!(problem, "it.a.b[1] is 2 and not 3");
        assert!(includes("it", &actual, &json!({"a": {"b": [1]}})).is_err());
        assert!(includes("it", &actual, &json!({"d": 1})).is_err());
        includes("it", &actual, &json!({"d": null})).unwrap();
    }
}
