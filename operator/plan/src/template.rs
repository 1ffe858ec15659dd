//! Templates of bindings: text with `{{output}}` in it.

use std::collections::BTreeSet;

use crate::{
    failure::Failure,
    outputs::{Output, Outputs},
    sensitive::Sensitive,
};

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Output(String),
}

impl Template {
    /// Parses `rediss://{{host}}:{{port}}`. `field` names the template in errors.
    ///
    /// # Errors
    /// An opening without a closing, or an empty name.
    pub fn parse(field: &str, text: &str) -> Result<Self, Failure> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            if start > 0 {
                parts.push(Part::Text(rest[..start].to_owned()));
            }
            let after = &rest[start + 2..];
            let end = after.find("}}").ok_or_else(|| {
                Failure::invalid(
                    field,
                    "`{{` without `}}`",
                    "close the placeholder: {{host}}",
                )
            })?;
            let name = after[..end].trim();
            if name.is_empty() {
                return Err(Failure::invalid(
                    field,
                    "a placeholder without a name",
                    "name an output of the resource, such as {{host}}",
                ));
            }
            parts.push(Part::Output(name.to_owned()));
            rest = &after[end + 2..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// The outputs it needs.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Output(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Renders it. The result is a secret as soon as one output is.
    ///
    /// # Errors
    /// The names of the outputs that are not known.
    pub fn render(&self, outputs: &Outputs) -> Result<Output, BTreeSet<String>> {
        let mut text = String::new();
        let mut secret = false;
        let mut missing = BTreeSet::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Output(name) => match outputs.get(name) {
                    Some(Output::Plain(value)) => text.push_str(value),
                    Some(Output::Secret(value)) => {
                        secret = true;
                        text.push_str(value.expose());
                    }
                    None => {
                        missing.insert(name.clone());
                    }
                },
            }
        }
        if !missing.is_empty() {
            return Err(missing);
        }
        Ok(if secret {
            Output::Secret(Sensitive::new(text))
        } else {
            Output::Plain(text)
        })
    }
}

/// A text for the user-info part of a URI: everything but unreserved characters is percent-encoded (RFC 3986, 2.3), since
/// passwords that RDS makes contain characters that end a user-info.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut encoded, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
            encoded
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_and_becomes_secret_with_a_secret() {
        let outputs = Outputs::new()
            .with("host", "h")
            .with("port", "6379")
            .with_secret("password", Sensitive::new("p"));
        let plain = Template::parse("t", "rediss://{{host}}:{{ port }}").unwrap();
        assert_eq!(
            plain.render(&outputs),
            Ok(Output::Plain("rediss://h:6379".into()))
        );
        let secret = Template::parse("t", "{{password}}@{{host}}").unwrap();
        assert_eq!(
            secret.render(&outputs),
            Ok(Output::Secret(Sensitive::new("p@h")))
        );
    }

    #[test]
    fn names_what_is_missing() {
        let template = Template::parse("t", "{{a}}{{b}}").unwrap();
        assert_eq!(
            template.render(&Outputs::new().with("a", "1")),
            Err(BTreeSet::from(["b".to_owned()]))
        );
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        assert!(Template::parse("t", "{{host").is_err());
        assert!(Template::parse("t", "{{ }}").is_err());
    }

    #[test]
    fn passwords_fit_into_uris() {
        assert_eq!(percent_encode("a:b/c@d~"), "a%3Ab%2Fc%40d~");
    }
}
