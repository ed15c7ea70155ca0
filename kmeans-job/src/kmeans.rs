//! [`KMeans`]: what to look for and how, checked once.

use crate::{
    algorithm::Algorithm,
    distance::Distance,
    error::{FitError, OptionsError},
    fit::{self, Fit, Iteration},
    gathering::Overflow,
    labels::Labels,
    points::IntoPoints,
    start::Start,
};
use mapreduce_core::{Cancel, Engine, Local};
use std::{fmt, marker::PhantomData, ops::RangeInclusive, path::PathBuf, sync::Arc};

/// K-means by Lloyd's algorithm: options that go together, ready to be [fitted](Self::fit) to points.
///
/// Each row goes to its nearest centroid; of equally near ones to that with the lowest index. The same points and
/// options give the same bits, on any engine, any number of threads or peers, and for any split size; `f32` points are
/// computed in `f32`, `f64` points in `f64`.
///
/// ```
/// use kmeans_job::KMeans;
///
/// let points = [[0.0_f32, 0.0], [0.0, 1.0], [9.0, 9.0], [9.0, 8.0]];
/// let fit = KMeans::builder().k(2).build()?.fit(&points)?;
/// assert_eq!(fit.model.inertia, 1.0);
/// assert_eq!(fit.labels[0], fit.labels[1]);
/// assert_ne!(fit.labels[1], fit.labels[2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `L` is what a [`Fit`] has of the labels: all of them, or `()` [without labels](KMeansBuilder::without_labels).
#[derive(Clone, Debug)]
pub struct KMeans<L = Vec<i32>> {
    options: Options,
    labels: PhantomData<fn() -> L>,
}

/// What a [`KMeansBuilder`] was told.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) k: KRange,
    pub(crate) distance: Distance,
    pub(crate) algorithm: Algorithm,
    pub(crate) start: Start,
    pub(crate) n_init: u32,
    pub(crate) max_iter: u32,
    pub(crate) tol: f64,
    pub(crate) seed: u64,
    pub(crate) empty: EmptyClusters,
    pub(crate) split_bytes: Option<u64>,
    pub(crate) overflow: Option<Overflow>,
    pub(crate) shared: bool,
    pub(crate) cancel: Cancel,
    pub(crate) observer: Observer,
}

impl KMeans {
    /// All options at their defaults.
    pub fn builder() -> KMeansBuilder {
        KMeansBuilder::default()
    }
}

impl<L: Labels> KMeans<L> {
    /// Finds clusters in `points` and labels every row, on all cores of this machine.
    ///
    /// ```
    /// use kmeans_job::KMeans;
    ///
    /// // A slice of numbers, two for each row.
    /// let values = [0.0, 0.0, 0.0, 1.0, 9.0, 9.0, 9.0, 8.0];
    /// let fit = KMeans::builder().k(2).build()?.fit((&values[..], 2))?;
    /// assert_eq!(fit.model.counts, [2, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the options do not fit the data (among them more clusters than distinct points), the data cannot be
    /// computed with (NaN, infinities, squared distances that overflow or vanish), the points are to be
    /// [shared](KMeansBuilder::shared) and cannot, a job fails, or the fit is cancelled.
    pub fn fit(&self, points: impl IntoPoints) -> Result<Fit<L>, FitError> {
        self.fit_on(&Local::new(0)?, points)
    }

    /// As [`fit`](Self::fit), on an engine: threads of this process, or a pool whose peers have the jobs in their
    /// registry (see [`register`](crate::register)).
    ///
    /// ```
    /// use kmeans_job::KMeans;
    /// use mapreduce_core::Local;
    ///
    /// let points = [[0.0], [1.0], [10.0], [11.0]];
    /// let kmeans = KMeans::builder().k(2).build()?;
    /// let (one, three) = (kmeans.fit_on(&Local::new(1)?, &points)?, kmeans.fit_on(&Local::new(3)?, &points)?);
    /// assert_eq!((one.model, one.labels), (three.model, three.labels));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of `fit`.
    pub fn fit_on(&self, engine: &impl Engine, points: impl IntoPoints) -> Result<Fit<L>, FitError> {
        fit::fit(&self.options, engine, engine.install(|| points.into_points())?, None)
    }

