//! [`Lease`]: whether a peer still counts as there, judged by when it was heard. No clock and no socket.

use crate::Timing;
use mapreduce_core::schedule::Time;
use std::time::Duration;

/// What a driver makes of one peer's silence.
///
/// Anything that the peer says counts as life, so pings only find out about peers that have nothing to say. A peer that
/// leaves [`Timing::misses_max`] pings unanswered is suspected, and from then on its host is to be asked with every
/// ping whether the process is still there; one that is silent for [`Timing::lease`] is lost.
///
/// * `handle_*` say what happened;
/// * [`poll`](Self::poll) says what follows: to be called after each `handle_*` until it gives `None`;
/// * [`poll_timeout`](Self::poll_timeout) says when to poll next if nothing happens. Each `handle_*` may change it;
///   only [`handle_started`](Self::handle_started) brings it forward, and then to no less than
///   [`interval`](Self::interval) from now: whoever polls that often need not look at it again.
///
/// Time in which this process did not run, since the machine slept or was overloaded, shows as a poll that comes late,
/// and is not taken for the peer's silence.
#[derive(Debug)]
pub(super) struct Lease {
    ping: Duration,
    ping_idle: Duration,
    misses_max: u32,
    lease: Duration,
    /// When the peer was heard last.
    heard: Time,
    /// When the last ping was sent.
    pinged: Time,
    ping_at: Time,
    /// Pings since the peer was heard last.
    unanswered: u32,
    pings: u64,
    tasks: u64,
    state: State,
    /// The host is to be asked before the next ping.
    probe: bool,
    /// The host has said that nobody is there.
    refused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trusted,
    Suspected,
    Lost,
}

/// What follows from what was heard and what was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask the peer whether it is there.
    Ping { number: u64 },
    /// The peer may be dead.
    Suspect,
    /// Ask the peer's host whether the process is there; to be answered with [`Lease::handle_refused`] if it is not.
    Probe,
    /// A suspected peer is alive.
    Trust,
    /// The peer counts as gone. Nothing follows.
    Lost,
}

/// Bounds intervals from below, so that no timing keeps a processor busy.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

impl Lease {
    /// The lease of a peer that was heard just now. Intervals that leave no room for an answer within the lease are
    /// shortened.
    pub(super) fn new(timing: &Timing, now: Time) -> Self {
        let misses_max = timing.misses_max.max(1);
        let lease = timing.lease.max(INTERVAL_MIN.saturating_mul(misses_max.saturating_add(2)));
        let ping = timing.ping.min(lease / misses_max.saturating_add(2)).max(INTERVAL_MIN);
        let ping_idle = lease.saturating_sub(ping.saturating_mul(misses_max.saturating_add(1)));
        let ping_idle = timing.ping_idle.min(ping_idle).max(ping);
        Self {
            ping,
            ping_idle,
            misses_max,
            lease,
            heard: now,
            pinged: now,
            ping_at: now + ping_idle,
            unanswered: 0,
            pings: 0,
            tasks: 0,
            state: State::Trusted,
            probe: false,
            refused: false,
        }
    }

    /// The peer said something.
    pub(super) fn handle_heard(&mut self, now: Time) {
        self.heard = self.heard.max(now);
        self.refused = false;
        if self.unanswered > 0 {
            self.unanswered = 0;
            self.probe = false;
            if self.tasks == 0 {
                self.ping_at = self.pinged + self.ping_idle;
            }
        }
    }

    /// The peer was given a task.
    pub(super) fn handle_started(&mut self, now: Time) {
        self.tasks += 1;
        self.ping_at = self.ping_at.min(now + self.ping);
    }

    /// The peer has answered for a task.
    pub(super) fn handle_ended(&mut self) {
        self.tasks = self.tasks.saturating_sub(1);
    }

    /// The peer's host says that nobody is there. Believed only of a suspect.
    pub(super) fn handle_refused(&mut self) {
        self.refused = self.state == State::Suspected && self.unanswered > 0;
    }

    /// What follows next.
    pub(super) fn poll(&mut self, now: Time) -> Option<Step> {
        if self.state == State::Lost {
            return None;
        }
        self.excuse(now);
        if self.refused || now.since(self.heard) >= self.lease {
            self.state = State::Lost;
            return Some(Step::Lost);
        }
        if self.state == State::Suspected && self.unanswered == 0 {
            self.state = State::Trusted;
            return Some(Step::Trust);
        }
        if std::mem::take(&mut self.probe) {
            return Some(Step::Probe);
        }
        if now < self.ping_at {
            return None;
        }
        if self.unanswered >= self.misses_max && self.state == State::Trusted {
            self.state = State::Suspected;
            return Some(Step::Suspect);
        }
        self.probe = self.state == State::Suspected;
        self.unanswered = self.unanswered.saturating_add(1);
        self.pings += 1;
        self.pinged = now;
        // A ping that is not answered is followed up soon, also of a peer without tasks.
        self.ping_at = now + self.ping;
        Some(Step::Ping { number: self.pings })
    }

