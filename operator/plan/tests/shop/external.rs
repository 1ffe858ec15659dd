//! Databases, caches and brokers that Shopkeeper does not make.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shopkeeper_api::OrderService;
use shopkeeper_plan::{
    blueprint::Wanted,
    failure::{Class, Failure},
    kubernetes::KubernetesKind,
    plan::{Action, Blocker, Effect, Plan},
    report,
    resource::ResourceKey,
    sensitive::Sensitive,
};

use crate::{
    fixture::{read, resolve, want, without},
    invariants::CANARY,
    world::World,
};

/// What holds up the Secret of a binding.
fn held(plan: &Plan, name: &str) -> Failure {
    let step = plan
        .steps
        .iter()
        .find(|step| step.key == ResourceKey::kubernetes(KubernetesKind::Secret, name))
        .unwrap_or_else(|| panic!("{name}: {plan:#?}"));
    match &step.blocked_by[..] {
        [Blocker::Refused(failure)] => failure.clone(),
        other => panic!("{other:?}"),
    }
}

/// Orders with a database and a broker of somebody else, and nothing of our own.
fn orders() -> Value {
    let mut object = read("octank", "orders");
    without(&mut object, "/spec/database");
    without(&mut object, "/spec/notifications");
    object["spec"]["external"] = json!([
        {"name": "legacy", "type": "PostgreSQL", "host": "db.legacy.example", "database": "orders", "secretRef": {"name": "legacy-db"}},
        {"name": "broker", "type": "RabbitMQ", "provider": "amazon-mq", "host": "mq.legacy.example", "port": 5671, "scheme": "amqps",
            "secretRef": {"name": "legacy-mq"}, "keys": {"username": "user", "password": "pass"}},
        {"name": "sessions", "type": "Valkey", "host": "fd00::7"},
    ]);
    object["spec"]["bindings"] = json!([
        {"resource": "external.legacy", "env": [
            {"name": "DB_ENDPOINT", "template": "{{endpoint}}"},
            {"name": "DB_NAME", "template": "{{database}}"},
            {"name": "DB_USER", "template": "{{username}}"},
            {"name": "DB_PASSWORD", "template": "{{password}}"},
        ]},
        {"resource": "external.broker", "secretName": "broker", "env": [{"name": "AMQP", "template": "{{uri}}"}]},
        {"resource": "external.sessions", "env": [{"name": "REDIS_URL", "template": "{{uri}}"}]},
    ]);
    object
}

fn entries(pairs: &[(&str, &str)]) -> BTreeMap<String, Sensitive> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Sensitive::new(*value)))
        .collect()
}

fn world(object: &Value) -> World {
    let mut world = World::new(want("octank", object));
    world.secrets = [
        (
            "legacy-db".to_owned(),
            entries(&[("username", "orders"), ("password", CANARY)]),
        ),
        (
            "legacy-mq".to_owned(),
            entries(&[("user", "shop"), ("pass", "p@ss")]),
        ),
    ]
    .into();
    world
}

fn settled(object: &Value) -> World {
    let mut world = world(object);
    let plan = world.run();
    assert!(plan.is_empty(), "{plan:#?}");
    world.log.clear();
    world
}

/// What a Secret is made with, entry by entry.
fn secret(world: &World, name: &str) -> (String, BTreeMap<String, String>) {
    let blueprint = (world.wanted.blueprint)(&world.observe());
    let node = blueprint
        .get(&ResourceKey::kubernetes(KubernetesKind::Secret, name))
        .expect(name);
    let Wanted::Kubernetes(object) = &node.wanted else {
        panic!("{name}: {:?}", node.wanted);
    };
    let data: BTreeMap<String, k8s_openapi::ByteString> =
        serde_json::from_value(object.body["data"].clone()).unwrap();
    let text = data
        .into_iter()
        .map(|(key, value)| (key, String::from_utf8(value.0).unwrap()))
        .collect();
    (object.body["type"].as_str().unwrap().to_owned(), text)
}

fn deployment(world: &World) -> &Value {
    let key = ResourceKey::kubernetes(KubernetesKind::Deployment, "orders");
    &world.kubernetes[&key].body
}

