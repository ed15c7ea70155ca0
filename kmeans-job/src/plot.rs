//! Pictures of a fit: its points and clusters, the cost of its iterations, and what there was to choose from.
//!
//! A [`Plot`] draws a [`Fit`] and a [`Sample`] of its points as SVG or PNG. On it are
//!
//! * the points, coloured by cluster, and the centroids, in two dimensions: one column beside the number of the cluster
//!   (spread a little, so that points do not hide each other), two columns as they are, of more the first two principal
//!   components of the sample;
//! * the cost of each iteration;
//! * where there were several numbers of clusters to choose from, the inertia (for those who look for an elbow) and the
//!   silhouette of each, with a mark at the number that was chosen.
//!
//! The same fit and sample make the same bytes. No font or library of the system is needed. PNG has letters of Latin-1;
//! others become question marks.

mod bitmap;
mod colours;
mod error;
mod labels;
mod panels;
mod principal;
mod sample;
mod scale;
mod view;

use crate::{
    Distance, Fit, Model, Trial,
    output::{self, AtomicFile},
};
use bitmap::Bitmap;
use panels::{Picture, WIDTH};
use plotters::{
    backend::SVGBackend,
    drawing::IntoDrawingArea as _,
    style::{RGBColor, WHITE},
};
use scale::short;
use std::{fmt::Display, io::Write as _, path::Path};
use view::View;

pub use error::PlotError;
pub use sample::Sample;

/// A picture of a fit.
///
/// ```
/// use kmeans_job::{KMeans, data, plot::{Plot, Sample}};
/// use std::path::Path;
///
/// let iris = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/iris.csv"));
/// let points = data::load(iris, &|| false)?;
/// let sample = Sample::new(&points, 0)?;
/// let fit = KMeans::builder().k(2..=5).build()?.fit(points)?;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("iris.svg");
/// Plot::new(&fit, &sample)?.title("iris").save(&path)?;
///
/// let svg = std::fs::read_to_string(&path)?;
/// assert!(svg.contains("iris: 150 points") && svg.contains("mean silhouette"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Plot<'a> {
    model: &'a Model,
    trials: &'a [Trial],
    sample: &'a Sample,
    /// The clusters of the points of the sample.
    labels: Vec<usize>,
    title: String,
    colours: Option<Vec<RGBColor>>,
}

/// The formats of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlotFormat {
    /// Scalable vector graphics: sharp at any size, text that can be searched. A point takes about 100 bytes.
    Svg,
    /// Pixels, 1280 from left to right.
    Png,
}

impl PlotFormat {
    /// The format that the extension of a path names, in upper or lower case.
    ///
    /// ```
    /// use kmeans_job::plot::{PlotError, PlotFormat};
    /// use std::path::Path;
    ///
    /// assert_eq!(PlotFormat::of(Path::new("iris.SVG"))?, PlotFormat::Svg);
    /// assert!(matches!(PlotFormat::of(Path::new("iris.jpg")), Err(PlotError::Extension { .. })));
    /// # Ok::<(), PlotError>(())
    /// ```
    ///
    /// # Errors
    /// [`PlotError::Extension`] for another one.
    pub fn of(path: &Path) -> Result<Self, PlotError> {
        match path.extension().unwrap_or_default().to_ascii_lowercase().to_str() {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => Err(PlotError::Extension { path: path.to_owned() }),
        }
    }
}

impl<'a> Plot<'a> {
    /// A picture of a fit, with a sample of the points that it was made of.
    ///
    /// # Errors
    /// [`PlotError::Rows`], [`PlotError::Columns`] or [`PlotError::Label`] if they do not belong together.
    pub fn new(fit: &'a Fit, sample: &'a Sample) -> Result<Self, PlotError> {
        if sample.n != fit.labels.len() {
            return Err(PlotError::Rows { rows: sample.n, labels: fit.labels.len() });
        }
        let k = fit.model.k();
        let is_known = |label: i32| usize::try_from(label).is_ok_and(|label| label < k);
        if let Some(&label) = fit.labels.iter().find(|&&label| !is_known(label)) {
            return Err(PlotError::Label { label, k });
        }
        check_columns(&fit.model, sample)?;
        let labels = sample.rows.iter().map(|&row| fit.labels[row] as usize).collect();
        Ok(Self::of(fit, sample, labels))
    }

    /// The same picture of a fit [without labels](crate::KMeansBuilder::without_labels): the points of the sample are
    /// labelled for it.
    ///
    /// # Errors
    /// [`PlotError::Rows`] or [`PlotError::Columns`] if fit and sample do not belong together.
    pub fn without_labels(fit: &'a Fit<()>, sample: &'a Sample) -> Result<Self, PlotError> {
        if sample.n as u64 != fit.model.n {
            return Err(PlotError::Rows { rows: sample.n, labels: fit.model.n as usize });
        }
        check_columns(&fit.model, sample)?;
        let labels = labels::of_sample(sample, &fit.model)?;
        Ok(Self::of(fit, sample, labels))
    }

    fn of<L>(fit: &'a Fit<L>, sample: &'a Sample, labels: Vec<usize>) -> Self {
        let Fit { model, trials, .. } = fit;
        Self { model, trials, sample, labels, title: "K-means".to_owned(), colours: None }
    }

