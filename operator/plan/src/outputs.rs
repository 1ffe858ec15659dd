//! What a resource tells those that use it: endpoints, names, credentials.

use std::collections::BTreeMap;

use crate::sensitive::Sensitive;

/// One output: plain, or a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// May be shown anywhere.
    Plain(String),
    /// Goes into a Kubernetes Secret and nowhere else.
    Secret(Sensitive),
}

/// The outputs of one resource by name: `host`, `port`, `endpoint`, `url`, `database`, `username`, `password`,
/// `tableName`, `indexName`, `queueUrl`, `bucket`, `region`, `arn`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs(BTreeMap<String, Output>);

impl Outputs {
    /// No outputs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a plain output.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(name.into(), Output::Plain(value.into()));
        self
    }

    /// Adds a plain output where there is a value.
    #[must_use]
    pub fn with_optional(self, name: impl Into<String>, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds a secret output.
    #[must_use]
    pub fn with_secret(mut self, name: impl Into<String>, value: Sensitive) -> Self {
        self.0.insert(name.into(), Output::Secret(value));
        self
    }

    /// Adds an output.
    #[must_use]
    pub fn with_output(mut self, name: impl Into<String>, output: Output) -> Self {
        self.0.insert(name.into(), output);
        self
    }

    /// The output of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Output> {
        self.0.get(name)
    }

    /// The plain output of that name.
    #[must_use]
    pub fn plain(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Output::Plain(value)) => Some(value),
            _ => None,
        }
    }

    /// All outputs by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Output)> {
        self.0.iter().map(|(name, output)| (name.as_str(), output))
    }

    /// Takes all outputs of another under `prefix.name`.
    pub fn merge(&mut self, prefix: &str, other: &Self) {
        for (name, output) in &other.0 {
            let name = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            self.0.insert(name, output.clone());
        }
    }
}
