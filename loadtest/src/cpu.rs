//! CPU time another process has used, read from the kernel's own accounting.
//!
//! Requests a second move with the machine's mood; CPU per request moves far less, which is why ratios are stated in it.

use std::time::Duration;

/// Says why a process's CPU time is not known.
#[derive(Debug, thiserror::Error)]
pub enum CpuError {
    /// The process is gone, or this is not Linux.
    #[error("read {path}")]
    Read {
        /// The file that could not be read.
        path: String,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// The kernel's line has another shape than expected.
    #[error("{0} is not understood")]
    Shape(String),
}

/// The kernel counts in ticks of 1/100 s for user space on every Linux we know, whatever its own timer runs at.
const TICK: Duration = Duration::from_millis(10);

/// CPU time (user and system, all threads, also those that have ended) of a process since it started.
pub fn process_cpu(pid: u32) -> Result<Duration, CpuError> {
    let path = format!("/proc/{pid}/stat");
    let line =
        std::fs::read_to_string(&path).map_err(|source| CpuError::Read { path: path.clone(), source })?;
    parse_stat(&line).ok_or(CpuError::Shape(path))
}

fn parse_stat(line: &str) -> Option<Duration> {
    // The command name stands in parentheses and may hold spaces and parentheses itself.
    let (_, rest) = line.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * (user + system))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_name_may_hold_anything() {
        let line = "71 (a b) c) S 1 71 71 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 3 0 100 0 0";
        assert_eq!(parse_stat(line), Some(Duration::from_secs(3)));
        assert_eq!(parse_stat("71 (x) S 1"), None);
    }
}