    /// What the picture is called, at its top; default "K-means". Control characters are left out.
    pub fn title(self, title: impl Display) -> Self {
        // XML has no form for them.
        let title = title.to_string().chars().filter(|letter| !letter.is_control()).collect();
        Self { title, ..self }
    }

    /// Red, green and blue of each cluster; by default colours that are told apart. For clusters that are colours
    /// themselves: the legend then names these, and the points stand on white or on a grey that hides none of them.
    ///
    /// # Errors
    /// [`PlotError::Colours`] unless there is a colour for each cluster.
    pub fn colours(self, colours: &[[u8; 3]]) -> Result<Self, PlotError> {
        let k = self.model.k();
        if colours.len() != k {
            return Err(PlotError::Colours { k, colours: colours.len() });
        }
        let colours = colours.iter().map(|&[r, g, b]| RGBColor(r, g, b)).collect();
        Ok(Self { colours: Some(colours), ..self })
    }

    /// The picture as SVG.
    ///
    /// # Errors
    /// [`PlotError::Draw`].
    pub fn svg(&self) -> Result<String, PlotError> {
        let picture = self.picture();
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, (WIDTH, picture.height())).into_drawing_area();
        panels::draw(&area, &picture).map_err(cannot_draw)?;
        drop(area);
        Ok(svg)
    }

    /// The picture as PNG.
    ///
    /// # Errors
    /// [`PlotError::Draw`].
    pub fn png(&self) -> Result<Vec<u8>, PlotError> {
        let picture = self.picture();
        let mut pixels = Vec::new();
        let area = Bitmap::new(WIDTH, picture.height(), &mut pixels).into_drawing_area();
        panels::draw(&area, &picture).map_err(cannot_draw)?;
        drop(area);
        bitmap::encode(WIDTH, picture.height(), &pixels)
    }

    /// Writes the picture to a file that appears whole or not at all, in the format that its extension names.
    ///
    /// # Errors
    /// [`PlotError::Extension`], [`PlotError::Draw`], or [`PlotError::Output`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PlotError> {
        Ok(self.stage(path.as_ref())?.commit()?)
    }

    /// As [`save`](Self::save), up to the point where the file would take its place: for a file that is to appear
    /// together with others.
    ///
    /// # Errors
    /// Those of `save`.
    pub fn stage(&self, path: &Path) -> Result<AtomicFile, PlotError> {
        let bytes = match PlotFormat::of(path)? {
            PlotFormat::Svg => self.svg()?.into_bytes(),
            PlotFormat::Png => self.png()?,
        };
        Ok(output::stage_file(path, |file| file.write_all(&bytes))?)
    }

    fn picture(&self) -> Picture<'a> {
        let &Self { model, trials, sample, ref labels, ref title, ref colours } = self;
        let place = |sample| View::new(sample, labels, &model.centroids, model.seed);
        Picture {
            title: format!(
                "{title}: {} of {} in {}",
                count(model.n, "point"),
                count(model.d() as u64, "column"),
                count(model.k() as u64, "cluster"),
            ),
            subtitle: self.subtitle(),
            view: match model.distance {
                Distance::Euclidean => place(sample),
                // Where the centroids are.
                Distance::Cosine => place(&sample.of_unit_length()),
            },
            labels: labels.clone(),
            colours: colours.clone().unwrap_or_else(|| colours::of_clusters(model.k())),
            legend: if Picture::has_legend(model.k()) { self.legend() } else { Vec::new() },
            background: colours.as_deref().map_or(WHITE, colours::behind),
            costs: &model.cost_per_iteration,
            trials: if trials.len() > 1 { trials } else { &[] },
            k: model.k(),
        }
    }

    fn subtitle(&self) -> String {
        let model = self.model;
        let end = if model.converged { "converged" } else { "not converged" };
        let drawn = match self.sample.rows.len() {
            all if all == self.sample.n => String::new(),
            some => format!(", {some} points drawn at random"),
        };
        let iterations = count(model.iterations, "iteration");
        format!("inertia {}, {end} after {iterations}{drawn}", short(model.inertia))
    }

    /// What is said of each cluster: its number or colour, and its share of the points.
    fn legend(&self) -> Vec<[String; 2]> {
        let model = self.model;
        let name = |cluster: usize| match &self.colours {
            Some(colours) => {
                let RGBColor(r, g, b) = colours[cluster];
                format!("#{r:02x}{g:02x}{b:02x}")
            }
            None => cluster.to_string(),
        };
        let share = |count: u64| 100.0 * count as f64 / model.n.max(1) as f64;
        let line = |(cluster, &count)| [name(cluster), format!("{:.1} %", share(count))];
        model.counts.iter().take(model.k()).enumerate().map(line).collect()
    }
}

/// Whether model and sample are of as many columns.
fn check_columns(model: &Model, sample: &Sample) -> Result<(), PlotError> {
    let d = model.d();
    let mut widths = model.centroids.iter().map(Vec::len).chain([sample.d]);
    widths.find(|&found| found != d).map_or(Ok(()), |found| Err(PlotError::Columns { d, found }))
}

/// So many of something.
fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn cannot_draw(problem: impl Display) -> PlotError {
    PlotError::Draw { problem: problem.to_string() }
}
