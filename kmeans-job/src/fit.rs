//! [`fit`]: finds clusters.

use crate::{
    algorithm::Algorithm,
    bisecting::bisect,
    centred::{self, Centred, Columns, Spread},
    clock::Clock,
    data::{Points, ShareError},
    error::FitError,
    iterations::{Fitted, Iterations},
    jobs::rows::Preparation,
    kmeans::{EmptyClusters, Observer, Options},
    labelling::{count, label},
    labels::Labels,
    mini_batch::MiniBatches,
    model::Model,
    numeric::{random::bits, scalar::Scalar},
    session::{Data, Session},
    silhouette::Silhouette,
    source::{AnySource, Source},
    stand_in::StandIn,
    start,
    weighing::Weighed,
};
use mapreduce_core::{Engine, Report};
use std::time::Instant;

/// One iteration, as it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Iteration {
    /// The number of clusters that are looked for.
    pub k: usize,
    /// The run for that number of clusters, counted from 1: of several, the best is kept.
    pub run: u32,
    /// Its number in the run, counted from 1.
    pub number: u32,
    /// The sum of the squared distances of all rows to the nearest of the centroids it began with; for the
    /// [cosine](crate::Distance::Cosine) of the distances themselves, as in all costs and inertias.
    pub cost: f64,
    /// Rows that changed their cluster; all of them in the first iteration.
    pub moved: u64,
    /// The sum of the squared distances that the centroids moved.
    pub shift: f64,
    /// Seconds since the iteration before ended, or since the iterations began.
    pub seconds: f64,
}

/// The result of a fit. Its labels are `()` where it was to [do without](crate::KMeansBuilder::without_labels).
#[derive(Clone, Debug)]
pub struct Fit<L = Vec<i32>> {
    /// The clusters; of several runs those with the lowest inertia, of several `k` those with the highest silhouette.
    /// Its seed is that of the run: with it, one run gives the same model.
    pub model: Model,
    /// The cluster of each row; or `()`.
    pub labels: L,
    /// What came of each `k`, in ascending order: one, or those of the [range](crate::KMeansBuilder::k).
    ///
    /// ```
    /// use kmeans_job::KMeans;
    ///
    /// let rows: Vec<[f64; 1]> = (0..60).map(|i| [f64::from(i % 3 * 100 + i % 7)]).collect();
    /// let fit = KMeans::builder().k(2..=6).build()?.fit(&rows)?;
    /// assert_eq!(fit.model.k(), 3);
    /// assert_eq!(fit.trials.iter().map(|trial| trial.k).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
    /// assert!(fit.trials.iter().all(|trial| trial.silhouette <= fit.trials[1].silhouette));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub trials: Vec<Trial>,
    /// How the jobs went.
    pub report: Report,
    /// Seconds of statistics, centring, and the choice of start centroids (of all runs).
    pub init_seconds: f64,
    /// Of those, seconds of the choice of start centroids.
    pub start_seconds: f64,
    /// Seconds of iterations, labels, inertia and silhouettes.
    pub fit_seconds: f64,
}

/// What came of one number of clusters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// The number of clusters.
    pub k: usize,
    /// The sum of the squared distances of the rows to their centroids.
    pub inertia: f64,
    /// The mean silhouette (Rousseeuw, 1987), from -1 to 1: how much nearer rows are to their own cluster than to the
    /// next. Of all rows, if there are at most 2000; else of 2000 that are drawn by the seed, the same for each `k`, as
    /// if they were all. `None` for one cluster, which it is not defined for, and where there is no `k` to choose.
    pub silhouette: Option<f64>,
    /// The run that was kept, counted from 1, and its iterations.
    pub run: u32,
    /// Iterations of that run.
    pub iterations: u64,
    /// Whether they ended by themselves.
    pub converged: bool,
    /// Seconds of all runs for this number.
    pub seconds: f64,
}

/// Random numbers for the seeds of runs.
const STREAM_RUN: u64 = 0x72_756e; // "run"

/// Finds clusters in `points`, which may have weights; see [`KMeans::fit_on`](crate::KMeans::fit_on).
pub(crate) fn fit<L: Labels>(
    kmeans: &Options,
    engine: &impl Engine,
    points: Points,
    weights: Option<&[f64]>,
) -> Result<Fit<L>, FitError> {
    match points.into() {
        AnySource::F32(source) => fit_as(kmeans, engine, source, weights),
        AnySource::F64(source) => fit_as(kmeans, engine, source, weights),
    }
}

