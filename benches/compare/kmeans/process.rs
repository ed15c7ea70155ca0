//! [`OnDemand`]: a contestant that is asked for fits, as `benches::on_demand` says.

use crate::process::{descendants, end_group, last_lines, memory};
use benches::Failure;
use mapreduce_core::Cancel;
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// Time between two looks at whether it is to be stopped.
const TICK: Duration = Duration::from_millis(20);
/// Before a fit: threads of the one before that still wait for work in a loop have gone to sleep then.
const PAUSE: Duration = Duration::from_millis(300);

/// A process that answers. It ends with this value.
#[derive(Debug)]
pub(crate) struct OnDemand {
    child: Child,
    answers: Receiver<String>,
    /// What it writes to standard error.
    log: PathBuf,
}

/// What a fit took and came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Answer {
    /// From the points in memory to centroids and labels.
    pub(crate) seconds: f64,
    /// The sum of squared distances at the end.
    pub(crate) inertia: f64,
}

impl OnDemand {
    /// Starts a process and waits until it is ready. What it writes to standard error goes to `log`.
    ///
    /// # Errors
    /// When it does not start, ends, takes longer than `limit`, or is stopped.
    pub(crate) fn start(
        mut command: Command,
        log: &Path,
        limit: Duration,
        stop: &Cancel,
    ) -> Result<Self, Failure> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(log)?);
        // Those that it starts belong to the group: they can be ended with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child =
            command.spawn().map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))?;
        let output = child.stdout.take().ok_or("standard output is piped")?;
        let (tell, answers) = mpsc::channel();
        thread::spawn(move || {
            // Ends with the process, or when nobody listens any more.
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        let process = Self { child, answers, log: log.to_path_buf() };
        match process.line(limit, stop)?.as_str() {
            "ready" => Ok(process),
            other => Err(format!("it says {other:?} instead of ready").into()),
        }
    }

    /// Has it fit with so many iterations.
    ///
    /// # Errors
    /// When it ends, answers something else, takes longer than `limit`, or is stopped.
    pub(crate) fn fit(&mut self, iterations: u32, limit: Duration, stop: &Cancel) -> Result<Answer, Failure> {
        match self.ask(iterations, limit, stop)?[..] {
            [seconds, inertia] => Ok(Answer { seconds, inertia }),
            ref other => Err(format!("{other:?} is not seconds and inertia").into()),
        }
    }

    /// Gives it a number, and waits for those that it answers.
    ///
    /// # Errors
    /// When it ends, answers something else, takes longer than `limit`, or is stopped.
    pub(crate) fn ask(&mut self, number: u32, limit: Duration, stop: &Cancel) -> Result<Vec<f64>, Failure> {
        thread::sleep(PAUSE);
        let input = self.child.stdin.as_mut().ok_or("standard input is piped")?;
        // If it has ended, that there is no answer says more.
        let _ = writeln!(input, "{number}").and_then(|()| input.flush());
        parse(&self.line(limit, stop)?)
    }

    fn line(&self, limit: Duration, stop: &Cancel) -> Result<String, Failure> {
        let begun = Instant::now();
        loop {
            match self.answers.recv_timeout(TICK) {
                Ok(line) => return Ok(line),
                Err(RecvTimeoutError::Disconnected) => {
                    let said = last_lines(&fs::read_to_string(&self.log).unwrap_or_default());
                    return Err(if said.is_empty() { "it has ended".to_owned() } else { said }.into());
                }
                Err(RecvTimeoutError::Timeout) if stop.is_cancelled() => return Err("was interrupted".into()),
                Err(RecvTimeoutError::Timeout) if begun.elapsed() > limit => {
                    return Err(format!("was ended after {} seconds", limit.as_secs()).into());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// The most memory that it and those that it has started have had, each by itself. Unknown where there is no `/proc`.
    pub(crate) fn peak_bytes(&self) -> Option<u64> {
        let peaks = descendants(self.child.id()).into_iter().filter_map(memory).map(|(_, peak)| peak);
        Some(peaks.sum()).filter(|&bytes| bytes > 0)
    }
}

impl Drop for OnDemand {
    fn drop(&mut self) {
        // It holds nothing that would be lost; and there is nobody to tell if it cannot be ended.
        end_group(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(line: &str) -> Result<Vec<f64>, Failure> {
    let numbers: Option<Vec<f64>> =
        line.split_ascii_whitespace().map(|word| word.parse::<f64>().ok()).collect();
    numbers.ok_or_else(|| format!("{line:?} is not numbers").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far longer than any of these commands takes.
    const LIMIT: Duration = Duration::from_secs(60);

    fn start(script: &str, limit: Duration) -> Result<OnDemand, Failure> {
        let folder = tempfile::tempdir()?;
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        OnDemand::start(shell, &folder.path().join("log"), limit, &Cancel::new())
    }

    #[test]
    fn each_question_has_its_answer() {
        let mut process = start("echo ready; while read n; do echo 0.5 \"${n}e3\"; done", LIMIT).unwrap();
        for iterations in [1, 20] {
            let answer = process.fit(iterations, LIMIT, &Cancel::new()).unwrap();
            assert_eq!(answer, Answer { seconds: 0.5, inertia: f64::from(iterations) * 1e3 });
        }
        assert!(!cfg!(target_os = "linux") || process.peak_bytes().is_some());
    }

    #[test]
    fn who_does_not_get_ready_says_why() {
        let error = |script| start(script, LIMIT).unwrap_err().to_string();
        assert_eq!(error("echo no module >&2; exit 1"), "no module");
        assert_eq!(error("exit 1"), "it has ended");
        assert_eq!(error("echo hello; read n"), "it says \"hello\" instead of ready");
    }

    #[test]
    fn an_answer_is_numbers_and_that_of_a_fit_two() {
        let mut process = start("echo ready; read n; echo 1 two; read n; echo 1 2 3; read n", LIMIT).unwrap();
        let mut error = || process.fit(1, LIMIT, &Cancel::new()).unwrap_err().to_string();
        assert_eq!(error(), "\"1 two\" is not numbers");
        assert_eq!(error(), "[1.0, 2.0, 3.0] is not seconds and inertia");
    }

    #[test]
    fn who_takes_too_long_or_is_stopped_is_ended() {
        let error = start("sleep 600; true", Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().starts_with("was ended"), "{error}");
        let mut process = start("echo ready; sleep 600; true", LIMIT).unwrap();
        let stop = Cancel::new();
        stop.cancel();
        assert_eq!(process.fit(1, LIMIT, &stop).unwrap_err().to_string(), "was interrupted");
    }
}
