//! Rows of unit length: what is compared where only the direction of rows counts.

use crate::numeric::scalar::Scalar;

/// Scales a row to unit length. False if it has none, being all zeros or empty; it then stays as it is.
///
/// The row is first multiplied by the power of two that takes its largest magnitude to between 2 and 4, so that nothing
/// overflows or vanishes; its length is the root of the sum of squares in `f64`, added in the order of the columns; and
/// each element is divided by it in `f64` and rounded to `T`. So every machine gives the same bits, and rows that differ
/// by a power of two give the same. No element exceeds 1. The row has to be finite.
///
/// ```
/// use kmeans_job::numeric::unit::scale_to_unit;
///
/// let mut row = [3e-200, -4e-200];
/// assert!(scale_to_unit(&mut row));
/// assert_eq!(row, [0.6, -0.8]);
/// assert!(!scale_to_unit(&mut [0.0_f32, -0.0]));
/// ```
#[must_use]
pub fn scale_to_unit<T: Scalar>(row: &mut [T]) -> bool {
    let largest = row.iter().fold(0.0_f64, |largest, x| largest.max(x.to_f64().abs()));
    if largest == 0.0 {
        return false;
    }
    let (lift, scale) = scale_of(largest);
    let scaled = |x: T| x.to_f64() * lift * scale;
    let length = row.iter().fold(0.0, |sum, &x| sum + scaled(x) * scaled(x)).sqrt();
    for x in row {
        *x = T::from_f64(scaled(*x) / length);
    }
    true
}

/// Two powers of two by which `x` has to be multiplied, one after the other, to lie between 2 and 4. The first is not 1
/// for subnormal numbers only, whose multiples are exact.
fn scale_of(x: f64) -> (f64, f64) {
    const LIFT: f64 = 18_014_398_509_481_984.0; // 2^54
    const EXPONENT: u32 = f64::MANTISSA_DIGITS - 1;
    let lift = if x < f64::MIN_POSITIVE { LIFT } else { 1.0 };
    let exponent = (x * lift).to_bits() >> EXPONENT;
    (lift, f64::from_bits(2047_u64.saturating_sub(exponent) << EXPONENT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unit<T: Scalar>(row: &[T]) -> Vec<T> {
        let mut row = row.to_vec();
        assert!(scale_to_unit(&mut row));
        row
    }

    fn length<T: Scalar>(row: &[T]) -> f64 {
        row.iter().map(|x| x.to_f64().powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn rows_at_the_ends_of_what_a_type_holds_get_unit_length() {
        for x in [5e-324, 1e-310, f64::MIN_POSITIVE, 1.0, f64::MAX] {
            assert_eq!(unit(&[0.0, x, 0.0]), [0.0, 1.0, 0.0], "{x:e}");
            let diagonal = unit(&[-x, x]);
            assert!((diagonal[1] - 0.5_f64.sqrt()).abs() < 1e-15 && diagonal[0] == -diagonal[1], "{x:e}");
        }
        for x in [1e-45, f32::MIN_POSITIVE, f32::MAX] {
            assert_eq!(unit(&[x, 0.0]), [1.0, 0.0], "{x:e}");
        }
        assert_eq!(unit(&[f64::MAX, 5e-324]), [1.0, 0.0]);
    }

    #[test]
    fn a_row_without_direction_stays_as_it_is() {
        let mut row = [0.0, -0.0];
        assert!(!scale_to_unit(&mut row));
        assert_eq!(row.map(f64::to_bits), [0.0_f64.to_bits(), (-0.0_f64).to_bits()]);
        assert!(!scale_to_unit::<f32>(&mut []));
    }

    proptest! {
        #[test]
        fn a_power_of_two_changes_no_bit(
            row in prop::collection::vec(-1e3..1e3_f64, 1..20), exponent in -300..300_i32, small in -30..30_i32,
        ) {
            prop_assume!(row.iter().any(|x| x.abs() > 1e-3));
            let scaled: Vec<f64> = row.iter().map(|x| x * 2_f64.powi(exponent)).collect();
            prop_assert_eq!(unit(&scaled), unit(&row));
            let row: Vec<f32> = row.iter().map(|&x| x as f32).collect();
            let scaled: Vec<f32> = row.iter().map(|x| x * 2_f32.powi(small)).collect();
            prop_assert_eq!(unit(&scaled), unit(&row));
        }

        #[test]
        fn the_length_is_one_and_the_direction_stays(row in prop::collection::vec(-1e3..1e3_f64, 1..40)) {
            prop_assume!(row.iter().any(|x| x.abs() > 1e-3));
            let found = unit(&row);
            prop_assert!((length(&found) - 1.0).abs() < 1e-14);
            for (found, x) in found.iter().zip(&row) {
                prop_assert!((found * length(&row) - x).abs() <= 1e-14 * length(&row) && found.abs() <= 1.0);
            }
        }
    }
}