#[test]
fn it_is_bound_as_what_we_make_is() {
    let world = settled(&orders());
    let (kind, legacy) = secret(&world, "orders-external-legacy");
    assert_eq!(kind, "servicebinding.io/postgresql");
    let expected = [
        ("type", "postgresql"),
        ("provider", "external"),
        ("host", "db.legacy.example"),
        ("port", "5432"),
        ("scheme", "postgresql"),
        ("endpoint", "db.legacy.example:5432"),
        ("database", "orders"),
        ("username", "orders"),
        ("url", "postgresql://db.legacy.example:5432/orders"),
        ("DB_USER", "orders"),
    ];
    for (key, value) in expected {
        assert_eq!(legacy.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert_eq!(legacy["password"], CANARY);
    assert_eq!(legacy["DB_PASSWORD"], CANARY);
    assert!(
        !legacy.contains_key("DB_ENDPOINT"),
        "it is no secret and stands in the ConfigMap"
    );
    let (kind, broker) = secret(&world, "broker");
    assert_eq!(kind, "servicebinding.io/rabbitmq");
    assert_eq!(broker["provider"], "amazon-mq");
    assert_eq!(
        broker["AMQP"], "amqps://shop:p%40ss@mq.legacy.example:5671",
        "a password may hold what ends a user-info"
    );
    let map = ResourceKey::kubernetes(KubernetesKind::ConfigMap, "orders-bindings");
    assert_eq!(
        world.kubernetes[&map].body["data"],
        json!({
            "DB_ENDPOINT": "db.legacy.example:5432",
            "DB_NAME": "orders",
            "REDIS_URL": "redis://[fd00::7]:6379",
        })
    );
    let shown = deployment(&world).to_string();
    assert!(!shown.contains("legacy-db"), "pods read the binding alone");
}

#[test]
fn what_is_missing_is_named_with_what_to_do_and_waited_for() {
    let mut world = world(&orders());
    let complete = std::mem::take(&mut world.secrets);
    let plan = world.run();
    let failure = held(&plan, "orders-external-legacy");
    assert_eq!(failure.class, Class::NotReady);
    assert_eq!(
        failure.describe(),
        "spec.external[legacy].secretRef: Secret legacy-db does not exist. To do: create it with the entries password"
    );
    let failure = held(&plan, "broker");
    assert!(failure.describe().ends_with("user, pass"), "{failure}");
    assert!(
        world
            .log
            .iter()
            .all(|line| !line.contains("Deployment") && !line.contains("broker")),
        "pods wait: {:#?}",
        world.log
    );
    assert!(
        world
            .log
            .iter()
            .any(|line| line.contains("orders-external-sessions")),
        "what needs no Secret does not wait: {:#?}",
        world.log
    );
    let observed = world.observe();
    let blueprint = (world.wanted.blueprint)(&observed);
    let report = report::of_plan(&plan, &blueprint, &observed, false);
    let told = report
        .conditions
        .iter()
        .find(|condition| condition.r#type == "WorkloadReady")
        .unwrap();
    assert_eq!(told.status, "False");
    assert!(told.message.contains("spec.external["), "{}", told.message);
    // It comes, without the entry that is named.
    world.secrets = complete.clone();
    let incomplete = entries(&[("user", "shop"), ("pass", "")]);
    world.secrets.insert("legacy-mq".to_owned(), incomplete);
    let failure = held(&world.run(), "broker");
    assert!(
        failure.message.contains(
            "spec.external[broker].keys.password: Secret legacy-mq has no text in its entry pass"
        ),
        "{failure}"
    );
    world.secrets = complete;
    let plan = world.run();
    assert!(plan.is_empty(), "{plan:#?}");
}

#[test]
fn a_secret_that_goes_leaves_the_pods_as_they_are() {
    let mut world = settled(&orders());
    let before = deployment(&world).clone();
    let secrets = std::mem::take(&mut world.secrets);
    let plan = world.run();
    assert!(!plan.is_empty());
    assert_eq!(world.log, Vec::<String>::new());
    assert_eq!(deployment(&world), &before);
    world.secrets = secrets;
    assert!(world.run().is_empty());
    assert_eq!(world.log, Vec::<String>::new());
}

#[test]
fn a_secret_that_cannot_be_read_is_told_and_holds_up_nothing_else() {
    let mut world = settled(&orders());
    let refused = Failure::new(Class::Denied, "secrets \"legacy-mq\" is forbidden");
    world
        .refused_secrets
        .insert("legacy-mq".to_owned(), refused);
    let mut wanted = orders();
    wanted["spec"]["notifications"] = json!({"queues": [{"name": "returns"}]});
    world.wanted = want("octank", &wanted);
    let failure = held(&world.run(), "broker");
    assert_eq!(failure.class, Class::Denied);
    assert!(
        failure
            .describe()
            .contains("spec.external[broker].secretRef: Secret legacy-mq cannot be read")
            && failure.describe().contains("let the operator get Secrets"),
        "{}",
        failure.describe()
    );
    assert!(
        world
            .log
            .contains(&"create SqsQueue/octank-shop-orders-returns".to_owned()),
        "{:#?}",
        world.log
    );
}

#[test]
fn another_password_replaces_the_pods() {
    let mut world = settled(&orders());
    let before = deployment(&world)["spec"]["template"].clone();
    let legacy = world.secrets.get_mut("legacy-db").unwrap();
    // Nobody reads this one.
    legacy.insert("comment".to_owned(), Sensitive::new("rotated"));
    assert!(world.plan().is_empty());
    legacy_password(&mut world, "another-password");
    let plan = world.plan();
    let rolling: Vec<_> = plan
        .steps
        .iter()
        .filter(|step| step.action == Action::Update && step.effect == Effect::Rolling)
        .map(|step| step.key.to_string())
        .collect();
    assert_eq!(rolling, ["Deployment orders"]);
    let shown = format!("{plan:?}{}", serde_json::to_string(&plan).unwrap());
    assert!(!shown.contains("another-password"), "{shown}");
    assert!(world.run().is_empty());
    assert_ne!(deployment(&world)["spec"]["template"], before);
}

fn legacy_password(world: &mut World, password: &str) {
    let legacy = world.secrets.get_mut("legacy-db").unwrap();
    legacy.insert("password".to_owned(), Sensitive::new(password));
}

#[test]
fn a_template_that_names_what_there_is_not_is_told_with_what_there_is() {
    let mut object = orders();
    object["spec"]["bindings"][2]["env"][0]["template"] = json!("{{username}}@{{host}}");
    let mut world = world(&object);
    let plan = world.run();
    let report = report::of_plan(
        &plan,
        &(world.wanted.blueprint)(&world.observe()),
        &world.observe(),
        false,
    );
    let ready = report
        .conditions
        .iter()
        .find(|condition| condition.r#type == "Ready");
    let message = &ready.unwrap().message;
    for part in [
        "spec.external[sessions]: external.sessions has no username",
        "env[REDIS_URL]",
        "endpoint, host, port, scheme, uri, url",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_whole_address_of_the_secret_is_passed_on() {
    let mut object = orders();
    object["spec"]["external"] = json!([{
        "name": "legacy", "type": "MySQL", "secretRef": {"name": "legacy-db"}, "keys": {"uri": "url"},
    }]);
    object["spec"]["bindings"] = json!([
        {"resource": "external.legacy", "env": [{"name": "DATABASE_URL", "template": "{{uri}}"}]},
    ]);
    let mut world = World::new(want("octank", &object));
    let address = "mysql://a:b@db.legacy.example/orders?ssl=true";
    world.secrets = [("legacy-db".to_owned(), entries(&[("url", address)]))].into();
    assert!(world.run().is_empty());
    let (_, legacy) = secret(&world, "orders-external-legacy");
    assert_eq!(legacy["DATABASE_URL"], address);
    assert!(!legacy.contains_key("url") && !legacy.contains_key("host"));
}

#[test]
fn of_a_frontend() {
    let mut object = read("octank", "storefront");
    object["spec"]["frontends"][0]["external"] = json!([
        {"name": "sessions", "type": "Redis", "host": "cache.legacy.example", "scheme": "rediss", "secretRef": {"name": "cache"}},
    ]);
    object["spec"]["frontends"][0]["bindings"] = json!([{"resource": "external.sessions", "env": [{"name": "SESSIONS", "template": "{{uri}}"}]}]);
    let mut world = World::new(want("octank", &object));
    world.secrets = [("cache".to_owned(), entries(&[("password", CANARY)]))].into();
    assert!(world.run().is_empty());
    let name = object["metadata"]["name"].as_str().unwrap();
    let (kind, sessions) = secret(&world, &format!("{name}-web-external-sessions"));
    assert_eq!(kind, "servicebinding.io/redis");
    assert!(
        sessions["SESSIONS"].starts_with("rediss://:") && sessions["SESSIONS"].ends_with(":6379"),
        "a cache may know no user"
    );
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let refused = |pointer: &str, value: Value| {
        let mut object = orders();
        *object.pointer_mut(pointer).unwrap() = value;
        resolve::<OrderService>("octank", &object)
            .map(drop)
            .expect_err(pointer)
            .describe()
    };
    let unknown = refused("/spec/bindings/0/resource", json!("external.lagecy"));
    assert!(
        unknown.contains("spec.bindings[external.lagecy].resource")
            && unknown.contains("add it to spec.external"),
        "{unknown}"
    );
    let same = refused("/spec/bindings/1/secretName", json!("legacy-db"));
    assert!(
        same.contains("spec.bindings[external.broker].secretName") && same.contains("of its own"),
        "{same}"
    );
}
