//! Lifecycle rules, archive tiers and CORS rules, from our terms to S3's and back.

use aws_sdk_s3::types as sdk;
use shopkeeper_plan::{
    aws::{CorsRule, IntelligentTiering, LifecycleRule, S3Bucket},
    failure::Failure,
};

use crate::request::incomplete;

pub(super) fn lifecycle(
    rules: &[LifecycleRule],
) -> Result<sdk::BucketLifecycleConfiguration, Failure> {
    let rules = rules
        .iter()
        .map(lifecycle_rule)
        .collect::<Result<Vec<_>, _>>()?;
    sdk::BucketLifecycleConfiguration::builder()
        .set_rules(Some(rules))
        .build()
        .map_err(incomplete)
}

fn lifecycle_rule(rule: &LifecycleRule) -> Result<sdk::LifecycleRule, Failure> {
    let transition = rule.intelligent_tiering_after_days.map(|days| {
        sdk::Transition::builder()
            .days(days)
            .storage_class(sdk::TransitionStorageClass::IntelligentTiering)
            .build()
    });
    let noncurrent = rule.noncurrent_expiration_days.map(|days| {
        sdk::NoncurrentVersionExpiration::builder()
            .noncurrent_days(days)
            .build()
    });
    let abort = rule.abort_multipart_days.map(|days| {
        sdk::AbortIncompleteMultipartUpload::builder()
            .days_after_initiation(days)
            .build()
    });
    sdk::LifecycleRule::builder()
        .id(&rule.id)
        .status(sdk::ExpirationStatus::Enabled)
        .filter(
            sdk::LifecycleRuleFilter::builder()
                .prefix(&rule.prefix)
                .build(),
        )
        .set_transitions(transition.map(|transition| vec![transition]))
        .set_noncurrent_version_expiration(noncurrent)
        .set_abort_incomplete_multipart_upload(abort)
        .build()
        .map_err(incomplete)
}

/// The rules in order of their ids; S3 keeps no order.
pub(super) fn observed_lifecycle(rules: &[sdk::LifecycleRule]) -> Vec<LifecycleRule> {
    let mut rules: Vec<_> = rules.iter().map(observed_lifecycle_rule).collect();
    rules.sort_by(|one, other| one.id.cmp(&other.id));
    rules
}

fn observed_lifecycle_rule(rule: &sdk::LifecycleRule) -> LifecycleRule {
    let filter = rule.filter();
    let tiering = match rule.transitions() {
        [transition]
            if transition.storage_class()
                == Some(&sdk::TransitionStorageClass::IntelligentTiering) =>
        {
            transition.days()
        }
        _ => None,
    };
    let noncurrent = rule.noncurrent_version_expiration();
    let says_more = *rule.status() != sdk::ExpirationStatus::Enabled
        || rule.expiration().is_some()
        || rule.transitions().len() != usize::from(tiering.is_some())
        || !rule.noncurrent_version_transitions().is_empty()
        || noncurrent.is_some_and(|noncurrent| noncurrent.newer_noncurrent_versions().is_some())
        || filter.is_some_and(|filter| {
            filter.tag().is_some()
                || filter.object_size_greater_than().is_some()
                || filter.object_size_less_than().is_some()
                || filter.and().is_some()
        });
    let is_enabled = *rule.status() == sdk::ExpirationStatus::Enabled;
    let deletes_objects = is_enabled
        && rule
            .expiration()
            .is_some_and(|expiration| expiration.days().is_some() || expiration.date().is_some());
    let more = match (deletes_objects, says_more) {
        (true, _) => LifecycleRule::DELETES_OBJECTS,
        (false, true) => LifecycleRule::SAYS_MORE,
        (false, false) => "",
    };
    // Rules from before there were filters have the prefix beside them.
    #[allow(deprecated)]
    let prefix = filter.and_then(|filter| filter.prefix()).or(rule.prefix());
    LifecycleRule {
        id: format!("{}{more}", rule.id().unwrap_or_default()),
        prefix: prefix.unwrap_or_default().to_owned(),
        intelligent_tiering_after_days: tiering,
        noncurrent_expiration_days: noncurrent.and_then(|noncurrent| noncurrent.noncurrent_days()),
        abort_multipart_days: rule
            .abort_incomplete_multipart_upload()
            .and_then(|abort| abort.days_after_initiation()),
    }
}

