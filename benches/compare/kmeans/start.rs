//! The contest of start centroids: this project's k-means|| and k-means++ against scikit-learn's k-means++, and against ten
//! iterations of this project. Each contestant chooses by the same seeds, one a turn, and its choices are iterated upon.

use super::{Rules, process::OnDemand, workload::Task, workload::Workload};
use crate::{
    contests::Setup,
    report::{Bar, Section, line, median},
};
use benches::Failure;
use mapreduce_core::Cancel;
use std::process::Command;

/// One choice each of every contestant; with `--quick` two.
const SEEDS: u32 = 10;
/// What this project set out for: the seconds of k-means|| to those of ten iterations, and its cost to that of scikit-learn.
const AIMS: (f64, f64) = (1.0, 1.01);

/// The contest, as it is chosen by name.
pub(crate) const NAME: &str = "kmeans-start";
/// What it is, for the help.
pub(crate) const HELP: &str = "Start centroids of K-means: their time and what they cost";

const PARALLEL: &str = "this project, k-means||";
const PLUS_PLUS: &str = "this project, k-means++";
const SCIKIT_LEARN: &str = "scikit-learn, k-means++";

/// What a choice came to.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Choice {
    /// Of the choice alone.
    seconds: f64,
    /// The sum of the squared distances of all points from the nearest centroid chosen.
    cost: f64,
    /// The same after the iterations.
    later: f64,
    /// The first ten iterations from there, where they are those of this project.
    ten: Option<f64>,
}

/// What a contestant did.
struct Performance {
    name: &'static str,
    /// One for each seed, from 0 on.
    choices: Vec<Choice>,
    failure: Option<String>,
}

/// What came of the contest.
struct Outcome {
    task: Task,
    /// In the order of the contest. Times are compared with the first.
    results: Vec<Performance>,
    /// Who did not take part, and why.
    absent: Vec<String>,
}

/// Makes the points, has everybody choose in turns, and tells what came of it.
///
/// # Errors
/// When there are no points, or it is interrupted. What a contestant does wrong is told in the section.
pub(crate) fn hold(setup: Setup<'_>, rules: Rules, cancel: &Cancel) -> Result<Section, Failure> {
    let mut task = Workload::Small.task(setup.workshop, rules.quick)?;
    task.iterations = task.iterations.max(10);
    let (mut outcome, mut processes) =
        (Outcome { task, results: Vec::new(), absent: Vec::new() }, Vec::new());
    println!("\n{}", outcome.title());
    for (name, command) in outcome.contestants(setup) {
        let log = setup.workshop.fresh(&format!("start-{}.log", processes.len()))?;
        let mut result = Performance { name, choices: Vec::new(), failure: None };
        let started = OnDemand::start(command, &log, rules.limit, cancel).and_then(|mut process| {
            // Does not count: memory and caches get warm.
            process.ask(SEEDS, rules.limit, cancel)?;
            Ok(process)
        });
        processes.push(result.keep(started, cancel)?);
        outcome.results.push(result);
    }
    for seed in 0..if rules.quick { 2 } else { SEEDS } {
        for place in 0..processes.len() {
            // Each time another one begins, so that nobody always has the same one in front.
            let at = (seed as usize + place) % processes.len();
            let result = &mut outcome.results[at];
            let Some(process) = &mut processes[at] else { continue };
            let numbers = process.ask(seed, rules.limit, cancel);
            match result.keep(numbers.and_then(|numbers| Choice::new(&numbers)), cancel)? {
                Some(choice) => {
                    println!("  {}: {:.3} s, cost {:.4e}", result.name, choice.seconds, choice.cost);
                    result.choices.push(choice);
                }
                None => processes[at] = None,
            }
        }
    }
    Ok(outcome.section())
}

impl Choice {
    fn new(numbers: &[f64]) -> Result<Self, Failure> {
        match *numbers {
            [seconds, cost, later] => Ok(Self { seconds, cost, later, ten: None }),
            [seconds, cost, later, ten] => Ok(Self { seconds, cost, later, ten: Some(ten) }),
            _ => Err(format!("it answers {} numbers", numbers.len()).into()),
        }
    }
}

