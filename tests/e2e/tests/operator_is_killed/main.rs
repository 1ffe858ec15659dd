//! The operator is killed after each single write to AWS and to Kubernetes, and started again.
//!
//! Proves for a CatalogService and an OrderService, while they are made, while a node group of theirs is replaced and while they
//! are deleted, that whatever write was the last one, the next operator comes to the same end: the same resources in AWS, none of
//! them twice, none left over, each last snapshot taken. The write itself takes effect and its answer is lost, which is the worst
//! moment.

mod crash;
mod services;

use anyhow::Result;
use shopkeeper_e2e::Shop;

use crate::crash::{Crash, Writes};

#[tokio::test]
async fn a_catalog_stands_whatever_was_the_last_write() -> Result<()> {
    let crash = Crash::open("killed-catalog").await?;
    let crash = lives(crash, &services::CATALOG).await?;
    crash.close().await
}

#[tokio::test]
async fn orders_stand_whatever_was_the_last_write() -> Result<()> {
    let crash = Crash::open("killed-orders").await?;
    let crash = lives(crash, &services::ORDERS).await?;
    crash.close().await
}

async fn lives(mut crash: Crash, service: &services::Service) -> Result<Crash> {
    for writes in [Writes::Aws, Writes::Kubernetes] {
        crash.while_it_is_made_and_deleted(service, writes).await?;
        crash.while_its_nodes_are_replaced(service, writes).await?;
    }
    Ok(crash)
}

/// What the scenarios need of a shop: a Platform.
async fn platform(shop: &Shop) -> Result<()> {
    shop.apply(&shopkeeper_e2e::read_example("octank/platform.yaml")?)
        .await?;
    let platform = shopkeeper_e2e::Subject::new("Platform", "", "octank");
    shop.until_ready(&platform).await.map(drop)
}