    /// As [`fit`](Self::fit), with a weight for each row: a row of weight 3 counts as three rows, and one of weight 0 gets a
    /// label but has no other effect.
    ///
    /// A row's weight applies to means, start centroids, costs, inertia and mini-batches; a silhouette counts every row
    /// once. Weights that are whole numbers, and add up to at most 2^32, give the bits that repeated rows give. Other
    /// weights are rounded to the type of the rows, and to 2^-30 of the power of two below the largest (for more than 2^31
    /// rows to less).
    ///
    /// ```
    /// use kmeans_job::{KMeans, Start, data::Matrix};
    ///
    /// let start = Start::Given(Matrix::new(2, 1, vec![0.0, 9.0])?);
    /// let kmeans = KMeans::builder().k(2).start(start).build()?;
    /// let fit = kmeans.fit_weighted(&[[0.0], [1.0], [10.0], [500.0]], &[3.0, 1.0, 2.0, 0.0])?;
    /// assert_eq!(fit.model.centroids, [[0.25], [10.0]]);
    /// assert_eq!(fit.model.weights, Some(vec![4.0, 2.0]));
    /// assert_eq!(fit.labels, [0, 0, 1, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of `fit`, and [`FitError::Weights`] when there is not one weight for each row, one is negative, infinite or
    /// not a number, or all are 0. Points with weights cannot be [shared](KMeansBuilder::shared).
    pub fn fit_weighted(&self, points: impl IntoPoints, weights: &[f64]) -> Result<Fit<L>, FitError> {
        self.fit_weighted_on(&Local::new(0)?, points, weights)
    }

    /// As [`fit_weighted`](Self::fit_weighted), on an engine.
    ///
    /// # Errors
    /// Those of `fit_weighted`.
    pub fn fit_weighted_on(
        &self,
        engine: &impl Engine,
        points: impl IntoPoints,
        weights: &[f64],
    ) -> Result<Fit<L>, FitError> {
        fit::fit(&self.options, engine, engine.install(|| points.into_points())?, Some(weights))
    }
}

/// The options of [`KMeans`], each with a default.
///
/// ```
/// use kmeans_job::{KMeans, OptionsError, Start};
///
/// let kmeans = KMeans::builder().k(16).start(Start::PlusPlus).n_init(10).seed(42).build()?;
/// assert!(matches!(KMeans::builder().max_iter(0).build(), Err(OptionsError::MaxIter)));
/// # Ok::<(), OptionsError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until they are built"]
pub struct KMeansBuilder<L = Vec<i32>> {
    /// Not yet checked.
    options: Options,
    labels: PhantomData<fn() -> L>,
}

impl Default for KMeansBuilder {
    fn default() -> Self {
        let options = Options {
            k: KRange::from(8),
            distance: Distance::default(),
            algorithm: Algorithm::default(),
            start: Start::default(),
            n_init: 1,
            max_iter: 300,
            tol: 1e-4,
            seed: 0,
            empty: EmptyClusters::default(),
            split_bytes: None,
            overflow: None,
            shared: false,
            cancel: Cancel::new(),
            observer: Observer::none(),
        };
        Self { options, labels: PhantomData }
    }
}

impl<L: Labels> KMeansBuilder<L> {
    /// The number of clusters, or a range of numbers of which the best is [chosen](Fit::trials); default 8.
    pub fn k(mut self, k: impl Into<KRange>) -> Self {
        self.options.k = k.into();
        self
    }

    /// How distances are measured; default Euclidean.
    pub fn distance(mut self, distance: Distance) -> Self {
        self.options.distance = distance;
        self
    }

