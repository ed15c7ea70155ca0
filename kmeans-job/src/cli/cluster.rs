//! What `fit`, `quantize` and the demo have in common: a fit by the options of the command line, with errors that
//! name the file.

use super::{
    args::{AlgorithmName, Init, Input, Search},
    bar::Bar,
    error::CommandError,
    memory::{self, Held, Size},
    paths::Named,
    progress::{self, Lines},
};
use kmeans_job::{
    Distance, Fit, FitError, KMeansBuilder, Labels, Start,
    data::{self, LoadError, LoadOptions, Matrix, PointFiles, Points, Progress, npy},
};
use mapreduce_core::{Cancel, Memory};
use mapreduce_net::cli::AnyEngine;
use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

/// The start centroids that `--init` names. Read ahead of the data, which may be large.
pub(crate) fn load_start(init: &Init, cancel: &Cancel) -> Result<Start, CommandError> {
    let path = match init {
        Init::Parallel => return Ok(Start::Parallel),
        Init::PlusPlus => return Ok(Start::PlusPlus),
        Init::Random => return Ok(Start::Random),
        Init::File(path) => path,
    };
    let points = npy::load(path, &|| cancel.is_cancelled()).map_err(|error| match error {
        LoadError::Interrupted => CommandError::Interrupted,
        error => CommandError::Init(error),
    })?;
    match points {
        Points::F64(matrix) => Ok(Start::Given(matrix)),
        Points::F32(matrix) => {
            let (rows, d) = (matrix.rows(), matrix.d());
            let values = matrix.into_values().into_iter().map(f64::from).collect();
            let matrix = Matrix::new(rows, d, values).expect("the shape is that of the matrix");
            Ok(Start::Given(matrix))
        }
        Points::Files(_) => unreachable!("`npy::load` loads"),
    }
}

/// The weights that `--weights` names. Read ahead of the data, as start centroids are.
pub(crate) fn load_weights(path: &Path, cancel: &Cancel) -> Result<Vec<f64>, CommandError> {
    data::load_weights(path, &|| cancel.is_cancelled()).map_err(|error| match error {
        LoadError::Interrupted => CommandError::Interrupted,
        error => CommandError::Weights(error),
    })
}

/// The points of a command line, as far as they can be looked at ahead of the wait for a pool.
pub(crate) struct Source<'a> {
    files: Vec<PathBuf>,
    columns: &'a [String],
}

impl<'a> Source<'a> {
    pub(crate) fn open(input: &'a Input) -> Result<Self, CommandError> {
        data::check(&input.paths)?;
        Ok(Self { files: data::list(&input.paths)?, columns: &input.columns })
    }

    /// All files, each an input of the command.
    pub(crate) fn named(&self) -> impl Iterator<Item = Named<'_>> {
        self.files.iter().map(|path| Named { name: "INPUT", path })
    }

    /// Loads the points, or leaves them in files if they do not fit into memory: their own, or a temporary one if they have
    /// to be decoded. The first signal ends it.
    pub(crate) fn load(
        &self,
        memory: &Memory,
        held: Held,
        quiet: bool,
        cancel: &Cancel,
    ) -> Result<Points, CommandError> {
        let (budget, folder) = (memory.budget_bytes(), memory.folder());
        let bytes_max = match PointFiles::open(&self.files, self.columns) {
            Ok(files) if !held.fits(files.bytes(), files.rows() as u64, budget) => {
                memory::tell(&self.name(), files.bytes(), budget, None, quiet);
                return Ok(files.into());
            }
            Ok(_) => u64::MAX,
            Err(LoadError::NotStoredAsRows { .. }) => held.loaded_max(budget),
            Err(error) => return Err(error.into()),
        };
        let bar = Bar::of_bytes(quiet);
        let observe = |Progress { bytes, bytes_total }| {
            bar.update(bytes, bytes_total);
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let options = LoadOptions {
            columns: self.columns,
            observe: &observe,
            bytes_max,
            row_bytes: held.row_bytes(),
            overflow: Some(folder),
        };
        let points = data::load_all(&self.files, options).map_err(|error| match error {
            LoadError::Overflow { folder, problem, .. } => {
                CommandError::Overflow { folder, budget: Size(budget), problem }
            }
            error => error.into(),
        })?;
        drop(bar);
        if let Points::Files(files) = &points {
            memory::tell(&self.name(), files.bytes(), budget, Some(folder), quiet);
        }
        Ok(points)
    }

    /// Whether the points are pixels.
    #[cfg(feature = "plot")]
    pub(crate) fn is_image(&self) -> bool {
        let extension = self.files.first().and_then(|path| path.extension()).unwrap_or_default();
        let extension = extension.to_string_lossy().to_ascii_lowercase();
        data::image::EXTENSIONS.contains(&extension.as_str())
    }

    /// What messages call them.
    pub(crate) fn name(&self) -> PathBuf {
        match &self.files[..] {
            [one] => one.clone(),
            [first, rest @ ..] => format!("{} and {} more", first.display(), rest.len()).into(),
            [] => PathBuf::new(),
        }
    }
}

