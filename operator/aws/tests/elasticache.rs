//! ElastiCache subnet groups, parameter groups and replication groups against the double.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod double;

use std::collections::{BTreeMap, BTreeSet};

use double::{Double, Seed, change, converge, look, owner_tags, remove, scope};
use serde_json::json;
use shopkeeper_plan::{
    aws::{
        AwsKind, CacheEngine, CacheParameterGroup, CacheReplicationGroup, CacheSubnetGroup, Tags,
        TransitEncryption,
    },
    failure::Class,
    observed::Observation,
    plan::DeleteMode,
};

fn subnet_group(seed: &Seed) -> CacheSubnetGroup {
    CacheSubnetGroup {
        name: "shop-carts".into(),
        description: "carts of the shop".into(),
        subnets: seed.private_subnets().into_iter().collect(),
        tags: owner_tags(),
    }
}

fn parameter_group() -> CacheParameterGroup {
    CacheParameterGroup {
        name: "shop-carts-valkey8".into(),
        family: "valkey8".into(),
        description: "carts of the shop".into(),
        parameters: [("maxmemory-policy".to_owned(), "allkeys-lru".to_owned())].into(),
        tags: owner_tags(),
    }
}

fn carts(security_groups: BTreeSet<String>) -> CacheReplicationGroup {
    CacheReplicationGroup {
        id: "shop-carts".into(),
        description: "carts of the shop".into(),
        engine: CacheEngine::Valkey,
        engine_version: Some("7.2".into()),
        node_type: "cache.t4g.small".into(),
        replicas: 1,
        multi_az: true,
        transit_encryption: TransitEncryption::Required,
        kms_key_arn: None,
        subnet_group: "shop-carts".into(),
        parameter_group: None,
        security_groups,
        user_group: None,
        other_user_group: None,
        port: 6379,
        snapshot_retention_days: 1,
        snapshot_window: Some("02:00-03:00".into()),
        maintenance_window: Some("sun:05:00-sun:06:00".into()),
        auto_minor_version_upgrade: Some(true),
        tags: owner_tags(),
    }
}

#[tokio::test]
async fn a_subnet_group_is_made_changed_and_removed() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    let mut group = subnet_group(&seed);
    double.forget_calls();
    converge(&double, &account, group.clone()).await;
    assert_eq!(double.writes(), ["CreateCacheSubnetGroup"]);
    change(&double, &account, &mut group, |group| {
        group.description = "carts".into()
    })
    .await;
    change(&double, &account, &mut group, |group| {
        group.subnets.pop_last();
    })
    .await;
    change(&double, &account, &mut group, |group| {
        group.tags.insert("team".into(), "shop".into());
    })
    .await;
    remove(&double, &account, group, DeleteMode::Snapshot).await;
}

#[tokio::test]
async fn a_parameter_group_is_made_changed_and_removed() {
    let (double, _seed) = Double::start_seeded();
    let account = double.account();
    let mut group = parameter_group();
    double.forget_calls();
    converge(&double, &account, group.clone()).await;
    assert_eq!(
        double.writes(),
        ["CreateCacheParameterGroup", "ModifyCacheParameterGroup"]
    );
    double.forget_calls();
    change(&double, &account, &mut group, |group| {
        group.parameters = [
            ("timeout".to_owned(), "60".to_owned()),
            ("activedefrag".to_owned(), "yes".to_owned()),
        ]
        .into();
    })
    .await;
    assert_eq!(
        double.writes(),
        ["ModifyCacheParameterGroup", "ResetCacheParameterGroup"],
        "what was taken out is reset"
    );
    change(&double, &account, &mut group, |group| {
        group.tags.insert("team".into(), "shop".into());
    })
    .await;
    remove(&double, &account, group, DeleteMode::Snapshot).await;
}

