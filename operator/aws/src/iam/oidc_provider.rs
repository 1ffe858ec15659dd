//! The identity provider for the issuer of a cluster's tokens, which IRSA needs. It is looked at and never made: it belongs to the
//! cluster, and to whoever made that.

use shopkeeper_plan::{
    facts::{ClusterFacts, OidcProvider},
    failure::{Class, Failure},
};

use crate::{
    account::Account,
    error::{classify, is_code},
};

const NOT_FOUND: &[&str] = &["NoSuchEntity"];

/// Whom a token has to be meant for.
const AUDIENCE: &str = "sts.amazonaws.com";

/// The state of the provider of a cluster; `None` where the cluster has no issuer, or the operator may not look: a policy of an
/// earlier version lacks the action, and a Platform works without it.
///
/// # Errors
/// AWS's refusal.
pub async fn oidc_provider(
    account: &Account,
    cluster: &ClusterFacts,
) -> Result<Option<OidcProvider>, Failure> {
    let Some(arn) = provider_arn(cluster) else {
        return Ok(None);
    };
    let asked = account
        .iam
        .get_open_id_connect_provider()
        .open_id_connect_provider_arn(arn)
        .send()
        .await;
    let state = match asked {
        Ok(provider) => {
            let accepts = |audience: &String| audience == AUDIENCE;
            if provider.client_id_list().iter().any(accepts) {
                OidcProvider::Active
            } else {
                OidcProvider::WrongAudience
            }
        }
        Err(error) if is_code(&error, NOT_FOUND) => OidcProvider::Missing,
        Err(error) => {
            let failure = classify("GetOpenIDConnectProvider", &error);
            if failure.class == Class::Denied {
                tracing::info!(%failure, "the identity provider of the cluster was not looked at");
                return Ok(None);
            }
            return Err(failure);
        }
    };
    Ok(Some(state))
}

/// The provider is named by the issuer, in the account of the cluster (`arn:<partition>:eks:<region>:<account>:cluster/<name>`).
fn provider_arn(cluster: &ClusterFacts) -> Option<String> {
    let issuer = cluster.oidc_issuer.as_deref()?;
    let mut parts = cluster.arn.split(':');
    let (partition, account) = (parts.nth(1)?, parts.nth(2)?);
    let issuer = issuer.trim_start_matches("https://");
    Some(format!(
        "arn:{partition}:iam::{account}:oidc-provider/{issuer}"
    ))
}
