//! The outputs of what Shopkeeper does not make: what is declared of it, and what its Secret has.

use crate::{
    failure::{Class, Failure},
    kubernetes::bindings::Description,
    observed::Observed,
    outputs::{Output, Outputs},
    resolve::{ExternalSecret, ResolvedBinding, ResolvedExternal},
    sensitive::Sensitive,
    template::{Template, percent_encode},
};

/// Everything that a binding to it can tell.
///
/// # Errors
/// `NotReady` with the field and the remedy where the Secret, or an entry of it, is not there; why it cannot be read.
pub(super) fn outputs(
    external: &ResolvedExternal,
    observed: &Observed,
) -> Result<Outputs, Failure> {
    let mut outputs = Outputs::new()
        .with_optional("host", external.host.clone())
        .with_optional("port", external.port.map(|port| port.to_string()))
        .with_optional("scheme", external.scheme.clone())
        .with_optional("database", external.database.clone());
    if let Some(secret) = &external.secret {
        outputs = with_secret(outputs, external, secret, observed)?;
    }
    Ok(with_addresses(outputs))
}

fn with_secret(
    mut outputs: Outputs,
    external: &ResolvedExternal,
    secret: &ExternalSecret,
    observed: &Observed,
) -> Result<Outputs, Failure> {
    let waits = |problem: String, remedy: String| {
        Failure::new(Class::NotReady, problem).with_remedy(remedy)
    };
    let (field, name) = (&external.field, &secret.name);
    let Some(read) = observed.secrets.get(name) else {
        let keys: Vec<&str> = secret
            .entries
            .iter()
            .filter(|entry| entry.is_required)
            .map(|entry| entry.key.as_str())
            .collect();
        return Err(waits(
            format!("{field}.secretRef: Secret {name} does not exist"),
            format!("create it with the entries {}", keys.join(", ")),
        ));
    };
    let values = read.as_ref().map_err(|failure| {
        let problem = format!("{field}.secretRef: Secret {name} cannot be read: {failure}");
        let failed = Failure::new(failure.class, problem);
        match failure.class {
            Class::Denied => failed.with_remedy("let the operator get Secrets in this namespace"),
            _ => failed,
        }
    })?;
    for entry in &secret.entries {
        match values.get(&entry.key) {
            Some(value) if !value.expose().is_empty() => {
                outputs = outputs.with_secret(entry.output, value.clone());
            }
            _ if entry.is_required => {
                return Err(waits(
                    format!(
                        "{field}.keys.{}: Secret {name} has no text in its entry {}",
                        entry.output, entry.key
                    ),
                    "add the entry to the Secret, or name the one that it has in keys".to_owned(),
                ));
            }
            _ => {}
        }
    }
    Ok(outputs)
}

/// Adds what follows from host, port and credentials. What a secret goes into is a secret.
fn with_addresses(outputs: Outputs) -> Outputs {
    let encoded = |name: &str| {
        let changed: fn(&str) -> String = match name {
            // An IPv6 address ends where its brackets do.
            "host" => |text| {
                if text.contains(':') {
                    format!("[{text}]")
                } else {
                    text.to_owned()
                }
            },
            "port" | "scheme" => str::to_owned,
            _ => percent_encode,
        };
        Some(match outputs.get(name)? {
            Output::Plain(text) => Output::Plain(changed(text)),
            Output::Secret(text) => Output::Secret(Sensitive::new(changed(text.expose()))),
        })
    };
    let parts = ["host", "port", "scheme", "database", "username", "password"]
        .into_iter()
        .filter_map(|name| Some((name, encoded(name)?)))
        .fold(Outputs::new(), |parts, (name, value)| {
            parts.with_output(name, value)
        });
    let has = |name: &str| parts.get(name).is_some();
    let address = |user: &str| {
        let port = if has("port") { ":{{port}}" } else { "" };
        let path = if has("database") { "/{{database}}" } else { "" };
        format!("{{{{scheme}}}}://{user}{{{{host}}}}{port}{path}")
    };
    let user = match (has("username"), has("password")) {
        (true, true) => "{{username}}:{{password}}@",
        (false, true) => ":{{password}}@",
        (true, false) => "{{username}}@",
        (false, false) => "",
    };
    let derived = [
        ("endpoint", "{{host}}:{{port}}".to_owned()),
        ("url", address("")),
        ("uri", address(user)),
    ];
    derived
        .into_iter()
        .fold(outputs.clone(), |outputs, (name, template)| {
            let rendered = Template::parse(name, &template)
                .ok()
                .and_then(|template| template.render(&parts).ok());
            match rendered {
                // The Secret may have a whole address, which says more.
                Some(value) if outputs.get(name).is_none() => outputs.with_output(name, value),
                _ => outputs,
            }
        })
}

/// Type and provider of the binding.
pub(super) fn description(external: &ResolvedExternal) -> Description {
    Description {
        r#type: external.r#type,
        provider: external.provider.clone(),
    }
}

/// That templates of a binding name what there is not.
pub(super) fn lacking(
    binding: &ResolvedBinding,
    external: &ResolvedExternal,
    outputs: &Outputs,
) -> Option<Failure> {
    let (name, output) = binding.env.iter().find_map(|(name, template)| {
        let output = template
            .outputs()
            .find(|output| outputs.get(output).is_none())?;
        Some((name, output))
    })?;
    let known: Vec<&str> = outputs.iter().map(|(name, _)| name).collect();
    Some(
        Failure::new(
            Class::NotReady,
            format!(
                "{}: {} has no {output}, which bindings[{}].env[{name}].template names",
                external.field, external.resource, binding.resource
            ),
        )
        .with_remedy(format!(
            "set it there or in its Secret, or use one of {}",
            known.join(", ")
        )),
    )
}