#[tokio::test]
async fn many_parameters_go_in_several_calls() {
    let (double, _seed) = Double::start_seeded();
    let account = double.account();
    let client = aws_sdk_elasticache::Client::new(&double.configuration());
    let answer = client
        .describe_engine_default_parameters()
        .cache_parameter_group_family("valkey8")
        .send()
        .await
        .unwrap();
    let defaults = answer.engine_defaults.unwrap();
    let parameters: BTreeMap<String, String> = defaults
        .parameters()
        .iter()
        .filter(|parameter| parameter.is_modifiable() == Some(true))
        .filter_map(|parameter| {
            Some((
                parameter.parameter_name()?.to_owned(),
                parameter.parameter_value()?.to_owned(),
            ))
        })
        .filter(|(_, value)| !value.is_empty())
        .take(32)
        .collect();
    assert!(parameters.len() > 20, "one call would do: {parameters:?}");
    let mut group = CacheParameterGroup {
        parameters,
        ..parameter_group()
    };
    double.forget_calls();
    converge(&double, &account, group.clone()).await;
    change(&double, &account, &mut group, |group| {
        group.parameters.clear()
    })
    .await;
    let [create, modify, reset] = [
        "CreateCacheParameterGroup",
        "ModifyCacheParameterGroup",
        "ResetCacheParameterGroup",
    ];
    assert_eq!(double.writes(), [create, modify, modify, reset, reset]);
}

#[tokio::test]
async fn a_replication_group_takes_parameters_and_gives_them_up() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    converge(&double, &account, subnet_group(&seed)).await;
    converge(&double, &account, parameter_group()).await;
    let mut group = carts([double.security_group(&seed, "carts")].into());
    group.engine_version = Some("8.0".into());
    group.parameter_group = Some("default.valkey8".into());
    converge(&double, &account, group.clone()).await;
    change(&double, &account, &mut group, |group| {
        group.parameter_group = Some(parameter_group().name)
    })
    .await;
    change(&double, &account, &mut group, |group| {
        group.parameter_group = Some("default.valkey8".into())
    })
    .await;
    remove(&double, &account, parameter_group(), DeleteMode::Everything).await;
}

#[tokio::test]
async fn a_replication_group_is_made_changed_and_removed() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    converge(&double, &account, subnet_group(&seed)).await;
    let first = double.security_group(&seed, "carts");
    let second = double.security_group(&seed, "carts-more");

    let mut group = carts([first.clone()].into());
    double.forget_calls();
    let present = converge(&double, &account, group.clone()).await;
    assert_eq!(double.writes(), ["CreateReplicationGroup"]);
    let host = present.outputs.plain("host").unwrap();
    assert_eq!(present.outputs.plain("port"), Some("6379"));
    assert_eq!(
        present.outputs.plain("endpoint"),
        Some(format!("{host}:6379").as_str())
    );
    assert!(present.outputs.plain("readerHost").is_some());

    change(&double, &account, &mut group, |group| {
        group.engine_version = Some("8.0".into())
    })
    .await;
    change(&double, &account, &mut group, |group| {
        group.node_type = "cache.m7g.large".into()
    })
    .await;
    change(&double, &account, &mut group, |group| group.replicas = 2).await;
    change(&double, &account, &mut group, |group| group.replicas = 1).await;
    change(&double, &account, &mut group, |group| {
        group.replicas = 0;
        group.multi_az = false;
    })
    .await;
    change(&double, &account, &mut group, |group| {
        group.replicas = 1;
        group.multi_az = true;
    })
    .await;
    change(&double, &account, &mut group, |group| {
        group.transit_encryption = TransitEncryption::Disabled
    })
    .await;
    change(&double, &account, &mut group, |group| {
        group.transit_encryption = TransitEncryption::Required
    })
    .await;
    change(&double, &account, &mut group, |group| {
        group.security_groups.insert(second);
    })
    .await;

    double.forget_calls();
    change(&double, &account, &mut group, |group| {
        group.description = "carts".into();
        group.security_groups.remove(&first);
        group.snapshot_retention_days = 7;
        group.snapshot_window = Some("03:00-04:00".into());
        group.maintenance_window = Some("mon:05:00-mon:06:00".into());
        group.auto_minor_version_upgrade = Some(false);
    })
    .await;
    assert_eq!(
        double.writes(),
        ["ModifyReplicationGroup"],
        "what takes hold without a restart goes in one call"
    );
    change(&double, &account, &mut group, |group| {
        group.tags.insert("team".into(), "shop".into());
    })
    .await;

    remove(&double, &account, group.clone(), DeleteMode::Snapshot).await;
    // The rest of the name tells one group from a later one of the same name.
    let snapshots = snapshots(&double).await;
    assert!(
        matches!(snapshots.as_slice(), [one] if one.starts_with("shop-carts-final-")),
        "{snapshots:?}"
    );

    converge(&double, &account, group.clone()).await;
    remove(&double, &account, group, DeleteMode::Everything).await;
    assert_eq!(
        self::snapshots(&double).await,
        snapshots,
        "no other snapshot"
    );
    remove(
        &double,
        &account,
        subnet_group(&seed),
        DeleteMode::Everything,
    )
    .await;
}

