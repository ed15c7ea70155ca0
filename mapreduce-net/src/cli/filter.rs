//! The commands `map` and `reduce`: a job between the pipes of another engine.

use super::{CliError, MemoryArgs};
use mapreduce_core::{
    Counters, InputOf, Job,
    filter::{self, FilterOptions, FromStream, StreamForm},
    input::LINE_BYTES_MAX,
};
use std::io::{self, Write as _};

/// The arguments of a command that runs the mapper of a job as a filter.
#[derive(Clone, Debug, clap::Args)]
pub struct MapArgs {
    /// Which part of the whole input this command reads, counted from 0: values of a key come in this order. To be given
    /// where several `map` commands run
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub split: u32,
    /// Which of the job's inputs it reads, counted from 0, for a job over two
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub input: u32,
    /// The header of CSV records, for a part of a file that does not begin with it
    #[arg(long, value_name = "NAMES")]
    pub header: Option<String>,
    /// What it may hold.
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// What both filters have to be told.
    #[command(flatten)]
    pub lines: LineArgs,
}

/// The arguments of a command that runs the reducer of a job as a filter.
#[derive(Clone, Debug, clap::Args)]
pub struct ReduceArgs {
    /// What both filters have to be told.
    #[command(flatten)]
    pub lines: LineArgs,
}

/// What is the same for the commands `map` and `reduce`.
#[derive(Clone, Debug, clap::Args)]
pub struct LineArgs {
    /// Keep the order of the values of a key, for a combiner that the order matters to. To be given to `map` and `reduce`
    #[arg(long)]
    pub keep_order: bool,
    /// Do without the line that says that these are all. For engines that spread the lines over several `reduce` commands;
    /// lines that are lost are not noticed then
    #[arg(long)]
    pub no_end: bool,
    /// The longest line of text or CSV record that is read, such as 1GiB; each is held whole, and 2 1/8 of it while it is
    /// read [default: 256MiB]
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, default_value_t = LINE_BYTES_MAX as u64,
          hide_default_value = true, value_parser = super::memory::size)]
    pub line_bytes_max: u64,
}

impl MapArgs {
    /// Runs the mapper of `job` over standard input, in which its records stand as `form` says, and writes its pairs to
    /// standard output. For lines of text `form` is [the default](StreamForm::default). Counters go to standard error in
    /// the end, as Hadoop reads them: `reporter:counter:GROUP,NAME,N`, the group being the name of the job.
    ///
    /// # Errors
    /// When the folder of temporary files is not there; those of [`filter::map`].
    pub fn run<J>(&self, job: &J, shared: &J::Shared, form: StreamForm) -> Result<(), CliError>
    where
        J: Job,
        InputOf<J>: FromStream,
    {
        let options = FilterOptions {
            split: self.split,
            input: self.input,
            form,
            header: self.header.clone(),
            memory: self.memory.memory()?,
            ..self.lines.options()
        };
        let mapped = filter::map(job, shared, io::stdin().lock(), io::stdout().lock(), &options)?;
        tell(J::NAME, &mapped.counters);
        Ok(())
    }
}

impl ReduceArgs {
    /// Runs the reducer of `job` over the sorted lines on standard input and writes its output to standard output. Counters
    /// as in [`MapArgs::run`].
    ///
    /// # Errors
    /// Those of [`filter::reduce`].
    pub fn run<J: Job>(&self, job: &J, shared: &J::Shared) -> Result<(), CliError> {
        let options = self.lines.options();
        let reduced = filter::reduce(job, shared, io::stdin().lock(), io::stdout().lock(), &options)?;
        tell(J::NAME, &reduced.counters);
        Ok(())
    }
}

impl LineArgs {
    fn options(&self) -> FilterOptions {
        FilterOptions {
            keep_order: self.keep_order,
            end: !self.no_end,
            line_bytes_max: self.line_bytes_max,
            ..FilterOptions::default()
        }
    }
}

/// Writes counters to standard error. Nothing can be done if that is closed.
fn tell(group: &str, counters: &Counters) {
    let _ = io::stderr().lock().write_all(counter_lines(group, counters).as_bytes());
}

fn counter_lines(group: &str, counters: &Counters) -> String {
    let line = |(name, n): (&str, u64)| format!("reporter:counter:{},{},{n}\n", word(group), word(name));
    counters.iter().map(line).collect()
}

/// A name in a counter's line, in which commas and line ends have a meaning.
fn word(name: &str) -> String {
    name.replace(|c: char| c == ',' || c.is_control(), "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_told_as_hadoop_reads_them() {
        let mut counters = Counters::default();
        counters.add("bad lines", 2);
        counters.add("a,b\n", 1);
        let expected = "reporter:counter:word-count,a_b_,1\nreporter:counter:word-count,bad lines,2\n";
        assert_eq!(counter_lines("word-count", &counters), expected);
    }
}