impl Performance {
    /// What went well; else notes why not. Only an interruption is an error.
    fn keep<T>(&mut self, outcome: Result<T, Failure>, cancel: &Cancel) -> Result<Option<T>, Failure> {
        match outcome {
            _ if cancel.is_cancelled() => Err("interrupted".into()),
            Ok(value) => Ok(Some(value)),
            Err(failure) => {
                println!("  {}: {failure}", self.name);
                self.failure = Some(failure.to_string());
                Ok(None)
            }
        }
    }

    fn median(&self, of: impl Fn(&Choice) -> Option<f64>) -> Option<f64> {
        median(self.choices.iter().filter_map(of))
    }

    fn seconds(&self) -> Option<f64> {
        self.median(|choice| Some(choice.seconds))
    }

    fn cost(&self) -> Option<f64> {
        self.median(|choice| Some(choice.cost))
    }

    fn later(&self) -> Option<f64> {
        self.median(|choice| Some(choice.later))
    }
}

impl Outcome {
    fn title(&self) -> String {
        let Task { n, d, k, iterations, .. } = self.task;
        format!("K-means start: {n} x {d} f32, k = {k}, {iterations} iterations from there")
    }

    /// The commands of those that can take part.
    fn contestants(&mut self, setup: Setup<'_>) -> Vec<(&'static str, Command)> {
        let Task { points, k, iterations, .. } = &self.task;
        let (k, iterations, threads) = (k.to_string(), iterations.to_string(), setup.threads.to_string());
        let mut found = Vec::new();
        for (name, how) in [(PARALLEL, "parallel"), (PLUS_PLUS, "plus-plus"), (SCIKIT_LEARN, "")] {
            let unwanted = setup.without.iter().find(|word| name.contains(word.as_str()));
            let ready = match unwanted {
                Some(word) => Err(format!("--without {word}")),
                None if name == SCIKIT_LEARN => setup.workshop.require_package("scikit-learn"),
                None => Ok(()),
            };
            if let Err(why) = ready {
                self.absent.push(format!("left out: {name} ({why})"));
                continue;
            }
            let mut command = match name {
                SCIKIT_LEARN => setup.workshop.python("kmeans/peer_scikit_learn_start.py"),
                _ => {
                    let mut command = Command::new(setup.workshop.program("start_kmeans"));
                    command.arg(how);
                    command
                }
            };
            command.arg(points).args([&k, &iterations, &threads]);
            setup.limit(&mut command);
            found.push((name, command));
        }
        found
    }

    fn result(&self, name: &str) -> Option<&Performance> {
        self.results.iter().find(|result| result.name == name)
    }

    /// A figure of a contestant to that of another one, if both have it.
    fn ratio(
        result: &Performance,
        to: Option<&Performance>,
        of: fn(&Performance) -> Option<f64>,
    ) -> Option<f64> {
        Some(of(result)? / of(to?)?)
    }

    /// All that is told of it.
    fn section(&self) -> Section {
        let bar = |result: &Performance| {
            let figure =
                Self::ratio(result, self.results.first(), Performance::seconds).zip(result.seconds());
            let figure = figure.map(|(ratio, seconds)| (ratio, format!("{ratio:.2}x, {seconds:.3} s")));
            Bar { name: result.name.to_owned(), figure }
        };
        Section {
            title: format!("{}: the choice", self.title()),
            table: self.table(),
            raw: self.raw(),
            bars: self.results.iter().map(bar).collect(),
            failed: self.results.iter().any(|result| result.failure.is_some()),
        }
    }

