//! What is declared in two ways at once, which AWS would take in one of them or refuse for ever.

use serde_json::{Value, json};
use shopkeeper_api::{CatalogService, Platform};
use shopkeeper_plan::{
    aws::{AwsResource, Key, KeyAttribute, KeyType},
    build,
    failure::{Class, Failure},
    last_seen::LastSeen,
    observed::Observed,
    plan::Plan,
    report,
    resolve::{DataResource, Resolved, platform},
};

use crate::{
    fixture::{lookups, read, resolve, typed, want},
    remarks::{message, report_of},
    resolving::says,
    world::World,
};

fn catalog(products: Value) -> Value {
    let mut object = read("octank", "catalog");
    object["spec"]["products"] = products;
    object
}

#[test]
fn keys_of_a_table() {
    let id = json!({"name": "id", "type": "String"});
    let other_id = json!({"name": "id", "type": "Number"});
    let at = json!({"name": "at", "type": "Number"});
    let other_at = json!({"name": "at", "type": "Binary"});
    for (products, field, problem, remedy) in [
        (
            json!({"keys": {"partition": id}, "indexes": [{"name": "by-id", "partition": other_id}]}),
            "spec.products.indexes[by-id].partition.type",
            "id is Number here and String in spec.products.keys.partition",
            "another name",
        ),
        (
            json!({"keys": {"partition": id, "sort": at}, "localIndexes": [{"name": "late", "sort": other_at}]}),
            "spec.products.localIndexes[late].sort.type",
            "at is Binary here and Number in spec.products.keys.sort",
            "take the table and its bindings out",
        ),
        (
            json!({"keys": {"partition": id}, "indexes": [
                {"name": "one", "partition": {"name": "color", "type": "String"}, "sort": at},
                {"name": "two", "partition": at, "sort": {"name": "color", "type": "Number"}},
            ]}),
            "spec.products.indexes[two].sort.type",
            "color is Number here and String in spec.products.indexes[one].partition",
            "another name",
        ),
        (
            json!({"keys": {"partition": id, "sort": id}}),
            "spec.products.keys.sort.name",
            "id is the partition key too",
            "leave sort out",
        ),
        (
            json!({"keys": {"partition": id}, "indexes": [{"name": "by-time", "partition": at, "sort": at}]}),
            "spec.products.indexes[by-time].sort.name",
            "at is the partition key too",
            "leave sort out",
        ),
        (
            json!({"keys": {"partition": id, "sort": at}, "localIndexes": [{"name": "same", "sort": id}]}),
            "spec.products.localIndexes[same].sort.name",
            "id is the partition key too",
            "take the table and its bindings out",
        ),
        (
            json!({
                "keys": {"partition": id, "sort": at},
                "localIndexes": [{"name": "late", "sort": {"name": "until", "type": "Number"}}],
                "indexes": [{"name": "late", "partition": at}],
            }),
            "spec.products.indexes[late].name",
            "one of localIndexes",
            "another name",
        ),
    ] {
        let resolved = resolve::<CatalogService>("octank", &catalog(products)).unwrap();
        let table = table_of(&resolved, "products");
        let [refused] = table.contradictions.as_slice() else {
            panic!("{field}: {:?}", table.contradictions)
        };
        says(refused, Class::Invalid, field, problem, remedy);
    }
    let mut object = read("octank", "catalog");
    object["spec"]["tables"] =
        json!([{"name": "seen", "table": {"keys": {"partition": id, "sort": other_id}}}]);
    let resolved = resolve::<CatalogService>("octank", &object).unwrap();
    let refused = &table_of(&resolved, "tables.seen").contradictions[0];
    assert!(
        refused
            .message
            .starts_with("spec.tables[seen].table.keys.sort.name"),
        "{refused}"
    );

    let shared = catalog(json!({
        "keys": {"partition": id, "sort": at},
        "localIndexes": [{"name": "again", "sort": at}],
        "indexes": [{"name": "by-time", "partition": at, "sort": id}, {"name": "by-id", "partition": id}],
    }));
    let resolved = resolve::<CatalogService>("octank", &shared).unwrap();
    assert_eq!(
        table_of(&resolved, "products").contradictions,
        [],
        "one type each"
    );
}

fn table_of<'a>(resolved: &'a Resolved, role: &str) -> &'a DataResource {
    let mut data = resolved.data.iter();
    data.find(|resource| resource.role == role).unwrap()
}

/// A table of which one index asks for another type of its key, and one for an attribute of two types.
fn contradicting() -> Value {
    catalog(json!({
        "keys": {"partition": {"name": "id", "type": "String"}},
        "indexes": [
            {"name": "by-id", "partition": {"name": "id", "type": "Number"}},
            {"name": "by-day", "partition": {"name": "day", "type": "String"}},
            {"name": "by-date", "partition": {"name": "day", "type": "Number"}},
        ],
    }))
}

const TOLD: &str = "spec.products.indexes[by-id].partition.type: id is Number here and String in spec.products.keys.partition";

