//! CPU time another process has used, read from the kernel's own accounting.
//!
//! Requests a second move with the machine's mood; CPU per request moves far less, which is why ratios are stated in it.

use std::collections::BTreeMap;
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
    cpu_of(&format!("/proc/{pid}/stat"))
}

/// CPU time of the calling thread.
///
/// # Errors
/// When the kernel does not tell.
pub fn thread_cpu() -> Result<Duration, CpuError> {
    cpu_of("/proc/thread-self/stat")
}

/// CPU time of a process and of each of its threads, by the names they have.
#[derive(Debug, Clone, Default)]
pub struct Threads {
    /// Of the whole process, also of threads that have ended.
    pub whole: Duration,
    by_name: BTreeMap<String, Duration>,
}

impl Threads {
    /// Reads them.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn of(pid: u32) -> Result<Self, CpuError> {
        let path = format!("/proc/{pid}/task");
        let failed = |source| CpuError::Read { path: path.clone(), source };
        let mut by_name: BTreeMap<String, Duration> = BTreeMap::new();
        for thread in std::fs::read_dir(&path).map_err(failed)? {
            let at = thread.map_err(failed)?.path();
            // One that ended between the list and now has taken its name with it; its time is in `whole`.
            let Ok(name) = std::fs::read_to_string(at.join("comm")) else { continue };
            let Ok(spent) = cpu_of(&at.join("stat").to_string_lossy()) else { continue };
            *by_name.entry(name.trim().to_owned()).or_default() += spent;
        }
        Ok(Self { whole: process_cpu(pid)?, by_name })
    }

    /// What was spent since an earlier look.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let by_name = self
            .by_name
            .iter()
            .map(|(name, spent)| (name.clone(), spent.saturating_sub(earlier.named(name))));
        Self { whole: self.whole.saturating_sub(earlier.whole), by_name: by_name.collect() }
    }

    /// Of the threads of one name.
    pub fn named(&self, name: &str) -> Duration {
        self.by_name.get(name).copied().unwrap_or_default()
    }
}

/// Memory of a process that is not swapped out, in bytes.
///
/// # Errors
/// When the process is gone, or this is not Linux.
pub fn resident_bytes(pid: u32) -> Result<u64, CpuError> {
    let path = format!("/proc/{pid}/status");
    let text =
        std::fs::read_to_string(&path).map_err(|source| CpuError::Read { path: path.clone(), source })?;
    parse_resident(&text).ok_or(CpuError::Shape(path))
}

fn parse_resident(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1_024)
}

fn cpu_of(path: &str) -> Result<Duration, CpuError> {
    let line =
        std::fs::read_to_string(path).map_err(|source| CpuError::Read { path: path.to_owned(), source })?;
    parse_stat(&line).ok_or_else(|| CpuError::Shape(path.to_owned()))
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

    #[test]
    fn memory_is_what_is_resident() {
        let text = "Name:\tx\nVmPeak:\t  900 kB\nVmRSS:\t  300 kB\nThreads:\t2\n";
        assert_eq!(parse_resident(text), Some(300 * 1_024));
        assert_eq!(parse_resident("Name:\tx\n"), None);
    }

    #[test]
    fn a_process_sees_its_own_threads_and_memory() {
        let pid = std::process::id();
        let threads = Threads::of(pid).expect("our own");
        let nothing = threads.since(&threads);
        assert_eq!((nothing.whole, nothing.named("no such thread")), (Duration::ZERO, Duration::ZERO));
        assert!(!threads.by_name.is_empty());
        assert!(resident_bytes(pid).expect("our own") > 1 << 20);
        thread_cpu().expect("our own");
    }
}
