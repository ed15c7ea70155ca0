//! [`peak_rss_bytes`]: the memory that this process has taken.

use std::fs;

/// The most physical memory that this process has held at once, in bytes, for a report. Nothing but on Linux, which says so
/// without a call for which this crate would need `unsafe`.
///
/// ```
/// let peak = mapreduce_net::cli::peak_rss_bytes();
/// assert!(!cfg!(target_os = "linux") || peak > Some(100 << 10));
/// ```
pub fn peak_rss_bytes() -> Option<u64> {
    peak_in(&fs::read_to_string("/proc/self/status").ok()?)
}

/// What a line such as `VmHWM: 1234 kB` says.
fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_where_linux_writes_it() {
        assert_eq!(peak_in("Name:\tjob\nVmHWM:\t   12 kB\nVmRSS:\t 8 kB\n"), Some(12 << 10));
        for other in ["", "VmRSS:\t 8 kB\n", "VmHWM:\t12 MB\n", "VmHWM:\tx kB\n"] {
            assert_eq!(peak_in(other), None, "{other}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_a_peak() {
        assert!(peak_rss_bytes().is_some_and(|bytes| bytes > 100_000));
    }
}
