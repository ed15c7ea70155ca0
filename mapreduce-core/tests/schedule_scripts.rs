//! Scripts run through the coordinator, their answers kept in `golden/*.txt`.
//!
//! A golden file reads as a protocol run: lines that start with `>` are the script, what the coordinator answers
//! stands below each, lines that start with `#` explain. To write a new one, write its script, name it in
//! `scripts!`, and let `UPDATE_EXPECT=1 cargo test -p mapreduce-core --test schedule_scripts` fill in the answers.
//!
//! ```text
//! config KEY=VALUE..               before anything else; a field of Config, durations as 100ms or 5s
//! join P slots=N | slots P N | suspect P | trust P | drain P | lost P
//! round splits=N partitions=N      | pin SPLIT P | cancel
//! done P map|reduce I [attempt=N] [round=N] [sum=N]      default: the latest attempt started there, checksum I
//! fail P map|reduce I [attempt=N] [round=N] [permanent|node|deadline|cancelled|from=P] [MESSAGE]
//! tick DURATION                    time passes, with a call of handle_timeout whenever it is due
//! outputs | pins | committed       getters
//! ```

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use expect_test::{ExpectFile, expect_file};
use mapreduce_core::schedule::{
    Action, AttemptId, Config, Coordinator, Failure, PeerId, Round, RoundPlan, TaskId, TaskReport, Time,
};

macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(expect_file![concat!("golden/", stringify!($name), ".txt")]); })*

        #[test]
        fn every_script_is_run() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
            let mut found: Vec<String> = std::fs::read_dir(folder).unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            found.sort();
            let mut named = [$(concat!(stringify!($name), ".txt")),*];
            named.sort();
            assert_eq!(found, named);
        }
    };
}

scripts! {
    all_peers_lost attempt_limit backup_commits_first backup_fails cancel deadline drain empty_rounds
    fetch_failure fetch_failure_without_end happy_path late_result_of_a_lost_peer
    late_result_of_an_older_round locality_wait map_only newcomer_gets_its_share
    non_deterministic_map_after_reduce_committed non_deterministic_map_before_reduce_committed
    peer_lost_during_map peer_lost_during_reduce peer_restarts permanent_failure pinned_work_of_a_suspect
    pinning_across_rounds quarantine slots_grow_and_shrink straggler suspicion task_that_kills_peers
    wrong_calls
}

fn check(golden: ExpectFile) {
    let mut run = Run::default();
    let text = std::fs::read_to_string(path_of(&golden)).expect("the golden file holds the script");
    for line in text.lines() {
        if line.starts_with('#') || line.is_empty() {
            run.out.push_str(line);
            run.out.push('\n');
        } else if let Some(command) = line.strip_prefix("> ") {
            run.out.push_str(&format!("> {command}\n"));
            run.execute(command);
        }
    }
    golden.assert_eq(&run.out);
}

fn path_of(golden: &ExpectFile) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(&golden.path)
}

struct Run {
    coordinator: Coordinator,
    now: Time,
    timeout: Option<Time>,
    latest: HashMap<(PeerId, TaskId), AttemptId>,
    out: String,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            coordinator: Coordinator::new(Config::default()),
            now: Time::ZERO,
            timeout: None,
            latest: HashMap::new(),
            out: String::new(),
        }
    }
}

impl Run {
    fn execute(&mut self, command: &str) {
        let words = Words::new(command);
        let now = self.now;
        match words.at(0) {
            "config" => self.coordinator = Coordinator::new(config(&words)),
            "join" => self.coordinator.handle_peer_joined(now, words.peer(1), words.number("slots")),
            "slots" => self.coordinator.handle_peer_slots(now, words.peer(1), parse(words.at(2))),
            "suspect" => self.coordinator.handle_peer_suspected(now, words.peer(1)),
            "trust" => self.coordinator.handle_peer_trusted(now, words.peer(1)),
            "drain" => self.coordinator.handle_peer_draining(now, words.peer(1)),
            "lost" => self.coordinator.handle_peer_lost(now, words.peer(1)),
            "pin" => {
                let pinned = self.coordinator.pin(parse(words.at(1)), words.peer(2));
                self.answer(if pinned { "pinned" } else { "not pinned" });
            }
            "cancel" => self.coordinator.cancel(now),
            "round" => {
                let plan =
                    RoundPlan { splits: words.number("splits"), partitions: words.number("partitions") };
                if let Err(error) = self.coordinator.start_round(now, plan) {
                    self.answer(&format!("error: {error}"));
                }
            }
            "done" => {
                let attempt = self.attempt(&words);
                let checksum = words.value("sum").map_or(u64::from(attempt.task.index()), parse);
                let report = TaskReport { checksum, ..TaskReport::default() };
                let verdict = self.coordinator.handle_completed(now, words.peer(1), attempt, report);
                self.answer(&format!("verdict: {verdict}"));
            }
            "fail" => {
                let (attempt, failure) = (self.attempt(&words), words.failure());
                self.coordinator.handle_failed(now, words.peer(1), attempt, failure);
            }
            "tick" => self.tick(duration(words.at(1))),
            "outputs" => {
                let outputs: Vec<String> = self
                    .coordinator
                    .outputs()
                    .map(|(_, peer, attempt)| format!("{attempt} on {peer}"))
                    .collect();
                self.answer(&outputs.join(", "));
            }
            "pins" => {
                let pins: Vec<String> =
                    self.coordinator.pins().map(|(split, peer)| format!("{split} to {peer}")).collect();
                self.answer(&pins.join(", "));
            }
            "committed" => {
                let committed: Vec<String> =
                    self.coordinator.committed_by_peer().map(|(peer, n)| format!("{n} by {peer}")).collect();
                self.answer(&committed.join(", "));
            }
            other => panic!("no such command: {other}"),
        }
        self.drain();
    }