    /// How clusters are found; default Lloyd's algorithm.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.options.algorithm = algorithm;
        self
    }

    /// How the start centroids are chosen; default k-means||.
    pub fn start(mut self, start: Start) -> Self {
        self.options.start = start;
        self
    }

    /// Runs from different start centroids, of which the one with the lowest inertia is kept, of equals the first;
    /// default 1. The first run is that of 1, so more are never worse. Start centroids that are
    /// [given](Start::Given) start one run.
    pub fn n_init(mut self, runs: u32) -> Self {
        self.options.n_init = runs;
        self
    }

    /// Iterations of a run at the most; default 300.
    pub fn max_iter(mut self, iterations: u32) -> Self {
        self.options.max_iter = iterations;
        self
    }

    /// Iterations end when the sum of the squared shifts of the centroids is at most this times the mean variance of
    /// the columns, as in scikit-learn; default 1e-4. They also end when no centroid moves.
    pub fn tol(mut self, tol: f64) -> Self {
        self.options.tol = tol;
        self
    }

    /// Seed of the random numbers; default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// What happens to a cluster that loses all its rows; by default it moves to the row farthest from its centroid.
    pub fn empty_clusters(mut self, policy: EmptyClusters) -> Self {
        self.options.empty = policy;
        self
    }

    /// Bytes of rows in a task; by default a size that suits the data. No result depends on it.
    pub fn split_bytes(mut self, bytes: u64) -> Self {
        self.options.split_bytes = Some(bytes);
        self
    }

    /// The most bytes of memory that copies of points may take, and the folder for larger ones, best on a disk; by default all
    /// are in memory. [Bisecting](Algorithm::Bisecting) copies the points of each cluster that it splits, but the first: with
    /// this it works on [points that stay in files](crate::data::PointFiles) and are larger than memory. A copy in the folder
    /// is a file without a name, and gone when the cluster is split or the process ends, however it ends. No result depends
    /// on it.
    ///
    /// ```
    /// use kmeans_job::{Algorithm, KMeans};
    ///
    /// let points = [[0.0], [1.0], [10.0], [12.0], [50.0], [53.0]];
    /// let kmeans = KMeans::builder().k(4).algorithm(Algorithm::Bisecting);
    /// let disk = tempfile::tempdir()?;
    /// let fit = kmeans.clone().overflow(0, disk.path()).build()?.fit(&points)?;
    /// assert_eq!(fit.model, kmeans.build()?.fit(&points)?.model);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn overflow(mut self, bytes_max: u64, folder: impl Into<PathBuf>) -> Self {
        self.options.overflow = Some(Overflow { bytes_max, folder: folder.into() });
        self
    }

    /// Lets the peers of a pool read the points themselves, from the `.npy` file they were loaded from; by default
    /// they are sent. Every peer has to find the same file under the same absolute path, which is verified. No result
    /// depends on it, and in one process it has no effect.
    pub fn shared(mut self, shared: bool) -> Self {
        self.options.shared = shared;
        self
    }

    /// Stops fits from outside: clones of `cancel` do.
    ///
    /// ```
    /// use kmeans_job::{FitError, KMeans};
    /// use mapreduce_core::{Cancel, Error};
    ///
    /// let cancel = Cancel::new();
    /// let kmeans = KMeans::builder().k(2).cancel(cancel.clone()).build()?;
    /// cancel.cancel();
    /// assert!(matches!(kmeans.fit(&[[0.0], [1.0], [5.0]]), Err(FitError::Job(Error::Cancelled))));
    /// # Ok::<(), kmeans_job::OptionsError>(())
    /// ```
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.options.cancel = cancel;
        self
    }

    /// Is called after every iteration, on the thread that called for the fit.
    ///
    /// ```
    /// use kmeans_job::KMeans;
    /// use std::sync::mpsc;
    ///
    /// let (tell, told) = mpsc::channel();
    /// let observe = move |iteration: &kmeans_job::Iteration| tell.send(iteration.cost).unwrap_or_default();
    /// let kmeans = KMeans::builder().k(2).observe(observe).build()?;
    /// let fit = kmeans.fit(&[[0.0], [1.0], [10.0], [11.0]])?;
    /// assert_eq!(told.try_iter().collect::<Vec<f64>>(), fit.model.cost_per_iteration);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn observe(mut self, observe: impl Fn(&Iteration) + Send + Sync + 'static) -> Self {
        self.options.observer = Observer(Some(Arc::new(observe)));
        self
    }

    /// Fits without labels: [`Fit::labels`] is `()`, and no label leaves the task that finds it. For points of which the
    /// labels alone, 4 bytes each, are more than is to be in memory. All else is the same, to the bit.
    ///
    /// [`Model::predict_pieces`](crate::Model::predict_pieces) finds the labels afterwards, some at a time.
    ///
    /// ```
    /// use kmeans_job::{Fit, KMeans};
    ///
    /// let points = [[0.0], [1.0], [10.0], [11.0]];
    /// let kmeans = KMeans::builder().k(2);
    /// let fit: Fit<()> = kmeans.clone().without_labels().build()?.fit(&points)?;
    /// assert_eq!(fit.model, kmeans.build()?.fit(&points)?.model);
    /// assert_eq!(fit.model.counts, [2, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// What is not there is not taken for something else:
    ///
    /// ```compile_fail
    /// # use kmeans_job::KMeans;
    /// let fit = KMeans::builder().k(1).without_labels().build()?.fit(&[[0.0]])?;
    /// assert_eq!(fit.labels[0], 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn without_labels(self) -> KMeansBuilder<()> {
        KMeansBuilder { options: self.options, labels: PhantomData }
    }

    /// Checks what can be checked without data.
    ///
    /// # Errors
    /// [`OptionsError`], naming the option.
    pub fn build(self) -> Result<KMeans<L>, OptionsError> {
        let Options { k, algorithm, start, n_init, max_iter, tol, .. } = &self.options;
        let given = matches!(start, Start::Given(_));
        match (k.from, k.to) {
            (0, _) => return Err(OptionsError::NoClusters),
            (from, to) if from > to => return Err(OptionsError::UpsideDown { from, to }),
            _ if given && *algorithm == Algorithm::Bisecting => return Err(OptionsError::SplitOfGiven),
            _ if given && !k.is_single() => {
                return Err(OptionsError::RangeOfGiven { from: k.from, to: k.to });
            }
            _ => {}
        }
        match *n_init {
            0 => return Err(OptionsError::NoRuns),
            n_init if given && n_init > 1 => return Err(OptionsError::RunsOfGiven { n_init }),
            _ => {}
        }
        if *algorithm == (Algorithm::MiniBatch { batch: 0 }) {
            return Err(OptionsError::EmptyBatch);
        }
        if *max_iter == 0 {
            return Err(OptionsError::MaxIter);
        }
        if tol.is_nan() || *tol < 0.0 {
            return Err(OptionsError::Tol { tol: *tol });
        }
        Ok(KMeans { options: self.options, labels: self.labels })
    }
}

