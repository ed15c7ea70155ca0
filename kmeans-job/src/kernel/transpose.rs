//! Turning rows into a tile, whose lanes are rows: what they are in memory column by column.
//!
//! Element by element this costs more than the assignment itself when `k` is small.

use crate::numeric::scalar::Scalar;
use mapreduce_core::RowBlock;

/// Writes the first `d` columns of the first `count` rows into `tile`, one column after the other.
///
/// Blocks of four rows by four columns, which the compiler turns in registers.
#[inline(always)]
pub(super) fn transpose<T: Scalar>(rows: RowBlock<'_, T>, count: usize, d: usize, tile: &mut [T]) {
    transpose_from(0, rows, count, d, tile);
}

/// [`transpose`], of rows from `p` on.
#[inline(always)]
fn transpose_from<T: Scalar>(mut p: usize, rows: RowBlock<'_, T>, count: usize, d: usize, tile: &mut [T]) {
    let (lanes, width) = (tile.len() / d, rows.width);
    let blocks = rows.values[p * width..count * width].chunks_exact(4 * width);
    let rest = blocks.remainder();
    for block in blocks {
        let (upper, lower) = block.split_at(2 * width);
        let ((r0, r1), (r2, r3)) = (upper.split_at(width), lower.split_at(width));
        let mut j = 0;
        while j < d {
            let block = [&r0[j..], &r1[j..], &r2[j..], &r3[j..]];
            let tile = &mut tile[j * lanes + p..];
            match d - j {
                1 => transpose_block::<T, 1>(block, tile, lanes),
                2 => transpose_block::<T, 2>(block, tile, lanes),
                3 => transpose_block::<T, 3>(block, tile, lanes),
                _ => transpose_block::<T, 4>(block, tile, lanes),
            }
            j += 4;
        }
        p += 4;
    }
    for row in rest.chunks_exact(width) {
        for (column, &x) in tile.chunks_exact_mut(lanes).zip(row) {
            column[p] = x;
        }
        p += 1;
    }
}

/// The first `COLUMNS` columns of four rows, to the start of as many columns of the tile.
#[inline(always)]
fn transpose_block<T: Scalar, const COLUMNS: usize>(rows: [&[T]; 4], tile: &mut [T], lanes: usize) {
    let rows = rows.map(|row| -> [T; COLUMNS] { std::array::from_fn(|j| row[..COLUMNS][j]) });
    for j in 0..COLUMNS {
        tile[j * lanes..][..4].copy_from_slice(&rows.map(|row| row[j]));
    }
}

/// The same with shuffles.
#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use super::{RowBlock, transpose, transpose_from};
    use std::arch::x86_64::*;

    /// [`transpose`] to `LANES` rows in registers: eight rows by four columns at a time, each row's four in half of a register.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub(in crate::kernel) fn transpose_f32<const LANES: usize>(
        rows: RowBlock<'_, f32>,
        count: usize,
        d: usize,
        tile: &mut [f32],
    ) {
        if let (3, 3) = (d, rows.width) {
            return transpose_three::<LANES>(rows, count, tile);
        }
        // Four values are read of each row, if need be the first ones of the row behind it.
        let read = d.next_multiple_of(4);
        let readable = (rows.values.len() + rows.width).saturating_sub(read) / rows.width;
        let eights = readable.min(count) / 8;
        for eight in 0..eights.min(LANES / 8) {
            let values = &rows.values[eight * 8 * rows.width..];
            // An array of closures' results would be calls.
            let row = |row: usize| values[row * rows.width..][..read].as_chunks::<4>().0;
            let rows = [row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7)];
            for (four, tile) in tile.as_chunks_mut::<LANES>().0.chunks_mut(4).enumerate() {
                let half = |row: usize| -> __m128 { bytemuck::cast(rows[row][four]) };
                let whole = |row: usize| -> __m256 {
                    _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(half(row)), half(row + 4))
                };
                let (a, b, c, d) = (whole(0), whole(1), whole(2), whole(3));
                let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
                let columns = [
                    _mm256_shuffle_ps::<0b01_00_01_00>(ab_low, cd_low),
                    _mm256_shuffle_ps::<0b11_10_11_10>(ab_low, cd_low),
                    _mm256_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high),
                    _mm256_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high),
                ];
                for (tile, column) in tile.iter_mut().zip(columns) {
                    tile.as_chunks_mut::<8>().0[eight] = bytemuck::cast(column);
                }
            }
        }
        transpose_from(eights * 8, rows, count, d, tile);
    }

    /// [`transpose`] of rows of three columns: eight rows are three registers.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn transpose_three<const LANES: usize>(rows: RowBlock<'_, f32>, count: usize, tile: &mut [f32]) {
        let whole = rows.values[..count * 3].as_chunks::<24>().0;
        let [x, y, z] = tile.as_chunks_mut::<LANES>().0 else { return transpose(rows, count, 3, tile) };
        for (eight, rows) in whole.iter().enumerate().take(LANES / 8) {
            let fours = rows.as_chunks::<4>().0;
            // The first four rows in the lower halves, the others in the upper ones.
            let both = |four: usize| -> __m256 {
                let low: __m128 = bytemuck::cast(fours[four]);
                _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), bytemuck::cast(fours[four + 3]))
            };
            // x0 y0 z0 x1, y1 z1 x2 y2, z2 x3 y3 z3
            let (a, b, c) = (both(0), both(1), both(2));
            // x2 y2 x3 y3, y0 z0 y1 z1
            let (xy, yz) =
                (_mm256_shuffle_ps::<0b10_01_11_10>(b, c), _mm256_shuffle_ps::<0b01_00_10_01>(a, b));
            x.as_chunks_mut::<8>().0[eight] = bytemuck::cast(_mm256_shuffle_ps::<0b10_00_11_00>(a, xy));
            y.as_chunks_mut::<8>().0[eight] = bytemuck::cast(_mm256_shuffle_ps::<0b11_01_10_00>(yz, xy));
            z.as_chunks_mut::<8>().0[eight] = bytemuck::cast(_mm256_shuffle_ps::<0b11_00_11_01>(yz, c));
        }
        transpose_from(whole.len() * 8, rows, count, 3, tile);
    }
}
