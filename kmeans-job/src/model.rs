//! The model file: what `fit` writes and `predict` reads.
//!
//! One JSON object, one field a line, one centroid a line, in an order that never changes: equal models are equal bytes,
//! and `diff` shows what differs. Numbers are written with the fewest digits that give the same bits back.
//!
//! | field | what |
//! |---|---|
//! | `format` | `"kmeans-job model"` |
//! | `format_version` | 1; raised when older readers would misread the file |
//! | `version` | the version of kmeans-job that wrote the file |
//! | `metric` | `"euclidean"` or `"cosine"`: how distances are measured |
//! | `dtype` | `"f32"` or `"f64"`, the precision of the points and of the labels' distances |
//! | `k`, `d`, `n` | centroids, columns, points |
//! | `seed` | of the random numbers |
//! | `iterations`, `converged` | Lloyd iterations done, and whether they ended by themselves |
//! | `inertia` | sum of squared distances of the points to their centroids; for `cosine` of 1 - cos, as in the costs |
//! | `shift` | d numbers that were taken off each column before clustering; zeros for `cosine` |
//! | `centroids` | k rows of d numbers |
//! | `counts` | k numbers of points |
//! | `weights` | what they weigh; only if points have weights, which then apply to inertia and costs |
//! | `cost_per_iteration` | one sum of squared distances an iteration, at the centroids the iteration began with |
//!
//! Fields that a reader does not know are ignored.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::data::{self, Dtype, FileError};
use crate::distance::Distance;
use crate::output::{self, AtomicFile, OutputError};

/// What a model file calls itself.
const FORMAT: &str = "kmeans-job model";
/// The newest layout that is known here, and the one that is written.
const FORMAT_VERSION: u64 = 1;
/// How far from 1 the length of a centroid may be where only directions count: rounding is off by far less.
const LENGTH_ERROR_MAX: f64 = 1e-9;

/// A fitted K-means model.
///
/// ```
/// use kmeans_job::{Distance, data::Dtype, model::Model};
///
/// let model = Model {
///     version: Model::VERSION.to_owned(),
///     distance: Distance::Euclidean,
///     dtype: Dtype::F64,
///     n: 3,
///     seed: 0,
///     iterations: 1,
///     converged: true,
///     inertia: 0.5,
///     shift: vec![2.0],
///     centroids: vec![vec![0.1], vec![7.0]],
///     counts: vec![2, 1],
///     weights: None,
///     cost_per_iteration: vec![0.5],
/// };
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("model.json");
/// model.save(&path)?;
/// assert_eq!(Model::load(&path)?, model);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The version of kmeans-job that made the model; [`Model::VERSION`] for a new one.
    pub version: String,
    /// How distances are measured.
    pub distance: Distance,
    /// The precision of the points.
    pub dtype: Dtype,
    /// The number of points; the sum of `counts`.
    pub n: u64,
    /// The seed of the random numbers.
    pub seed: u64,
    /// Lloyd iterations done.
    pub iterations: u64,
    /// Whether the iterations ended by themselves, rather than at their limit.
    pub converged: bool,
    /// The sum of squared distances of the points to their centroids; for the cosine of the distances, as in the costs.
    pub inertia: f64,
    /// What was taken off each column before clustering, so that a new point is handled like the old ones: `d` numbers,
    /// zeros for the cosine.
    pub shift: Vec<f64>,
    /// The centroids in the coordinates of the input: `k` rows of `d` numbers; for the cosine of length 1.
    pub centroids: Vec<Vec<f64>>,
    /// The points of each centroid: `k` numbers.
    pub counts: Vec<u64>,
    /// What the points of each centroid weigh: `k` numbers, or nothing if they have no weights.
    pub weights: Option<Vec<f64>>,
    /// Of each iteration the sum of squared distances to the centroids it began with: the first is the cost of the
    /// start centroids, and `inertia`, the cost of the final ones, is not among them. `iterations` numbers.
    pub cost_per_iteration: Vec<f64>,
}