#[tokio::test]
async fn the_tags_of_a_group_are_not_those_of_the_next_one_of_its_name() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    converge(&double, &account, subnet_group(&seed)).await;
    let group = carts(BTreeSet::new());
    let (kind, id) = (AwsKind::CacheReplicationGroup, group.id.clone());
    converge(&double, &account, group.clone()).await;
    let busy = json!({
        "kind": "error", "service": "elasticache", "operation": "ListTagsForResource",
        "code": "InvalidReplicationGroupState", "status": 400, "message": "not in the available state",
    });
    double.fault(&busy);
    let present = look(&account, kind, &id).await.unwrap();
    assert_eq!(*present.resource.tags(), group.tags, "they are known");
    // Between two looks somebody takes it away and makes another one.
    let client = aws_sdk_elasticache::Client::new(&double.configuration());
    let removal = client.delete_replication_group().replication_group_id(&id);
    removal.send().await.unwrap();
    double.settle();
    client
        .create_replication_group()
        .replication_group_id(&id)
        .replication_group_description("of somebody else")
        .engine("valkey")
        .cache_node_type("cache.t4g.small")
        .num_cache_clusters(1)
        .automatic_failover_enabled(false)
        .cache_subnet_group_name("shop-carts")
        .send()
        .await
        .unwrap();
    let seen = account.observe(kind, &id, &scope()).await;
    let Observation::Unknown(failure) = seen else {
        panic!("whose it is, nobody has told: {seen:?}");
    };
    assert_eq!(failure.class, Class::NotReady);
    double.remove_faults();
    let present = look(&account, kind, &id).await.unwrap();
    assert_eq!(*present.resource.tags(), Tags::new());
}

async fn snapshots(double: &Double) -> Vec<String> {
    let client = aws_sdk_elasticache::Client::new(&double.configuration());
    let answer = client.describe_snapshots().send().await.unwrap();
    answer
        .snapshots()
        .iter()
        .map(|snapshot| snapshot.snapshot_name().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn redis_becomes_valkey() {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    converge(&double, &account, subnet_group(&seed)).await;
    let mut group = carts([double.security_group(&seed, "carts")].into());
    group.engine = CacheEngine::Redis;
    group.engine_version = Some("7.1".into());
    group.parameter_group = Some("default.redis7".into());
    converge(&double, &account, group.clone()).await;
    double.forget_calls();
    change(&double, &account, &mut group, |group| {
        group.engine = CacheEngine::Valkey;
        group.engine_version = Some("8.0".into());
        group.parameter_group = Some("default.valkey8".into());
    })
    .await;
    assert_eq!(double.writes(), ["ModifyReplicationGroup"]);
}
