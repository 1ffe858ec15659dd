//! What is declared in two ways at once, which AWS would take in one of them or refuse for ever.

use serde_json::{Value, json};
use shopkeeper_api::{CatalogService, Platform};
use shopkeeper_plan::{failure::Class, resolve::platform};

use crate::{
    fixture::{lookups, read, resolve, typed},
    resolving::says,
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
        let refused = resolve::<CatalogService>("octank", &catalog(products)).unwrap_err();
        says(&refused, Class::Invalid, field, problem, remedy);
    }
    let mut object = read("octank", "catalog");
    object["spec"]["tables"] =
        json!([{"name": "seen", "table": {"keys": {"partition": id, "sort": other_id}}}]);
    let refused = resolve::<CatalogService>("octank", &object).unwrap_err();
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
    assert!(
        resolve::<CatalogService>("octank", &shared).is_ok(),
        "one type each"
    );
}

#[test]
fn subnets_that_are_private_and_public() {
    let mut object = read("octank", "platform");
    let mut found = lookups("octank-prod");
    found.public_subnets.push(found.private_subnets[1].clone());
    let refused =
        |object: &Value| platform::resolve(&typed::<Platform>(object), &found).map(|_| ());
    says(
        &refused(&object).unwrap_err(),
        Class::Invalid,
        "spec.network.existing.publicSubnets",
        "subnet-private-b by the tag tier=public, which privateSubnets finds by the tag tier=private",
        "kubernetes.io/role/internal-elb",
    );
    object["spec"]["network"]["existing"]["privateSubnets"] =
        json!({"ids": ["subnet-private-a", "subnet-private-b"]});
    let by_id = refused(&object).unwrap_err();
    assert!(
        by_id.message.contains("privateSubnets finds by its id"),
        "{by_id}"
    );
    // What is not asked for is not looked at.
    crate::fixture::without(&mut object, "/spec/network/existing/publicSubnets");
    assert_eq!(refused(&object), Ok(()));
}
