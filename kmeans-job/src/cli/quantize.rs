//! `kmeans-job quantize`: an image in k colours.

use super::{
    args::{Init, QuantizeArgs, Search},
    cluster::{self, Clustering},
    error::CommandError,
    interrupt,
    memory::Held,
    paths::{self, Named},
    report::{self, FitReport},
};
use kmeans_job::{
    Distance, Fit, KMeans, Start,
    data::{
        Matrix, Points,
        image::{self, RgbPixels},
    },
    output, palette,
};
use mapreduce_core::{Cancel, Memory};
use mapreduce_net::cli::AnyEngine;
use std::{path::Path, time::Instant};

pub(crate) fn run(args: &QuantizeArgs, cancel: &Cancel) -> Result<(), CommandError> {
    let QuantizeArgs { image: input, search, dither, palette: gpl, output: out, run } = args;
    let started = Instant::now();
    let memory = run.memory.memory()?;
    let mut inputs = vec![Named { name: "IMAGE", path: input }];
    if let Init::File(path) = &search.init {
        inputs.push(Named { name: "--init", path });
    }
    if run.pool.shared {
        return Err(CommandError::SharedImage { path: input.clone() });
    }
    cluster::check(search)?;
    let mut outputs = vec![Named { name: "--output", path: out }];
    outputs.extend(gpl.as_deref().map(|path| Named { name: "--palette", path }));
    paths::check(&inputs, &outputs)?;
    let start = cluster::load_start(&search.init, cancel)?;
    let image = image::load_rgb(input)?;
    interrupt::check(cancel)?;
    let engine = run.pool.engine_with(run.threads, memory.clone(), cancel)?;
    let load_seconds = started.elapsed().as_secs_f64();

    let job = Quantization {
        engine: &engine,
        memory: &memory,
        path: input,
        search,
        start,
        quiet: run.quiet,
        cancel,
    };
    let fit = job.run(&image)?;
    interrupt::check(cancel)?;
    let colours = colours(&fit);
    let labels = match dither {
        true => {
            palette::dither(&image, &colours, &|| cancel.is_cancelled()).ok_or(CommandError::Interrupted)?
        }
        false => fit.labels.clone(),
    };
    let mut files = vec![palette::stage_png(out, image.width, image.height, &colours, &labels)?];
    if let Some(path) = gpl {
        let name = out.file_stem().unwrap_or_default().to_string_lossy();
        let staged = palette::stage_gpl(path, &name, &colours);
        files.push(staged.map_err(CommandError::output("--palette"))?);
    }
    interrupt::check(cancel)?;
    output::commit_all(files).map_err(CommandError::Write)?;

    let report = FitReport::new(&fit, &engine, load_seconds, started.elapsed().as_secs_f64());
    let report = report.with_output(out).with_colours(&colours);
    let written: Vec<&Path> = outputs.iter().map(|output| output.path).collect();
    report::print(&if run.json { report::json(&report) } else { report.summary(input, &written) })
}

/// A search for the colours of an image.
pub(crate) struct Quantization<'a> {
    pub(crate) engine: &'a AnyEngine,
    pub(crate) memory: &'a Memory,
    /// The file of the image, for messages.
    pub(crate) path: &'a Path,
    pub(crate) search: &'a Search,
    pub(crate) start: Start,
    pub(crate) quiet: bool,
    pub(crate) cancel: &'a Cancel,
}

impl Quantization<'_> {
    /// Clusters the pixels, one point of red, green and blue each.
    pub(crate) fn run(self, image: &RgbPixels) -> Result<Fit, CommandError> {
        let levels = image.pixels.iter().flatten().map(|&level| f32::from(level)).collect();
        let points = Matrix::new(image.pixels.len(), 3, levels).expect("a decoded image has pixels");
        let Self { engine, memory, path, search, start, quiet, cancel } = self;
        let clustering = Clustering {
            engine,
            path,
            search,
            start,
            // Of colours brightness counts.
            distance: Distance::Euclidean,
            weights: None,
            split_bytes: None,
            memory,
            held: Held::Once,
            shared: false,
            quiet,
            cancel,
        };
        clustering.run(KMeans::builder(), Points::F32(points)).map_err(|error| match error {
            CommandError::TooFewDistinct { path, rows, distinct, k } => {
                CommandError::TooFewColours { path, pixels: rows, colours: distinct, k }
            }
            error => error,
        })
    }
}

/// Writes the image in the colours that were found.
pub(crate) fn write(path: &Path, image: &RgbPixels, fit: &Fit) -> Result<(), CommandError> {
    Ok(palette::write_png(path, image.width, image.height, &colours(fit), &fit.labels)?)
}

/// The centroids as colours.
pub(crate) fn colours<L>(fit: &Fit<L>) -> Vec<[u8; 3]> {
    // The conversion saturates.
    let level = |x: f64| x.round() as u8;
    fit.model.centroids.iter().map(|c| [level(c[0]), level(c[1]), level(c[2])]).collect()
}
