//! Leases whose times come from a clock that is wrong.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use shopkeeper_e2e::{OPERATOR_NAMESPACE, PATIENCE, Shop, Subject};
use shopkeeper_localenv::LocalEnvironment;

use super::{catalog, follows};

/// Looks of the standby, two seconds apart by its own clock: more than two durations of the Lease.
const LOOKS: u32 = 18;

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

/// Waits until the standby has looked at the Lease as it is now.
async fn until_it_was_looked_at(shop: &Shop) -> Result<()> {
    let audit = shop.environment.audit();
    let now = audit.position()?;
    shop.until("the standby looks at the Lease", PATIENCE, async || {
        let looked = audit.since(now)?.iter().any(|event| {
            event.verb == "get"
                && event.user.username == LocalEnvironment::OPERATOR_USER
                && event
                    .object_ref
                    .as_ref()
                    .is_some_and(|object| object.resource == "leases")
        });
        ensure!(looked, "it has not");
        Ok(())
    })
    .await
}

pub async fn clocks_differ(shop: &mut Shop) -> Result<()> {
    let last = shop.operator.take().context("the operator does not run")?;
    last.terminate(PATIENCE).await?;

    // Its clock is behind, and it lives: it renews. Whoever compared its time with its own clock would take the Lease away.
    shop.apply(&held_by_another("2001-01-01T00:00:00.000000Z").to_string())
        .await?;
    let standby = shop.start_operator("standby").await?;
    for renewal in 1..=LOOKS {
        let clock = format!("2001-01-01T00:00:{:02}.000000Z", renewal * 2);
        let renewed = json!({"spec": {"renewTime": clock}});
        shop.merge(&lease(), renewed).await?;
        until_it_was_looked_at(shop).await?;
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
