//! RDS instances, subnet groups and parameter groups against the double.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../double/mod.rs"]
mod double;
mod groups;
mod instances;

use std::collections::BTreeMap;

use double::{Double, Seed, converge, owner_tags};
use shopkeeper_aws::Account;
use shopkeeper_plan::aws::{KmsKey, RdsInstance, RdsParameterGroup, RdsSubnetGroup};

const IDENTIFIER: &str = "octank-shop-orders";

fn subnet_group(seed: &Seed) -> RdsSubnetGroup {
    RdsSubnetGroup {
        name: "octank-shop-orders".into(),
        description: "Database of OrderService shop/orders".into(),
        subnets: seed.private_subnets().into_iter().take(2).collect(),
        tags: owner_tags(),
    }
}

fn parameter_group(family: &str) -> RdsParameterGroup {
    RdsParameterGroup {
        name: format!("octank-shop-orders-{family}"),
        family: family.into(),
        description: "Database of OrderService shop/orders".into(),
        parameters: parameters(&[("autovacuum_naptime", "30"), ("huge_pages", "off")]),
        tags: owner_tags(),
    }
}

fn parameters(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn instance(key_arn: &str) -> RdsInstance {
    RdsInstance {
        identifier: IDENTIFIER.into(),
        engine: "postgres".into(),
        engine_version: "16".into(),
        instance_class: "db.r7g.large".into(),
        allocated_storage: 100,
        max_allocated_storage: Some(500),
        storage_type: "gp3".into(),
        iops: None,
        multi_az: true,
        database_name: Some("orders".into()),
        username: "shop".into(),
        port: 5433,
        subnet_group: "octank-shop-orders".into(),
        parameter_group: "octank-shop-orders-postgres16".into(),
        security_groups: Default::default(),
        kms_key_arn: Some(key_arn.into()),
        backup_retention_days: 7,
        backup_window: Some("02:00-03:00".into()),
        maintenance_window: Some("sun:04:00-sun:05:00".into()),
        deletion_protection: true,
        performance_insights: true,
        log_exports: ["postgresql".to_owned()].into(),
        auto_minor_version_upgrade: true,
        ca_certificate: None,
        publicly_accessible: false,
        managed_password: true,
        copy_tags_to_snapshot: true,
        tags: owner_tags(),
    }
}

/// The groups and the key that an instance needs; gives the key's ARN.
async fn support(double: &Double, account: &Account, seed: &Seed) -> String {
    converge(double, account, subnet_group(seed)).await;
    converge(double, account, parameter_group("postgres16")).await;
    let key = KmsKey {
        alias: Some("alias/shopkeeper-octank".into()),
        description: "Data".into(),
        policy: None,
        rotation_period_days: None,
        enabled: true,
        tags: owner_tags(),
    };
    converge(double, account, key).await.arn.unwrap()
}

/// A double with all that an instance needs, and what is desired of that instance: no security groups of its own mean the
/// VPC's, whose id is only known once it was made.
async fn prepared() -> (Double, Seed, Account, RdsInstance) {
    let (double, seed) = Double::start_seeded();
    let account = double.account();
    let key_arn = support(&double, &account, &seed).await;
    let mut desired = instance(&key_arn);
    desired.security_groups = [seed.text("cluster_security_group").to_owned()].into();
    (double, seed, account, desired)
}
