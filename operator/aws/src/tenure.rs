//! Until when this process may change anything.

use std::{error::Error, fmt};

/// Says whether this process may still write: another one may lead by now. It is asked just before each call that changes something.
pub trait Tenure: Send + Sync + fmt::Debug + 'static {
    /// Whether it may at this moment.
    fn lasts(&self) -> bool;
}

/// That of a process without rivals.
#[derive(Clone, Copy, Debug)]
pub struct Unlimited;

impl Tenure for Unlimited {
    fn lasts(&self) -> bool {
        true
    }
}

/// The code of the failure that such a call is.
pub const OVER: &str = "TenureIsOver";

/// A call was not made, since another process may lead by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenureIsOver;

impl fmt::Display for TenureIsOver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not called, since another replica may lead by now")
    }
}

impl Error for TenureIsOver {}
