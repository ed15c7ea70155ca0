//! The assignment kernel compiled for each instruction set, and the choice among them at run time.
//!
//! Intrinsics are safe to call in a function that enables their features; what is unsafe is to enter such a function
//! on a machine without them. An [`Isa`] is the proof that it has them.

use crate::kernel::assign::{Assign, Operations, Pass};
use crate::kernel::isa::{Isa, Kind};
use crate::kernel::transpose::transpose;
use mapreduce_core::RowBlock;

/// Implements [`Assign`] for an element type by dispatching to the functions that enable the features.
macro_rules! dispatch {
    ($scalar:ty, $portable:path, $avx2:path, $avx512:path, $neon:path) => {
        impl Assign for $scalar {
            #[expect(private_interfaces, reason = "called by this crate alone")]
            fn assign(isa: Isa, pass: Pass<'_, Self>) {
                match isa.0 {
                    Kind::Portable => $portable(pass),
                    #[cfg(target_arch = "x86_64")]
                    #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
                    // SAFETY: an `Isa` of this kind exists only on a machine that has the features.
                    Kind::Avx2 => unsafe { $avx2(pass) },
                    #[cfg(target_arch = "x86_64")]
                    #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
                    // SAFETY: as above.
                    Kind::Avx512 => unsafe { $avx512(pass) },
                    #[cfg(target_arch = "aarch64")]
                    #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
                    // SAFETY: as above.
                    Kind::Neon => unsafe { $neon(pass) },
                }
            }
        }
    };
}

dispatch!(f32, portable::f32, x86::avx2_f32, x86::avx512_f32, arm::neon_f32);
dispatch!(f64, portable::f64, x86::avx2_f64, x86::avx512_f64, arm::neon_f64);

/// Vectors of one lane. `mul_add` is a call into the mathematics library where the baseline has no such instruction.
mod portable {
    use super::{Operations, Pass, transpose};

    macro_rules! kernel {
        ($name:ident) => {
            pub(super) fn $name(pass: Pass<'_, $name>) {
                pass.run::<$name, 8>(Operations {
                    splat: |x| x,
                    mul_add: |a: $name, b, c| a.mul_add(b, c),
                    keep: |score, id, best: &mut $name, index: &mut $name| {
                        if score < *best {
                            (*best, *index) = (score, id);
                        }
                    },
                    min: $name::min,
                    max: $name::max,
                    turn: transpose,
                });
            }
        };
    }

    kernel!(f32);
    kernel!(f64);
}

/// Two vectors of rows to a tile with sixteen registers, three with thirty-two: four centroids by two (three)
/// accumulators keep the multiply-add units busy, and they, the rows and a broadcast fit without a spill.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Operations, Pass, RowBlock, transpose};
    use crate::kernel::transpose::x86::transpose_f32;
    use std::arch::x86_64::*;

    macro_rules! avx2 {
        ($name:ident, $scalar:ty, $vector:ty, $set1:ident, $fmadd:ident, $cmp:ident, $blend:ident, $min:ident, $max:ident, $turn:expr) => {
            #[target_feature(enable = "avx2,fma")]
            pub(super) fn $name(pass: Pass<'_, $scalar>) {
                pass.run::<$vector, 2>(Operations {
                    splat: |x| $set1(x),
                    mul_add: |a, b, c| $fmadd(a, b, c),
                    keep: |score, id, best: &mut $vector, index: &mut $vector| {
                        let less = $cmp::<_CMP_LT_OQ>(score, *best);
                        *best = $blend(*best, score, less);
                        *index = $blend(*index, id, less);
                    },
                    min: |a, b| $min(a, b),
                    max: |a, b| $max(a, b),
                    turn: |rows: RowBlock<'_, $scalar>, count, d, tile: &mut [$scalar]| {
                        $turn(rows, count, d, tile);
                    },
                });
            }
        };
    }

    macro_rules! avx512 {
        ($name:ident, $scalar:ty, $vector:ty, $set1:ident, $fmadd:ident, $cmp:ident, $mov:ident, $min:ident, $max:ident, $turn:expr) => {
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            pub(super) fn $name(pass: Pass<'_, $scalar>) {
                pass.run::<$vector, 3>(Operations {
                    splat: |x| $set1(x),
                    mul_add: |a, b, c| $fmadd(a, b, c),
                    keep: |score, id, best: &mut $vector, index: &mut $vector| {
                        let less = $cmp::<_CMP_LT_OQ>(score, *best);
                        *best = $mov(*best, less, score);
                        *index = $mov(*index, less, id);
                    },
                    min: |a, b| $min(a, b),
                    max: |a, b| $max(a, b),
                    turn: |rows: RowBlock<'_, $scalar>, count, d, tile: &mut [$scalar]| {
                        $turn(rows, count, d, tile);
                    },
                });
            }
        };
    }

    avx2!(
        avx2_f32,
        f32,
        __m256,
        _mm256_set1_ps,
        _mm256_fmadd_ps,
        _mm256_cmp_ps,
        _mm256_blendv_ps,
        _mm256_min_ps,
        _mm256_max_ps,
        transpose_f32::<16>
    );
    avx2!(
        avx2_f64,
        f64,
        __m256d,
        _mm256_set1_pd,
        _mm256_fmadd_pd,
        _mm256_cmp_pd,
        _mm256_blendv_pd,
        _mm256_min_pd,
        _mm256_max_pd,
        transpose
    );
    avx512!(
        avx512_f32,
        f32,
        __m512,
        _mm512_set1_ps,
        _mm512_fmadd_ps,
        _mm512_cmp_ps_mask,
        _mm512_mask_mov_ps,
        _mm512_min_ps,
        _mm512_max_ps,
        transpose_f32::<48>
    );
    avx512!(
        avx512_f64,
        f64,
        __m512d,
        _mm512_set1_pd,
        _mm512_fmadd_pd,
        _mm512_cmp_pd_mask,
        _mm512_mask_mov_pd,
        _mm512_min_pd,
        _mm512_max_pd,
        transpose
    );
}

/// Four vectors of rows to a tile: thirty-two registers, and cores with four multiply-add units to keep busy.
#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;

    use super::{Operations, Pass, transpose};

    macro_rules! neon {
        ($name:ident, $scalar:ty, $vector:ty, $dup:ident, $fma:ident, $less:ident, $select:ident, $min:ident, $max:ident) => {
            #[target_feature(enable = "neon")]
            pub(super) fn $name(pass: Pass<'_, $scalar>) {
                pass.run::<$vector, 4>(Operations {
                    splat: |x| $dup(x),
                    mul_add: |a, b, c| $fma(c, a, b),
                    keep: |score, id, best: &mut $vector, index: &mut $vector| {
                        let less = $less(score, *best);
                        *best = $select(less, score, *best);
                        *index = $select(less, id, *index);
                    },
                    min: |a, b| $min(a, b),
                    max: |a, b| $max(a, b),
                    turn: transpose,
                });
            }
        };
    }

    neon!(neon_f32, f32, float32x4_t, vdupq_n_f32, vfmaq_f32, vcltq_f32, vbslq_f32, vminq_f32, vmaxq_f32);
    neon!(neon_f64, f64, float64x2_t, vdupq_n_f64, vfmaq_f64, vcltq_f64, vbslq_f64, vminq_f64, vmaxq_f64);
}