    fn table(&self) -> String {
        let mut text = format!("**{}**\n\n", self.title());
        text.push_str(
            "| program | seconds of the choice | times as long | cost of the start | of scikit-learn's ",
        );
        text.push_str("| cost after the iterations | of scikit-learn's | seeds |\n");
        text.push_str("|---|---:|---:|---:|---:|---:|---:|---:|\n");
        let theirs = self.result(SCIKIT_LEARN);
        let number = |number: Option<f64>| number.map_or("-".to_owned(), |number| format!("{number:.3}"));
        let large = |number: Option<f64>| number.map_or("-".to_owned(), |number| format!("{number:.4e}"));
        for result in &self.results {
            line(
                &mut text,
                format_args!(
                    "| {} | {} | {} | {} | {} | {} | {} | {} |",
                    // A bar would end the cell.
                    result.name.replace('|', "\\|"),
                    number(result.seconds()),
                    number(Self::ratio(result, self.results.first(), Performance::seconds)),
                    large(result.cost()),
                    number(Self::ratio(result, theirs, Performance::cost)),
                    large(result.later()),
                    number(Self::ratio(result, theirs, Performance::later)),
                    result.choices.len(),
                ),
            );
        }
        text.push('\n');
        if let Some(ours) = self.result(PARALLEL) {
            let ten = ours.median(|choice| choice.ten);
            let of_ten = ours.median(|choice| Some(choice.seconds / choice.ten?));
            line(
                &mut text,
                format_args!(
                    "* the choice of k-means|| takes {} of ten iterations of the same process ({} s), aim at most {}",
                    number(of_ten),
                    number(ten),
                    AIMS.0
                ),
            );
            let cost = number(Self::ratio(ours, theirs, Performance::cost));
            line(
                &mut text,
                format_args!("* its cost is {cost} of that of scikit-learn, aim at most {}", AIMS.1),
            );
        }
        let failed = self.results.iter().filter_map(|result| {
            result.failure.as_ref().map(|failure| format!("{} failed: {failure}", result.name))
        });
        for note in self.absent.iter().cloned().chain(failed) {
            line(&mut text, format_args!("* {note}"));
        }
        text
    }

    /// Every choice.
    fn raw(&self) -> String {
        let mut text = format!("{}: seconds/cost/cost later, ten iterations\n", self.title());
        for Performance { name, choices, .. } in &self.results {
            let choices = choices.iter().map(|choice| {
                let ten = choice.ten.map_or(String::new(), |ten| format!("/{ten:.4}"));
                format!(" {:.4}/{:.6e}/{:.6e}{ten}", choice.seconds, choice.cost, choice.later)
            });
            line(&mut text, format_args!("  {name}:{}", choices.collect::<String>()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        let choice = |seconds, cost, ten| Choice { seconds, cost, later: 100.0, ten };
        let result = |name, choices| Performance { name, choices, failure: None };
        Outcome {
            task: Task::sample(),
            results: vec![
                result(PARALLEL, [0.5, 0.1, 0.2].map(|s| choice(s, 1000.0 * s, Some(2.0 * s))).to_vec()),
                result(SCIKIT_LEARN, vec![choice(4.0, 160.0, None), choice(2.0, 240.0, None)]),
                Performance { failure: Some("no module".into()), ..result("D", Vec::new()) },
            ],
            absent: vec!["left out: F (no reason)".into()],
        }
    }

    #[test]
    fn the_table_has_medians_and_their_ratios() {
        let Section { table, failed, bars, .. } = outcome().section();
        let has = |line: &str| assert!(table.contains(&format!("{line}\n")), "{line}\n{table}");
        has("| this project, k-means\\|\\| | 0.200 | 1.000 | 2.0000e2 | 1.000 | 1.0000e2 | 1.000 | 3 |");
        has("| scikit-learn, k-means++ | 3.000 | 15.000 | 2.0000e2 | 1.000 | 1.0000e2 | 1.000 | 2 |");
        has("| D | - | - | - | - | - | - | 0 |");
        has(
            "* the choice of k-means|| takes 0.500 of ten iterations of the same process (0.400 s), aim at most 1",
        );
        has("* its cost is 1.000 of that of scikit-learn, aim at most 1.01");
        has("* left out: F (no reason)");
        has("* D failed: no module");
        assert!(failed && bars[2].figure.is_none());
    }

    #[test]
    fn every_choice_is_kept() {
        let raw = outcome().raw();
        let line = "  this project, k-means||: 0.5000/5.000000e2/1.000000e2/1.0000 ";
        assert!(raw.contains(line), "{raw}");
        assert!(raw.contains("  scikit-learn, k-means++: 4.0000/1.600000e2/1.000000e2 "), "{raw}");
    }

    #[test]
    fn an_answer_is_three_numbers_or_four() {
        assert_eq!(Choice::new(&[1.0, 2.0, 3.0]).unwrap().ten, None);
        assert_eq!(Choice::new(&[1.0, 2.0, 3.0, 4.0]).unwrap().ten, Some(4.0));
        assert!(Choice::new(&[1.0, 2.0]).is_err());
    }
}
