//! `kmeans-job` alone: what it does, shown on a photograph.

use super::{
    args::Search,
    error::CommandError,
    interrupt,
    quantize::{self, Quantization},
    report, table,
};
use kmeans_job::{Start, data::image, output::check_writable};
use mapreduce_core::{Cancel, Local};
use mapreduce_net::cli::AnyEngine;
use std::{fmt::Write as _, path::Path, time::Instant};

/// A portrait of the astronaut Eileen Collins by NASA, in the public domain.
const PHOTOGRAPH: &[u8] = include_bytes!("../../assets/astronaut.jpg");
const NAME: &str = "astronaut.jpg";
const OUTPUT: &str = "astronaut-16.png";
const COLOURS: usize = 16;

pub(crate) fn run(cancel: &Cancel) -> Result<(), CommandError> {
    let started = Instant::now();
    let output = Path::new(OUTPUT);
    check_writable(output).map_err(CommandError::Write)?;
    let local = Local::new(0)?;
    let memory = local.memory().clone();
    let engine = AnyEngine::Local(local);
    let image = image::decode_rgb(PHOTOGRAPH).expect("the photograph is an image");
    let search = Search::of(COLOURS);
    let job = Quantization {
        engine: &engine,
        memory: &memory,
        path: Path::new(NAME),
        search: &search,
        start: Start::Parallel,
        quiet: true,
        cancel,
    };
    let fit = job.run(&image)?;
    interrupt::check(cancel)?;
    quantize::write(output, &image, &fit)?;
    let seconds = started.elapsed().as_secs_f64();

    let mut text = format!(
        "The photograph {NAME}, {} x {} pixels, in {COLOURS} colours.\n{} iterations, inertia {:?}, {seconds:.3} seconds on {}.\n\n",
        image.width,
        image.height,
        fit.model.iterations,
        fit.model.inertia,
        report::workers(&engine, 1),
    );
    let colours = quantize::colours(&fit);
    text.push_str(&table::clusters(&fit.model.counts, Some(&colours), table::shows_colours()));
    writeln!(text, "\nWrote {OUTPUT}. More: kmeans-job --help").expect("a String takes whatever is written");
    report::print(&text)
}
