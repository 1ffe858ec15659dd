//! Specifications that cannot work are refused with the field and what to do about it.

use serde_json::{Value, json};
use shopkeeper_api::{CatalogService, OrderService, Platform, Storefront, reference::ServiceKind};
use shopkeeper_plan::{
    facts::KeyFacts,
    failure::{Class, Failure},
    resolve::{Resolve, platform},
};

use crate::fixture::{facts, lookups, lost, read, references, resolve, subnets, typed};

/// What is refused of an example in which one value was replaced.
pub fn refused<K: Resolve + std::fmt::Debug>(name: &str, pointer: &str, value: Value) -> Failure {
    resolve::<K>("octank", &changed(name, pointer, value))
        .map(|_| ())
        .expect_err(pointer)
}

/// What waits of an example in which one value was replaced.
pub fn waits<K: Resolve + std::fmt::Debug>(name: &str, pointer: &str, value: Value) -> Failure {
    let resolved = resolve::<K>("octank", &changed(name, pointer, value)).expect(pointer);
    lost(&resolved).expect(pointer)
}

pub fn changed(name: &str, pointer: &str, value: Value) -> Value {
    let mut object = read("octank", name);
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let parent = object
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("{pointer}"));
    match parent {
        Value::Array(list) if member == "-" => list.push(value),
        Value::Array(list) => list[member.parse::<usize>().unwrap()] = value,
        parent => parent[member] = value,
    }
    object
}

/// Names the field, says what is wrong, and what to do.
#[track_caller]
pub fn says(failure: &Failure, class: Class, field: &str, problem: &str, remedy: &str) {
    assert_eq!(failure.class, class, "{failure}");
    assert!(
        failure.message.contains(field),
        "{failure} does not name {field}"
    );
    assert!(
        failure.message.contains(problem),
        "{failure} does not say: {problem}"
    );
    assert!(
        !remedy.is_empty() && failure.remedy.contains(remedy),
        "{:?} is no {remedy}",
        failure.remedy
    );
    assert!(failure.describe().ends_with(&failure.remedy));
}

#[test]
fn a_variable_of_the_workload_stands_in_for_all_others_of_its_name() {
    let mut object = changed(
        "orders",
        "/spec/bindings/1/env/0/name",
        json!("DATABASE_URL"),
    );
    object["spec"]["workload"]["env"] = json!([{"name": "DATABASE_URL", "value": "mine"}]);
    let resolved = resolve::<OrderService>("octank", &object);
    assert!(resolved.is_ok(), "{resolved:?}");
}