impl Model {
    /// The version of this crate.
    pub const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// The number of centroids.
    pub fn k(&self) -> usize {
        self.centroids.len()
    }

    /// The number of columns.
    pub fn d(&self) -> usize {
        self.shift.len()
    }

    /// Writes the model to a file that appears whole or not at all.
    ///
    /// # Errors
    /// [`ModelError::Field`] if the model contradicts itself, [`ModelError::Output`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ModelError> {
        Ok(self.stage(path.as_ref())?.commit()?)
    }

    /// As [`save`](Self::save), up to the point where the file would take its place: for a file that is to appear
    /// together with others.
    ///
    /// # Errors
    /// Those of `save`.
    pub fn stage(&self, path: &Path) -> Result<AtomicFile, ModelError> {
        self.check().map_err(|problem| problem.at(path))?;
        let text = self.to_json().map_err(|problem| problem.at(path))?;
        Ok(output::stage_file(path, |file| file.write_all(text.as_bytes()))?)
    }

    /// Reads a model from its file and checks that it does not contradict itself.
    ///
    /// # Errors
    /// [`ModelError`], naming the file and, where it is one, the field.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        let bytes = data::read(path)?;
        let mut fields = parse(path, &bytes)?;
        let model = Self::from_fields(&mut fields).map_err(|problem| problem.at(path))?;
        Ok(model)
    }

    fn to_json(&self) -> Result<String, Problem> {
        let mut text = String::from("{\n");
        put(&mut text, "format", FORMAT)?;
        put(&mut text, "format_version", &FORMAT_VERSION)?;
        put(&mut text, "version", &self.version)?;
        put(&mut text, "metric", &self.distance)?;
        put(&mut text, "dtype", &self.dtype)?;
        put(&mut text, "k", &self.k())?;
        put(&mut text, "d", &self.d())?;
        put(&mut text, "n", &self.n)?;
        put(&mut text, "seed", &self.seed)?;
        put(&mut text, "iterations", &self.iterations)?;
        put(&mut text, "converged", &self.converged)?;
        put(&mut text, "inertia", &self.inertia)?;
        put(&mut text, "shift", &self.shift)?;
        text.push_str("  \"centroids\": [\n");
        for (index, centroid) in self.centroids.iter().enumerate() {
            let end = if index + 1 < self.k() { "," } else { "" };
            let row = json("centroids", centroid)?;
            writeln!(text, "    {row}{end}").expect("a String takes whatever is written");
        }
        text.push_str("  ],\n");
        put(&mut text, "counts", &self.counts)?;
        if let Some(weights) = &self.weights {
            put(&mut text, "weights", weights)?;
        }
        let costs = json("cost_per_iteration", &self.cost_per_iteration)?;
        writeln!(text, "  \"cost_per_iteration\": {costs}\n}}").expect("a String takes whatever is written");
        Ok(text)
    }

    fn from_fields(fields: &mut Map<String, Value>) -> Result<Self, Problem> {
        let metric: String = take(fields, "metric")?;
        let known = [Distance::Euclidean, Distance::Cosine];
        let Some(distance) = known.into_iter().find(|known| known.to_string() == metric) else {
            let [first, second] = known;
            let problem = format!("it is {metric:?}, and only \"{first}\" and \"{second}\" are known");
            return Err(Problem::new("metric", problem));
        };
        let (k, d): (usize, usize) = (take(fields, "k")?, take(fields, "d")?);
        let model = Self {
            version: take(fields, "version")?,
            distance,
            dtype: take(fields, "dtype")?,
            n: take(fields, "n")?,
            seed: take(fields, "seed")?,
            iterations: take(fields, "iterations")?,
            converged: take(fields, "converged")?,
            inertia: take(fields, "inertia")?,
            shift: take(fields, "shift")?,
            centroids: take(fields, "centroids")?,
            counts: take(fields, "counts")?,
            weights: fields.contains_key("weights").then(|| take(fields, "weights")).transpose()?,
            cost_per_iteration: take(fields, "cost_per_iteration")?,
        };
        if k != model.k() {
            return Err(Problem::new("k", format!("it is {k}, and there are {} centroids", model.k())));
        }
        if d != model.d() {
            return Err(Problem::new("d", format!("it is {d}, and shift has {} numbers", model.d())));
        }
        model.check()?;
        Ok(model)
    }

    /// What a reader relies on.
    fn check(&self) -> Result<(), Problem> {
        self.check_centroids()?;
        check_finite("cost_per_iteration", &self.cost_per_iteration)?;
        check_finite("inertia", &[self.inertia])?;
        if self.inertia < 0.0 {
            return Err(Problem::new("inertia", format!("a sum of squares cannot be {}", self.inertia)));
        }
        if self.cost_per_iteration.len() as u64 != self.iterations {
            let (costs, iterations) = (self.cost_per_iteration.len(), self.iterations);
            let problem = format!("it has {costs} numbers, and iterations is {iterations}");
            return Err(Problem::new("cost_per_iteration", problem));
        }
        let k = self.k();
        if self.counts.len() != k {
            let problem = format!("it has {} numbers, and k is {k}", self.counts.len());
            return Err(Problem::new("counts", problem));
        }
        self.check_weights()?;
        let sum: u128 = self.counts.iter().map(|&count| u128::from(count)).sum();
        if sum != u128::from(self.n) {
            return Err(Problem::new("counts", format!("their sum is {sum}, and n is {}", self.n)));
        }
        Ok(())
    }

    fn check_weights(&self) -> Result<(), Problem> {
        let Some(weights) = &self.weights else { return Ok(()) };
        check_finite("weights", weights)?;
        if weights.len() != self.k() {
            let problem = format!("it has {} numbers, and k is {}", weights.len(), self.k());
            return Err(Problem::new("weights", problem));
        }
        match weights.iter().find(|&&weight| weight < 0.0) {
            Some(weight) => Err(Problem::new("weights", format!("a sum of weights cannot be {weight}"))),
            None => Ok(()),
        }
    }

    /// What a prediction relies on: the fields are public, so a model need not come from a fit or a file.
    pub(crate) fn check_centroids(&self) -> Result<(), Problem> {
        let d = self.d();
        if self.k() == 0 {
            return Err(Problem::new("centroids", "there are none".to_owned()));
        }
        if d == 0 {
            return Err(Problem::new("shift", "it has no numbers, so there are no columns".to_owned()));
        }
        for (row, centroid) in self.centroids.iter().enumerate() {
            if centroid.len() != d {
                let problem =
                    format!("centroid {row} (counted from 0) has {} numbers, and d is {d}", centroid.len());
                return Err(Problem::new("centroids", problem));
            }
            check_finite("centroids", centroid)?;
        }
        check_finite("shift", &self.shift)?;
        if self.distance == Distance::Cosine {
            self.check_units()?;
        }
        Ok(())
    }

    /// Where only directions count, nothing is shifted and every centroid has length 1.
    fn check_units(&self) -> Result<(), Problem> {
        if let Some(shift) = self.shift.iter().find(|&&shift| shift != 0.0) {
            return Err(Problem::new(
                "shift",
                format!("it has {shift}, and for the cosine distance is zeros"),
            ));
        }
        for (row, centroid) in self.centroids.iter().enumerate() {
            let length = centroid.iter().map(|x| x * x).sum::<f64>().sqrt();
            if (length - 1.0).abs() > LENGTH_ERROR_MAX {
                let problem = format!(
                    "centroid {row} (counted from 0) has length {length}, and for the cosine distance it is 1"
                );
                return Err(Problem::new("centroids", problem));
            }
        }
        Ok(())
    }
}

