//! What a process has used, by the kernel's account of it (proc(5)).

use std::fs;

use anyhow::{Context, Result};

/// Units of processor time in a second: USER_HZ, which is 100 on every architecture that Linux has on a server.
const CLOCK_TICKS: f64 = 100.0;

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Processor time in user and kernel mode, in seconds.
    pub cpu_seconds: f64,
    /// The most memory that was resident at once, in megabytes of 10^6 bytes.
    pub peak_rss_mb: f64,
}

/// Reads what the process has used. Fails when it has ended.
pub fn usage(pid: u32) -> Result<Usage> {
    let read = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    };
    Ok(Usage {
        cpu_seconds: cpu_seconds(&read("stat")?).context("/proc/PID/stat is not as expected")?,
        peak_rss_mb: peak_rss_mb(&read("status")?)
            .context("/proc/PID/status is not as expected")?,
    })
}

/// utime and stime are the 14th and 15th field; the second, the program's name, may itself contain spaces.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / CLOCK_TICKS)
}

fn peak_rss_mb(status: &str) -> Option<f64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_moves_no_field() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 3 0 1 1 1 1";
        assert_eq!(cpu_seconds(stat), Some(2.0));
    }

    #[test]
    fn this_process_has_used_something() {
        let used = usage(std::process::id()).unwrap();
        assert!(used.peak_rss_mb > 0.5, "{used:?}");
        assert!(usage(0).is_err());
    }
}
