//! `kmeans-job` alone: what it does, shown on a photograph.

use super::{
    args::Search,
    error::CommandError,
    interrupt,
    quantize::{self, Quantization},
    report,
};
use kmeans_job::{Fit, Start, data::image, output::check_writable};
use mapreduce_core::{Cancel, Local};
use mapreduce_net::cli::AnyEngine;
use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _},
    path::Path,
    time::Instant,
};

/// A portrait of the astronaut Eileen Collins by NASA, in the public domain.
const PHOTOGRAPH: &[u8] = include_bytes!("../../assets/astronaut.jpg");
const NAME: &str = "astronaut.jpg";
const OUTPUT: &str = "astronaut-16.png";
const COLOURS: usize = 16;

pub(crate) fn run(cancel: &Cancel) -> Result<(), CommandError> {
    let started = Instant::now();
    let output = Path::new(OUTPUT);
    check_writable(output).map_err(CommandError::Write)?;
    let engine = AnyEngine::Local(Local::new(0)?);
    let image = image::decode_rgb(PHOTOGRAPH).expect("the photograph is an image");
    let search = Search::of(COLOURS);
    let job = Quantization {
        engine: &engine,
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
    text.push_str(&table(&fit, io::stdout().is_terminal()));
    writeln!(text, "\nWrote {OUTPUT}. More: kmeans-job --help").expect("a String takes whatever is written");
    report::print(&text)
}

/// The colours and their shares of the pixels, the largest first.
fn table(fit: &Fit, with_swatches: bool) -> String {
    let mut rows: Vec<(u64, [u8; 3])> =
        fit.model.counts.iter().copied().zip(quantize::colours(fit)).collect();
    rows.sort_by_key(|&(count, _)| std::cmp::Reverse(count));
    let mut text = String::from("colour   pixels\n");
    for (count, [r, g, b]) in rows {
        let share = 100.0 * count as f64 / fit.model.n as f64;
        let swatch =
            if with_swatches { format!("  \x1b[48;2;{r};{g};{b}m      \x1b[0m") } else { String::new() };
        writeln!(text, "#{r:02x}{g:02x}{b:02x}  {share:4.1} %{swatch}")
            .expect("a String takes whatever is written");
    }
    text
}
