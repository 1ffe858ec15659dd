//! Descriptions of all resources of a kind at once, where AWS has a call for that: a page of a hundred costs as much as one.

use std::{collections::HashMap, future::Future, time::Instant};

use shopkeeper_plan::failure::{Class, Failure};
use tracing::{debug, warn};

use crate::parts::{listings_since, used, used_lagging_listing};

/// The resources of one kind in an account and region, as they were described last. It only tells of what is there: what it does not
/// have is asked for by its name, as it may be newer, and so is everything that is about to be changed.
#[derive(Debug)]
pub(crate) struct Listing<T>(tokio::sync::Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    asked: Option<Instant>,
    resources: HashMap<String, T>,
    /// How many calls the last one took; more where it failed.
    pages: usize,
    /// When resources were asked for by their names, which a listing would have told.
    misses: Vec<Instant>,
}

/// As many resources are asked for by name, at most, before a listing that failed is tried again: it may have more pages than there are
/// tokens, or be denied.
const AFTER_FAILURES: usize = 16;

/// What a listing is made of.
pub(crate) struct Pages<T> {
    /// The resources by their names.
    pub(crate) resources: HashMap<String, T>,
    /// How many calls it took.
    pub(crate) pages: usize,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self {
            resources: HashMap::new(),
            pages: 0,
        }
    }
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::new(State {
            asked: None,
            resources: HashMap::new(),
            pages: 1,
            misses: Vec::new(),
        }))
    }
}

