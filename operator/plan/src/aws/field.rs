//! The fields of a resource, and what changing one does.

use crate::plan::Effect;

/// What happens when the desired value of a field differs from the observed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// AWS changes it in place.
    InPlace {
        /// What that does to running traffic and data.
        effect: Effect,
        /// Whether the old value can be set again.
        reversible: bool,
        /// Usual time until it has taken hold, in minutes; 0 where it is immediate.
        minutes: u16,
    },
    /// AWS refuses to change it, and the resource holds nothing: a new one is made under another name, then the old one
    /// is drained and deleted.
    Replace,
    /// AWS refuses to change it, and the resource holds data: a person has to decide.
    Refused {
        /// What the person can do.
        remedy: &'static str,
    },
    /// Set when the resource is made; afterwards somebody else owns it (an autoscaler, a rotation).
    CreateOnly,
    /// Only larger values are set; a larger observed value is left alone, because AWS cannot shrink it or has grown it
    /// by itself.
    GrowOnly {
        /// What that does to running traffic and data.
        effect: Effect,
        /// Usual time until it has taken hold, in minutes.
        minutes: u16,
    },
}

/// One field of a resource, named as in its serialised form, and what changing it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name in the serialised form (camelCase).
    pub name: &'static str,
    /// What a difference leads to.
    pub change: Change,
    /// Whether a desired `null` takes the setting away. Otherwise `null` means that the field is not managed.
    pub clearable: bool,
}

impl Field {
    /// Changes in place, at once, without any effect on traffic; can be undone.
    #[must_use]
    pub const fn harmless(name: &'static str) -> Self {
        Self {
            name,
            change: Change::InPlace {
                effect: Effect::None,
                reversible: true,
                minutes: 0,
            },
            clearable: false,
        }
    }

    /// Changes in place with an effect and a lead time in minutes; can be undone.
    #[must_use]
    pub const fn in_place(name: &'static str, effect: Effect, minutes: u16) -> Self {
        Self {
            name,
            change: Change::InPlace {
                effect,
                reversible: true,
                minutes,
            },
            clearable: false,
        }
    }

    /// Cannot be changed; a new resource takes the place of the old one.
    #[must_use]
    pub const fn replace(name: &'static str) -> Self {
        Self {
            name,
            change: Change::Replace,
            clearable: false,
        }
    }

    /// Cannot be changed without losing data.
    #[must_use]
    pub const fn refused(name: &'static str, remedy: &'static str) -> Self {
        Self {
            name,
            change: Change::Refused { remedy },
            clearable: false,
        }
    }

    /// Is set once and then left to others.
    #[must_use]
    pub const fn create_only(name: &'static str) -> Self {
        Self {
            name,
            change: Change::CreateOnly,
            clearable: false,
        }
    }

    /// Only grows.
    #[must_use]
    pub const fn grow_only(name: &'static str, effect: Effect, minutes: u16) -> Self {
        Self {
            name,
            change: Change::GrowOnly { effect, minutes },
            clearable: false,
        }
    }

    /// Changes in place with an effect and a lead time in minutes, and can not be undone.
    #[must_use]
    pub const fn one_way(name: &'static str, effect: Effect, minutes: u16) -> Self {
        Self {
            name,
            change: Change::InPlace {
                effect,
                reversible: false,
                minutes,
            },
            clearable: false,
        }
    }

    /// The same field, where leaving the value out takes the setting away.
    #[must_use]
    pub const fn clearable(mut self) -> Self {
        self.clearable = true;
        self
    }
}
