//! Which instruction sets this machine has, found at run time.

use std::fmt;

/// An instruction set that the kernels are compiled for and that this machine has.
///
/// A value can only be had from [`Isa::detect`] and [`Isa::available`], so holding one is the proof that its
/// instructions may be executed; that is what the kernels' dispatch rests on. All of them give the same bits.
///
/// ```
/// use kmeans_job::kernel::isa::Isa;
///
/// assert!(Isa::available().contains(&Isa::detect()));
/// assert!(Isa::available().contains(&Isa::PORTABLE));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Isa(pub(crate) Kind);

/// The compiled variants. Private to the crate: see the proof carried by [`Isa`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Isa {
    /// What the compiler may assume of any machine it builds for. Slow where that lacks a fused multiply-add.
    pub const PORTABLE: Isa = Isa(Kind::Portable);

    /// The fastest instruction set of this machine.
    #[must_use]
    pub fn detect() -> Isa {
        *Isa::available().last().expect("the portable variant is always available")
    }

    /// Every instruction set of this machine that the kernels are compiled for, slowest first.
    #[must_use]
    pub fn available() -> Vec<Isa> {
        let mut found = vec![Isa::PORTABLE];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Isa(Kind::Avx2));
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    found.push(Isa(Kind::Avx512));
                }
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            found.push(Isa(Kind::Neon));
        }
        found
    }

    /// The name in messages: `portable`, `avx2`, `avx512` or `neon`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
