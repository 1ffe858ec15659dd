//! The variables of a component come from several places: those of one name are told apart, or refused.

use std::collections::{BTreeMap, BTreeSet};

use shopkeeper_api::Tier;

use crate::failure::Failure;

/// Refuses two variables of one name from bindings and endpoints. The API server would refuse the Deployment, in words about a field
/// that nobody wrote; or the last one would win, and pods talk to the wrong database. What `workload.env` sets stands in for all of
/// them, as it says. The schema cannot tell: such a rule costs more than the API server allows.
pub(super) fn check(field: &str, tier: &Tier<'_>) -> Result<(), Failure> {
    let own: BTreeSet<&str> = tier
        .workload
        .env
        .iter()
        .map(|variable| variable.name.as_str())
        .collect();
    let bound = tier.bindings.iter().flat_map(|binding| {
        let source = format!("bindings[{}]", binding.resource);
        binding.env.iter().map(move |env| (source.clone(), env))
    });
    let called = tier.endpoints.iter().flat_map(|endpoint| {
        let source = format!("endpoints[{}]", endpoint.service.name);
        endpoint.env.iter().map(move |env| (source.clone(), env))
    });
    let mut taken: BTreeMap<&str, String> = BTreeMap::new();
    for (source, env) in bound.chain(called) {
        let name = env.name.as_str();
        if own.contains(name) {
            continue;
        }
        let variable = format!("{field}.{source}.env[{name}]");
        if let Some(other) = taken.insert(name, variable.clone()) {
            return Err(Failure::invalid(
                &variable,
                &format!("is also set by {other}"),
                "give one of them another name or take it out, or set it in workload.env, which wins over both",
            ));
        }
    }
    Ok(())
}
