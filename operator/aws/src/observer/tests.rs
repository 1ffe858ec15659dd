use std::sync::atomic::{AtomicUsize, Ordering};

use shopkeeper_plan::{
    aws::{CacheSubnetGroup, Tags},
    observed::Present,
    outputs::Outputs,
};
use tokio::sync::Notify;

use super::*;

const LONG: Duration = Duration::from_secs(3600);

/// Counts the calls; answers with what it was given, each call once it may.
struct Counting {
    calls: AtomicUsize,
    running: AtomicUsize,
    most: AtomicUsize,
    observation: Observation,
    gate: Option<Semaphore>,
    entered: Notify,
}

impl Counting {
    fn new(observation: Observation, gate: Option<Semaphore>) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            observation,
            gate,
            entered: Notify::new(),
        })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Source for Arc<Counting> {
    async fn look_up(&self, _kind: AwsKind, _name: &str, _scope: &Scope) -> Observation {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        self.entered.notify_one();
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.observation.clone()
    }
}

fn scope() -> Scope {
    Scope {
        account_id: "123456789012".into(),
        region: "eu-west-1".into(),
        cluster: "shop".into(),
        owner_tags: Tags::new(),
    }
}

fn key(name: &str) -> ResourceKey {
    ResourceKey::aws(AwsKind::CacheSubnetGroup, name)
}

fn keys(names: &[&str]) -> BTreeSet<ResourceKey> {
    names.iter().map(|name| key(name)).collect()
}

fn present(lifecycle: Lifecycle) -> Observation {
    let resource = CacheSubnetGroup {
        name: "carts".into(),
        description: String::new(),
        subnets: BTreeSet::new(),
        tags: Tags::new(),
    };
    Observation::Present(Box::new(Present {
        resource: resource.into(),
        lifecycle,
        arn: None,
        id: None,
        outputs: Outputs::new(),
        empty: None,
        note: None,
    }))
}

#[tokio::test]
async fn what_is_at_rest_is_served_from_memory_until_it_is_forgotten() {
    for observation in [Observation::Absent, present(Lifecycle::Available)] {
        let source = Counting::new(observation.clone(), None);
        let observer = Observer::over(Arc::clone(&source));
        for _ in 0..3 {
            assert_eq!(
                observer
                    .observe(&keys(&["carts"]), &scope(), Age::at_most(LONG))
                    .await
                    .get(&key("carts")),
                Some(&observation)
            );
        }
        assert_eq!(source.calls(), 1);
        observer
            .observe(&keys(&["carts"]), &scope(), Age::now())
            .await;
        assert_eq!(
            source.calls(),
            2,
            "nothing is fresh enough for a freshness of zero"
        );
        observer.forget(&key("carts"));
        observer
            .observe(&keys(&["carts"]), &scope(), Age::at_most(LONG))
            .await;
        assert_eq!(source.calls(), 3);
    }
}

#[tokio::test]
async fn what_is_in_transition_or_unknown_is_never_served_from_memory() {
    let unknown = Observation::Unknown(Failure::new(Class::Transient, "no answer"));
    let transitional = [
        Lifecycle::Creating,
        Lifecycle::Modifying,
        Lifecycle::Deleting,
    ]
    .map(present);
    for observation in transitional.into_iter().chain([unknown]) {
        let source = Counting::new(observation, None);
        let observer = Observer::over(Arc::clone(&source));
        observer
            .observe(&keys(&["carts"]), &scope(), Age::at_most(LONG))
            .await;
        observer
            .observe(&keys(&["carts"]), &scope(), Age::at_most(LONG))
            .await;
        assert_eq!(source.calls(), 2);
    }
}

#[tokio::test]
async fn another_scope_is_another_question() {
    let source = Counting::new(Observation::Absent, None);
    let observer = Observer::over(Arc::clone(&source));
    observer
        .observe(&keys(&["carts"]), &scope(), Age::at_most(LONG))
        .await;
    observer
        .observe(
            &keys(&["carts"]),
            &Scope {
                cluster: "other".into(),
                ..scope()
            },
            Age::at_most(LONG),
        )
        .await;
    assert_eq!(source.calls(), 2);
    observer.forget(&key("carts"));
    assert!(observer.entries().is_empty(), "forgotten for every scope");
}

#[tokio::test]
async fn those_who_ask_at_the_same_time_share_one_flight() {
    // In transition, so that only the shared flight can answer the second one.
    let source = Counting::new(present(Lifecycle::Creating), Some(Semaphore::new(0)));
    let observer = Observer::over(Arc::clone(&source));
    let (wanted, scope) = (keys(&["carts"]), scope());
    let first = observer.observe(&wanted, &scope, Age::at_most(LONG));
    let second = observer.observe(&wanted, &scope, Age::at_most(LONG));
    let open = async {
        source.entered.notified().await;
        // Both futures were polled before this one: the second waits for the first.
        source.gate.as_ref().unwrap().add_permits(2);
    };
    let (first, second, ()) = futures::join!(first, second, open);
    assert_eq!(first, second);
    assert_eq!(source.calls(), 1);
}