fn fit_as<T: Scalar, L: Labels>(
    kmeans: &Options,
    engine: &impl Engine,
    source: Source<T>,
    weights: Option<&[f64]>,
) -> Result<Fit<L>, FitError> {
    let range = kmeans.k;
    if range.to > source.rows() {
        return Err(FitError::K { k: range.to, rows: source.rows() });
    }
    let started = Instant::now();
    let mut session = Session::new(engine, &kmeans.cancel, kmeans.split_bytes);
    session.plan_for_sums::<T>(range.to, source.d());
    if kmeans.shared {
        if weights.is_some() {
            return Err(FitError::NotShareable(ShareError::Weighted));
        }
        session.share(&source)?;
    }
    let rows = match weights {
        None => source.into(),
        Some(weights) => Weighed::new(source, weights)?,
    };
    let (centred, columns) = Centred::new(rows, kmeans.distance, &mut session)?;
    let data = centred.dataset(&session)?;
    let spread = centred.spread(&columns, &data, &mut session)?;
    let silhouette = match range.is_single() {
        true => None,
        false => {
            // Ahead of work that would be in vain.
            start::distinct(range.to, kmeans.seed, centred.d(), &data, &mut session)?;
            Some(Silhouette::new(&centred, kmeans.seed, &data, &mut session)?)
        }
    };
    let stop = || kmeans.cancel.is_cancelled();
    let is_fixed = session.is_shared();
    let stand_in = match kmeans.algorithm {
        // A file that peers read has the rows as they are.
        Algorithm::Lloyd => {
            session.install(|| StandIn::find(&centred, range.to, kmeans.max_iter, is_fixed, &stop))
        }
        _ => StandIn::default(),
    };
    let replacement = stand_in.rows.as_ref().map(|rows| session.dataset(rows, &Preparation::Done));
    let replacement = replacement.transpose()?;
    let prepared_seconds = started.elapsed().as_secs_f64();

    let (mut best, mut trials, mut start_seconds) = (None::<(Option<f64>, Run)>, Vec::new(), 0.0);
    let search = Search {
        kmeans,
        wants_labels: L::WANTED,
        centred: &centred,
        columns: &columns,
        spread: &spread,
        data: &data,
        stand_in: &stand_in,
        replacement: replacement.as_ref(),
    };
    for k in range.from..=range.to {
        let of_k = Instant::now();
        let run = search.best_run(k, &mut session, &mut start_seconds)?;
        let score = silhouette.as_ref().and_then(|silhouette| silhouette.score(&run.centroids));
        trials.push(Trial {
            k,
            inertia: run.model.inertia,
            silhouette: score,
            run: run.number,
            iterations: run.model.iterations,
            converged: run.model.converged,
            seconds: of_k.elapsed().as_secs_f64(),
        });
        // `None`, which is nothing to go by, is less than any score.
        if best.as_ref().is_none_or(|(of_best, _)| score > *of_best) {
            best = Some((score, run));
        }
    }
    let (_, Run { model, labels, .. }) = best.expect("a range that was checked has a number in it");
    let init_seconds = prepared_seconds + start_seconds;
    let fit_seconds = started.elapsed().as_secs_f64() - init_seconds;
    Ok(Fit {
        model,
        labels: L::of(labels),
        trials,
        report: session.report,
        init_seconds,
        start_seconds,
        fit_seconds,
    })
}

/// What all runs have in common.
pub(crate) struct Search<'a, T: Scalar> {
    pub(crate) kmeans: &'a Options,
    /// Whether runs are to return labels.
    pub(crate) wants_labels: bool,
    pub(crate) centred: &'a Centred<T>,
    pub(crate) columns: &'a Columns<T>,
    pub(crate) spread: &'a Spread,
    pub(crate) data: &'a Data<'a, T>,
    pub(crate) stand_in: &'a StandIn<T>,
    /// The rows that Lloyd's iterations go through instead of the data, if that makes them faster.
    pub(crate) replacement: Option<&'a Data<'a, T>>,
}

/// What is looked for in a pass from start centroids to the end of the iterations.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub(crate) k: usize,
    /// The number of the run.
    pub(crate) number: u32,
    pub(crate) seed: u64,
    pub(crate) empty: EmptyClusters,
    pub(crate) observer: &'a Observer,
}

/// A run from start centroids to labels.
struct Run {
    /// Counted from 1.
    number: u32,
    model: Model,
    /// In the coordinates of the centred rows.
    centroids: Vec<f64>,
    /// Empty if nobody wants them.
    labels: Vec<i32>,
}

