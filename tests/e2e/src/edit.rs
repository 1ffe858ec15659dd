//! Edits of a specification.

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Sets the value at a JSON pointer, of which `-` is the end of a list; null takes a member out.
///
/// # Errors
/// Where there is no such place.
pub fn set(whole: &mut Value, at: &str, value: Value) -> Result<()> {
    let (parent, name) = at.rsplit_once('/').context("not a JSON pointer")?;
    let parent = whole
        .pointer_mut(parent)
        .with_context(|| format!("there is no {parent}"))?;
    match (parent, name) {
        (Value::Array(list), "-") => list.push(value),
        (Value::Array(list), index) => list[index.parse::<usize>()?] = value,
        (Value::Object(members), name) if value.is_null() => drop(members.remove(name)),
        (parent, name) => parent[name] = value,
    }
    Ok(())
}
