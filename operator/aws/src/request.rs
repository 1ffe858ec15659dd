//! What the requests and answers of all services share.

use aws_smithy_types::error::operation::BuildError;
use serde_json::Value;
use shopkeeper_plan::failure::{Class, Failure};

use crate::resource::DeletionToken;

/// A part of a request that the SDK refuses to build, because our code left out what the service requires.
pub(crate) fn incomplete(error: BuildError) -> Failure {
    Failure::new(
        Class::Bug,
        format!("the request could not be made: {error}"),
    )
}

/// An answer without a part that the service documents as always there.
pub(crate) fn unreadable(operation: &str, what: &str) -> Failure {
    Failure::new(Class::Bug, format!("{operation}: the answer has no {what}"))
}

/// Whether a field is among those that differ.
pub(crate) fn differs(fields: &[String], name: &str) -> bool {
    fields.iter().any(|field| field == name)
}

/// Fields that no call of this kind brings nearer: the plan and the executor do not agree.
pub(crate) fn nothing_to_change(kind: &str, fields: &[String]) -> Failure {
    Failure::new(
        Class::Bug,
        format!("{kind}: no call changes {}", fields.join(", ")),
    )
}

/// A policy document as AWS returns it. AWS keeps documents as text; compared is what they say.
pub(crate) fn document(operation: &str, text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::new(
            Class::Bug,
            format!("{operation}: the document is no JSON: {error}"),
        )
    })
}

/// The name of the last snapshot or backup: the same for every try of one deletion, so that it is made once. `longest` is
/// the service's limit for such names, in characters; names of resources are ASCII.
pub(crate) fn final_name(name: &str, token: &DeletionToken, longest: usize) -> String {
    let suffix = format!("-final-{}", &token.as_str()[..8]);
    let kept = name.len().min(longest - suffix.len());
    format!(
        "{}{suffix}",
        name.get(..kept).unwrap_or(name).trim_end_matches('-')
    )
}

#[cfg(test)]
mod tests {
    use shopkeeper_plan::{aws::AwsKind, resource::ResourceKey};

    use super::*;

    #[test]
    fn the_final_name_keeps_to_the_limit() {
        let token = DeletionToken::new(
            "uid",
            &ResourceKey::aws(AwsKind::DynamoDbTable, "orders"),
            1,
        );
        assert_eq!(
            final_name("orders", &token, 255),
            format!("orders-final-{}", &token.as_str()[..8])
        );
        let longest = final_name(&"n".repeat(255), &token, 255);
        assert_eq!(longest.len(), 255);
        assert!(longest.ends_with(&token.as_str()[..8]));
    }
}
