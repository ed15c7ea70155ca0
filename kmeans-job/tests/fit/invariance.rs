//! What moves, scales, repeats or reorders the data moves, scales and keeps the clusters.

use super::{
    data::{Table, blobs, integers, iris},
    fit, observed_fit,
};
use kmeans_job::{KMeans, KMeansBuilder, Start};

fn given(start: &Table) -> KMeansBuilder {
    KMeans::builder().k(start.rows()).start(Start::Given(start.matrix())).tol(0.0)
}

#[test]
fn moving_f64_data_far_from_the_origin_changes_no_label() {
    for (table, k) in [(iris(), 3), (blobs(300, 5, 8, 0.4, 1), 8)] {
        let here = fit(table.f64(), &given(&table.pick((0..k).map(|c| c * 13)))).unwrap();
        let moved = table.map(|_, x| x + 1e6);
        let there = fit(moved.f64(), &given(&moved.pick((0..k).map(|c| c * 13)))).unwrap();
        assert_eq!(there.labels, here.labels);
        // The move itself rounds values to multiples of 2^-33.
        let difference = (there.model.inertia - here.model.inertia).abs();
        assert!(difference < 1e-8 * here.model.inertia, "{difference}");
    }
}

#[test]
fn moving_whole_numbers_changes_nothing_even_in_f32() {
    let table = integers(400, 3, 255, 7);
    let start = table.pick([1, 2, 3, 4, 5, 6]);
    let here = fit(table.f32(), &given(&start)).unwrap();
    for offset in [1e3, 1e6] {
        let (table, start) = (table.map(|_, x| x + offset), start.map(|_, x| x + offset));
        let there = fit(table.f32(), &given(&start)).unwrap();
        assert_eq!(there.labels, here.labels);
        assert_eq!(there.model.iterations, here.model.iterations);
        let difference = (there.model.inertia - here.model.inertia).abs();
        assert!(difference < 1e-9 * here.model.inertia, "{difference}");
    }
}

#[test]
fn scaling_by_powers_of_two_scales_exactly() {
    let table = blobs(200, 3, 6, 0.7, 4);
    for start in [Start::Parallel, Start::PlusPlus, Start::Random, Start::Given(table.pick(0..6).matrix())] {
        let options = KMeans::builder().k(6).start(start.clone());
        let unit = observed_fit(table.f64(), &options);
        let unit_f32 = observed_fit(table.f32(), &options);
        for exponent in [-40, -3, 5, 40] {
            let scale = 2_f64.powi(exponent);
            let start = match &start {
                Start::Given(_) => Start::Given(table.pick(0..6).map(|_, x| x * scale).matrix()),
                start => start.clone(),
            };
            let options = options.clone().start(start);
            let scaled = table.map(|_, x| x * scale);
            for (unit, points) in [(&unit, scaled.f64()), (&unit_f32, scaled.f32())] {
                let (fit, iterations) = observed_fit(points, &options);
                assert_eq!(fit.labels, unit.0.labels);
                assert_eq!(fit.model.inertia, unit.0.model.inertia * scale * scale);
                let centroids = unit.0.model.centroids.concat().into_iter().map(|x| x * scale);
                assert_eq!(fit.model.centroids.concat(), centroids.collect::<Vec<_>>());
                for (ours, theirs) in iterations.iter().zip(&unit.1) {
                    assert_eq!((ours.number, ours.moved), (theirs.number, theirs.moved));
                    assert_eq!(
                        (ours.cost, ours.shift),
                        (theirs.cost * scale * scale, theirs.shift * scale * scale)
                    );
                }
            }
        }
    }
}

#[test]
fn the_order_of_the_rows_does_not_show_in_the_centroids() {
    let table = blobs(210, 4, 5, 0.8, 5);
    let start = table.pick(0..5);
    // 11 and 210 have no common divisor: every row once.
    let order: Vec<usize> = (0..210).map(|i| (i * 11 + 3) % 210).collect();
    let permuted = table.pick(order.iter().copied());
    for (points, permuted) in [(table.f64(), permuted.f64()), (table.f32(), permuted.f32())] {
        let (expected, found) =
            (fit(points, &given(&start)).unwrap(), fit(permuted, &given(&start)).unwrap());
        assert_eq!(found.model, expected.model);
        let labels: Vec<i32> = order.iter().map(|&row| expected.labels[row]).collect();
        assert_eq!(found.labels, labels);
    }
}

#[test]
fn rows_that_come_three_times_weigh_the_same() {
    let table = blobs(150, 3, 4, 0.5, 6);
    let start = table.pick([0, 1, 2, 3]);
    let once = fit(table.f64(), &given(&start)).unwrap();
    let thrice = fit(table.pick((0..450).map(|i| i / 3)).f64(), &given(&start)).unwrap();
    assert_eq!(thrice.labels, once.labels.iter().flat_map(|&label| [label; 3]).collect::<Vec<_>>());
    assert_eq!(thrice.model.counts, once.model.counts.iter().map(|n| 3 * n).collect::<Vec<_>>());
    assert!((thrice.model.inertia / once.model.inertia - 3.0).abs() < 1e-12);
    for (a, b) in thrice.model.centroids.concat().iter().zip(once.model.centroids.concat()) {
        assert!((a - b).abs() < 1e-15, "{a} {b}");
    }
}
