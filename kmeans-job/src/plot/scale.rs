//! [`Scale`]: the range of an axis, its unit, and the numbers along it.

use plotters::coord::{ranged1d::Ranged, types::RangedCoordf64};
use std::ops::Range;

/// Numbers along an axis, at the most.
pub(super) const LABELS_MAX: usize = 8;
/// What is left free at either end, as a share of the range.
const MARGIN: f64 = 0.04;
/// A range smaller than this share of its numbers is none: numbers along it would have too many digits to be read.
const RANGE_MIN: f64 = 1e-7;
/// Numbers from the first of these powers of ten to before the second are written as they are.
const EXPONENTS_PLAIN: Range<i32> = -3..5;

/// How numbers become positions on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    /// The axis, in units.
    pub(super) range: Range<f64>,
    /// A unit is this power of ten: a multiple of three.
    exponent: i32,
    unit: f64,
    decimals: usize,
}

impl Scale {
    /// A scale on which all these numbers have a place, those apart that are not finite.
    pub(super) fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let finite = numbers.into_iter().filter(|x| x.is_finite());
        let (from, to) =
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(from, to), x| (from.min(x), to.max(x)));
        let (from, to) = if from <= to { (from, to) } else { (0.0, 0.0) };
        let exponent = match exponent(from.abs().max(to.abs())) {
            plain if EXPONENTS_PLAIN.contains(&plain) => 0,
            // No power of ten is smaller than this and still a normal number.
            large => (large - large.rem_euclid(3)).max(-306),
        };
        let unit = power_of_ten(exponent);
        let (mut from, mut to) = (from / unit, to / unit);
        let largest = from.abs().max(to.abs());
        let margin = match to - from {
            0.0 if largest == 0.0 => 1.0,
            range if range <= RANGE_MIN * largest => largest / 10.0,
            range => MARGIN * range,
        };
        (from, to) = (from - margin, to + margin);
        let range = from..to;
        let decimals = decimals(&RangedCoordf64::from(range.clone()).key_points(LABELS_MAX), to - from);
        Self { range, exponent, unit, decimals }
    }

    /// Where a number is on the axis.
    pub(super) fn place(&self, x: f64) -> f64 {
        x / self.unit
    }

    /// A place on the axis as text.
    pub(super) fn show(&self, place: f64) -> String {
        let text = format!("{place:.*}", self.decimals);
        match text.strip_prefix('-') {
            Some(digits) if digits.bytes().all(|byte| matches!(byte, b'0' | b'.')) => digits.to_owned(),
            _ => text,
        }
    }

    /// What the axis says that it shows.
    pub(super) fn name(&self, what: &str) -> String {
        match self.exponent {
            0 => what.to_owned(),
            exponent => format!("{what} (x 1e{exponent})"),
        }
    }
}

/// The fewest decimals by which numbers along an axis of this length are told apart and not distorted.
fn decimals(numbers: &[f64], length: f64) -> usize {
    let is_enough = |&decimals: &usize| {
        let distorted = |x: &f64| {
            let shown: f64 = format!("{x:.decimals$}").parse().unwrap_or(*x);
            (shown - x).abs() > 1e-4 * length
        };
        !numbers.iter().any(distorted)
    };
    (0..12).find(is_enough).unwrap_or(12)
}

/// A number with six digits, as short as that gets.
pub(super) fn short(x: f64) -> String {
    match exponent(x.abs()) {
        plain @ -4..6 => {
            let text = format!("{x:.*}", usize::try_from(5 - plain).unwrap_or(0));
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text,
            }
        }
        _ => format!("{x:.5e}"),
    }
}

/// The power of ten that a number begins with; 0 for zero. As text, which is exact on every platform.
fn exponent(x: f64) -> i32 {
    format!("{x:e}").split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
}

fn power_of_ten(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn large_and_small_numbers_are_counted_in_units() {
        let scale = Scale::of([0.0, 4.2e7]);
        assert_eq!(scale.name("cost"), "cost (x 1e6)");
        assert_eq!((scale.place(4.2e7), scale.show(40.0)), (42.0, "40".to_owned()));
        assert_eq!(Scale::of([0.0, 2e-5]).name("x"), "x (x 1e-6)");
        assert_eq!(Scale::of([78.0, 99_000.0]).name("x"), "x");
    }

    #[test]
    fn numbers_have_the_decimals_that_tell_them_apart() {
        assert_eq!(Scale::of([0.0, 1.0]).show(0.5), "0.5");
        assert_eq!(Scale::of([0.0, 1.0]).show(-1e-18), "0.0");
        assert_eq!(Scale::of([-40.0, 100.0]).show(-20.0), "-20");
        assert_eq!(Scale::of([0.5528, 0.5529]).show(0.55284), "0.55284");
    }

    #[test]
    fn numbers_that_are_alike_have_an_axis_all_the_same() {
        for numbers in [vec![], vec![0.0], vec![7.0, 7.0], vec![f64::NAN, 3.0], vec![1e300], vec![5e-324]] {
            let Range { start, end } = Scale::of(numbers.iter().copied()).range;
            assert!(start < end && start.is_finite() && end.is_finite(), "{numbers:?}: {start} {end}");
        }
    }

    #[test]
    fn short_numbers_have_six_digits() {
        let shown = [78.851441426, 0.0, 12.0, 1_234_567.0, 0.000012345678, 123_456.7, 0.5528].map(short);
        assert_eq!(shown, ["78.8514", "0", "12", "1.23457e6", "1.23457e-5", "123457", "0.5528"]);
    }

    proptest! {
        #[test]
        fn every_number_has_a_place(numbers in prop::collection::vec(-1e308..1e308_f64, 1..20), scale in -600..0_i32) {
            let numbers: Vec<f64> = numbers.iter().map(|x| x * power_of_ten(scale / 2)).collect();
            let scale = Scale::of(numbers.iter().copied());
            for x in numbers {
                prop_assert!(scale.range.contains(&scale.place(x)), "{x} in {scale:?}");
            }
        }
    }
}