#[test]
fn of_an_order_service() {
    let orders = |pointer, value| refused::<OrderService>("orders", pointer, value);
    let storage = orders("/spec/database/rds/storage", json!("200G"));
    says(
        &storage,
        Class::Invalid,
        "spec.database.rds.storage",
        "200G",
        "200Gi",
    );
    let growing = orders("/spec/database/rds/maxStorage", json!("much"));
    says(
        &growing,
        Class::Invalid,
        "spec.database.rds.maxStorage",
        "much",
        "200Gi",
    );
    let no_instance = orders("/spec/database", json!({"type": "RDS"}));
    says(
        &no_instance,
        Class::Invalid,
        "spec.database.rds",
        "missing",
        "describe",
    );
    let no_queue = orders(
        "/spec/notifications/topics/0/subscribers/0/queue",
        json!("other"),
    );
    says(
        &no_queue,
        Class::Invalid,
        "spec.notifications.topics[buy].subscribers[0].queue",
        "names no queue",
        "spec.notifications.queues",
    );
    for (kind, member) in [
        ("Email", "email"),
        ("SMS", "sms"),
        ("HTTPS", "https"),
        ("Push", "push"),
    ] {
        let missing = orders(
            "/spec/notifications/topics/0/subscribers/1",
            json!({"type": kind}),
        );
        says(
            &missing,
            Class::Invalid,
            &format!("spec.notifications.topics[buy].subscribers[1].{member}"),
            "missing",
            "set it",
        );
    }
    let open = orders("/spec/bindings/0/env/0/template", json!("{{uri"));
    says(
        &open,
        Class::Invalid,
        "spec.bindings[database].env[DATABASE_URL].template",
        "`{{` without `}}`",
        "close",
    );
    let nameless = orders("/spec/bindings/0/env/0/template", json!("{{ }}"));
    says(
        &nameless,
        Class::Invalid,
        "spec.bindings[database].env[DATABASE_URL].template",
        "without a name",
        "{{host}}",
    );
    let same_secret = orders("/spec/bindings/1/secretName", json!("orders-database"));
    says(
        &same_secret,
        Class::Invalid,
        "spec.bindings[notifications].secretName",
        "orders-database",
        "Secret of its own",
    );
    let twice_bound = orders("/spec/bindings/1/env/0/name", json!("DATABASE_URL"));
    says(
        &twice_bound,
        Class::Invalid,
        "spec.bindings[notifications].env[DATABASE_URL]",
        "is also set by spec.bindings[database].env[DATABASE_URL]",
        "another name",
    );
    let of_another = json!({
        "service": {"kind": "CatalogService", "name": "catalog"},
        "env": [{"name": "DATABASE_URL", "template": "{{url}}"}],
    });
    let bound_and_called = orders("/spec/endpoints", json!([of_another]));
    says(
        &bound_and_called,
        Class::Invalid,
        "spec.endpoints[catalog].env[DATABASE_URL]",
        "is also set by spec.bindings[database].env[DATABASE_URL]",
        "workload.env",
    );
    let dead_letters = orders(
        "/spec/notifications/queues/-",
        json!({"name": "fulfilment-dead"}),
    );
    says(
        &dead_letters,
        Class::Invalid,
        "spec",
        "queues.fulfilment.dead and queues.fulfilment-dead would both be SQS queue",
        "another name",
    );
    let twice = orders(
        "/spec/notifications/topics/2/subscribers/-",
        json!({"type": "SMS", "sms": "+15550100"}),
    );
    says(
        &twice,
        Class::Invalid,
        "spec",
        "topics.ship.subscribers.0 and topics.ship.subscribers.1",
        "take it out",
    );
}

#[test]
fn of_a_catalog() {
    let same_table = refused::<CatalogService>(
        "catalog",
        "/spec/tables",
        json!([{"name": "products", "table": {"keys": {"partition": {"name": "id", "type": "String"}}}}]),
    );
    says(
        &same_table,
        Class::Invalid,
        "spec",
        "products and tables.products would both be DynamoDB table",
        "another name",
    );
}

#[test]
fn of_nodes_and_identity() {
    let catalog = |pointer, value| refused::<CatalogService>("catalog", pointer, value);
    let mixed = catalog(
        "/spec/nodes/nodeGroup/instanceTypes",
        json!(["m7g.large", "m7i.large"]),
    );
    says(
        &mixed,
        Class::Invalid,
        "spec.nodes.nodeGroup.instanceTypes",
        "mixes Graviton",
        "one architecture",
    );
    let image = catalog("/spec/nodes/nodeGroup/amiType", json!("BottlerocketX86"));
    says(
        &image,
        Class::Invalid,
        "spec.nodes.nodeGroup.amiType",
        "does not boot on m7g.large",
        "leave it out",
    );
    let zone = catalog("/spec/nodes/nodeGroup/zones", json!(["eu-west-1z"]));
    says(
        &zone,
        Class::Invalid,
        "spec.nodes.nodeGroup.zones",
        "eu-west-1z",
        "eu-west-1a, eu-west-1b",
    );
    let shared = catalog("/spec/nodes", json!({"type": "Shared"}));
    says(
        &shared,
        Class::Invalid,
        "spec.nodes.shared",
        "missing",
        "name the node group",
    );
    let role = catalog("/spec/identity", json!({"type": "Existing"}));
    says(
        &role,
        Class::Invalid,
        "spec.identity.existing",
        "missing",
        "name the role",
    );

    let mut platform = facts("octank");
    platform.oidc_issuer = None;
    let object: CatalogService = typed(&changed(
        "catalog",
        "/spec/identity",
        json!({"type": "IRSA"}),
    ));
    let issuer = object
        .resolve(&platform, &references("octank"))
        .map(|_| ())
        .unwrap_err();
    says(
        &issuer,
        Class::Invalid,
        "spec.identity.type",
        "OIDC",
        "PodIdentity",
    );
}

