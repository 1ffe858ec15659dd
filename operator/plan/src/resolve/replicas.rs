//! How many pods of a workload there are, and how many of them may be missing.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use shopkeeper_api::{
    defaults,
    disruption::Disruption,
    scaling::{Autoscale, Scaling, ScalingType},
};

/// How many replicas.
#[derive(Clone, Debug)]
pub enum Replicas {
    /// A fixed number.
    Fixed(i32),
    /// As many as an autoscaler says.
    Autoscale(Autoscale),
}

impl Replicas {
    /// The fewest there can be.
    #[must_use]
    pub fn fewest(&self) -> i32 {
        match self {
            Self::Fixed(replicas) => *replicas,
            Self::Autoscale(range) => range.min,
        }
    }
}

pub(super) fn replicas(declared: Option<&Scaling>) -> Replicas {
    match declared.map(|scaling| {
        (
            scaling.type_,
            scaling.fixed.as_ref(),
            scaling.autoscale.as_ref(),
        )
    }) {
        Some((ScalingType::Autoscale, _, Some(range))) => {
            let mut range = range.clone();
            if range.cpu.is_none() && range.memory.is_none() && range.metrics.is_empty() {
                range.cpu = Some(defaults::CPU_TARGET_PERCENT);
            }
            Replicas::Autoscale(range)
        }
        Some((ScalingType::Fixed, Some(fixed), _)) => Replicas::Fixed(fixed.replicas),
        _ => Replicas::Fixed(defaults::REPLICAS),
    }
}

/// A budget that allows nothing would block every update of the nodes for ever: it is lowered to leave one. The fewest replicas count,
/// as Kubernetes counts: it rounds both shares up, so that of three pods 67% are all three.
pub(super) fn disruption(declared: Option<&Disruption>, replicas: &Replicas) -> Disruption {
    let one = Disruption {
        min_available: None,
        max_unavailable: Some(IntOrString::Int(defaults::DISRUPTION_MAX_UNAVAILABLE)),
    };
    let fewest = replicas.fewest();
    let Some(declared) = declared else {
        return one;
    };
    match (&declared.min_available, &declared.max_unavailable) {
        (None, None) => one,
        (Some(IntOrString::Int(least)), _) if *least >= fewest => Disruption {
            min_available: Some(IntOrString::Int((fewest - 1).max(0))),
            max_unavailable: None,
        },
        // Of more replicas the same share may leave some, and a number in its place would leave more than was asked for.
        (Some(least), _) if pods_of(least, fewest) >= i64::from(fewest) => one,
        (_, Some(most)) if pods_of(most, fewest) == 0 => one,
        _ => declared.clone(),
    }
}

/// How many of so many pods a number or a share is. A share that is none counts as all: the API server refuses it.
fn pods_of(value: &IntOrString, pods: i32) -> i64 {
    match value {
        IntOrString::Int(number) => i64::from(*number),
        IntOrString::String(share) => {
            let percent: u16 = share
                .strip_suffix('%')
                .and_then(|percent| percent.parse().ok())
                .unwrap_or(100);
            (i64::from(pods) * i64::from(percent) + 99) / 100
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn budget(
        min_available: Option<IntOrString>,
        max_unavailable: Option<IntOrString>,
    ) -> Disruption {
        Disruption {
            min_available,
            max_unavailable,
        }
    }

    fn percent(share: u32) -> IntOrString {
        IntOrString::String(format!("{share}%"))
    }

    /// How many of so many pods that all are well Kubernetes lets be evicted: both shares are rounded up.
    fn allowed(budget: &Disruption, pods: i32) -> i32 {
        let scaled = |value: &IntOrString| match value {
            IntOrString::Int(number) => *number,
            IntOrString::String(share) => {
                let share: i32 = share.trim_end_matches('%').parse().unwrap();
                (pods * share + 99) / 100
            }
        };
        match (&budget.min_available, &budget.max_unavailable) {
            (Some(least), None) => (pods - scaled(least)).max(0),
            (None, Some(most)) => scaled(most).min(pods),
            both => panic!("the API server refuses {both:?}"),
        }
    }

    #[test]
    fn a_budget_never_blocks_the_last_drain() {
        for pods in 1..=20 {
            let replicas = Replicas::Fixed(pods);
            let numbers = (0..=pods + 1).map(IntOrString::Int);
            for declared in numbers
                .chain((0..=100).map(percent))
                .flat_map(|value| [budget(Some(value.clone()), None), budget(None, Some(value))])
            {
                let resolved = disruption(Some(&declared), &replicas);
                if allowed(&declared, pods) > 0 {
                    assert_eq!(resolved, declared, "{pods} replicas: it blocks nothing");
                } else {
                    assert_eq!(
                        allowed(&resolved, pods),
                        1,
                        "{pods} replicas: {declared:?}, {resolved:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_budget_that_blocks_is_lowered_to_leave_one() {
        let text = |share: &str| Some(IntOrString::String(share.into()));
        let number = |number| Some(IntOrString::Int(number));
        let one = budget(None, number(1));
        for (pods, declared, expected) in [
            (3, budget(number(3), None), budget(number(2), None)),
            (3, budget(number(2), None), budget(number(2), None)),
            (1, budget(number(5), None), budget(number(0), None)),
            (3, budget(text("100%"), None), one.clone()),
            (3, budget(text("80%"), None), one.clone()),
            (3, budget(text("67%"), None), one.clone()),
            (3, budget(text("66%"), None), budget(text("66%"), None)),
            (1, budget(text("51%"), None), one.clone()),
            (1, budget(text("1%"), None), one.clone()),
            (1, budget(text("0%"), None), budget(text("0%"), None)),
            (5, budget(text("80%"), None), budget(text("80%"), None)),
            (3, budget(None, number(0)), one.clone()),
            (3, budget(None, text("0%")), one.clone()),
            (3, budget(None, text("00%")), one.clone()),
            (3, budget(None, text("1%")), budget(None, text("1%"))),
            (3, budget(None, None), one.clone()),
        ] {
            let resolved = disruption(Some(&declared), &Replicas::Fixed(pods));
            assert_eq!(resolved, expected, "{pods} replicas: {declared:?}");
        }
        assert_eq!(disruption(None, &Replicas::Fixed(3)), one);
    }

    #[test]
    fn the_fewest_replicas_of_an_autoscaler_count() {
        let range = |min: i32| {
            let range = serde_json::json!({"min": min, "max": 20});
            Replicas::Autoscale(serde_json::from_value(range).unwrap())
        };
        let most = budget(Some(percent(80)), None);
        assert_eq!(
            disruption(Some(&most), &range(3)),
            budget(None, Some(IntOrString::Int(1)))
        );
        assert_eq!(disruption(Some(&most), &range(5)), most);
    }
}
