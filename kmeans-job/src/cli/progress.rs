//! A line an iteration on standard error.

use kmeans_job::{Algorithm, Iteration, kernel::peak};
use mapreduce_net::cli::AnyEngine;
use std::io::{self, Write as _};

/// Multiply-adds in a row for the measurement of the peak: some milliseconds.
const PEAK_LENGTH: u64 = 500_000;

/// What the lines say of a fit beside its iterations.
pub(crate) struct Lines {
    pub(crate) rows: usize,
    pub(crate) d: usize,
    /// Whether a line says which number of clusters it is about, and which run.
    pub(crate) several_k: bool,
    pub(crate) several_runs: bool,
    /// What the iterations are.
    pub(crate) algorithm: Algorithm,
    /// Operations a second that the threads of this process reach at most; `None` where peers work.
    pub(crate) peak: Option<f64>,
}

/// The most operations a second of the threads of an engine in this process. Takes some milliseconds.
pub(crate) fn peak(engine: &AnyEngine) -> Option<f64> {
    match engine {
        AnyEngine::Local(local) => Some(peak::flops(local.threads(), PEAK_LENGTH)),
        _ => None,
    }
}

impl Lines {
    /// What to do with each iteration.
    pub(crate) fn observer(self) -> impl Fn(&Iteration) + Send + Sync + 'static {
        move |iteration| {
            // One call, so that no other line comes between. A closed standard error is no reason to stop.
            let _ = io::stderr().write_all(self.line(iteration).as_bytes());
        }
    }

    fn line(&self, iteration: &Iteration) -> String {
        let &Iteration { k, run, number, cost, moved, shift, seconds } = iteration;
        let of_k = if self.several_k { format!("k {k} ") } else { String::new() };
        let of_run = if self.several_runs { format!("run {run} ") } else { String::new() };
        let percent = 100.0 * moved as f64 / self.rows as f64;
        let what = match self.algorithm {
            Algorithm::MiniBatch { .. } => "drawn",
            _ => "moved",
        };
        // Of looking at every point: an iteration that passes points over may reach more than there is.
        let operations = 2.0 * self.rows as f64 * self.d as f64 * k as f64;
        let peak = self.peak.filter(|_| self.algorithm == Algorithm::Lloyd);
        let share = peak.map(|peak| format!(", {:.0} % of peak", 100.0 * operations / (seconds * peak)));
        format!(
            "{of_k}{of_run}iteration {number} cost {cost:?} {what} {moved} ({percent:.1} %) shift {shift:.3e} \
             in {seconds:.4} s{}\n",
            share.unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: Lines = Lines {
        rows: 17_000,
        d: 3,
        several_k: false,
        several_runs: false,
        algorithm: Algorithm::Lloyd,
        peak: None,
    };

    #[test]
    fn a_line_names_cost_moved_rows_shift_and_seconds() {
        let iteration =
            Iteration { k: 8, run: 1, number: 5, cost: 123.4, moved: 17, shift: 0.01235, seconds: 0.00125 };
        let line = "iteration 5 cost 123.4 moved 17 (0.1 %) shift 1.235e-2 in 0.0013 s";
        assert_eq!(LINES.line(&iteration), format!("{line}\n"));
        // 2 * 17000 * 3 * 8 = 816 000 operations in 1.25 ms, of which the peak makes 8 160 000.
        let with_peak = Lines { peak: Some(6.528e9), ..LINES };
        assert_eq!(with_peak.line(&iteration), format!("{line}, 10 % of peak\n"));
        let several = Lines { several_k: true, several_runs: true, ..LINES };
        assert!(several.line(&iteration).starts_with("k 8 run 1 iteration 5 "));
    }

    #[test]
    fn costs_of_any_size_are_told_in_few_characters() {
        let huge = Iteration { k: 8, run: 1, number: 1, cost: 1e300, moved: 2, shift: 0.0, seconds: 1.0 };
        let lines = Lines { rows: 2, ..LINES };
        assert_eq!(lines.line(&huge), "iteration 1 cost 1e300 moved 2 (100.0 %) shift 0.000e0 in 1.0000 s\n");
    }
}