#[test]
fn of_a_platform() {
    let object: Platform = typed(&read("octank", "platform"));
    let found = lookups("octank-prod");
    let refused = |change: &dyn Fn(&mut platform::PlatformLookups)| {
        let mut lookups = found.clone();
        change(&mut lookups);
        platform::resolve(&object, &lookups)
            .map(|_| ())
            .unwrap_err()
    };
    let account = refused(&|lookups| lookups.account_id = Some("210987654321".into()));
    says(
        &account,
        Class::Invalid,
        "spec.aws.accountId",
        "210987654321",
        "credentials",
    );
    let cluster = refused(&|lookups| lookups.cluster = None);
    says(
        &cluster,
        Class::Invalid,
        "spec.cluster.name",
        "no EKS cluster octank-prod in eu-west-1",
        "spec.aws.region",
    );
    let none = refused(&|lookups| lookups.vpcs.clear());
    says(
        &none,
        Class::Invalid,
        "spec.network.existing.vpc",
        "no VPC matches",
        "tags",
    );
    let several = refused(&|lookups| lookups.vpcs.push(lookups.vpcs[0].clone()));
    says(
        &several,
        Class::Invalid,
        "spec.network.existing.vpc",
        "2 VPCs match",
        "by id",
    );
    let other = refused(&|lookups| lookups.vpcs[0].id = "vpc-2".into());
    says(
        &other,
        Class::Invalid,
        "spec.network.existing.vpc",
        "vpc-2",
        "VPC of the cluster",
    );
    let private = refused(&|lookups| lookups.private_subnets = subnets("private", 0)[..1].to_vec());
    says(
        &private,
        Class::Invalid,
        "spec.network.existing.privateSubnets",
        "1 zones",
        "further zones",
    );
    let public = refused(&|lookups| lookups.public_subnets.clear());
    says(
        &public,
        Class::Invalid,
        "spec.network.existing.publicSubnets",
        "0 subnets",
        "further zones",
    );

    let making = refused(&|lookups| lookups.cluster.as_mut().unwrap().status = "CREATING".into());
    assert_eq!(making.class, Class::NotReady, "only time helps: {making}");
    let early = platform::facts(&object).unwrap_err();
    says(
        &early,
        Class::NotReady,
        "Platform octank",
        "not ready",
        "kubectl describe platform octank",
    );
}

