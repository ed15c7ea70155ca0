//! `kmeans-job generate`: writes points to try K-means on.

use super::{
    args::{GenerateArgs, ShapeName},
    bar::Bar,
    error::CommandError,
    report::{self, GenerateReport},
};
use kmeans_job::{
    generate::{FileFormat, GenerateError, Generator, Shape, WriteOptions},
    output::{AtomicFolder, OutputError, check_writable},
};
use mapreduce_core::Cancel;
use std::{ops::ControlFlow, time::Instant};

/// Files of a folder unless others are asked for.
const FILES: u32 = 16;

pub(crate) fn run(args: &GenerateArgs, cancel: &Cancel) -> Result<(), CommandError> {
    let started = Instant::now();
    let &GenerateArgs { rows, columns, seed, dtype, threads, json, quiet, .. } = args;
    let failed = |error| match error {
        GenerateError::Interrupted => CommandError::Interrupted,
        GenerateError::Output(problem) => CommandError::output("--output")(problem),
        error => CommandError::Generate(error),
    };
    let output = Target::of(args).map_err(CommandError::output("--output"))?;
    let generator = Generator::new(shape(args)?, rows, columns, seed).map_err(failed)?;
    let bar = Bar::of_rows(quiet);
    let observe = |done| {
        bar.update(done, rows);
        if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = WriteOptions { dtype: dtype.into(), threads, observe: &observe };
    match output {
        Target::File => generator.write(&args.output, options),
        Target::Folder { format, files } => generator.write_folder(&args.output, format, files, options),
    }
    .map_err(failed)?;
    drop(bar);

    let report = GenerateReport::new(args, started.elapsed().as_secs_f64());
    report::print(&if json { report::json(&report) } else { report.summary() })
}

/// What is to be written.
enum Target {
    File,
    Folder { format: FileFormat, files: u32 },
}

impl Target {
    /// A path without an extension is a folder, and so is one with files asked for.
    fn of(args: &GenerateArgs) -> Result<Self, OutputError> {
        let GenerateArgs { output, files, format, .. } = args;
        if files.is_none() && format.is_none() && output.extension().is_some() && !output.is_dir() {
            FileFormat::of(output)?;
            check_writable(output)?;
            return Ok(Self::File);
        }
        // Made and gone again: whether it can be made is known ahead of the work.
        AtomicFolder::create(output)?;
        let format = format.map_or(FileFormat::Npy, FileFormat::from);
        let files = files.unwrap_or_else(|| u32::try_from(args.rows).map_or(FILES, |rows| rows.min(FILES)));
        Ok(Self::Folder { format, files })
    }
}

fn shape(args: &GenerateArgs) -> Result<Shape, CommandError> {
    let &GenerateArgs { shape, clusters, spread, .. } = args;
    let unused = |option, name| Err(CommandError::Unused { option, shape: name });
    match (shape, clusters, spread) {
        (ShapeName::Uniform, Some(_), _) => unused("--clusters", "uniform"),
        (ShapeName::Uniform, _, Some(_)) => unused("--spread", "uniform"),
        (ShapeName::Hibench, _, Some(_)) => unused("--spread", "hibench"),
        (ShapeName::Uniform, None, None) => Ok(Shape::Uniform),
        (ShapeName::Hibench, clusters, None) => Ok(Shape::HiBench { clusters: clusters.unwrap_or(5) }),
        (ShapeName::Blobs, clusters, spread) => {
            Ok(Shape::Blobs { clusters: clusters.unwrap_or(8), spread: spread.unwrap_or(1.0) })
        }
    }
}
