//! What is declared as hardly anybody would mean it, and stops nothing. See [`crate::blueprint::Remark`].

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use shopkeeper_api::status::condition;

use super::{NAMED, words::few};
use crate::blueprint::{Blueprint, Remark, Section};

/// What is added to the condition of a section.
pub(super) fn remarked(blueprint: &Blueprint, section: Section) -> String {
    let texts: Vec<String> = of_section(blueprint, section)
        .map(|remark| remark.text.clone())
        .collect();
    few(&texts, NAMED)
}

/// What is to be said of a custom resource that is Ready, and was not said of it while it was before. Until then whoever is named may
/// still be on the way.
pub fn new_remarks<'a>(
    before: &'a [Condition],
    blueprint: &'a Blueprint,
) -> impl Iterator<Item = &'a Remark> {
    let of = |name: &str| before.iter().find(|condition| condition.type_ == name);
    let was_ready = of(condition::READY).is_some_and(|ready| ready.status == "True");
    Section::ALL.into_iter().flat_map(move |section| {
        let said = of(section.condition())
            .filter(|_| was_ready)
            .map(|condition| condition.message.as_str());
        // What was cut off there was told when it was written.
        of_section(blueprint, section)
            .take(NAMED)
            .filter(move |remark| {
                said.is_none_or(|said| !said.contains(&remark.text) && !said.ends_with('…'))
            })
    })
}

fn of_section(blueprint: &Blueprint, section: Section) -> impl Iterator<Item = &Remark> {
    let remarks = blueprint.remarks().iter();
    remarks.filter(move |remark| remark.section == section)
}