/// Why a model cannot be saved or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The file cannot be opened or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The file is empty.
    #[error("{path}: the model file is empty; run `kmeans-job fit` again")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file ends too early.
    #[error(
        "{path}: the model file is cut off after {bytes} bytes; copy it again or run `kmeans-job fit` again"
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        bytes: usize,
    },
    /// The file is no JSON.
    #[error("{path}: this is not JSON: {problem}; give a model that `kmeans-job fit --model` wrote")]
    NotJson {
        /// The file.
        path: PathBuf,
        /// What the parser says, with line and column.
        problem: String,
    },
    /// The file is JSON of something else.
    #[error("{path}: this is JSON, but no {FORMAT}; give a file that `kmeans-job fit --model` wrote")]
    NotAModel {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer version in a layout that is not known here.
    #[error(
        "{path}: the model has format version {found}, written by kmeans-job {version}, and this is kmeans-job {}, which reads up to {FORMAT_VERSION}; update kmeans-job, or fit again",
        Model::VERSION
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format version of the file.
        found: u64,
        /// The version of kmeans-job that wrote it, as far as the file says.
        version: String,
    },
    /// A field is missing, or contradicts the others.
    #[error("{path}: the field `{field}` of the model is wrong: {problem}; run `kmeans-job fit` again")]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// A [`ModelError::Field`] before the file is known, or of a model that is in no file.
