//! Sorted runs made from a seed, as bytes: what map tasks leave, what is spilled and what is merged.

use crate::text::Random;

/// The bytes of a run and how many pairs they are.
#[derive(Clone, Debug, Default)]
pub struct Bytes {
    /// For each pair the lengths of key and value as LEB128, the key and the value.
    pub bytes: Vec<u8>,
    /// How many.
    pub pairs: u64,
}

impl Bytes {
    /// Adds a pair. The keys of a run must ascend.
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        for mut length in [key.len(), value.len()] {
            while length >= 0x80 {
                self.bytes.push(length as u8 | 0x80);
                length >>= 7;
            }
            self.bytes.push(length as u8);
        }
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.pairs += 1;
    }

    /// A run of so many pairs: keys by `key` from random bits, sorted, with `value` behind each.
    pub fn random<K: AsRef<[u8]> + Ord>(
        seed: u64,
        pairs: usize,
        key: impl Fn(u64) -> K,
        mut value: impl FnMut(&mut Random) -> Vec<u8>,
    ) -> Self {
        let mut random = Random::new(seed);
        let mut keys: Vec<K> = (0..pairs).map(|_| key(random.bits())).collect();
        keys.sort_unstable();
        let mut run = Self::default();
        keys.iter().for_each(|key| run.push(key.as_ref(), &value(&mut random)));
        run
    }
}

/// A number as a key.
pub fn number(bits: u64) -> [u8; 8] {
    bits.to_be_bytes()
}

/// A word of 4 to 20 letters.
pub fn word(bits: u64) -> Vec<u8> {
    (0..4 + bits as usize % 17).map(|i| b'a' + (bits >> (i * 3) & 15) as u8).collect()
}

/// A line of 90 hexadecimal digits.
pub fn line(bits: u64) -> Vec<u8> {
    let mut random = Random::new(bits);
    let mut line: String = (0..6).map(|_| format!("{:016x}", random.bits())).collect();
    line.truncate(90);
    line.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mapreduce_core::exec::Run;

    #[test]
    fn the_bytes_are_a_sorted_run() {
        let source = Bytes::random(1, 1_000, line, |random| vec![7; random.bits() as usize % 300]);
        let run = Run::from_bytes(source.bytes, source.pairs).unwrap();
        let (mut reader, mut keys) = (run.reader(), Vec::new());
        while let Some((key, _)) = reader.next_pair().unwrap() {
            keys.push(key.to_vec());
        }
        assert!(keys.len() == 1_000 && keys.is_sorted());
    }

    #[test]
    fn words_and_lines_have_the_lengths_they_say() {
        let mut random = Random::new(1);
        for _ in 0..1_000 {
            assert!((4..=20).contains(&word(random.bits()).len()));
            assert_eq!(line(random.bits()).len(), 90);
        }
    }
}
