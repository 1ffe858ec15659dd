//! Secrets and the ConfigMap through which an application learns of its data tier.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    KubernetesKind, KubernetesObject,
    object::{Frame, ObjectBuilder},
};
use crate::{
    blueprint::MissingOutput,
    outputs::{Output, Outputs},
    resolve::ResolvedBinding,
    resource::ResourceKey,
    sensitive::{Sensitive, fingerprint},
};

/// Type and provider of a binding, by the Service Binding specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// `postgresql`, `redis`, ...
    pub r#type: &'static str,
    /// `aws-rds`, ...
    pub provider: String,
}

/// A binding with everything known.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// Outputs that go into the Secret under their own names.
    pub entries: BTreeMap<String, Output>,
    /// Variables without secrets.
    pub plain: BTreeMap<String, String>,
    /// Variables with secrets.
    pub secret: BTreeMap<String, Sensitive>,
    /// All variables as they are but for the secrets in them, of which the names of their outputs stand there.
    pub form: BTreeMap<String, String>,
}

/// What the pods read of all bindings together.
#[derive(Clone, Debug, Default)]
pub struct Bound {
    /// ConfigMap of the variables without secrets.
    pub config_map: Option<String>,
    /// Variables in that ConfigMap.
    pub plain: BTreeSet<String>,
    /// Variables in Secrets, and which.
    pub secret: BTreeMap<String, String>,
    /// Variables that say where services are which are not there, as the pods have them.
    pub kept_endpoints: BTreeMap<String, String>,
    /// Fingerprints of all that is rendered: pods read variables once, so they are replaced when one changes.
    fingerprints: Vec<String>,
    /// The same without the secrets.
    forms: Vec<String>,
}

impl Bound {
    /// Adds a binding.
    pub fn add(&mut self, secret_name: &str, rendered: &Rendered) {
        self.plain.extend(rendered.plain.keys().cloned());
        self.forms.extend(
            rendered
                .form
                .iter()
                .map(|(name, text)| format!("{name}={text}")),
        );
        self.secret.extend(
            rendered
                .secret
                .keys()
                .map(|name| (name.clone(), secret_name.to_owned())),
        );
        self.fingerprints.extend(
            rendered
                .plain
                .iter()
                .map(|(name, value)| format!("{name}={}", fingerprint(value.as_bytes()))),
        );
        self.fingerprints.extend(
            rendered
                .secret
                .iter()
                .map(|(name, value)| format!("{name}={}", value.fingerprint())),
        );
    }

    /// All that is rendered, without the secrets.
    pub fn forms(&self) -> &[String] {
        &self.forms
    }

    /// Changes when any variable changes; `None` where there are none.
    pub fn hash(&self) -> Option<String> {
        (!self.fingerprints.is_empty())
            .then(|| fingerprint(self.fingerprints.join("\n").as_bytes())[..16].to_owned())
    }
}

/// Annotation of what is made with secrets: a hash of all of it but those. While it stays, a difference comes from a secret that was
/// rotated at its source.
pub const FORM_ANNOTATION: &str = "shopkeeper.dev/form";

/// [`FORM_ANNOTATION`] with its value.
pub fn form(of: &Value) -> Map<String, Value> {
    let hash = &fingerprint(of.to_string().as_bytes())[..16];
    [(FORM_ANNOTATION.to_owned(), Value::from(hash))]
        .into_iter()
        .collect()
}

/// The outputs with their names in place of secrets.
fn without_secrets(outputs: &Outputs) -> Outputs {
    outputs
        .iter()
        .fold(Outputs::new(), |shown, (name, output)| match output {
            Output::Plain(value) => shown.with(name, value),
            Output::Secret(_) => shown.with(name, format!("{{{{{name}}}}}")),
        })
}

/// Renders the variables of a binding.
///
/// # Errors
/// The outputs that are not known (yet).
pub fn render(
    binding: &ResolvedBinding,
    outputs: &Outputs,
    resource: impl Fn() -> Option<ResourceKey>,
) -> Result<Rendered, Vec<MissingOutput>> {
    let mut rendered = Rendered::default();
    let mut missing = BTreeSet::new();
    let shown = without_secrets(outputs);
    for (name, template) in &binding.env {
        if let Ok(Output::Plain(text)) = template.render(&shown) {
            rendered.form.insert(name.clone(), text);
        }
        match template.render(outputs) {
            Ok(Output::Plain(value)) => {
                rendered.plain.insert(name.clone(), value);
            }
            Ok(Output::Secret(value)) => {
                rendered.secret.insert(name.clone(), value);
            }
            Err(absent) => missing.extend(absent),
        }
    }
    if !missing.is_empty() {
        let resource = resource().unwrap_or_else(|| {
            ResourceKey::kubernetes(KubernetesKind::Secret, binding.secret_name.clone())
        });
        return Err(missing
            .into_iter()
            .map(|output| MissingOutput {
                resource: resource.clone(),
                output,
            })
            .collect());
    }
    rendered.entries = outputs
        .iter()
        .map(|(name, output)| (name.to_owned(), output.clone()))
        .collect();
    Ok(rendered)
}

/// The Secret of a binding: `type`, `provider` and the outputs, as the Service Binding specification has it, beside the
/// variables with secrets in them.
pub fn secret(
    frame: &Frame<'_>,
    binding: &ResolvedBinding,
    rendered: &Rendered,
    description: &Description,
) -> KubernetesObject {
    let mut data = Map::new();
    let mut put = |name: &str, value: &str| {
        data.insert(name.to_owned(), Value::from(base64(value.as_bytes())))
    };
    put("type", description.r#type);
    put("provider", &description.provider);
    for (name, output) in &rendered.entries {
        match output {
            Output::Plain(value) => put(name, value),
            Output::Secret(value) => put(name, value.expose()),
        };
    }
    for (name, value) in &rendered.secret {
        put(name, value.expose());
    }
    let entries: BTreeMap<&str, Option<&str>> = rendered
        .entries
        .iter()
        .map(|(name, output)| match output {
            Output::Plain(value) => (name.as_str(), Some(value.as_str())),
            Output::Secret(_) => (name.as_str(), None),
        })
        .collect();
    let of = json!([
        description.r#type,
        description.provider,
        entries,
        rendered.form
    ]);
    ObjectBuilder::new(frame, KubernetesKind::Secret, &binding.secret_name)
        .annotations(form(&of))
        .with(
            "type",
            json!(format!("servicebinding.io/{}", description.r#type)),
        )
        .with("data", Value::Object(data))
        .build()
}

/// What the name of the ConfigMap has behind that of the component.
pub const CONFIG_MAP_SUFFIX: &str = "-bindings";

/// Name of the ConfigMap of a component.
pub fn config_map_name(component: &str) -> String {
    format!("{component}{CONFIG_MAP_SUFFIX}")
}

/// The ConfigMap of the variables without secrets.
pub fn config_map(frame: &Frame<'_>, plain: &BTreeMap<String, String>) -> KubernetesObject {
    let name = config_map_name(frame.component);
    ObjectBuilder::new(frame, KubernetesKind::ConfigMap, &name)
        .with("data", json!(plain))
        .build()
}

/// Standard base64 with padding (RFC 4648, 4), as the values of a Secret are written.
fn base64(bytes: &[u8]) -> String {
    k8s_openapi::serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec()))
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_standard_base64() {
        assert_eq!(base64(b"a"), "YQ==");
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }
}