#[test]
fn a_table_with_them_is_not_made_and_holds_nothing_else_up() {
    let mut world = World::new(want("octank", &contradicting()));
    world.run();
    let is_table = |line: &&String| line.starts_with("create DynamoDbTable");
    assert_eq!(world.log.iter().filter(is_table).count(), 0);
    for made in [
        "create CacheReplicationGroup",
        "create S3Bucket",
        "apply Service",
    ] {
        assert!(
            world.log.iter().any(|line| line.starts_with(made)),
            "{made}"
        );
    }
    let report = report_of(&world);
    let ready = report
        .conditions
        .iter()
        .find(|draft| draft.r#type == "Ready")
        .unwrap();
    assert_eq!((ready.status, ready.reason), ("False", "InvalidSpec"));
    assert!(
        ready.message.contains(TOLD) && ready.message.contains("To do: "),
        "{}",
        ready.message
    );
    let failure = report.failure.as_ref().unwrap();
    assert_eq!(failure.class, Class::Invalid, "{failure}");

    world.wanted = want("octank", &read("octank", "catalog"));
    assert!(world.run().is_empty(), "it is mended");
}

#[test]
fn a_table_that_is_there_goes_on_with_them_and_is_told_of() {
    let key = |kind| Key {
        partition: KeyAttribute {
            name: "id".into(),
            r#type: kind,
        },
        sort: None,
    };
    // DynamoDB was told one of the types, and nobody knows which.
    for kind in [KeyType::String, KeyType::Number] {
        let mut plain = contradicting();
        plain["spec"]["products"]["indexes"] =
            json!([{"name": "by-id", "partition": {"name": "id", "type": "String"}}]);
        let mut world = World::settled(want("octank", &plain));
        for thing in world.aws.values_mut() {
            if let AwsResource::DynamoDbTable(table) = &mut thing.present.resource {
                table.key = key(kind);
                table.global_indexes.get_mut("by-id").unwrap().key = key(kind);
            }
        }
        let resolved = resolve::<CatalogService>("octank", &contradicting()).unwrap();
        let table = table_of(&resolved, "products").key();
        world.wanted = want("octank", &contradicting());
        assert!(world.run().is_empty());
        let AwsResource::DynamoDbTable(found) = &world.aws[&table].present.resource else {
            unreachable!()
        };
        assert_eq!(found.key, key(kind));
        let indexes: Vec<&String> = found.global_indexes.keys().collect();
        assert_eq!(
            indexes,
            ["by-id"],
            "none is made of which nobody knows the type"
        );
        let report = report_of(&world);
        assert!(report.ready);
        let told = message(&report, "DataReady");
        assert!(told.starts_with("True ") && told.contains(TOLD), "{told}");
        assert!(
            told.contains("is there, and stays as it is in this. To do: write one type"),
            "{told}"
        );

        // What of the table is in order is kept so.
        let mut object = contradicting();
        object["spec"]["products"]["stream"] = json!("KeysOnly");
        world.wanted = want("octank", &object);
        assert!(world.run().is_empty());
        assert!(
            world
                .log
                .iter()
                .any(|line| line.starts_with("update DynamoDbTable"))
        );
        // While AWS is silent, what was as declared is not taken for anything else.
        let silent = Failure::new(Class::Throttled, "no answer");
        world.unknown.insert(table.clone(), silent);
        world.lately.insert(table, LastSeen::default());
        let ready = message(&report_of(&world), "Ready");
        assert!(ready.starts_with("True "), "{ready}");
    }
}

#[test]
fn subnets_that_are_private_and_public() {
    let mut object = read("octank", "platform");
    let mut found = lookups("octank-prod");
    found.public_subnets.push(found.private_subnets[1].clone());
    let told = |object: &Value| {
        let resolved = platform::resolve(&typed::<Platform>(object), &found).unwrap();
        let blueprint = build::platform_blueprint(&resolved);
        let report = report::of_plan(&Plan::default(), &blueprint, &Observed::default(), false);
        let reasons: Vec<_> = report::new_remarks(&[], &blueprint)
            .map(|remark| remark.reason)
            .collect();
        assert!(report.ready);
        (message(&report, "NetworkReady"), reasons)
    };
    let (by_tags, reasons) = told(&object);
    for part in [
        "True spec.network.existing.publicSubnets finds subnet-private-b by the tag tier=public, which privateSubnets finds by the tag tier=private",
        "take each out of the list that it is not of",
        "kubernetes.io/role/internal-elb",
    ] {
        assert!(by_tags.contains(part), "{by_tags}");
    }
    assert_eq!(reasons, ["SubnetOfBothSides"]);
    object["spec"]["network"]["existing"]["privateSubnets"] =
        json!({"ids": ["subnet-private-a", "subnet-private-b"]});
    let (by_id, _) = told(&object);
    assert!(by_id.contains("privateSubnets finds by its id"), "{by_id}");
    // What is not asked for is not looked at.
    crate::fixture::without(&mut object, "/spec/network/existing/publicSubnets");
    assert_eq!(told(&object), (String::new(), Vec::new()));
}
