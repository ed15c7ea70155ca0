//! Exact sums against integers, and against another exact algorithm.

use kmeans_job::numeric::exact::ExactSum;
use proptest::prelude::*;

/// Shewchuk's partial sums with the final rounding of Python's `math.fsum`: another way to the correctly rounded sum.
fn fsum(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut partials: Vec<f64> = Vec::new();
    for mut x in values {
        let mut kept = 0;
        for i in 0..partials.len() {
            let mut y = partials[i];
            if x.abs() < y.abs() {
                std::mem::swap(&mut x, &mut y);
            }
            let high = x + y;
            let low = y - (high - x);
            if low != 0.0 {
                partials[kept] = low;
                kept += 1;
            }
            x = high;
        }
        partials.truncate(kept);
        partials.push(x);
    }
    let Some(mut high) = partials.pop() else { return 0.0 };
    let mut low = 0.0;
    while let Some(y) = partials.pop() {
        let x = high;
        high = x + y;
        low = y - (high - x);
        if low != 0.0 {
            break;
        }
    }
    // A half that the next partial pushes away from the even neighbour.
    if let Some(next) = partials.last()
        && (low < 0.0) == (*next < 0.0)
    {
        let twice = low * 2.0;
        let x = high + twice;
        if twice == x - high {
            high = x;
        }
    }
    high
}

fn sum(values: &[f64]) -> ExactSum {
    values.iter().copied().collect()
}

/// Exactly: `powi` need not be.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

fn moderate() -> impl Strategy<Value = f64> {
    let finite = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    prop_oneof![
        finite.prop_filter("fsum overflows on the way", |x| x.abs() < 1e300),
        // Near each other, so that sums cancel and round.
        (-1000_i32..1000, -60_i32..60).prop_map(|(m, e)| f64::from(m) * power_of_two(e)),
    ]
}

proptest! {
    #[test]
    fn sums_of_values_in_a_window_are_the_rounded_integer(
        terms in prop::collection::vec((any::<i32>(), 0..80_u32), 0..60), shift in -900_i32..700
    ) {
        let exact: i128 = terms.iter().map(|&(m, e)| i128::from(m) << e).sum();
        let unit = power_of_two(shift);
        let values: Vec<f64> = terms.iter().map(|&(m, e)| f64::from(m) * power_of_two(e as i32) * unit).collect();
        prop_assert_eq!(sum(&values).value(), exact as f64 * unit);
    }

    #[test]
    fn sums_of_values_of_any_magnitude_are_correctly_rounded(values in prop::collection::vec(moderate(), 0..40)) {
        prop_assert_eq!(sum(&values).value(), fsum(values));
    }

    #[test]
    fn sums_of_products_are_the_rounded_integer(
        terms in prop::collection::vec((-(1_i64 << 53)..1 << 53, -(1_i64 << 53)..1 << 53), 0..60),
        (a_shift, b_shift) in (-400_i32..400, -400_i32..400)
    ) {
        let exact: i128 = terms.iter().map(|&(a, b)| i128::from(a) * i128::from(b)).sum();
        let mut sum = ExactSum::new();
        for (a, b) in terms {
            sum.add_product(a as f64 * power_of_two(a_shift), b as f64 * power_of_two(b_shift));
        }
        prop_assert_eq!(sum.value(), exact as f64 * power_of_two(a_shift) * power_of_two(b_shift));
    }

    #[test]
    fn any_order_and_any_partition_give_the_same_sum_and_bytes(
        values in prop::collection::vec(any::<f64>(), 1..40).prop_shuffle(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5)
    ) {
        let whole = sum(&values);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(values.len())).collect();
        cuts.sort();
        let mut parts = ExactSum::default();
        let mut end = values.len();
        for cut in cuts.into_iter().rev() {
            parts.merge(&values[cut..end].iter().rev().copied().collect());
            end = cut;
        }
        parts.merge(&sum(&values[..end]));
        prop_assert_eq!(&parts, &whole);
        prop_assert_eq!(parts.value().to_bits(), whole.value().to_bits());
        let bytes = serde_json::to_string(&parts).unwrap();
        prop_assert_eq!(&bytes, &serde_json::to_string(&whole).unwrap());
        let back: ExactSum = serde_json::from_str(&bytes).unwrap();
        prop_assert_eq!(&back, &whole);
    }

    #[test]
    fn squares_are_exact_in_both_types(values in prop::collection::vec(any::<f32>(), 0..20)) {
        let (mut narrow, mut wide) = (ExactSum::new(), ExactSum::new());
        for x in values {
            narrow.add_square(x);
            wide.add_square(f64::from(x));
        }
        prop_assert_eq!(narrow, wide);
    }
}

