//! Users of caches.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::{Aws, tags};

impl Aws {
    /// An ElastiCache user group with its users.
    pub async fn cache_users(&self, group_id: &str) -> Result<Value> {
        let answer = self
            .elasticache
            .describe_user_groups()
            .user_group_id(group_id)
            .send()
            .await?;
        let group = answer
            .user_groups()
            .first()
            .context("DescribeUserGroups answered no group")?;
        let mut users = Map::new();
        for id in group.user_ids() {
            users.insert(id.clone(), self.cache_user(id).await?);
        }
        Ok(json!({
            "status": group.status(),
            "caches": group.replication_groups(),
            "users": users,
            "tags": self.cache_tags(group.arn().unwrap_or_default()).await?,
        }))
    }

    async fn cache_user(&self, id: &str) -> Result<Value> {
        let answer = self.elasticache.describe_users().user_id(id).send().await?;
        let user = answer
            .users()
            .first()
            .context("DescribeUsers answered no user")?;
        let authentication = user.authentication();
        Ok(json!({
            "status": user.status(),
            "name": user.user_name(),
            "access": user.access_string(),
            "authentication": authentication.and_then(|mode| mode.r#type()).map(|kind| kind.as_str()),
            "passwords": authentication.and_then(|mode| mode.password_count()),
            "tags": self.cache_tags(user.arn().unwrap_or_default()).await?,
        }))
    }

    async fn cache_tags(&self, arn: &str) -> Result<Value> {
        let listed = self
            .elasticache
            .list_tags_for_resource()
            .resource_name(arn)
            .send()
            .await?;
        Ok(tags(
            listed
                .tag_list()
                .iter()
                .filter_map(|tag| Some((tag.key()?, tag.value()?))),
        ))
    }

    /// The secret that holds the password of a cache's user: what Secrets Manager tells of it without its value.
    pub async fn cache_secret(&self, user_id: &str) -> Result<Value> {
        let secret = self
            .secretsmanager
            .describe_secret()
            .secret_id(secret_of(user_id))
            .send()
            .await?;
        let policy = self
            .secretsmanager
            .get_resource_policy()
            .secret_id(secret_of(user_id))
            .send()
            .await?
            .resource_policy;
        Ok(json!({
            "key": secret.kms_key_id(),
            "policy": policy,
            "tags": tags(secret.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value()?)))),
        }))
    }

    /// The password of a cache's user.
    pub async fn cache_password(&self, user_id: &str) -> Result<String> {
        let answer = self
            .secretsmanager
            .get_secret_value()
            .secret_id(secret_of(user_id))
            .send()
            .await?;
        let value: Value = serde_json::from_str(answer.secret_string().unwrap_or_default())?;
        Ok(value["password"]
            .as_str()
            .context("the secret has no password")?
            .to_owned())
    }
}

fn secret_of(user_id: &str) -> String {
    format!("shopkeeper/elasticache/{user_id}")
}
