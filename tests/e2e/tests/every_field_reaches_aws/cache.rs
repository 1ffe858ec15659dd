//! The cache of a catalog.

use anyhow::Result;
use serde_json::{Value, json};
use shopkeeper_e2e::{Definition, Shop, Subject, View};

use super::{Approval, Edited, Fields, NAMESPACE, edit, workload};

pub async fn edited(shop: &Shop, definition: &Definition) -> Result<Fields> {
    let subject = Subject::new("CatalogService", NAMESPACE, "cache");
    let specification = json!({
        "workload": workload("catalog"),
        "nodes": {"type": "None"},
        "cache": {"engine": "Redis", "version": "7.0", "nodeType": "cache.t4g.small", "replicas": 1},
    });
    let mut edited = Edited::made(shop, definition, subject, specification).await?;
    let id = shop
        .made(&edited.subject, "CacheReplicationGroup", "cache")
        .await?;
    let cache = View::Cache(id.clone());
    edited
        .edit(
            Approval::None,
            vec![
                edit("/cache/replicas", json!(2), &cache, json!({"members": 3})),
                edit(
                    "/cache/multiAZ",
                    json!("Disabled"),
                    &cache,
                    json!({"multiAZ": "disabled"}),
                ),
                edit(
                    "/cache/snapshotRetentionDays",
                    json!(5),
                    &cache,
                    json!({"snapshotRetention": 5}),
                ),
                edit(
                    "/cache/snapshotWindow",
                    json!("02:00-03:00"),
                    &cache,
                    json!({"snapshotWindow": "02:00-03:00"}),
                )
                // AWS chose the one before, and chooses no other.
                .that_stays(),
                edit(
                    "/cache/maintenanceWindow",
                    json!("sat:05:00-sat:06:00"),
                    &cache,
                    json!({"maintenanceWindow": "sat:05:00-sat:06:00"}),
                )
                // AWS chose the one before, and chooses no other.
                .that_stays(),
                edit(
                    "/cache/autoMinorVersionUpgrade",
                    json!("Disabled"),
                    &cache,
                    json!({"autoMinorVersionUpgrade": false}),
                ),
            ],
        )
        .await?;
    let parameters = |family: &str| View::CacheParameters(format!("{id}-{family}"));
    edited
        .edit(
            Approval::Needed,
            vec![
                edit(
                    "/cache/version",
                    json!("7.1"),
                    &cache,
                    json!({"status": "available", "version": "7.1.0"}),
                ),
                edit(
                    "/cache/nodeType",
                    json!("cache.m7g.large"),
                    &cache,
                    json!({"nodeType": "cache.m7g.large"}),
                ),
                edit(
                    "/cache/transitEncryption",
                    json!("Preferred"),
                    &cache,
                    json!({"transitEncryptionMode": "preferred"}),
                ),
                edit(
                    "/cache/parameters",
                    json!([{"name": "maxmemory-policy", "value": "allkeys-lru"}]),
                    &parameters("redis7"),
                    json!({"maxmemory-policy": "allkeys-lru"}),
                ),
                // The group that has them is that of the cache.
                edit(
                    "/cache/parameters/0/value",
                    json!("allkeys-lru"),
                    &cache,
                    json!({"parameterGroup": format!("{id}-redis7")}),
                )
                // The default group is that of the engine, which stays.
                .that_stays(),
            ],
        )
        .await?;
    edited
        .edit(
            Approval::Needed,
            vec![
                edit(
                    "/cache/engine",
                    json!("Valkey"),
                    &cache,
                    json!({"status": "available", "engine": "valkey", "parameterGroup": format!("{id}-valkey8")}),
                ),
                edit(
                    "/cache/version",
                    json!("8.0"),
                    &cache,
                    json!({"version": "8.0.1"}),
                ),
                edit(
                    "/cache/transitEncryption",
                    Value::Null,
                    &cache,
                    json!({"transitEncryptionMode": "required"}),
                ),
                edit(
                    "/cache/parameters/0/value",
                    json!("volatile-ttl"),
                    &parameters("valkey8"),
                    json!({"maxmemory-policy": "volatile-ttl"}),
                ),
            ],
        )
        .await?;
    let users = View::CacheUsers(id.clone());
    let bindings = View::Object(Subject::new("ConfigMap", NAMESPACE, "cache-bindings"));
    edited
        .edit(
            Approval::Needed,
            vec![
                edit(
                    "/cache/users",
                    json!([
                        {"name": "app", "authentication": "Password", "accessString": "on ~catalog:* +@read"},
                        {"name": "reports"},
                    ]),
                    &users,
                    json!({"status": "active", "users": {
                        format!("{id}-app"): {"authentication": "password", "access": "on ~catalog:* -@all +@read"},
                        format!("{id}-reports"): {"authentication": "iam"},
                    }}),
                ),
                edit(
                    "/cache/applicationUser",
                    json!("reports"),
                    &cache,
                    json!({"userGroups": [id.clone()]}),
                ),
                edit(
                    "/bindings",
                    json!([{"resource": "cache", "env": [{"name": "CACHE_USER", "template": "{{username}}"}]}]),
                    &bindings,
                    json!({"data": {"CACHE_USER": format!("{id}-reports")}}),
                ),
            ],
        )
        .await?;
    // A cache of Valkey does not become one of Redis again.
    edited
        .taken_back(Approval::Needed, &["/cache/engine", "/cache/version"])
        .await?;
    Ok(edited.done())
}
