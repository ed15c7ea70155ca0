//! Prints how fast the kernels are on one thread, for each instruction set of this machine and four workloads, and
//! checks that all of them give the same labels and sums.
//!
//!     cargo run --release -p kmeans-job --example kernel_rate [-- WORKLOAD..]
//!
//! GFLOP/s counts two operations for each of n * k * d multiply-adds. The portable variant calls a mathematics
//! library for them on x86-64; it is measured on a hundredth of the rows.

#![expect(clippy::print_stdout, reason = "an example that prints its result")]

use std::time::Instant;

use kmeans_job::kernel::assign::assign;
use kmeans_job::kernel::distance::squared_distances;
use kmeans_job::kernel::greedy;
use kmeans_job::kernel::isa::Isa;
use kmeans_job::kernel::pack::Packed;
use kmeans_job::numeric::exact::ExactSum;
use kmeans_job::numeric::grid::{Grid, accumulate};
use kmeans_job::numeric::random::uniform;
use kmeans_job::numeric::squares::add_squares;
use mapreduce_core::RowBlock;

struct Workload {
    name: &'static str,
    rows: usize,
    d: usize,
    k: usize,
}

const WORKLOADS: [Workload; 4] = [
    Workload { name: "rgb", rows: 1_000_000, d: 3, k: 16 },
    Workload { name: "small", rows: 1_000_000, d: 16, k: 64 },
    Workload { name: "hibench", rows: 5_000_000, d: 20, k: 10 },
    Workload { name: "wide", rows: 200_000, d: 128, k: 1024 },
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    println!(
        "{:8} {:9} {:>11} {:>9} {:>14} {:>13}",
        "workload", "isa", "assign ms", "GFLOP/s", "accumulate ms", "distances ms"
    );
    for workload in WORKLOADS.iter().filter(|workload| is_wanted(workload.name)) {
        measure(workload);
    }
    if is_wanted("greedy") {
        let (m, d, k) = (8 * 1024 + 1, 128, 1024);
        let candidates: Vec<f64> = (0..m * d).map(|i| uniform(1, 0, i as u64)).collect();
        let start = Instant::now();
        let chosen = greedy::choose(&candidates, &vec![1.0; m], d, k, 1);
        assert_eq!(chosen.len(), k);
        println!("greedy choice of {k} among {m} x {d}: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    }
    if is_wanted("exact") {
        let values: Vec<f64> = (0..1_000_000).map(|i| uniform(1, 0, i)).collect();
        let mut sum = ExactSum::new();
        let add_s = best_of(5, || sum = values.iter().copied().collect());
        assert_eq!(sum, values.iter().rev().copied().collect());
        let product_s = best_of(5, || values.iter().for_each(|&x| sum.add_square(x)));
        println!("exact sum: {:.1} ns a value, {:.1} ns a product", add_s * 1e3, product_s * 1e3);
        let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
        let mut expected = ExactSum::new();
        let each_s = best_of(5, || {
            expected = ExactSum::new();
            values.iter().for_each(|&x| expected.add_square(x));
        });
        let all_s = best_of(5, || {
            sum = ExactSum::new();
            add_squares(Isa::detect(), &values, &mut sum);
        });
        assert_eq!(sum, expected);
        println!("squares of f32: {:.2} ns each by itself, {:.2} ns together", each_s * 1e3, all_s * 1e3);
    }
}

fn measure(&Workload { name, rows: n, d, k }: &Workload) {
    let rows: Vec<f32> = (0..n * d).map(|i| uniform(1, 0, i as u64) as f32 - 0.5).collect();
    let packed = Packed::new(&rows[..k * d], d);
    let grid = Grid::new(&vec![0.5; d], n as u64);
    let mut reference: Option<(Vec<u32>, Vec<i64>)> = None;
    for isa in Isa::available().into_iter().rev() {
        let slow = isa == Isa::PORTABLE && isa != Isa::detect();
        let n = if slow { n / 100 } else { n };
        let rows = RowBlock { width: d, values: &rows[..n * d] };
        let mut labels = vec![0; n];
        let assign_s = best_of(if slow { 1 } else { 5 }, || assign(isa, &packed, rows, &mut labels, None));
        let (mut sums, mut counts) = (Vec::new(), Vec::new());
        let accumulate_s = best_of(5, || {
            (sums, counts) = (vec![0; k * d], vec![0; k]);
            accumulate(isa, rows, &labels, &grid, &mut sums, &mut counts);
        });
        assert_eq!(counts.iter().sum::<i64>(), n as i64);
        let means: Vec<f64> = (0..k * d).map(|i| grid.mean(sums[i], counts[i / d], i % d)).collect();
        let mut distances = vec![0.0; n];
        let distances_s = best_of(3, || squared_distances(isa, rows, d, &labels, &means, &mut distances));
        assert!(distances.iter().all(|&distance| distance >= 0.0));
        match &reference {
            None => reference = Some((labels, sums)),
            Some((reference, _)) if slow => assert_eq!(labels, reference[..n]),
            Some(reference) => assert_eq!((&labels, &sums), (&reference.0, &reference.1)),
        }
        let rate = 2.0 * (n * k * d) as f64 / assign_s / 1e9;
        let ms = if slow { 100e3 } else { 1e3 };
        println!(
            "{name:8} {isa:9} {:11.2} {rate:9.1} {:14.2} {:13.2}",
            assign_s * ms,
            accumulate_s * ms,
            distances_s * ms
        );
    }
}

/// The shortest of some runs, in seconds.
fn best_of(runs: usize, mut run: impl FnMut()) -> f64 {
    let seconds = (0..runs).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    });
    seconds.fold(f64::INFINITY, f64::min)
}
