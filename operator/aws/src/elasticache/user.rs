//! ElastiCache users.

use async_trait::async_trait;
use aws_sdk_elasticache::types as sdk;
use shopkeeper_plan::{
    aws::{AccessString, CacheAuthentication, CacheUser, Tags, password_secret},
    failure::Failure,
    outputs::Outputs,
    plan::DeleteMode,
    sensitive::Sensitive,
};

use super::{ENGINE, MISSING, add_tags, lifecycle, tag_list, tags};
use crate::{
    account::{Account, Scope},
    error::{classify, is_code},
    listing::pages,
    parts::part,
    request::{differs, nothing_to_change, unreadable},
    resource::{DeletionToken, Found, ResourceApi},
    secretsmanager,
};

/// Users.
pub(crate) struct UserApi<'a>(pub(crate) &'a Account);

/// Tag that says which version of its secret the password of a user is. ElastiCache shows no password, and none is written
/// anywhere to be compared.
const PASSWORD_VERSION_TAG: &str = "shopkeeper.dev/password-version";

#[async_trait]
impl ResourceApi<CacheUser> for UserApi<'_> {
    async fn observe(
        &self,
        name: &str,
        _scope: &Scope,
    ) -> Result<Option<Found<CacheUser>>, Failure> {
        let Some(user) = self.describe(name).await? else {
            self.0.passwords.gone(&password_secret(name));
            return Ok(None);
        };
        let arn = user
            .arn()
            .ok_or_else(|| unreadable("DescribeUsers", "ARN"))?;
        let tags = tags(self.0, arn).await?;
        let authentication = match user.authentication().and_then(|mode| mode.r#type()) {
            Some(sdk::AuthenticationType::Iam) => CacheAuthentication::Iam,
            Some(sdk::AuthenticationType::Password) => CacheAuthentication::Password,
            _ => CacheAuthentication::None,
        };
        let user_name = user.user_name().unwrap_or_default();
        let outputs = Outputs::new()
            .with("username", user_name)
            .with("userArn", arn);
        let (password_current, outputs) = if authentication == CacheAuthentication::Password {
            self.with_password(name, &tags, outputs).await?
        } else {
            (Some(true), outputs)
        };
        let resource = CacheUser {
            id: name.to_owned(),
            user_name: user_name.to_owned(),
            access_string: AccessString::from(user.access_string().unwrap_or_default().to_owned()),
            authentication,
            password_current,
            tags,
        };
        Ok(Some(Found {
            lifecycle: lifecycle(user.status()),
            arn: Some(arn.to_owned()),
            outputs,
            ..Found::available(resource)
        }))
    }

    async fn create(&self, desired: &CacheUser) -> Result<(), Failure> {
        let (mode, version) = self.authentication(desired).await?;
        let mut tags = desired.tags.clone();
        tags.extend(version);
        self.0
            .elasticache
            .create_user()
            .user_id(&desired.id)
            .user_name(&desired.user_name)
            .engine(ENGINE)
            .access_string(desired.access_string.as_str())
            .set_authentication_mode(mode)
            .set_tags(Some(tag_list(&tags)))
            .send()
            .await
            .map_err(|error| classify("CreateUser", &error))?;
        self.0.passwords.finish(&password_secret(&desired.id));
        Ok(())
    }

    /// A password is one call, and which version it is another. Should the second find no token, it alone is made again.
    async fn update(
        &self,
        desired: &CacheUser,
        found: &Found<CacheUser>,
        fields: &[String],
    ) -> Result<(), Failure> {
        let proves_otherwise =
            differs(fields, "authentication") || differs(fields, "passwordCurrent");
        if !proves_otherwise && !differs(fields, "accessString") {
            return if differs(fields, "tags") {
                add_tags(self.0, found.arn.as_deref(), &desired.tags).await
            } else {
                Err(nothing_to_change("ElastiCache user", fields))
            };
        }
        let (mode, version) = if proves_otherwise {
            self.authentication(desired).await?
        } else {
            (None, None)
        };
        let access =
            differs(fields, "accessString").then(|| desired.access_string.as_str().to_owned());
        let secret = password_secret(&desired.id);
        if mode.is_some() || access.is_some() {
            let gives_passwords = mode.is_some() && version.is_some();
            self.modify(desired, access, mode).await?;
            if gives_passwords {
                self.0.passwords.made(&secret);
            }
        }
        if let Some(version) = version {
            add_tags(self.0, found.arn.as_deref(), &Tags::from([version])).await?;
            self.0.passwords.finish(&secret);
        }
        Ok(())
    }

    async fn delete(
        &self,
        found: &Found<CacheUser>,
        _mode: DeleteMode,
        _token: &DeletionToken,
    ) -> Result<(), Failure> {
        match self
            .0
            .elasticache
            .delete_user()
            .user_id(&found.resource.id)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, MISSING) => Ok(()),
            Err(error) => Err(classify("DeleteUser", &error)),
        }
    }
}

