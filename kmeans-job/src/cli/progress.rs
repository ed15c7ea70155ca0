//! A line an iteration on standard error.

use kmeans_job::{Algorithm, Iteration};
use std::io::{self, Write as _};

/// What to do with each iteration of a fit of `n` rows. Where there are several numbers of clusters or several runs, a
/// line says which.
pub(crate) fn observer(
    n: usize,
    several_k: bool,
    several_runs: bool,
    algorithm: Algorithm,
    quiet: bool,
) -> impl Fn(&Iteration) + Send + Sync + 'static {
    // What the number of rows means.
    let what = match algorithm {
        Algorithm::MiniBatch { .. } => "drawn",
        _ => "moved",
    };
    move |iteration| {
        if !quiet {
            let k = if several_k { format!("k {} ", iteration.k) } else { String::new() };
            let run = if several_runs { format!("run {} ", iteration.run) } else { String::new() };
            // One call, so that no other line comes between. A closed standard error is no reason to stop.
            let _ = io::stderr().write_all(format!("{k}{run}{}", line(iteration, what, n)).as_bytes());
        }
    }
}

fn line(iteration: &Iteration, what: &str, n: usize) -> String {
    let &Iteration { number, cost, moved, .. } = iteration;
    let percent = 100.0 * moved as f64 / n as f64;
    format!("iteration {number} cost {cost:?} {what} {moved} ({percent:.1} %)\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_iteration_cost_and_moved_rows() {
        let iteration = Iteration { k: 8, run: 1, number: 5, cost: 123.4, moved: 17, shift: 0.0 };
        assert_eq!(line(&iteration, "moved", 17_000), "iteration 5 cost 123.4 moved 17 (0.1 %)\n");
        let huge = Iteration { k: 8, run: 1, number: 1, cost: 1e300, moved: 2, shift: 0.0 };
        assert_eq!(line(&huge, "moved", 2), "iteration 1 cost 1e300 moved 2 (100.0 %)\n");
    }
}
