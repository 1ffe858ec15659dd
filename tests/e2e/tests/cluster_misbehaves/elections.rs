//! Leases whose times come from a clock that is wrong.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{OPERATOR_NAMESPACE, PATIENCE, Shop, Subject};

use super::{catalog, follows};

/// Between two renewals of the other holder, and so often that none is missed.
const RENEWAL: Duration = Duration::from_secs(2);
/// More than two durations of the Lease.
const RENEWALS: u32 = 18;

fn lease() -> Subject {
    Subject::new("Lease", OPERATOR_NAMESPACE, "shopkeeper")
}

/// Another holder's Lease, with a clock that is an hour off.
fn held_by_another(clock: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "shopkeeper", "namespace": OPERATOR_NAMESPACE},
        "spec": {
            "holderIdentity": "another_1", "leaseDurationSeconds": 15, "leaseTransitions": 1,
            "acquireTime": clock, "renewTime": clock,
        },
    })
}

async fn holder(shop: &Shop) -> Result<String> {
    let lease = shop.find(&lease()).await?.context("there is no Lease")?;
    Ok(lease["spec"]["holderIdentity"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

pub async fn clocks_differ(shop: &mut Shop) -> Result<()> {
    let last = shop.operator.take().context("the operator does not run")?;
    last.terminate(PATIENCE).await?;

    // Its clock is behind, and it lives: it renews. Whoever compared its time with its own clock would take the Lease away.
    shop.apply(&held_by_another("2001-01-01T00:00:00.000000Z").to_string())
        .await?;
    let standby = shop.start_operator("standby").await?;
    for renewal in 1..=RENEWALS {
        let clock = format!("2001-01-01T00:00:{:02}.000000Z", renewal * 2);
        let renewed = json!({"spec": {"renewTime": clock}});
        shop.merge(&lease(), renewed).await?;
        tokio::time::sleep(RENEWAL).await;
        let holder = holder(shop).await?;
        ensure!(
            holder == "another_1",
            "{holder} took the Lease from a holder that renewed it {renewal} times"
        );
    }
    ensure!(!standby.log()?.contains("leading"), "there are two leaders");

    // Its clock was ahead, and it is dead: its last renewal is an hour from now.
    shop.merge(
        &lease(),
        json!({"spec": {"renewTime": "2101-01-01T00:00:00.000000Z"}}),
    )
    .await?;
    standby.wait_for_log("leading", PATIENCE).await?;
    shop.operator = Some(standby);
    follows(shop, &catalog(), "after:election").await
}
