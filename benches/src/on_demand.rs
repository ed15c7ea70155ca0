//! The programs that `compare` asks for fits of K-means: what they read, and what they answer.
//!
//! Such a program loads its points, says `ready`, and then reads a number of iterations a line. For each it fits from the
//! same start centroids, and answers a line: the seconds from the points in memory to centroids and labels, and the inertia
//! of those. It ends with its input. `compare/kmeans/on_demand.py` is the same for those in Python.

use crate::Failure;
use kmeans_job::data::{self, Matrix, Points};
use rayon::prelude::*;
use std::{
    io::{self, BufRead, Write},
    path::Path,
    time::Duration,
};

/// Answers until the input ends.
///
/// # Errors
/// When a line is no number, an answer cannot be written, or `fit` fails, which it should if it does not do as many
/// iterations as it is asked for.
pub fn serve(mut fit: impl FnMut(u32) -> Result<(Duration, f64), Failure>) -> Result<(), Failure> {
    answer_each(|iterations| fit(iterations).map(|(time, inertia)| vec![time.as_secs_f64(), inertia]))
}

/// Answers each number with a line of several, until the input ends.
///
/// # Errors
/// When a line is no number, an answer cannot be written, or `of` fails.
pub fn answer_each(mut of: impl FnMut(u32) -> Result<Vec<f64>, Failure>) -> Result<(), Failure> {
    answer(io::stdin().lock(), io::stdout().lock(), &mut of)
}

fn answer(
    questions: impl BufRead,
    mut answers: impl Write,
    of: &mut impl FnMut(u32) -> Result<Vec<f64>, Failure>,
) -> Result<(), Failure> {
    writeln!(answers, "ready")?;
    answers.flush()?;
    for line in questions.lines() {
        let numbers: Vec<String> = of(line?.trim().parse()?)?.iter().map(f64::to_string).collect();
        writeln!(answers, "{}", numbers.join(" "))?;
        answers.flush()?;
    }
    Ok(())
}

/// Reads a matrix, whose values are taken as `f32`.
///
/// # Errors
/// When it cannot be read.
pub fn load_f32(path: &Path) -> Result<Matrix<f32>, Failure> {
    Ok(match data::load(path, &|| false)? {
        Points::F32(matrix) => matrix,
        Points::F64(matrix) => {
            Matrix::new(matrix.rows(), matrix.d(), matrix.values().iter().map(|&x| x as f32).collect())?
        }
        Points::Files(_) => return Err("points that were loaded are in memory".into()),
    })
}

/// The sum of the squared distances of all points from the nearest centroid: both row by row, `d` values each.
pub fn inertia(points: &[f32], centroids: &[f32], d: usize) -> f64 {
    let of_point = |point: &[f32]| {
        let first = &centroids[..d];
        let nearest = centroids.chunks_exact(d).fold((first, f32::INFINITY), |best, centroid| {
            let distance = squared_distance(point, centroid);
            if distance < best.1 { (centroid, distance) } else { best }
        });
        point.iter().zip(nearest.0).map(|(x, c)| (f64::from(*x) - f64::from(*c)).powi(2)).sum::<f64>()
    };
    points.par_chunks_exact(d).map(of_point).sum()
}

/// In lanes, so that the compiler makes vectors of them.
fn squared_distance(point: &[f32], centroid: &[f32]) -> f32 {
    const LANES: usize = 16;
    let ((point, last_x), (centroid, last_c)) = (point.as_chunks::<LANES>(), centroid.as_chunks::<LANES>());
    let mut sums = [0.0_f32; LANES];
    for (point, centroid) in point.iter().zip(centroid) {
        for ((sum, x), c) in sums.iter_mut().zip(point).zip(centroid) {
            *sum += (x - c) * (x - c);
        }
    }
    let rest = last_x.iter().zip(last_c).map(|(x, c)| (x - c) * (x - c));
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_is_answered_by_a_line() {
        let mut answers = Vec::new();
        let fit = &mut |iterations: u32| Ok(vec![0.5, f64::from(iterations) * 2.0]);
        answer(&b"1\n20\n"[..], &mut answers, fit).unwrap();
        assert_eq!(String::from_utf8(answers).unwrap(), "ready\n0.5 2\n0.5 40\n");
    }

    #[test]
    fn what_is_no_number_or_fails_ends_it() {
        let mut fits = |_| Ok(vec![0.0]);
        assert!(answer(&b"many\n"[..], Vec::new(), &mut fits).is_err());
        let mut fails = |_| Err("it has converged".into());
        assert_eq!(answer(&b"1\n"[..], Vec::new(), &mut fails).unwrap_err().to_string(), "it has converged");
    }

    #[test]
    fn inertia_is_that_of_the_nearest_centroid() {
        assert_eq!(inertia(&[0.0, 0.0, 3.0, 0.0], &[0.0, 1.0, 3.0, 2.0], 2), 5.0);
        // More than a vector has lanes.
        assert_eq!(inertia(&[2.0; 2 * 35], &[[0.0; 35], [1.0; 35]].concat(), 35), 70.0);
    }
}