impl<T: Clone> Listing<T> {
    /// A resource, where a listing tells of it that is young enough for the look that is being made. One is made once as many
    /// resources were asked for by name as it has pages: an account may have thousands that are not ours.
    pub(crate) async fn find<F>(&self, name: &str, list: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = Option<Pages<T>>> + Send,
    {
        self.find_in(name, false, list).await
    }

    /// The same of what only changes when somebody calls AWS: a listing serves for as long as such a [`setting`](crate::parts::setting).
    pub(crate) async fn find_setting<F>(&self, name: &str, list: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = Option<Pages<T>>> + Send,
    {
        self.find_in(name, true, list).await
    }

    /// What a listing that was asked for later than `after` tells of the resources that are `wanted`, and when that was. Makes no call.
    pub(crate) async fn newer(
        &self,
        after: Option<Instant>,
        wanted: impl Fn(&T) -> bool,
    ) -> Option<(Instant, HashMap<String, T>)> {
        let state = self.0.lock().await;
        let asked = state.asked.filter(|asked| Some(*asked) > after)?;
        let all = state.resources.iter();
        let found = all
            .filter(|(_, resource)| wanted(resource))
            .map(|(name, resource)| (name.clone(), resource.clone()))
            .collect();
        Some((asked, found))
    }

    async fn find_in<F>(&self, name: &str, is_setting: bool, list: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = Option<Pages<T>>> + Send,
    {
        let since = listings_since(is_setting)?;
        let mut state = self.0.lock().await;
        if state.asked.is_none_or(|asked| asked < since) {
            state.misses.retain(|miss| *miss >= since);
            if state.misses.len() < state.pages {
                state.misses.push(Instant::now());
                return None;
            }
            let asked = Instant::now();
            state.misses.clear();
            let Some(Pages { resources, pages }) = Box::pin(list()).await else {
                // Whatever is the matter with it, the calls by name tell it better. Where the tokens do for a page and not for all, the
                // next listing would take each token from them again.
                state.pages = state.pages.max((state.pages * 2).min(AFTER_FAILURES));
                return None;
            };
            state.asked = Some(asked);
            state.resources = resources;
            state.pages = pages.max(1);
        }
        let found = state.resources.get(name).cloned();
        if let (Some(asked), true) = (state.asked, found.is_some()) {
            used(asked, is_setting);
            if is_setting {
                used_lagging_listing();
            }
        }
        found
    }
}

/// A listing that failed is no failure of a look: the calls by name tell whatever is the matter, and cost many times as much.
pub(crate) fn unlisted(failure: &Failure) {
    if failure.class == Class::Denied {
        warn!(%failure, "described by name instead of all at once: the operator's role lacks a permission");
    } else {
        debug!(%failure, "described by name instead of all at once");
    }
}

/// All pages of a call, an operation by its name, that pages by markers.
macro_rules! pages {
    ($operation:literal, $call:expr, $resources:ident, $name:ident) => {{
        let call = $call.clone();
        move || async move {
            let mut found = crate::listing::Pages::default();
            let mut pages = call.max_records(100).into_paginator().send();
            while let Some(page) = pages.next().await {
                let told =
                    |error| crate::listing::unlisted(&crate::error::classify($operation, &error));
                let page = page.map_err(told).ok()?;
                found.pages += 1;
                found.resources.extend(
                    page.$resources
                        .unwrap_or_default()
                        .into_iter()
                        .filter_map(|resource| Some((resource.$name.clone()?, resource))),
                );
            }
            Some(found)
        }
    }};
}
pub(crate) use pages;

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;
    use crate::parts::{Parts, Since};

    async fn look(
        listing: &Listing<u32>,
        name: &str,
        since: Option<Instant>,
        calls: &AtomicUsize,
    ) -> (Option<u32>, Parts) {
        let parts = Parts::default();
        let since = Since {
            listings: since,
            ..Since::moment(Instant::now())
        };
        let list = || async {
            calls.fetch_add(1, Ordering::SeqCst);
            Some(Pages {
                resources: (0..5_u32)
                    .map(|number| (format!("orders-{number}"), number))
                    .collect(),
                pages: 3,
            })
        };
        let found = parts.looking(since, listing.find(name, list)).await;
        (found, parts)
    }

    #[tokio::test]
    async fn one_listing_serves_all_that_ask_for_as_long_as_it_is_young() {
        let (listing, calls) = (Listing::default(), AtomicUsize::new(0));
        let since = Some(Instant::now());
        // The first one is asked for by its name: there may be no other.
        assert_eq!(look(&listing, "orders-1", since, &calls).await.0, None);
        let (found, parts) = look(&listing, "orders-2", since, &calls).await;
        assert_eq!(found, Some(2));
        assert!(parts.complete().state.is_some(), "as old as the listing");
        assert_eq!(look(&listing, "orders-1", since, &calls).await.0, Some(1));
        // What it does not have may be newer.
        assert_eq!(look(&listing, "orders-9", since, &calls).await.0, None);
        // Whoever has to know what is so now does not use it.
        assert_eq!(look(&listing, "orders-1", None, &calls).await.0, None);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        // The next one is worth its three pages when three were asked for.
        let later = Some(Instant::now() + Duration::from_nanos(1));
        for name in ["orders-1", "orders-2", "orders-3"] {
            assert_eq!(look(&listing, name, later, &calls).await.0, None);
        }
        assert_eq!(look(&listing, "orders-4", later, &calls).await.0, Some(4));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_listing_of_settings_serves_for_as_long_as_settings_do() {
        let listing = Listing::default();
        let began = Instant::now();
        let since = |settings| Since {
            setting_listings: settings,
            ..Since::moment(Instant::now())
        };
        let find = async |since, number: u32| {
            let list = || async {
                Some(Pages {
                    resources: HashMap::from([("orders".to_owned(), number)]),
                    pages: 1,
                })
            };
            let parts = Parts::default();
            let found = parts
                .looking(since, listing.find_setting("orders", list))
                .await;
            (found, parts.complete())
        };
        assert_eq!(find(since(Some(began)), 1).await.0, None);
        assert_eq!(find(since(Some(began)), 1).await.0, Some(1));
        let (found, oldest) = find(since(Some(began)), 2).await;
        assert_eq!(found, Some(1));
        assert!(oldest.state.is_none() && oldest.setting.is_some() && oldest.from_listing);
        // Descriptions of what changes by itself are younger, and say nothing of this one.
        let young = Since {
            listings: Some(began),
            ..since(None)
        };
        assert_eq!(find(young, 2).await.0, None);
        let later = since(Some(Instant::now()));
        assert_eq!(find(later, 3).await.0, None);
        assert_eq!(find(later, 3).await.0, Some(3));
    }

    #[tokio::test]
    async fn a_listing_that_fails_leaves_the_tokens_to_calls_by_name() {
        let (listing, calls) = (Listing::<u32>::default(), AtomicUsize::new(0));
        let since = Since {
            listings: Some(Instant::now()),
            ..Since::moment(Instant::now())
        };
        let find = async |pages: Option<Pages<u32>>| {
            let list = || async {
                calls.fetch_add(1, Ordering::SeqCst);
                pages
            };
            Parts::default()
                .looking(since, listing.find("orders-1", list))
                .await
        };
        // One by name, one that fails; two, one; four, one; eight, one; and from there on sixteen and one.
        for tried in [2, 3, 5, 9, 17, 17] {
            let before = calls.load(Ordering::SeqCst);
            for _ in 0..tried {
                assert_eq!(calls.load(Ordering::SeqCst), before);
                assert_eq!(find(None).await, None);
            }
            assert_eq!(calls.load(Ordering::SeqCst), before + 1);
        }
        // One that succeeds says what it is worth.
        for _ in 0..16 {
            find(None).await;
        }
        let pages = Pages {
            resources: HashMap::from([("orders-1".to_owned(), 1)]),
            pages: 2,
        };
        assert_eq!(find(Some(pages)).await, Some(1));
        assert_eq!(listing.0.lock().await.pages, 2);
    }
}