/// One number of clusters, or all from one to another, of which a fit chooses the best.
///
/// ```
/// use kmeans_job::KRange;
///
/// assert!(KRange::from(8).is_single());
/// assert_eq!(KRange::from(2..=20).to_string(), "2..20");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KRange {
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl KRange {
    /// Whether it is one number, so that there is nothing to choose.
    pub fn is_single(self) -> bool {
        self.from == self.to
    }
}

impl From<usize> for KRange {
    fn from(k: usize) -> Self {
        Self { from: k, to: k }
    }
}

impl From<RangeInclusive<usize>> for KRange {
    fn from(range: RangeInclusive<usize>) -> Self {
        Self { from: *range.start(), to: *range.end() }
    }
}

impl fmt::Display for KRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_single() {
            true => write!(f, "{}", self.from),
            false => write!(f, "{}..{}", self.from, self.to),
        }
    }
}

/// What happens to a cluster that loses all its rows in an iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmptyClusters {
    /// It moves to the row that is farthest from its centroid; several go to the farthest rows with distinct
    /// coordinates. The default, as in scikit-learn.
    #[default]
    Relocate,
    /// It stays where it is, and may win rows again later. The result may have clusters without rows.
    Keep,
}

/// Who is told of iterations.
#[derive(Clone)]
pub(crate) struct Observer(Option<Arc<Observe>>);

type Observe = dyn Fn(&Iteration) + Send + Sync;

impl Observer {
    /// Nobody is told.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn tell(&self, iteration: &Iteration) {
        if let Some(observe) = &self.0 {
            observe(iteration);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Some(..)" } else { "None" })
    }
}