impl<T: Scalar> Search<'_, T> {
    /// The run with the lowest inertia, of equals the first. Adds the time that start centroids took.
    fn best_run<E: Engine>(
        &self,
        k: usize,
        session: &mut Session<'_, E>,
        start_seconds: &mut f64,
    ) -> Result<Run, FitError> {
        let mut best = self.run(k, 1, session, start_seconds)?;
        for number in 2..=self.kmeans.n_init {
            let run = self.run(k, number, session, start_seconds)?;
            if run.model.inertia < best.model.inertia {
                best = run;
            }
        }
        Ok(best)
    }

    fn run<E: Engine>(
        &self,
        k: usize,
        number: u32,
        session: &mut Session<'_, E>,
        start_seconds: &mut f64,
    ) -> Result<Run, FitError> {
        let &Self { kmeans, centred, data, .. } = self;
        let seed = seed_of_run(kmeans.seed, number);
        let pass = Pass { k, number, seed, empty: kmeans.empty, observer: &kmeans.observer };
        let fitted = match kmeans.algorithm {
            Algorithm::Lloyd => self.lloyd(pass, session, start_seconds)?,
            Algorithm::Bisecting => bisect(self, pass, session, start_seconds)?,
            Algorithm::MiniBatch { batch } => self.mini_batch(batch, pass, session, start_seconds)?,
        };
        let labelled = match self.wants_labels {
            true => label(&fitted.centroids, centred, data, session),
            false => count(&fitted.centroids, centred, data, session),
        }?;
        let Fitted { centroids, converged, costs } = fitted;
        let restored = centred.restore(&centroids);
        let model = Model {
            version: Model::VERSION.to_string(),
            distance: centred.distance,
            dtype: centred::dtype::<T>(),
            n: centred.rows() as u64,
            seed,
            iterations: costs.len() as u64,
            converged,
            inertia: labelled.inertia,
            shift: centred.shift.clone(),
            centroids: restored.chunks_exact(centred.d()).map(<[f64]>::to_vec).collect(),
            counts: labelled.counts,
            weights: labelled.weights,
            cost_per_iteration: costs,
        };
        Ok(Run { number, model, centroids, labels: labelled.labels })
    }

    /// Start centroids. Adds the time that they took.
    fn start<E: Engine>(
        &self,
        pass: Pass<'_>,
        session: &mut Session<'_, E>,
        start_seconds: &mut f64,
    ) -> Result<Vec<f64>, FitError> {
        let &Self { kmeans, centred, data, .. } = self;
        let started = Instant::now();
        let start = start::choose(&kmeans.start, pass.k, pass.seed, centred, data, session)?;
        *start_seconds += started.elapsed().as_secs_f64();
        Ok(start)
    }

    /// Mini-batches from start centroids on.
    fn mini_batch<E: Engine>(
        &self,
        batch: u64,
        pass: Pass<'_>,
        session: &mut Session<'_, E>,
        start_seconds: &mut f64,
    ) -> Result<Fitted, FitError> {
        let start = self.start(pass, session, start_seconds)?;
        let Pass { k, number, seed, observer, .. } = pass;
        let rounds = MiniBatches {
            centred: self.centred,
            grid: &self.columns.grid,
            k,
            batch,
            seed,
            run: number,
            max_iter: self.kmeans.max_iter,
            shift_max: self.kmeans.tol * self.spread.mean_variance,
            start,
            observer,
            clock: Clock::start(),
        };
        Ok(session.iterate(&rounds, self.data)?.output)
    }

    /// Lloyd's algorithm from start centroids on.
    pub(crate) fn lloyd<E: Engine>(
        &self,
        pass: Pass<'_>,
        session: &mut Session<'_, E>,
        start_seconds: &mut f64,
    ) -> Result<Fitted, FitError> {
        let &Self { kmeans, centred, data, .. } = self;
        let start = self.start(pass, session, start_seconds)?;
        let Pass { k, number, empty, observer, .. } = pass;
        let iterations = Iterations {
            centred,
            grid: &self.columns.grid,
            weights_are_copies: self.stand_in.weights_are_copies,
            are_near: self.stand_in.are_near,
            squares: &self.spread.squares,
            k,
            run: number,
            max_iter: kmeans.max_iter,
            shift_max: kmeans.tol * self.spread.mean_variance,
            empty,
            start,
            observer,
            clock: Clock::start(),
        };
        Ok(session.iterate(&iterations, self.replacement.unwrap_or(data))?.output)
    }
}

/// The first run has the seed itself, so that it is the only run of those who ask for one.
fn seed_of_run(seed: u64, number: u32) -> u64 {
    if number == 1 { seed } else { bits(seed, STREAM_RUN, number.into()) }
}

impl From<centred::Failed> for FitError {
    fn from(failed: centred::Failed) -> Self {
        match failed {
            centred::Failed::Data(error) => Self::Data(error),
            centred::Failed::Job(error) => Self::Job(error),
        }
    }
}