#[tokio::test]
async fn an_answer_that_is_on_its_way_does_not_survive_being_forgotten() {
    let source = Counting::new(Observation::Absent, Some(Semaphore::new(0)));
    let observer = Observer::over(Arc::clone(&source));
    let (wanted, scope) = (keys(&["carts"]), scope());
    let stale = observer.observe(&wanted, &scope, Age::at_most(LONG));
    let forget = async {
        source.entered.notified().await;
        observer.forget(&key("carts"));
        source.gate.as_ref().unwrap().add_permits(2);
    };
    futures::join!(stale, forget);
    observer.observe(&wanted, &scope, Age::at_most(LONG)).await;
    assert_eq!(source.calls(), 2);
}

#[tokio::test]
async fn no_more_than_the_limit_run_at_once() {
    let names: Vec<_> = (0..3 * AT_ONCE)
        .map(|number| format!("carts-{number}"))
        .collect();
    let wanted: BTreeSet<_> = names.iter().map(|name| key(name)).collect();
    let source = Counting::new(Observation::Absent, Some(Semaphore::new(0)));
    let observer = Observer::over(Arc::clone(&source));
    let scope = scope();
    let observe = observer.observe(&wanted, &scope, Age::at_most(LONG));
    let open = async {
        while source.running.load(Ordering::SeqCst) < AT_ONCE {
            source.entered.notified().await;
        }
        source.gate.as_ref().unwrap().add_permits(wanted.len());
    };
    let (observed, ()) = futures::join!(observe, open);
    assert_eq!(observed.len(), wanted.len());
    assert_eq!(source.most.load(Ordering::SeqCst), AT_ONCE);
}

#[tokio::test]
async fn a_look_that_goes_on_is_served_what_it_saw_itself_even_in_transition() {
    let source = Counting::new(present(Lifecycle::Creating), None);
    let observer = Observer::over(Arc::clone(&source));
    let age = Age::now();
    observer.observe(&keys(&["carts"]), &scope(), age).await;
    observer.observe(&keys(&["carts"]), &scope(), age).await;
    assert_eq!(source.calls(), 1, "the same look");
    observer
        .observe(&keys(&["carts"]), &scope(), Age::now())
        .await;
    assert_eq!(source.calls(), 2, "another one");
}

fn answer(observation: Observation, asked: Instant, settings_asked: Instant) -> Answer {
    Answer {
        observation,
        asked,
        settings_asked,
        from_listing: false,
        began: asked,
        answered: asked,
    }
}

#[test]
fn what_is_in_transition_is_asked_for_again_after_some_seconds_also_in_a_look_that_goes_on() {
    let asked = Instant::now();
    let age = Age::now();
    let serves = |lifecycle, later: Duration| {
        let age = Age {
            since: asked,
            ..age
        };
        let since = Since::moment(asked);
        let came = asked + later;
        answer(present(lifecycle), asked, asked).serves(came, age, since, came)
    };
    let second = Duration::from_secs(1);
    assert!(serves(Lifecycle::Modifying, second));
    assert!(!serves(Lifecycle::Modifying, IN_TRANSITION));
    assert!(serves(Lifecycle::Available, IN_TRANSITION));
}

#[test]
fn settings_of_what_was_made_together_are_asked_for_at_different_times() {
    let (made, hour) = (Instant::now(), Duration::from_secs(3600));
    let first: Vec<Duration> = ["carts", "orders", "products", "media"]
        .map(|name| of_its_own(&key(name), hour, made, made + hour / 2))
        .into();
    assert!(first.iter().all(|age| (hour / 2..=hour).contains(age)));
    assert!(first.iter().any(|age| *age != first[0]));
    // From there on none is asked for more often than it has to be.
    assert_eq!(of_its_own(&key("carts"), hour, made, made + hour), hour);
}

#[test]
fn an_answer_serves_no_longer_than_the_settings_in_it() {
    let observer = Observer::over(Counting::new(Observation::Absent, None));
    let (began, minute) = (Instant::now(), Duration::from_secs(60));
    let came = began + 60 * minute;
    let key = key("carts");
    // A resync of a drift interval of an hour.
    let age = Age {
        settings_at_rest: 48 * minute,
        settings: 48 * minute,
        since: came,
        ..Age::at_most(8 * minute)
    };
    let serves = |state: Duration, settings: Duration, age: Age| {
        let since = observer.since(&key, came, age);
        let settings_at_rest = before(came, age.settings_at_rest);
        answer(present(Lifecycle::Available), came - state, came - settings).serves(
            came,
            age,
            since,
            settings_at_rest,
        )
    };
    assert!(serves(5 * minute, 30 * minute, age));
    assert!(!serves(5 * minute, 49 * minute, age));
    assert!(!serves(8 * minute, 30 * minute, age));
    // Nor in a look that goes on for a request, which nothing serves that was known before.
    let request = Age {
        since: came - minute,
        ..Age::now()
    };
    assert!(serves(minute / 2, minute / 2, request));
    assert!(!serves(minute / 2, 30 * minute, request));
}

