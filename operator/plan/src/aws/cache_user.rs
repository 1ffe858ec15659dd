//! ElastiCache user.

use serde::{Deserialize, Serialize};

use super::{AwsKind, AwsSpecification, Field, Tags, tagged};
use crate::plan::Effect;

/// The user of connections that do not authenticate. Every user group of the engine `redis` has to have one of this name.
pub const DEFAULT_USER_NAME: &str = "default";

/// How a user proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CacheAuthentication {
    /// With a token that is signed with an AWS identity.
    Iam,
    /// With the password in the secret [`password_secret`], or with one that nobody knows.
    Password,
    /// Not at all. Never desired.
    None,
}

/// A user of a cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheUser {
    /// Id, at most 40 characters, lower case, unique in account and region.
    pub id: String,
    /// What a client sends as its name: the id, as IAM asks for, or [`DEFAULT_USER_NAME`].
    pub user_name: String,
    /// What it may do.
    pub access_string: AccessString,
    /// How it proves who it is.
    pub authentication: CacheAuthentication,
    /// Whether it has no other password than the present one in the secret [`password_secret`], as is true of one without a password.
    /// `None` where there is no such secret.
    pub password_current: Option<bool>,
    /// Tags.
    pub tags: Tags,
}

/// Name of the secret that holds the password of a user.
#[must_use]
pub fn password_secret(user_id: &str) -> String {
    format!("shopkeeper/elasticache/{user_id}")
}

impl AwsSpecification for CacheUser {
    const KIND: AwsKind = AwsKind::CacheUser;
    const FIELDS: &'static [Field] = &[
        Field::create_only("userName"),
        Field::harmless("accessString"),
        // Clients that still prove themselves in the old way are refused until they have been replaced.
        Field::in_place("authentication", Effect::Downtime, 2),
        // The one before is accepted as well until the next change.
        Field::harmless("passwordCurrent"),
    ];

    fn name(&self) -> String {
        self.id.clone()
    }
    tagged!();

    /// Nobody works as the default user, which is switched off. And ElastiCache takes a password and that there is one in a single
    /// call: for a user that authenticates otherwise they are one change.
    fn effect(&self, observed: &Self, field: &str) -> Option<Effect> {
        let other_way = observed.authentication != self.authentication;
        match field {
            "authentication" | "passwordCurrent" if self.user_name == DEFAULT_USER_NAME => {
                Some(Effect::None)
            }
            "passwordCurrent" if other_way => Some(Effect::Downtime),
            // Nobody works as the default user.
            "accessString"
                if self.user_name != DEFAULT_USER_NAME
                    && self.access_string.takes_from(&observed.access_string) =>
            {
                Some(Effect::Downtime)
            }
            _ => None,
        }
    }
}

/// An access string in the form in which ElastiCache gives it back: the state, keys, channels, commands; and the commands begin
/// with all or none of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct AccessString(String);

impl AccessString {
    /// What a user that is switched off has.
    #[must_use]
    pub fn nothing() -> Self {
        Self::from("off".to_owned())
    }

    /// Whether a user who could do what `before` says cannot do all of it any more. What is not sure to be as much counts as less.
    #[must_use]
    pub fn takes_from(&self, before: &Self) -> bool {
        let state = |access: &Self| access.0.split_whitespace().next() == Some("on");
        if !state(before) {
            return false;
        }
        let of = |access: &Self, marks: &[char]| -> Vec<String> {
            let words = access.0.split_whitespace().skip(1);
            words
                .filter(|word| word.starts_with(marks))
                .map(str::to_owned)
                .collect()
        };
        let loses_any = |marks: &[char], all: &str| {
            let now = of(self, marks);
            let has = |word: &String| now.iter().any(|one| one == all || one == word);
            !of(before, marks).iter().all(has)
        };
        let (commands, commands_before) = (of(self, &['+', '-']), of(before, &['+', '-']));
        let keeps_commands = commands == ["+@all"]
            || commands
                .strip_prefix(commands_before.as_slice())
                .is_some_and(|added| added.iter().all(|word| word.starts_with('+')));
        !state(self) || loses_any(&['~', '%'], "~*") || loses_any(&['&'], "&*") || !keeps_commands
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<AccessString> for String {
    fn from(access: AccessString) -> Self {
        access.0
    }
}

impl From<String> for AccessString {
    fn from(text: String) -> Self {
        let mut state = "off";
        let (mut keys, mut channels, mut commands, mut others) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for word in text.split_whitespace() {
            match word {
                "on" | "off" => state = word,
                "allkeys" => keys.push("~*"),
                "allchannels" => channels.push("&*"),
                "allcommands" => commands.push("+@all"),
                "nocommands" => commands.push("-@all"),
                "resetkeys" => keys.clear(),
                "resetchannels" => channels.clear(),
                _ => match word.as_bytes().first() {
                    Some(b'~' | b'%') => keys.push(word),
                    Some(b'&') => channels.push(word),
                    Some(b'+' | b'-') => commands.push(word),
                    _ => others.push(word),
                },
            }
        }
        if !matches!(commands.first(), Some(&"+@all" | &"-@all")) {
            commands.insert(0, "-@all");
        }
        let words = [vec![state], keys, channels, commands, others].concat();
        Self(words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_access_string_takes_away_is_told() {
        let of = |text: &str| AccessString::from(text.to_owned());
        for (before, now) in [
            ("off ~* +@all", "on ~a:* +@read"),
            ("on ~a:* +@read", "on ~* &* +@all"),
            ("on ~a:* +@read", "on ~a:* ~b:* +@read +@write"),
            ("on ~* &n:* +@all -keys", "on ~* &* +@all"),
        ] {
            assert!(!of(now).takes_from(&of(before)), "{before} -> {now}");
        }
        for (before, now) in [
            ("on ~* +@all", "off ~* +@all"),
            ("on ~* +@all", "on ~a:* +@all"),
            ("on ~* &* +@all", "on ~* +@all"),
            ("on ~* +@all", "on ~* +@all -flushall"),
            ("on ~* +@all", "on ~* +@read"),
            ("on ~a:* +@read", "on ~a:* +@write"),
        ] {
            assert!(of(now).takes_from(&of(before)), "{before} -> {now}");
        }
    }

    #[test]
    fn an_access_string_is_compared_in_the_form_that_elasticache_gives_back() {
        for (written, given_back) in [
            ("on ~* &* +@all", "on ~* &* +@all"),
            ("off +get ~keys*", "off ~keys* -@all +get"),
            ("on  allkeys allcommands -keys", "on ~* +@all -keys"),
            (
                "on &news:* ~a:* %R~b:* +@read",
                "on ~a:* %R~b:* &news:* -@all +@read",
            ),
            ("off", "off -@all"),
        ] {
            assert_eq!(AccessString::from(written.to_owned()).as_str(), given_back);
            let again = AccessString::from(given_back.to_owned());
            assert_eq!(again.as_str(), given_back, "it is its own form");
        }
    }
}
