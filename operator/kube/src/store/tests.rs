use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use kube::runtime::watcher::Event;

use super::*;

fn config_map(name: &str, version: &str, owner: &str) -> ConfigMap {
    serde_json::from_value(json!({
        "metadata": {
            "namespace": "shop", "name": name, "uid": format!("uid-{name}"), "resourceVersion": version,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": owner, "uid": owner}],
        }
    }))
    .unwrap()
}

fn unreadable(name: &str) -> Unreadable {
    Unreadable {
        key: ObjectKey::namespaced("shop", name),
        reason: "expected a list".into(),
    }
}

fn writer() -> StoreWriter<ConfigMap> {
    StoreWriter::new(vec![("owner", Arc::new(owner_uids::<ConfigMap>))])
}

fn list(
    writer: &mut StoreWriter<ConfigMap>,
    objects: Vec<Received<ConfigMap>>,
) -> Vec<Change<ConfigMap>> {
    writer.observe(Event::Init);
    for object in objects {
        assert!(
            writer.observe(Event::InitApply(object)).changes.is_empty(),
            "half a listing changes nothing"
        );
    }
    writer.observe(Event::InitDone).changes
}

fn told(changes: &[Change<ConfigMap>]) -> Vec<(String, bool, bool)> {
    changes
        .iter()
        .map(|change| {
            (
                change.key.to_string(),
                change.before.is_some(),
                change.after.is_some(),
            )
        })
        .collect()
}

fn names(objects: &[Arc<ConfigMap>]) -> Vec<String> {
    objects.iter().map(|object| object.name_any()).collect()
}

#[test]
fn a_listing_after_an_interruption_tells_what_came_changed_and_went() {
    let mut writer = writer();
    let store = writer.store();
    let first = list(
        &mut writer,
        vec![
            Ok(config_map("kept", "1", "a")),
            Ok(config_map("changed", "1", "a")),
            Ok(config_map("deleted", "1", "a")),
        ],
    );
    assert_eq!(first.len(), 3);
    assert!(first.iter().all(|change| change.lane() == Lane::Resync));
    let second = list(
        &mut writer,
        vec![
            Ok(config_map("kept", "1", "a")),
            Ok(config_map("changed", "2", "b")),
            Ok(config_map("new", "3", "b")),
        ],
    );
    let mut told = told(&second);
    told.sort();
    assert_eq!(
        told,
        [
            ("shop/changed".into(), true, true),
            ("shop/deleted".into(), true, false),
            ("shop/new".into(), false, true),
        ]
    );
    assert_eq!(names(&store.list()), ["changed", "kept", "new"]);
    assert_eq!(names(&store.indexed("owner", "a")), ["kept"]);
    assert_eq!(names(&store.indexed("owner", "b")), ["changed", "new"]);
}

#[test]
fn events_move_an_object_between_index_values() {
    let mut writer = writer();
    let store = writer.store();
    list(&mut writer, vec![]);
    writer.observe(Event::Apply(Ok(config_map("one", "1", "a"))));
    let moved = writer
        .observe(Event::Apply(Ok(config_map("one", "2", "b"))))
        .changes;
    let owners: Vec<_> = moved[0]
        .states()
        .flat_map(|object| owner_uids(&**object))
        .collect();
    assert_eq!(owners, ["a", "b"], "both owners can be told");
    assert!(store.indexed("owner", "a").is_empty());
    assert_eq!(names(&store.indexed("owner", "b")), ["one"]);
    let deleted = writer
        .observe(Event::Delete(Ok(config_map("one", "3", "b"))))
        .changes;
    assert!(deleted[0].is_deletion());
    assert!(store.is_empty() && store.indexed("owner", "b").is_empty());
}

#[test]
fn a_repeated_event_changes_nothing() {
    let mut writer = writer();
    list(&mut writer, vec![Ok(config_map("one", "1", "a"))]);
    assert!(
        writer
            .observe(Event::Apply(Ok(config_map("one", "1", "a"))))
            .changes
            .is_empty()
    );
}

#[test]
fn an_unreadable_object_is_reported_and_neither_breaks_the_list_nor_counts_as_deleted() {
    let mut writer = writer();
    let store = writer.store();
    let key = ObjectKey::namespaced("shop", "one");
    list(
        &mut writer,
        vec![
            Ok(config_map("one", "1", "a")),
            Ok(config_map("two", "1", "a")),
        ],
    );
    let observed = writer.observe(Event::Apply(Err(unreadable("one"))));
    assert_eq!(observed.invalid, [unreadable("one")]);
    assert!(store.get(&key).is_some() && store.invalid(&key).is_some());

    let changes = list(
        &mut writer,
        vec![
            Err(unreadable("one")),
            Err(unreadable("never-readable")),
            Ok(config_map("two", "1", "a")),
        ],
    );
    assert!(told(&changes).is_empty(), "{changes:?}");
    assert_eq!(names(&store.list()), ["one", "two"]);
    assert!(
        store
            .invalid(&ObjectKey::namespaced("shop", "never-readable"))
            .is_some()
    );

    let repaired = writer
        .observe(Event::Apply(Ok(config_map("one", "10", "a"))))
        .changes;
    assert_eq!(repaired.len(), 1);
    assert_eq!(store.invalid(&key), None);
}

#[test]
fn what_a_listing_could_not_read_is_told_when_the_store_says_so() {
    let mut writer = writer();
    let store = writer.store();
    writer.observe(Event::Init);
    let listed = writer.observe(Event::InitApply(Err(unreadable("one"))));
    assert!(listed.invalid.is_empty(), "a pass would not find it yet");
    let listed = writer.observe(Event::InitDone);
    assert_eq!(listed.invalid, [unreadable("one")]);
    assert_eq!(store.unread(), [ObjectKey::namespaced("shop", "one")]);
}

#[test]
fn an_object_recreated_under_its_name_is_a_change_of_intent() {
    let before = config_map("one", "1", "a");
    let mut after = before.clone();
    after.metadata.uid = Some("another".into());
    let mut change = Change {
        key: ObjectKey::of(&before),
        before: Some(Arc::new(before)),
        after: Some(Arc::new(after)),
        relisted: false,
    };
    assert!(change.is_intent());

    let generation = |generation| {
        let mut object = config_map("one", "1", "a");
        object.metadata.generation = Some(generation);
        Some(Arc::new(object))
    };
    (change.before, change.after) = (generation(1), generation(1));
    assert!(!change.is_intent(), "only the status can have changed");
    change.after = generation(2);
    assert!(change.is_intent());
}

#[test]
fn the_objects_of_a_namespace_and_no_others() {
    let mut writer = writer();
    let mut other = config_map("one", "1", "a");
    other.metadata.namespace = Some("shop-2".into());
    list(
        &mut writer,
        vec![Ok(config_map("one", "1", "a")), Ok(other)],
    );
    let store = writer.store();
    assert_eq!(store.list_in("shop").len(), 1);
    assert_eq!(store.list_in("shop-2").len(), 1);
    assert_eq!(store.list_in("sho").len(), 0);
}

#[tokio::test]
async fn readiness_is_announced() {
    let mut writer = writer();
    let store = writer.store();
    assert_eq!(store.readiness(), Readiness::Pending);
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.wait_until_ready().await }
    });
    list(&mut writer, vec![Ok(config_map("one", "1", "a"))]);
    assert_eq!(waiting.await.unwrap(), Readiness::Ready);
    assert_eq!(
        told(&writer.not_served()),
        [("shop/one".into(), true, false)]
    );
    assert_eq!(store.wait_until_ready().await, Readiness::NotServed);
}