/// A fit that is to be run.
pub(crate) struct Clustering<'a> {
    pub(crate) engine: &'a AnyEngine,
    /// The file of the points, for messages.
    pub(crate) path: &'a Path,
    pub(crate) search: &'a Search,
    pub(crate) start: Start,
    pub(crate) distance: Distance,
    /// The weights of the points, and their file for messages.
    pub(crate) weights: Option<(&'a Path, Vec<f64>)>,
    pub(crate) split_bytes: Option<u64>,
    /// What copies of points may take, and where larger ones go.
    pub(crate) memory: &'a Memory,
    /// How often the points are in memory, if they are loaded.
    pub(crate) held: Held,
    /// Whether peers read the points themselves.
    pub(crate) shared: bool,
    pub(crate) quiet: bool,
    pub(crate) cancel: &'a Cancel,
}

impl Clustering<'_> {
    /// Fits with the options of the command line, on top of those that are there.
    pub(crate) fn run<L: Labels>(
        self,
        options: KMeansBuilder<L>,
        points: Points,
    ) -> Result<Fit<L>, CommandError> {
        let &Search { k, n_init, max_iter, tol, seed, .. } = self.search;
        let rows = points.rows();
        let budget = self.memory.budget_bytes();
        let copies_max = memory::copies_max(&points, self.held, self.weights.is_some(), budget);
        let mut options = options
            .k(k)
            .distance(self.distance)
            .algorithm(self.search.algorithm())
            .start(self.start)
            .n_init(n_init)
            .max_iter(max_iter)
            .tol(tol)
            .seed(seed)
            .overflow(copies_max, self.memory.folder())
            .shared(self.shared)
            .cancel(self.cancel.clone());
        if !self.quiet {
            let (several_k, several_runs) = (!k.is_single(), n_init > 1);
            let lines = Lines {
                rows,
                d: points.d(),
                several_k,
                several_runs,
                algorithm: self.search.algorithm(),
                peak: progress::peak(self.engine),
            };
            options = options.observe(lines.observer());
        }
        if let Some(bytes) = self.split_bytes {
            options = options.split_bytes(bytes);
        }
        let kmeans = options.build()?;
        let fit = match &self.weights {
            None => kmeans.fit_on(self.engine, points),
            Some((_, weights)) => kmeans.fit_weighted_on(self.engine, points, weights),
        };
        fit.map_err(|error| match (error, &self.weights) {
            (FitError::Weights(problem), Some((path, _))) => {
                CommandError::WeightsOfPoints { path: path.to_path_buf(), problem }
            }
            (FitError::Overflow { folder, problem, .. }, _) => {
                CommandError::Overflow { folder, budget: Size(budget), problem }
            }
            (error, _) => explain(error, self.path, self.search, rows),
        })
    }
}

/// Whether the options of the command line go together: ahead of work that would be in vain.
pub(crate) fn check(search: &Search) -> Result<(), CommandError> {
    let several = !search.k.is_single() || search.n_init > 1;
    if search.batch_size.is_some() && search.algorithm != AlgorithmName::MiniBatch {
        return Err(CommandError::BatchSize);
    }
    match &search.init {
        Init::File(path) if search.algorithm == AlgorithmName::Bisecting => {
            Err(CommandError::InitOfSplits { path: path.clone() })
        }
        Init::File(path) if several => Err(CommandError::InitOfMany { path: path.clone() }),
        _ => Ok(()),
    }
}

/// The error in the terms of the command line.
fn explain(error: FitError, path: &Path, search: &Search, rows: usize) -> CommandError {
    let path = path.to_owned();
    match (error, &search.init) {
        (FitError::Job(error), _) => error.into(),
        (FitError::K { k, rows }, _) => CommandError::TooFewRows { path, rows, k },
        (FitError::TooFewDistinct { k, distinct }, _) => {
            CommandError::TooFewDistinct { path, rows, distinct, k }
        }
        (FitError::Start { k, d, found_k, found_d }, Init::File(init)) => {
            CommandError::InitShape { path: init.clone(), k, d, found_k, found_d }
        }
        (FitError::StartDirection { row }, Init::File(init)) => {
            CommandError::InitDirection { path: init.clone(), row }
        }
        (FitError::Data(problem), _) => CommandError::Data { path, problem },
        (error, _) => CommandError::Other { path, problem: error.into() },
    }
}
