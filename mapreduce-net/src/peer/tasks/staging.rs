//! The way of an attempt from its start to a thread: its round has to be ready and its input here.

use super::{AttemptKey, Event, OfRound, Phase, Place, Tasks, tell};
use crate::{
    peer::{
        failure,
        run::{MapSource, MapWork, Staged},
        stage::Wanted,
    },
    wire::message::Work,
};

impl Tasks {
    /// Brings the input of an attempt here, or lets it wait for its round.
    pub(super) fn stage(&mut self, key: AttemptKey, work: Work) {
        if !self.attempts.contains_key(&key) {
            // It was answered already.
            return;
        }
        let (job, attempt) = key;
        let Some(round) = self.rounds.get_mut(&(job, attempt.round)) else { return };
        let parts = match &round.phase {
            Phase::Ready(parts) => parts,
            Phase::Begun(_) => return round.early.push((attempt, work)),
            Phase::Broken(failure) => {
                let failure = failure.clone();
                self.attempts.remove(&key);
                return self.failed(key, failure);
            }
        };
        let index = attempt.task.index();
        let (stage, events) = (self.stage.clone(), self.events.clone());
        match work {
            Work::Map { split, fingerprint } => {
                let dataset = parts.dataset;
                let at_hand = match &parts.files {
                    Some(_) => Some(MapSource::Files { fingerprint }),
                    None => {
                        let bytes = self.shared.splits.bytes(dataset, index);
                        bytes.map(|bytes| MapSource::Blocks { bytes, _permit: None })
                    }
                };
                if let Some(source) = at_hand {
                    return self.enqueue(key, Staged::Map(MapWork { index, split, source }));
                }
                self.stage_later(key, async move {
                    let staged = stage.split(dataset, index).await;
                    let staged = staged.map(|source| Staged::Map(MapWork { index, split, source }));
                    tell(&events, Event::Staged(key, staged));
                });
            }
            Work::Reduce => {
                let Some(sources) = round.sources.clone() else {
                    self.attempts.remove(&key);
                    return self
                        .failed(key, failure::node("the driver has not said where the map output is"));
                };
                let outputs = self.outputs.clone();
                let wanted = Wanted { job, round: attempt.round, partition: index };
                self.stage_later(key, async move {
                    let staged = stage.partition(wanted, &sources, &outputs).await;
                    tell(&events, Event::Staged(key, staged.map(Staged::Reduce)));
                });
            }
        }
    }

    fn stage_later(&mut self, key: AttemptKey, staging: impl Future<Output = ()> + Send + 'static) {
        let task = self.wait_for(staging);
        if let Some(live) = self.attempts.get_mut(&key) {
            live.place = Place::Staging(task);
        }
    }

    /// Queues an attempt whose input is here.
    pub(super) fn enqueue(&mut self, key: AttemptKey, staged: Staged) {
        let round = self.rounds.get(&(key.0, key.1.round));
        let (Some(live), Some(OfRound { phase: Phase::Ready(parts), .. })) =
            (self.attempts.get_mut(&key), round)
        else {
            // It was stopped meanwhile, and answered.
            return;
        };
        match &live.place {
            Place::Early => {}
            // There is one that is not over if input was fetched anew just when all of it was here.
            Place::Staging(task) => task.abort(),
            Place::Queued(_) => return,
        }
        let (shared, events) = (self.shared.clone(), self.events.clone());
        let (parts, token) = (parts.clone(), live.token.clone());
        let limit = Some(parts.limit.clone());
        live.place = Place::Queued(self.queue.push_limited(limit, move || {
            let ended = staged.run(key.1, &parts, &shared.splits, &token);
            // The last one to use the parts may have to drop them, and that is for this thread to do.
            drop(parts);
            tell(&events, Event::Ended(key, ended));
        }));
    }
}
