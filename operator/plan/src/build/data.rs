//! The data tier, and what of it contradicts itself.

use crate::{
    blueprint::{Blueprint, Remark, Section},
    observed::{Observation, Observed},
    resolve::DataResource,
    resource::ResourceKey,
};

/// Adds a resource of the data tier. One that contradicts itself is not made. One that was made before anybody looked goes on, and is told
/// of: see `docs/decisions/0036-what-is-told-and-not-refused.md`.
pub(super) fn add(
    resource: &DataResource,
    observed: &Observed,
    blueprint: &mut Blueprint,
) -> ResourceKey {
    for remark in &resource.remarks {
        blueprint.remark(remark.clone());
    }
    let key = resource.key();
    let role = resource.role.clone();
    let is_there = !matches!(observed.aws.get(&key), Some(Observation::Absent));
    if !is_there && !resource.contradictions.is_empty() {
        let missing = resource.contradictions.iter().cloned();
        blueprint.pending(
            Section::Data,
            role,
            key.clone(),
            Vec::new(),
            &resource.depends_on,
        );
        blueprint.wait_for(&key, missing);
        return key;
    }
    for failure in &resource.contradictions {
        blueprint.remark(Remark {
            section: Section::Data,
            reason: "KeysContradict",
            text: format!(
                "{failure}; {key} is there, and stays as it is in this. To do: {}",
                failure.remedy
            ),
        });
    }
    blueprint.aws(
        Section::Data,
        role,
        resource.resource.clone(),
        &resource.depends_on,
    )
}
