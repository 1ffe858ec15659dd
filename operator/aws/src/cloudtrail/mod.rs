//! CloudTrail: which resources somebody changed, so that the settings of all others need not be read again.
//!
//! CloudTrail keeps the calls of an account that change something for ninety days, without a trail, and tells those of a time by the fifty.
//! See "What is read at idle" in `docs/decisions/0022-budgets.md`.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use serde_json::Value;
use shopkeeper_plan::failure::{Class, Failure};
use tracing::{debug, warn};

use crate::{account::Account, error::classify, request::incomplete};

mod change_log;

pub(crate) use change_log::ChangeLog;
use change_log::Trail;

/// After this time everything that was called is taken to be told, and clocks to be no further apart: "CloudTrail typically delivers
/// logs within an average of about 5 minutes of an API call", and up to 15 in practice; AWS takes no call whose clock is off by more
/// than 5.
pub const LAG: Duration = Duration::from_secs(20 * 60);

/// Events of a page: the most that LookupEvents gives.
const PAGE: i32 = 50;

/// The services whose calls change what is spared here, as CloudTrail calls them. People sign in and pods write logs all day.
const SOURCES: &[&str] = &[
    "dynamodb.amazonaws.com",
    "eks.amazonaws.com",
    "elasticache.amazonaws.com",
    "kms.amazonaws.com",
    "rds.amazonaws.com",
    "s3.amazonaws.com",
    "secretsmanager.amazonaws.com",
    "sns.amazonaws.com",
    "sqs.amazonaws.com",
    "tagging.amazonaws.com",
];

/// Of a call that names more than so many bytes nothing is kept: it may be for anything.
const MOST_NAMES: usize = 16 * 1024;

/// What one call changed.
pub(crate) struct Change {
    /// When, by AWS's clock, to a second.
    at: SystemTime,
    /// Everything that the call and its answer name, in lower case; `None` where that is not known, so that it may be anything.
    names: Option<Box<str>>,
}

/// A page of changes.
pub(crate) struct Page {
    changes: Vec<Change>,
    /// For the next one.
    token: Option<String>,
}

/// What a resource is called in the calls that change it.
#[derive(Clone, Debug)]
pub(crate) struct Names(Vec<String>);

impl Names {
    /// Any of these. Empty ones would be everywhere.
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().filter(|name| !name.is_empty());
        Self(names.map(str::to_lowercase).collect())
    }
}

impl Change {
    fn of(event: &Event) -> Option<Self> {
        let of_ours = |source: &str| SOURCES.contains(&source);
        if event.event_source().is_some_and(|source| !of_ours(source)) {
            return None;
        }
        // One that failed counts as well: whether it did nothing, its error does not always say.
        let at = SystemTime::try_from(*event.event_time()?).ok()?;
        let told = event
            .cloud_trail_event()
            .and_then(|text| serde_json::from_str(text).ok());
        let names = told.and_then(|told: Value| named(&told));
        Some(Self { at, names })
    }

    /// Whether the call may have been for what is called so.
    fn may_concern(&self, names: &Names) -> bool {
        let Some(told) = &self.names else { return true };
        names.0.iter().any(|name| told.contains(name.as_str()))
    }
}

/// Everything that a call and its answer name, in lower case, if that is told and of a size that can be kept.
fn named(told: &Value) -> Option<Box<str>> {
    let asked = &told["requestParameters"];
    // "omitted": the parameters are larger than what CloudTrail keeps.
    let is_whole = asked.is_object() && asked.get("omitted").is_none();
    let names = [asked, &told["responseElements"], &told["resources"]]
        .map(Value::to_string)
        .concat()
        .to_lowercase();
    (is_whole && names.len() <= MOST_NAMES).then(|| names.into())
}

impl fmt::Debug for Change {
    /// Without what the call was for: it belongs to others.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Change")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// Until when nobody changed what is called so, if that is known to be `wanted` at least and since `since`.
    pub(crate) async fn quiet_until(
        &self,
        names: &Names,
        since: SystemTime,
        wanted: SystemTime,
    ) -> Option<SystemTime> {
        let times = [since, wanted, SystemTime::now()];
        self.change_log.quiet_until(self, names, times).await
    }
}

#[async_trait]
impl Trail for Account {
    async fn page(&self, from: SystemTime, token: Option<String>) -> Result<Page, Failure> {
        changes(self, from, token).await.inspect_err(|failure| {
            if failure.class == Class::Denied {
                warn!(%failure, "settings are read without asking who changed any: the operator's role lacks a permission");
            } else {
                debug!(%failure, "settings are read without asking who changed any");
            }
        })
    }
}

async fn changes(
    account: &Account,
    from: SystemTime,
    token: Option<String>,
) -> Result<Page, Failure> {
    let read_only = LookupAttribute::builder()
        .attribute_key(LookupAttributeKey::ReadOnly)
        .attribute_value("false")
        .build()
        .map_err(incomplete)?;
    let answer = account
        .cloudtrail
        .lookup_events()
        .lookup_attributes(read_only)
        .start_time(from.into())
        .max_results(PAGE)
        .set_next_token(token)
        .send()
        .await
        .map_err(|error| classify("LookupEvents", &error))?;
    let events = answer.events.unwrap_or_default();
    Ok(Page {
        changes: events.iter().filter_map(Change::of).collect(),
        token: answer.next_token.filter(|token| !token.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(told: &str) -> Event {
        Event::builder()
            .event_source("dynamodb.amazonaws.com")
            .event_time(aws_smithy_types::DateTime::from_secs(1_700_000_000))
            .cloud_trail_event(told)
            .build()
    }

    #[test]
    fn a_call_concerns_what_it_and_its_answer_name() {
        let change = Change::of(&event(
            r#"{"requestParameters":{"tableName":"Products"},"responseElements":{"id":"a-1"},"userAgent":"orders"}"#,
        ))
        .unwrap();
        for name in ["products", "Products", "a-1"] {
            assert!(change.may_concern(&Names::new([name])), "{name}");
        }
        // Who called says nothing of what was changed, and an empty name nothing at all.
        assert!(!change.may_concern(&Names::new(["orders", ""])));
    }

    #[test]
    fn a_call_whose_parameters_are_not_known_may_concern_anything_and_one_of_another_service_nothing()
     {
        let long = format!(
            r#"{{"requestParameters":{{"policy":"{}"}}}}"#,
            "-".repeat(MOST_NAMES)
        );
        for told in [
            r#"{"requestParameters":{"omitted":true,"originalSize":"200000"}}"#,
            r#"{"requestParameters":null}"#,
            "no JSON",
            &long,
        ] {
            let change = Change::of(&event(told)).unwrap();
            assert!(change.may_concern(&Names::new(["products"])), "{told}");
        }
        let signed_in = Event::builder()
            .event_source("signin.amazonaws.com")
            .event_time(aws_smithy_types::DateTime::from_secs(1_700_000_000))
            .build();
        assert!(Change::of(&signed_in).is_none());
    }
}