impl UserApi<'_> {
    async fn describe(&self, name: &str) -> Result<Option<sdk::User>, Failure> {
        let call = self.0.elasticache.describe_users();
        let all = pages!("DescribeUsers", call, users, user_id);
        if let Some(found) = self.0.listings.cache_users.find(name, all).await {
            return Ok(Some(found));
        }
        match part("DescribeUsers", call.user_id(name).send()).await {
            Ok(answer) => Ok(answer.users.unwrap_or_default().into_iter().next()),
            Err(error) if is_code(&error, MISSING) => Ok(None),
            Err(error) => Err(classify("DescribeUsers", &error)),
        }
    }

    async fn modify(
        &self,
        desired: &CacheUser,
        access: Option<String>,
        mode: Option<sdk::AuthenticationMode>,
    ) -> Result<(), Failure> {
        self.0
            .elasticache
            .modify_user()
            .user_id(&desired.id)
            .set_access_string(access)
            .set_authentication_mode(mode)
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("ModifyUser", &error))
    }

    /// How a user is to prove who it is, and which version of its secret its password then is. A user without a secret gets a
    /// password that nobody knows. `None` for the first where it has been told that already.
    async fn authentication(
        &self,
        desired: &CacheUser,
    ) -> Result<(Option<sdk::AuthenticationMode>, Option<(String, String)>), Failure> {
        let of = |kind| sdk::AuthenticationMode::builder().r#type(kind);
        let with = |passwords: &[&Sensitive]| {
            let passwords = passwords
                .iter()
                .map(|password| password.expose().to_owned())
                .collect();
            of(sdk::InputAuthenticationType::Password)
                .set_passwords(Some(passwords))
                .build()
        };
        match (desired.authentication, desired.password_current) {
            (CacheAuthentication::Iam, _) => {
                Ok((Some(of(sdk::InputAuthenticationType::Iam).build()), None))
            }
            (CacheAuthentication::None, _) => {
                let none = of(sdk::InputAuthenticationType::NoPassword).build();
                Ok((Some(none), None))
            }
            (CacheAuthentication::Password, None) => {
                Ok((Some(with(&[&secretsmanager::generate()])), None))
            }
            (CacheAuthentication::Password, Some(_)) => {
                let (client, secret) = (&self.0.secretsmanager, password_secret(&desired.id));
                let change = self.0.passwords.change(client, &secret, &secret).await?;
                let mode = (!change.is_made).then(|| with(&change.passwords()));
                let version = (PASSWORD_VERSION_TAG.to_owned(), change.present.version);
                Ok((mode, Some(version)))
            }
        }
    }

    /// Whether the password of a user is the one in its secret, and if so the password. A user that nobody gave a password from a
    /// secret has no secret.
    async fn with_password(
        &self,
        id: &str,
        tags: &Tags,
        outputs: Outputs,
    ) -> Result<(Option<bool>, Outputs), Failure> {
        let Some(version) = tags.get(PASSWORD_VERSION_TAG) else {
            return Ok((Some(false), outputs));
        };
        let secret = password_secret(id);
        let client = &self.0.secretsmanager;
        match self.0.passwords.read(client, &secret, &secret).await {
            Ok(password) if password.version == *version => {
                Ok((Some(true), outputs.with_secret("password", password.value)))
            }
            Ok(_) => Ok((Some(false), outputs)),
            Err(failure) if failure.code.as_deref() == Some(secretsmanager::MISSING) => {
                Ok((Some(false), outputs))
            }
            Err(failure) => Err(failure),
        }
    }
}