#[test]
fn whoever_waits_for_the_look_of_another_gets_what_is_no_older_than_its_own_would_be() {
    let began = Instant::now();
    let (came, minute) = (began + Duration::from_secs(1), Duration::from_secs(60));
    let serves = |asked: Instant, settings_asked: Instant, since: Since| {
        Answer {
            began,
            answered: came,
            ..answer(present(Lifecycle::Modifying), asked, settings_asked)
        }
        .serves(came, Age::now(), since, came)
    };
    let edit = Since::moment(came);
    assert!(serves(began, began, edit));
    // It had settings from before, or a description of all.
    assert!(!serves(began, began - minute, edit));
    assert!(!serves(began - minute, began, edit));
    let resync = Since {
        settings: came - 2 * minute,
        listings: Some(came - 2 * minute),
        ..edit
    };
    assert!(serves(began - minute, began - minute, resync));
}

#[tokio::test]
async fn that_one_had_no_tokens_is_no_answer_to_another() {
    let failed = Failure::new(Class::Throttled, "slow down");
    let spent = failed.clone().with_code(shopkeeper_plan::budget::SPENT);
    for (failure, calls) in [(failed, 1), (spent, 2)] {
        let observation = Observation::Unknown(failure);
        let source = Counting::new(observation, Some(Semaphore::new(0)));
        let observer = Observer::over(Arc::clone(&source));
        let (wanted, scope) = (keys(&["carts"]), scope());
        let first = observer.observe(&wanted, &scope, Age::now());
        let second = observer.observe(&wanted, &scope, Age::now());
        let open = async {
            source.entered.notified().await;
            source.gate.as_ref().unwrap().add_permits(2);
        };
        futures::join!(first, second, open);
        assert_eq!(source.calls(), calls);
    }
}

#[tokio::test]
async fn what_was_seen_before_a_pass_is_forgotten_before_it_changes_it() {
    let source = Counting::new(Observation::Absent, None);
    let observer = Observer::over(Arc::clone(&source));
    let before = Instant::now();
    observer
        .observe(&keys(&["carts"]), &scope(), Age::at_most(LONG))
        .await;
    let after = Instant::now();
    let key = key("carts");
    assert!(!observer.forget_older(&key, &scope(), before).await);
    assert!(observer.forget_older(&key, &scope(), after).await);
    observer
        .observe(&keys(&["carts"]), &scope(), Age::at_most(LONG))
        .await;
    assert_eq!(source.calls(), 2);
    // A listing may lag behind what it is asked after, however young it is.
    let (entry, _) = observer.entry(&key, &scope(), Instant::now());
    let mut known = entry.lock().await;
    known.answer.as_mut().unwrap().from_listing = true;
    drop(known);
    assert!(observer.forget_older(&key, &scope(), before).await);
}

#[tokio::test]
async fn a_description_of_all_does_not_serve_what_was_changed_since() {
    let observer = Observer::over(Counting::new(Observation::Absent, None));
    let age = Age {
        listings: Duration::from_secs(60),
        ..Age::at_most(LONG)
    };
    let (came, key) = (Instant::now() + LONG, key("carts"));
    assert!(observer.since(&key, came, age).listings.is_some());
    observer.forget(&key);
    let came = Instant::now();
    assert!(observer.since(&key, came, age).listings.is_none());
    let later = came + Duration::from_secs(61);
    assert!(observer.since(&key, later, age).listings.is_some());
    // IAM's lists and the tagging API tell of a change later than the service.
    assert!(observer.since(&key, came, age).setting_listings.is_none());
    let soon = came + LISTINGS_LAG;
    let listed = observer.since(&key, soon, age).setting_listings;
    assert!(listed.is_some_and(|listed| listed >= soon - LISTINGS_LAG / 2 || listed > came));
    // A look for an edit asks for everything by its name, and for settings as for all else.
    let edit = Age::at_most(LONG);
    let since = observer.since(&key, later, edit);
    assert!(since.listings.is_none() && since.setting_listings.is_none());
    assert_eq!(since.settings, since.states);
}

#[tokio::test]
async fn what_nobody_asks_for_is_dropped() {
    let source = Counting::new(Observation::Absent, None);
    let observer = Observer::over(source);
    observer
        .observe(&keys(&["carts"]), &scope(), Age::at_most(LONG))
        .await;
    observer.drop_unused(Instant::now());
    assert_eq!(observer.entries().len(), 1);
    observer.drop_unused(Instant::now() + UNUSED);
    assert!(observer.entries().is_empty());
}
