//! What becomes of AWS resources when their custom resource goes.
//!
//! Proves for each deletion policy what is left and what is saved, from AWS and from the order of the calls; that what nobody
//! needs goes whatever the policy; that the custom resource goes last; that the resources of others are untouched; that a
//! Platform waits for those that run on it, and its key goes by the policy; that a part that is taken out of a specification goes by the
//! policy, too, after approval, and that its last backup is one of that time; and that nothing which pods use goes before the last of
//! them has ended.

mod catalog;
mod orders;
mod platform;
mod pods;

use anyhow::{Result, ensure};
use futures::FutureExt as _;
use shopkeeper_e2e::{Ledger, Shop, Subject, read_example, run_together};

const CLUSTER: &str = "octank-prod";
const NAMESPACE: &str = "deletion";

#[tokio::test]
async fn deletion_follows_the_policy() -> Result<()> {
    let mut shop = Shop::open("deletion").await?;
    shop.namespace(NAMESPACE).await?;
    shop.apply(&read_example("octank/platform.yaml")?).await?;
    run_together(vec![
        (
            "catalog under Retain",
            catalog::under_retain(&shop).boxed_local(),
        ),
        (
            "catalog under Snapshot",
            catalog::under_snapshot(&shop).boxed_local(),
        ),
        (
            "catalog under Delete",
            catalog::under_delete(&shop).boxed_local(),
        ),
        (
            "orders under Retain",
            orders::under_retain(&shop).boxed_local(),
        ),
        (
            "orders under Snapshot",
            orders::under_snapshot(&shop).boxed_local(),
        ),
        (
            "orders under Delete",
            orders::under_delete(&shop).boxed_local(),
        ),
        (
            "orders with dead letters of a topic",
            orders::with_letters(&shop).boxed_local(),
        ),
        (
            "a cache taken out of a catalog",
            catalog::a_cache_is_taken_out(&shop).boxed_local(),
        ),
        (
            "a table taken out of a catalog twice",
            catalog::a_table_is_taken_out_twice(&shop).boxed_local(),
        ),
        (
            "a pod that ends slowly",
            pods::one_ends_slowly(&shop).boxed_local(),
        ),
    ])
    .await?;
    platform::a_platform_waits_for_those_on_it(&shop).await?;
    platform::the_key_is_kept_under_retain(&shop).await?;
    platform::the_key_is_deleted_under_delete(&shop).await?;
    platform::the_key_is_kept_for_what_others_left(&shop).await?;
    platform::the_key_is_kept_for_what_it_is_seen_to_encrypt(&shop).await?;
    platform::the_key_is_kept_when_the_status_is_lost(&mut shop).await?;
    shop.close().await
}

/// Deletes it and waits until it is gone; returns the point in the records from which on it was taken down.
async fn take_down(shop: &Shop, subject: &Subject) -> Result<Ledger> {
    let mark = shop.mark().await?;
    shop.delete(subject).await?;
    shop.until_gone(subject).await?;
    // What belongs to it in the cluster went before it.
    for kind in ["Deployment", "NetworkPolicy", "Service"] {
        let object = Subject::new(kind, &subject.namespace, &subject.name);
        ensure!(
            shop.find(&object).await?.is_none(),
            "{object} outlived {subject}"
        );
    }
    Ok(mark)
}

/// What is left, as the types of resources.
async fn left(shop: &Shop, subject: &Subject) -> Result<Vec<String>> {
    let owned = shop.owned_in_aws(subject).await?;
    let mut types: Vec<String> = owned
        .iter()
        .filter_map(|resource| resource.split(' ').next())
        .map(str::to_owned)
        .collect();
    types.dedup();
    Ok(types)
}

/// Checks that the calls are in this order among all that were made.
async fn in_order(shop: &Shop, mark: Ledger, concerns: &str, expected: &[&str]) -> Result<()> {
    let made = shop.steps_since(mark, concerns).await?;
    let mut rest = made.iter();
    for call in expected {
        ensure!(
            rest.any(|made| made == call),
            "{call} was not made, or not in this order; made were {made:?}"
        );
    }
    Ok(())
}