    /// When to poll next.
    pub(super) fn poll_timeout(&self) -> Time {
        self.ping_at.min(self.heard + self.lease)
    }

    /// How soon a ping is to follow a ping.
    pub(super) fn interval(&self) -> Duration {
        self.ping
    }

    /// How long the peer has been silent.
    pub(super) fn silence(&self, now: Time) -> Duration {
        now.since(self.heard)
    }

    /// Whether the host has said that nobody is there.
    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }

    /// Takes out the time by which this poll is late.
    fn excuse(&mut self, now: Time) {
        let late = now.since(self.poll_timeout());
        if late >= self.ping {
            self.heard = (self.heard + late).min(now);
            self.ping_at = self.ping_at + late;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Time {
        Time::from_micros(ms * 1_000)
    }

    fn steps(lease: &mut Lease, now: Time) -> Vec<Step> {
        std::iter::from_fn(|| lease.poll(now)).collect()
    }

    /// Polls a silent peer whenever it asks for it, up to a time. What followed, with milliseconds.
    fn run(lease: &mut Lease, from: Time, until: Time) -> Vec<(u64, Step)> {
        let mut log = Vec::new();
        let mut now = from;
        loop {
            log.extend(steps(lease, now).into_iter().map(|step| (now.as_micros() / 1_000, step)));
            now = lease.poll_timeout().max(now);
            if now > until || lease.state == State::Lost {
                return log;
            }
        }
    }

    fn with_task() -> Lease {
        let mut lease = Lease::new(&Timing::default(), Time::ZERO);
        lease.handle_started(Time::ZERO);
        lease
    }

    #[test]
    fn a_silent_peer_with_tasks_is_suspected_after_two_misses_and_lost_at_the_lease() {
        let mut lease = with_task();
        let log = run(&mut lease, Time::ZERO, at(60_000));
        let first = [
            (200, Step::Ping { number: 1 }),
            (400, Step::Ping { number: 2 }),
            (600, Step::Suspect),
            (600, Step::Ping { number: 3 }),
            (600, Step::Probe),
            (800, Step::Ping { number: 4 }),
            (800, Step::Probe),
        ];
        assert_eq!(log[..first.len()], first);
        assert_eq!(log.last(), Some(&(5_000, Step::Lost)));
        assert_eq!(steps(&mut lease, at(9_000)), []);
    }

    #[test]
    fn a_silent_peer_without_tasks_is_suspected_soon_after_the_first_miss() {
        let mut lease = Lease::new(&Timing::default(), Time::ZERO);
        let log = run(&mut lease, Time::ZERO, at(1_400));
        assert_eq!(log[0], (1_000, Step::Ping { number: 1 }));
        assert_eq!(log[2], (1_400, Step::Suspect));
    }

    #[test]
    fn an_answer_restores_trust() {
        let mut lease = with_task();
        run(&mut lease, Time::ZERO, at(700));
        lease.handle_heard(at(700));
        assert_eq!(steps(&mut lease, at(700)), [Step::Trust]);
        assert_eq!(run(&mut lease, at(700), at(1_000)).len(), 2);
        assert_eq!(lease.silence(at(1_000)), Duration::from_millis(300));
    }

    #[test]
    fn a_host_without_the_process_ends_it_at_once_but_only_for_suspects() {
        let mut lease = with_task();
        lease.handle_refused();
        assert_eq!(run(&mut lease, Time::ZERO, at(500)).last(), Some(&(400, Step::Ping { number: 2 })));
        run(&mut lease, at(500), at(600));
        lease.handle_refused();
        assert_eq!(steps(&mut lease, at(601)), [Step::Lost]);

        // What the peer says afterwards counts for more.
        let mut lease = with_task();
        run(&mut lease, Time::ZERO, at(600));
        lease.handle_refused();
        lease.handle_heard(at(601));
        assert_eq!(steps(&mut lease, at(601)), [Step::Trust]);
    }

    #[test]
    fn pings_go_out_slowly_when_the_last_task_is_done() {
        let mut lease = with_task();
        assert_eq!(steps(&mut lease, at(200)), [Step::Ping { number: 1 }]);
        lease.handle_ended();
        lease.handle_heard(at(201));
        assert_eq!(lease.poll_timeout(), at(1_200));
        lease.handle_started(at(300));
        lease.handle_started(at(400));
        assert_eq!(lease.poll_timeout(), at(500));
        // An answer for more tasks than there were does no harm.
        (0..5).for_each(|_| lease.handle_ended());
        lease.handle_started(at(410));
        assert_eq!(lease.tasks, 1);
    }

    #[test]
    fn time_in_which_this_process_did_not_run_is_no_silence() {
        let mut lease = with_task();
        assert_eq!(steps(&mut lease, at(200)), [Step::Ping { number: 1 }]);
        // The machine slept for an hour; the answer waits in a buffer.
        assert_eq!(steps(&mut lease, at(3_600_400)), [Step::Ping { number: 2 }]);
        lease.handle_heard(at(3_600_401));
        assert_eq!(steps(&mut lease, at(3_600_401)), []);
    }

    #[test]
    fn timing_that_cannot_work_is_bent_until_it_does() {
        let zero = Timing {
            ping: Duration::ZERO,
            ping_idle: Duration::ZERO,
            misses_max: 0,
            lease: Duration::ZERO,
            ..Timing::default()
        };
        let log = run(&mut Lease::new(&zero, Time::ZERO), Time::ZERO, at(1_000));
        assert_eq!(log.last(), Some(&(3, Step::Lost)));

        let slow =
            Timing { ping: Duration::from_secs(60), ping_idle: Duration::from_secs(90), ..Timing::default() };
        let log = run(&mut Lease::new(&slow, Time::ZERO), Time::ZERO, at(60_000));
        assert!(log.iter().any(|(_, step)| *step == Step::Suspect), "{log:?}");
    }

    proptest! {
        /// Tasks come and go, the process is held up now and then, and every ping is answered within the patience:
        /// the pings that may go unanswered, times their interval.
        #[test]
        fn a_peer_that_answers_within_the_patience_is_neither_suspected_nor_lost(
            ping in 1u64..400,
            ping_idle in 1u64..2_000,
            misses_max in 1u32..4,
            lease in 1u64..10_000,
            delays in prop::collection::vec(0.0f64..0.99, 1..60),
            happenings in prop::collection::vec((0u64..300, 0u8..4), 0..200),
        ) {
            let ms = Duration::from_millis;
            let timing = Timing {
                ping: ms(ping), ping_idle: ms(ping_idle), misses_max, lease: ms(lease), ..Timing::default()
            };
            let mut lease = Lease::new(&timing, Time::ZERO);
            let patience = lease.ping.saturating_mul(misses_max).as_micros() as f64;
            let mut delays = delays.into_iter().cycle();
            let mut answers = std::collections::BTreeSet::new();
            let mut happenings = happenings.into_iter();
            let (mut now, mut next) = (Time::ZERO, happenings.next());
            let mut happens_at = Time::ZERO;
            for _ in 0..2_000 {
                // Answers first, as in a session.
                while answers.first().is_some_and(|answer| *answer <= now) {
                    answers.pop_first();
                    lease.handle_heard(now);
                }
                for step in steps(&mut lease, now) {
                    match step {
                        Step::Ping { .. } => {
                            let delay = delays.next().unwrap() * patience;
                            answers.insert(now + Duration::from_micros(delay as u64));
                        }
                        step => prop_assert!(false, "{step:?} at {now}"),
                    }
                }
                let (due, polled) = (lease.poll_timeout().max(now), now);
                now = answers.first().map_or(due, |answer| due.min(*answer));
                if let Some((after, what)) = next && happens_at + ms(after) <= now {
                    happens_at = happens_at + ms(after);
                    now = happens_at.max(polled);
                    match what {
                        0 | 1 => lease.handle_started(now),
                        2 => lease.handle_ended(),
                        // Nothing is polled for long; answers wait.
                        _ => now = now.max(lease.poll_timeout() + lease.ping) + ms(5_000),
                    }
                    next = happenings.next();
                }
            }
        }

        #[test]
        fn a_peer_that_falls_silent_is_lost_at_the_lease_whatever_its_tasks(
            tasks in 0u64..3, alive in 0u64..20_000, lease_ms in 100u64..6_000,
        ) {
            let timing = Timing { lease: Duration::from_millis(lease_ms), ..Timing::default() };
            let mut lease = Lease::new(&timing, Time::ZERO);
            (0..tasks).for_each(|_| lease.handle_started(Time::ZERO));
            let (mut now, until) = (Time::ZERO, at(alive));
            while now < until {
                for step in steps(&mut lease, now) {
                    prop_assert!(matches!(step, Step::Ping { .. }), "{step:?}");
                    lease.handle_heard(now);
                }
                now = lease.poll_timeout();
            }
            let heard = lease.heard;
            let log = run(&mut lease, now, at(alive + 20_000));
            prop_assert_eq!(log.last().map(|(_, step)| *step), Some(Step::Lost));
            prop_assert_eq!(lease.silence(heard + timing.lease), timing.lease);
            prop_assert!(log.iter().any(|(_, step)| *step == Step::Suspect), "{log:?}");
        }
    }
}
