//! What the system says about this process, under the names that every dashboard knows. Read when asked, never before.

use std::fmt::Write;

/// Names written by [`render`].
pub(super) const NAMES: [&str; 4] =
    ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_threads"];

/// Ticks of a second in `/proc`: fixed at 100 by Linux for user space, on every architecture we build for.
const TICKS: f64 = 100.0;

/// Appends the process's numbers in Prometheus' text form; nothing where there is no `/proc`.
pub(super) fn render(out: &mut String) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(seconds) = cpu_seconds(&stat) {
        let help = "User and system CPU time spent.";
        sample(out, "process_cpu_seconds_total", "counter", help, &seconds.to_string());
    }
    if let Some(kib) = status_number(&status, "VmRSS:") {
        let help = "Resident memory.";
        sample(out, "process_resident_memory_bytes", "gauge", help, &(kib * 1024).to_string());
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // Reading the directory holds one of them itself.
        let count = open.count().saturating_sub(1);
        sample(out, "process_open_fds", "gauge", "Open file descriptors.", &count.to_string());
    }
    if let Some(threads) = status_number(&status, "Threads:") {
        sample(out, "process_threads", "gauge", "Threads.", &threads.to_string());
    }
}

fn sample(out: &mut String, name: &str, kind: &str, help: &str, value: &str) {
    // Writing to a String cannot fail.
    _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
}

/// Fields 14 and 15 of `stat`, counted after the command's closing parenthesis, since a command may hold spaces.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS)
}

fn status_number(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_a_strange_command_name() {
        let stat = "42 (a) b (c) S 1 1 1 0 -1 0 1 2 3 4 150 50 0 0 20 0 8 0 99 1 1";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn status_numbers_are_found_by_name() {
        assert_eq!(status_number("Name:\tx\nVmRSS:\t  2048 kB\n", "VmRSS:"), Some(2048));
        assert_eq!(status_number("Name:\tx\n", "VmRSS:"), None);
    }
}