pub(crate) struct Problem {
    pub(crate) field: &'static str,
    pub(crate) problem: String,
}

impl Problem {
    fn new(field: &'static str, problem: String) -> Self {
        Self { field, problem }
    }

    fn at(self, path: &Path) -> ModelError {
        ModelError::Field { path: path.to_owned(), field: self.field, problem: self.problem }
    }
}

/// The fields of a model file in a layout that is known.
fn parse(path: &Path, bytes: &[u8]) -> Result<Map<String, Value>, ModelError> {
    let path = path.to_owned();
    if bytes.trim_ascii().is_empty() {
        return Err(ModelError::Empty { path });
    }
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(problem) if problem.is_eof() => return Err(ModelError::Truncated { path, bytes: bytes.len() }),
        Err(problem) => return Err(ModelError::NotJson { path, problem: problem.to_string() }),
    };
    let Value::Object(fields) = value else { return Err(ModelError::NotAModel { path }) };
    if fields.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Err(ModelError::NotAModel { path });
    }
    match fields.get("format_version").and_then(Value::as_u64) {
        Some(FORMAT_VERSION) => Ok(fields),
        Some(found) if found > FORMAT_VERSION => {
            let version = fields.get("version").and_then(Value::as_str).unwrap_or("of a newer version");
            Err(ModelError::NewerFormat { path, found, version: version.to_owned() })
        }
        _ => Err(Problem::new("format_version", format!("it is not {FORMAT_VERSION}")).at(&path)),
    }
}

/// Takes a field out of a model file. By name, so that a wrong one can be named.
fn take<T: DeserializeOwned>(fields: &mut Map<String, Value>, field: &'static str) -> Result<T, Problem> {
    let value = fields.remove(field).ok_or_else(|| Problem::new(field, "it is missing".to_owned()))?;
    serde_json::from_value(value).map_err(|problem| Problem::new(field, problem.to_string()))
}

/// Appends a line with a field.
fn put(text: &mut String, field: &'static str, value: &(impl Serialize + ?Sized)) -> Result<(), Problem> {
    let value = json(field, value)?;
    writeln!(text, "  \"{field}\": {value},").expect("a String takes whatever is written");
    Ok(())
}

fn json(field: &'static str, value: &(impl Serialize + ?Sized)) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|problem| Problem::new(field, problem.to_string()))
}

/// JSON has no NaN and no infinity; nothing here makes one either.
fn check_finite(field: &'static str, values: &[f64]) -> Result<(), Problem> {
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(Problem::new(field, format!("{value} is not a finite number"))),
        None => Ok(()),
    }
}