#[test]
fn of_a_key_that_is_brought_along() {
    const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1";
    let mut object = read("octank", "platform");
    object["spec"]["encryption"] = json!({"type": "Existing", "existing": {"keyArn": KEY}});
    let object: Platform = typed(&object);
    let usable = KeyFacts {
        state: "Enabled".into(),
        usage: "ENCRYPT_DECRYPT".into(),
        spec: "SYMMETRIC_DEFAULT".into(),
        is_managed_by_aws: false,
    };
    let resolved = |key: Option<KeyFacts>| {
        let mut lookups = lookups("octank-prod");
        lookups.existing_key = key;
        platform::resolve(&object, &lookups).map(|resolved| resolved.existing_key_arn)
    };
    assert_eq!(
        resolved(Some(usable.clone())).unwrap().as_deref(),
        Some(KEY)
    );
    let with = |change: &dyn Fn(&mut KeyFacts)| {
        let mut key = usable.clone();
        change(&mut key);
        Some(key)
    };
    for (key, problem, remedy) in [
        (None, "no key that KMS has", "correct the ARN"),
        (
            with(&|key| key.state = "Disabled".into()),
            "is Disabled",
            "enable it",
        ),
        (
            with(&|key| key.state = "PendingDeletion".into()),
            "is PendingDeletion",
            "cancel its deletion",
        ),
        (
            with(&|key| key.state = "PendingImport".into()),
            "is PendingImport",
            "import its key material",
        ),
        (
            with(&|key| key.spec = "RSA_2048".into()),
            "is a key RSA_2048",
            "SYMMETRIC_DEFAULT",
        ),
        (
            with(&|key| key.usage = "GENERATE_VERIFY_MAC".into()),
            "GENERATE_VERIFY_MAC",
            "ENCRYPT_DECRYPT",
        ),
        (
            with(&|key| key.is_managed_by_aws = true),
            "managed by AWS",
            "customer managed key",
        ),
    ] {
        let failure = resolved(key).unwrap_err();
        says(
            &failure,
            Class::Invalid,
            "spec.encryption.existing.keyArn",
            problem,
            remedy,
        );
    }
    let denied = Failure::new(Class::Denied, "DescribeKey: AccessDeniedException");
    let denied = platform::existing_key_denied(denied);
    says(
        &denied,
        Class::Denied,
        "spec.encryption.existing.keyArn",
        "AccessDenied",
        "kms:DescribeKey",
    );
}

#[test]
fn of_references_to_a_service_whose_name_is_anothers() {
    let mut references = references("octank");
    for (key, service) in &mut references.services {
        if key.kind == ServiceKind::CatalogService {
            service.name_taken_by = Some("OrderService/shop/catalog".into());
        }
    }
    let told = |failure: Failure, field: &str| {
        says(
            &failure,
            Class::NotReady,
            field,
            "names CatalogService shop/catalog, whose name belongs to OrderService/shop/catalog",
            "see the condition Ready of CatalogService shop/catalog",
        );
    };
    let catalog = json!({"kind": "CatalogService", "name": "catalog"});
    let orders = |member: &str, value: Value| {
        let mut object = read("octank", "orders");
        object["spec"]["callers"] = json!([]);
        object["spec"]["endpoints"] = json!([]);
        object["spec"][member] = value;
        typed::<OrderService>(&object)
            .resolve(&facts("octank"), &references)
            .map(|resolved| lost(&resolved))
    };
    assert_eq!(orders("callers", json!([])), Ok(None));
    let callers = json!([{"cidr": "10.1.0.0/16"}, {"service": catalog}]);
    told(
        orders("callers", callers).unwrap_err(),
        "spec.callers[catalog]",
    );
    let endpoints =
        json!([{"service": catalog, "env": [{"name": "CATALOG", "template": "{{url}}"}]}]);
    told(
        orders("endpoints", endpoints).unwrap().unwrap(),
        "spec.endpoints[catalog]",
    );
    let mut object = read("octank", "storefront");
    object["spec"]["routes"] = json!([{"path": "/catalog", "service": catalog}]);
    let storefront = typed::<Storefront>(&object).resolve(&facts("octank"), &references);
    told(lost(&storefront.unwrap()).unwrap(), "spec.routes[/catalog]");
    // It is told itself when it asks for its name, and another one may call it as before.
    let mut object = read("octank", "catalog");
    object["spec"]["callers"] = json!([{"service": catalog}]);
    object["spec"]["endpoints"] = json!([]);
    let itself = typed::<CatalogService>(&object).resolve(&facts("octank"), &references);
    assert!(itself.is_ok(), "{itself:?}");
    // One that is not there yet lets nobody in.
    references.services.clear();
    let callers = json!([{"service": catalog}]);
    let mut object = read("octank", "orders");
    object["spec"]["callers"] = callers;
    object["spec"]["endpoints"] = json!([]);
    let early = typed::<OrderService>(&object).resolve(&facts("octank"), &references);
    assert!(early.is_ok(), "{early:?}");
}
