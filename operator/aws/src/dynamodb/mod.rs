//! DynamoDB.

use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use shopkeeper_plan::failure::{Class, Failure};

use crate::error::{self, CallError};

mod backup;
mod change;
mod definition;
mod description;
mod table;
mod update;

pub(crate) use table::TableApi;

/// What DynamoDB says of a quota, and not of what it does to one table, or to all of them, at a time.
const QUOTA: [&str; 5] = ["limit of", "tables per", "maximum", "per account", "quota"];

/// Classifies the error of a call; see [`error::classify`].
fn classify<E>(operation: &str, error: &CallError<E>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    told_apart(error::classify(operation, error))
}

/// Only DynamoDB uses `LimitExceededException` also for what passes by itself: one index of a table at a time, some hundred tables at
/// a time, so many decreases of capacity a day.
fn told_apart(mut failure: Failure) -> Failure {
    let message = failure.message.to_lowercase();
    let is_quota = QUOTA.iter().any(|words| message.contains(words));
    if failure.code.as_deref() == Some("LimitExceededException")
        && (message.contains("simultaneous") || !is_quota)
    {
        failure.class = Class::NotReady;
        failure.remedy.clear();
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_change_at_a_time_passes_and_a_quota_does_not() {
        let class = |message: &str| {
            let failure = Failure::new(Class::Invalid, format!("UpdateTable: {message}"));
            told_apart(failure.with_code("LimitExceededException")).class
        };
        for passes in [
            "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
            "Subscriber limit exceeded: There is a limit of 500 simultaneous table operations",
            "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day",
            "Subscriber limit exceeded: Update to PayPerRequest mode are limited to once in 1 day(s)",
        ] {
            assert_eq!(class(passes), Class::NotReady, "{passes}");
        }
        for lasts in [
            "Subscriber limit exceeded: There is a limit of 2500 tables per subscriber",
            "Subscriber limit exceeded: The maximum read capacity per table is 40000",
        ] {
            assert_eq!(class(lasts), Class::Invalid, "{lasts}");
        }
    }
}
