//! [`run`]: a command, how long it takes and how much memory its processes have.

use benches::Failure;
use mapreduce_core::Cancel;
use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// Time between two looks at the memory of the processes.
const TICK: Duration = Duration::from_millis(20);

/// How a command went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// From its start to its end.
    pub(crate) whole: Duration,
    /// What it says that its work took (a line `seconds S` on standard output), without the start of an interpreter or a
    /// virtual machine. Without such a line the same as `whole`.
    pub(crate) work: Duration,
    /// The largest sum of the resident memory of its processes and their descendants. Unknown where there is no `/proc`.
    pub(crate) peak_bytes: Option<u64>,
}

/// Runs a command to its end, at most so long. The memory of `beside`, processes that work for it, counts as well.
///
/// # Errors
/// When it does not start, does not succeed (with the end of what it wrote to standard error), takes longer, or is
/// stopped. What it has started itself ends with it then.
pub(crate) fn run(
    command: &mut Command,
    beside: &[u32],
    limit: Duration,
    stop: &Cancel,
) -> Result<Turn, Failure> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Those that it starts belong to the group: they can be ended with it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let start = Instant::now();
    let child =
        command.spawn().map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))?;
    let pid = child.id();
    let (ended, end) = mpsc::channel::<()>();
    let roots: Vec<u32> = beside.iter().copied().chain([pid]).collect();
    let stop = stop.clone();
    let watcher = thread::spawn(move || watch(&roots, pid, &end, limit, &stop));
    let outcome = finish(child);
    let whole = start.elapsed();
    drop(ended);
    let watched = watcher.join().map_err(|_| "the memory could not be watched")?;
    let (succeeded, stdout, stderr) = outcome?;
    match watched.ended {
        Some(Ended::TimedOut) => return Err(format!("was ended after {} seconds", limit.as_secs()).into()),
        Some(Ended::Stopped) => return Err("was interrupted".into()),
        None => {}
    }
    if !succeeded {
        return Err(last_lines(&stderr).into());
    }
    let work = match stdout.lines().find_map(|line| line.strip_prefix("seconds ")) {
        Some(seconds) => Duration::try_from_secs_f64(seconds.trim().parse()?)?,
        None => whole,
    };
    Ok(Turn { whole, work, peak_bytes: (watched.peak_bytes > 0).then_some(watched.peak_bytes) })
}

/// Whether it succeeded, and what it wrote.
fn finish(child: Child) -> Result<(bool, String, String), Failure> {
    let output = child.wait_with_output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((output.status.success(), text(output.stdout), text(output.stderr)))
}

struct Watched {
    peak_bytes: u64,
    ended: Option<Ended>,
}

/// Why a command was ended from here.
#[derive(Clone, Copy, Debug)]
enum Ended {
    TimedOut,
    Stopped,
}

/// Looks at the memory until the sender of `end` is dropped, and ends the process and its group if that takes too long or
/// is stopped.
fn watch(roots: &[u32], pid: u32, end: &Receiver<()>, limit: Duration, stop: &Cancel) -> Watched {
    let start = Instant::now();
    let mut watched = Watched { peak_bytes: 0, ended: None };
    loop {
        let mut now_bytes = 0;
        for &root in roots {
            for process in descendants(root) {
                let Some((resident, peak)) = memory(process) else { continue };
                now_bytes += resident;
                // The kernel knows the peak of one process better than any number of looks; that of a process which was
                // there before is of an earlier run.
                if roots == [pid] {
                    watched.peak_bytes = watched.peak_bytes.max(peak);
                }
            }
        }
        watched.peak_bytes = watched.peak_bytes.max(now_bytes);
        if watched.ended.is_none() {
            watched.ended = match stop.is_cancelled() {
                true => Some(Ended::Stopped),
                false => (start.elapsed() > limit).then_some(Ended::TimedOut),
            };
            if watched.ended.is_some() {
                end_group(pid);
            }
        }
        if end.recv_timeout(TICK) != Err(RecvTimeoutError::Timeout) {
            return watched;
        }
    }
}

/// Ends a process and its group.
pub(crate) fn end_group(pid: u32) {
    // If it does not work there is nothing else that could be done.
    let mut kill = Command::new("kill");
    let _ = kill.args(["-s", "KILL", "--", &format!("-{pid}")]).stderr(Stdio::null()).status();
}

/// The end of what a process has written to standard error: a line.
pub(crate) fn last_lines(stderr: &str) -> String {
    let tail: Vec<&str> = stderr.lines().rev().filter(|line| !line.trim().is_empty()).take(3).collect();
    tail.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

/// A process and those that it and they have started.
pub(crate) fn descendants(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&process) = found.get(next) {
        next += 1;
        let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { continue };
        for thread in threads.flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            found.extend(children.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    found
}

/// What a process has in memory, and the most it has had, in bytes.
pub(crate) fn memory(process: u32) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let bytes = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
    };
    Some((bytes("VmRSS:")?, bytes("VmHWM:")?))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn of(script: &str, limit: Duration) -> Result<Turn, Failure> {
        run(&mut shell(script), &[], limit, &Cancel::new())
    }

    #[test]
    fn the_work_is_what_the_command_says() {
        let turn = of("echo seconds 0.25", LIMIT).unwrap();
        assert_eq!(turn.work, Duration::from_millis(250));
        let turn = of("echo done", LIMIT).unwrap();
        assert_eq!(turn.work, turn.whole);
    }

    #[test]
    fn memory_of_descendants_counts() {
        // 100 million zeros in a variable of a process below the shell.
        let script = "sh -c 'x=$(head -c 100000000 /dev/zero | tr \"\\0\" a); echo ${#x} >/dev/null'; true";
        let turn = of(script, LIMIT).unwrap();
        assert!(turn.peak_bytes.unwrap() >= 100_000_000, "{turn:?}");
    }

    #[test]
    fn a_failure_quotes_standard_error() {
        let error = of("echo it broke >&2; exit 3", LIMIT).unwrap_err();
        assert_eq!(error.to_string(), "it broke");
    }

    #[test]
    fn what_takes_too_long_is_ended() {
        let error = of("exec sleep 600", Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().starts_with("was ended"), "{error}");
    }

    #[test]
    fn what_it_has_started_is_ended_with_it() {
        // Each of them holds the standard output that is read to its end here.
        let start = Instant::now();
        let error = of("sleep 600 & sleep 600 | sleep 600", Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().starts_with("was ended"), "{error}");
        assert!(start.elapsed() < LIMIT);
    }

    #[test]
    fn it_can_be_stopped() {
        let stop = Cancel::new();
        stop.cancel();
        let error = run(&mut shell("sleep 600; true"), &[], LIMIT, &stop).unwrap_err();
        assert_eq!(error.to_string(), "was interrupted");
    }
}
