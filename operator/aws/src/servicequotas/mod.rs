//! Service Quotas: what the account may have, as far as it is checked before AWS refuses.

use std::time::{Duration, Instant};

use shopkeeper_plan::{
    failure::{Class, Failure},
    quota::{
        FARGATE_PROFILES_PER_CLUSTER, NODE_GROUPS_PER_CLUSTER, NODES_PER_NODE_GROUP, Quota, Quotas,
    },
};
use tokio::sync::Mutex;

use crate::{
    account::Account,
    error::{classify, is_code},
};

/// The quotas that were read last, and when.
pub(crate) type KnownQuotas = Mutex<Option<(Instant, Quotas)>>;

/// What Service Quotas answers for a quota that nobody ever changed in this account: AWS's default holds.
const NOT_APPLIED: &[&str] = &["NoSuchResourceException"];

/// The quotas of the account in its region, read again once they are older than `freshness`; `None` where the operator may not
/// read them.
///
/// # Errors
/// AWS did not answer.
pub async fn quotas(account: &Account, freshness: Duration) -> Result<Option<Quotas>, Failure> {
    let mut known = account.quotas.lock().await;
    if let Some((asked, quotas)) = *known
        && asked.elapsed() < freshness
    {
        return Ok(Some(quotas));
    }
    let asked = Instant::now();
    let read = futures::try_join!(
        applied(account, NODE_GROUPS_PER_CLUSTER),
        applied(account, NODES_PER_NODE_GROUP),
        applied(account, FARGATE_PROFILES_PER_CLUSTER)
    );
    match read {
        Ok((node_groups_per_cluster, nodes_per_node_group, fargate_profiles_per_cluster)) => {
            let quotas = Quotas {
                node_groups_per_cluster,
                nodes_per_node_group,
                fargate_profiles_per_cluster,
            };
            *known = Some((asked, quotas));
            Ok(Some(quotas))
        }
        Err(failure) if failure.class == Class::Denied => {
            tracing::warn!(%failure, "the quotas of AWS are not known, its defaults are assumed");
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

async fn applied(account: &Account, quota: Quota) -> Result<u32, Failure> {
    let answer = account
        .servicequotas
        .get_service_quota()
        .service_code(quota.service)
        .quota_code(quota.code)
        .send()
        .await;
    let value = match answer {
        Ok(answer) => answer.quota.and_then(|quota| quota.value),
        Err(error) if is_code(&error, NOT_APPLIED) => None,
        Err(error) => return Err(classify("GetServiceQuota", &error)),
    };
    Ok(value.map_or(quota.default, whole))
}

/// AWS counts in floating point, whatever it counts.
fn whole(value: f64) -> u32 {
    value.clamp(0.0, f64::from(i32::MAX)) as u32
}