pub(super) fn tiering(
    wanted: IntelligentTiering,
) -> Result<sdk::IntelligentTieringConfiguration, Failure> {
    let tier = |days: i32, tier: sdk::IntelligentTieringAccessTier| {
        sdk::Tiering::builder()
            .days(days)
            .access_tier(tier)
            .build()
            .map_err(incomplete)
    };
    let archive = tier(
        wanted.archive_days,
        sdk::IntelligentTieringAccessTier::ArchiveAccess,
    )?;
    let deep_archive = wanted
        .deep_archive_days
        .map(|days| tier(days, sdk::IntelligentTieringAccessTier::DeepArchiveAccess))
        .transpose()?;
    sdk::IntelligentTieringConfiguration::builder()
        .id(S3Bucket::TIERING_ID)
        .status(sdk::IntelligentTieringStatus::Enabled)
        .set_tierings(Some(std::iter::once(archive).chain(deep_archive).collect()))
        .build()
        .map_err(incomplete)
}

/// `None` where the configuration does nothing.
pub(super) fn observed_tiering(
    configuration: &sdk::IntelligentTieringConfiguration,
) -> Option<IntelligentTiering> {
    let days = |tier: &sdk::IntelligentTieringAccessTier| {
        configuration
            .tierings()
            .iter()
            .find(|tiering| tiering.access_tier() == tier)
            .map(sdk::Tiering::days)
    };
    // A filter leaves objects out, which ours never does: 0 days differ from all that can be wanted.
    let applies_to_all = configuration.filter().is_none();
    (*configuration.status() == sdk::IntelligentTieringStatus::Enabled).then(|| {
        IntelligentTiering {
            archive_days: days(&sdk::IntelligentTieringAccessTier::ArchiveAccess)
                .filter(|_| applies_to_all)
                .unwrap_or_default(),
            deep_archive_days: days(&sdk::IntelligentTieringAccessTier::DeepArchiveAccess),
        }
    })
}

pub(super) fn cors(rules: &[CorsRule]) -> Result<sdk::CorsConfiguration, Failure> {
    let rules = rules
        .iter()
        .map(|rule| {
            sdk::CorsRule::builder()
                .set_allowed_origins(Some(rule.allowed_origins.iter().cloned().collect()))
                .set_allowed_methods(Some(rule.allowed_methods.iter().cloned().collect()))
                .set_allowed_headers(Some(rule.allowed_headers.iter().cloned().collect()))
                .set_expose_headers(Some(rule.expose_headers.iter().cloned().collect()))
                .set_max_age_seconds(rule.max_age_seconds)
                .build()
                .map_err(incomplete)
        })
        .collect::<Result<Vec<_>, _>>()?;
    sdk::CorsConfiguration::builder()
        .set_cors_rules(Some(rules))
        .build()
        .map_err(incomplete)
}

pub(super) fn observed_cors(rules: Vec<sdk::CorsRule>) -> Vec<CorsRule> {
    rules
        .into_iter()
        .map(|rule| CorsRule {
            allowed_origins: rule.allowed_origins.into_iter().collect(),
            allowed_methods: rule.allowed_methods.into_iter().collect(),
            allowed_headers: rule
                .allowed_headers
                .unwrap_or_default()
                .into_iter()
                .collect(),
            expose_headers: rule
                .expose_headers
                .unwrap_or_default()
                .into_iter()
                .collect(),
            max_age_seconds: rule.max_age_seconds,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> LifecycleRule {
        LifecycleRule {
            id: "media".into(),
            prefix: "media/".into(),
            intelligent_tiering_after_days: Some(30),
            noncurrent_expiration_days: Some(90),
            abort_multipart_days: Some(7),
        }
    }

    #[test]
    fn a_rule_comes_back_as_it_was_written() {
        let written = lifecycle(&[rule()]).unwrap();
        assert_eq!(observed_lifecycle(written.rules()), [rule()]);
    }

    #[test]
    fn a_rule_that_somebody_made_dangerous_differs() {
        let written = lifecycle(&[rule()]).unwrap();
        let mut changed = written.rules()[0].clone();
        changed.expiration = Some(sdk::LifecycleExpiration::builder().days(1).build());
        assert_ne!(observed_lifecycle(&[changed]), [rule()]);
        let mut off = written.rules()[0].clone();
        off.status = sdk::ExpirationStatus::Disabled;
        assert_ne!(observed_lifecycle(&[off]), [rule()]);
    }

    #[test]
    fn archive_tiers_come_back_as_they_were_written() {
        for deep_archive_days in [None, Some(180)] {
            let wanted = IntelligentTiering {
                archive_days: 90,
                deep_archive_days,
            };
            assert_eq!(observed_tiering(&tiering(wanted).unwrap()), Some(wanted));
        }
    }
}