#[test]
fn an_empty_sum_and_a_sum_of_zeros_are_plus_zero() {
    assert_eq!(ExactSum::new().value().to_bits(), 0);
    assert_eq!(sum(&[-0.0, -0.0]).value().to_bits(), 0);
    assert_eq!(sum(&[1e-320, -1e-320]).value().to_bits(), 0);
}

#[test]
fn ties_go_to_even_and_the_smallest_excess_breaks_them() {
    let two53 = power_of_two(53);
    assert_eq!(sum(&[two53, 1.0]).value(), two53);
    assert_eq!(sum(&[two53, 3.0]).value(), two53 + 4.0);
    assert_eq!(sum(&[two53, 1.0, 5e-324]).value(), two53 + 2.0);
    assert_eq!(sum(&[two53, 1.0, -5e-324]).value(), two53);
    assert_eq!(sum(&[-two53, -1.0, -5e-324]).value(), -two53 - 2.0);
}

#[test]
fn rounding_at_both_ends_of_the_range() {
    assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]).value(), f64::MAX);
    assert_eq!(sum(&[f64::MAX, f64::MAX]).value(), f64::INFINITY);
    assert_eq!(sum(&[f64::MIN, f64::MIN]).value(), f64::NEG_INFINITY);
    assert_eq!(sum(&[f64::MAX, power_of_two(970)]).value(), f64::INFINITY);
    assert_eq!(sum(&[f64::MAX, power_of_two(970), -1.0]).value(), f64::MAX);
    let smallest = f64::from_bits(1);
    let mut product = ExactSum::new();
    product.add_product(smallest, 0.5);
    assert_eq!(product.value(), 0.0);
    product.add_product(smallest, smallest);
    assert_eq!(product.value(), smallest);
    assert_eq!(sum(&[f64::MIN_POSITIVE, -smallest]).value(), f64::MIN_POSITIVE - smallest);
}

#[test]
fn products_beyond_the_range_of_values_cancel_exactly() {
    let mut sum = ExactSum::new();
    sum.add_product(f64::MAX, f64::MAX);
    assert_eq!(sum.value(), f64::INFINITY);
    sum.add(0.25);
    sum.add_product(-f64::MAX, f64::MAX);
    assert_eq!(sum.value(), 0.25);
}

#[test]
fn carries_move_in_time_however_often_a_sum_is_doubled() {
    let mut doubled = sum(&[f64::MAX / power_of_two(100), -1.0 - f64::EPSILON]);
    let expected = fsum([f64::MAX, -(1.0 + f64::EPSILON) * power_of_two(100)]);
    for _ in 0..100 {
        doubled.merge(&doubled.clone());
    }
    assert_eq!(doubled.value(), expected);
}

#[test]
fn values_that_are_not_finite_decide_in_any_order() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    assert_eq!(sum(&[1.0, inf, f64::MIN]).value(), inf);
    assert_eq!(sum(&[-inf, 1.0]).value(), -inf);
    assert!(sum(&[inf, 1.0, -inf]).value().is_nan());
    assert!(sum(&[nan, inf]).value().is_nan());
    let mut sum = ExactSum::new();
    sum.add_product(inf, -2.0);
    assert_eq!(sum.value(), -inf);
    sum.add_product(inf, 0.0);
    assert!(sum.value().is_nan());
}

#[test]
fn a_sum_of_like_magnitudes_is_a_few_words() {
    let text = serde_json::to_string(&sum(&[1.5, 2.25, -1000.0])).unwrap();
    assert!(text.len() < 120, "{text}");
}

#[test]
fn damaged_bytes_are_refused_with_the_reason() {
    let text = serde_json::to_string(&sum(&[1.0])).unwrap();
    let damaged = text.replace("\"lowest\":68", "\"lowest\":9999");
    assert_ne!(damaged, text);
    let error = serde_json::from_str::<ExactSum>(&damaged).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}
