//! Text made from seeds: words by Zipf's law, and lines to sort.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

/// A small generator of random numbers: SplitMix64.
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Writes about `bytes` bytes of lines of ten words each, unless the file is there in that size. The words are drawn
/// by Zipf's law (exponent 1) from `distinct` made-up ones, the frequent ones being short as in real text.
pub fn zipf_file(path: &Path, bytes: u64, distinct: usize) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|file| file.len() >= bytes) {
        return Ok(());
    }
    let mut random = Random::new(42);
    let words: Vec<String> = (0..distinct)
        .map(|rank| {
            let length = 2 + (rank as f64 + 1.0).ln() as usize * 6 / 10 + (random.bits() % 4) as usize;
            let mut word: String = (0..length).map(|_| (b'a' + (random.bits() % 26) as u8) as char).collect();
            if rank >= 300 {
                word.push_str(&rank.to_string());
            }
            word
        })
        .collect();
    let mut cumulative = Vec::with_capacity(distinct);
    let mut total = 0.0;
    for rank in 0..distinct {
        total += 1.0 / (rank as f64 + 1.0);
        cumulative.push(total);
    }
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut written = 0;
    while written < bytes {
        for i in 0..10 {
            let at = random.uniform() * total;
            let word = &words[cumulative.partition_point(|&c| c <= at).min(distinct - 1)];
            out.write_all(word.as_bytes())?;
            out.write_all(if i < 9 { b" " } else { b"\n" })?;
            written += word.len() as u64 + 1;
        }
    }
    out.flush()
}

/// Writes lines of 100 bytes: 96 random characters of 16, three that are always the same, and the end.
///
/// # Errors
/// When the file cannot be written.
pub fn lines_file(path: &Path, lines: usize) -> io::Result<()> {
    let mut random = Random::new(11);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for _ in 0..lines {
        for _ in 0..6 {
            write!(out, "{:016x}", random.bits())?;
        }
        out.write_all(b"abc\n")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_of_100_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        lines_file(&path, 10).unwrap();
        let text = fs::read_to_string(path).unwrap();
        assert!(text.lines().count() == 10 && text.split_inclusive('\n').all(|line| line.len() == 100));
    }
}