    fn tick(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.coordinator.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.answer(&format!("at {}", self.now));
            self.coordinator.handle_timeout(self.now);
            self.drain();
            assert_ne!(self.coordinator.poll_timeout(), Some(due), "a timeout that was handled is gone");
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(action) = self.coordinator.poll_action() {
            if let Action::Start { peer, attempt, .. } = action {
                self.latest.insert((peer, attempt.task), attempt);
            }
            self.answer(&format!("-> {action}"));
        }
        while let Some(event) = self.coordinator.poll_event() {
            self.answer(&event.to_string());
        }
        let timeout = self.coordinator.poll_timeout();
        if timeout != self.timeout {
            self.timeout = timeout;
            self.answer(&timeout.map_or("no timeout".into(), |time| format!("timeout at {time}")));
        }
    }

    fn answer(&mut self, line: &str) {
        self.out.push_str(&format!("  {line}\n"));
    }

    fn attempt(&self, words: &Words<'_>) -> AttemptId {
        let index = parse(words.at(3));
        let task = if words.at(2) == "map" { TaskId::Map(index) } else { TaskId::Reduce(index) };
        let latest = self.latest.get(&(words.peer(1), task)).copied();
        let mut attempt = latest.unwrap_or(AttemptId { round: Round(1), task, number: 1 });
        if let Some(number) = words.value("attempt") {
            attempt.number = parse(number);
        }
        if let Some(round) = words.value("round") {
            attempt.round = Round(parse(round));
        }
        attempt
    }
}

struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn new(command: &'a str) -> Self {
        Self(command.split_whitespace().collect())
    }

    fn at(&self, index: usize) -> &'a str {
        self.0.get(index).copied().unwrap_or_else(|| panic!("{:?} needs more words", self.0))
    }

    fn peer(&self, index: usize) -> PeerId {
        PeerId(parse(self.at(index)))
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn number(&self, key: &str) -> u32 {
        parse(self.value(key).unwrap_or_else(|| panic!("{:?} needs {key}=", self.0)))
    }

    fn failure(&self) -> Failure {
        let rest: Vec<&str> = self.0[4..].iter().copied().filter(|word| !word.contains('=')).collect();
        match (self.value("from"), rest.split_first()) {
            (Some(from), _) => Failure::FetchFailed { from: PeerId(parse(from)) },
            (None, Some((&"deadline", _))) => Failure::Deadline,
            (None, Some((&"cancelled", _))) => Failure::Cancelled,
            (None, Some((&"node", message))) => Failure::node(message.join(" ")),
            (None, Some((&"permanent", message))) => Failure::permanent(message.join(" ")),
            (None, _) => Failure::task(rest.join(" ")),
        }
    }
}

fn config(words: &Words<'_>) -> Config {
    let mut config = Config::default();
    for word in &words.0[1..] {
        let (key, value) = word.split_once('=').expect("config KEY=VALUE");
        match key {
            "attempts_max" => config.attempts_max = parse(value),
            "peers_lost_max" => config.peers_lost_max = parse(value),
            "node_failures_max" => config.node_failures_max = parse(value),
            "fetch_failures_max" => config.fetch_failures_max = parse(value),
            "task_fetch_failures_max" => config.task_fetch_failures_max = parse(value),
            "no_peers_timeout" => config.no_peers_timeout = duration(value),
            "task_deadline" => config.task_deadline = Some(duration(value)),
            "locality_wait" => config.locality_wait = duration(value),
            "backup_factor" => config.backup_factor = parse(value),
            "backup_after_min" => config.backup_after_min = duration(value),
            "tasks_max" => config.tasks_max = parse(value),
            other => panic!("no such bound: {other}"),
        }
    }
    config
}

fn parse<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("not a number: {text}"))
}

fn duration(text: &str) -> Duration {
    match text.strip_suffix("ms") {
        Some(millis) => Duration::from_millis(parse(millis)),
        None => Duration::from_secs(parse(text.strip_suffix('s').expect("a duration such as 100ms or 5s"))),
    }
}
