//! Ports for the servers of one environment.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, bail};

use crate::state;

/// Below the range that Linux takes outgoing connections' ports from (32768 and up), so that no connection of ours or
/// of anyone else can sit on a port between its reservation and the server's bind, or while the server restarts.
const RANGE: std::ops::Range<u16> = 21_000..31_000;

/// A port that no other environment on this machine uses as long as this value lives.
///
/// Asking the kernel for a free port and closing it again leaves a gap in which a second environment gets the same
/// port. A locked file for each port closes that gap, and the lock ends with the process however it ends.
#[derive(Debug)]
pub(crate) struct ReservedPort {
    number: u16,
    _lock: File,
}

impl ReservedPort {
    pub(crate) fn reserve() -> Result<Self> {
        let directory = state::root().join("ports");
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let span = RANGE.end - RANGE.start;
        // Environments started together begin their search at different places.
        let start = u16::try_from(std::process::id() % u32::from(span)).unwrap_or_default();
        for step in 0..span {
            let number = RANGE.start + (start + step) % span;
            let path = directory.join(number.to_string());
            let lock =
                File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
            if lock.try_lock().is_err() {
                continue;
            }
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self {
                    number,
                    _lock: lock,
                });
            }
        }
        bail!("no free port between {} and {}", RANGE.start, RANGE.end)
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}
