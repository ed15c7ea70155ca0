//! [`words`]: the words of a text, found 64 bytes at a time.

use std::iter::FusedIterator;

/// The words of a text: what lies between ASCII white space (space, tab, line feed, form feed, carriage return), as in
/// [`str::split_ascii_whitespace`], but of bytes. Never empty.
///
/// White space is looked for in 64 bytes at once, without a branch for each byte.
///
/// ```
/// let words: Vec<&[u8]> = mapreduce_core::words(b" to be,\tor not\r").collect();
/// assert_eq!(words, [&b"to"[..], b"be,", b"or", b"not"]);
/// ```
#[inline]
pub fn words(text: &[u8]) -> Words<'_> {
    Words { text, looked_at: 0, base: 0, spaces: 0, start: 0 }
}

/// The words of a text: see [`words`].
#[derive(Clone, Debug)]
pub struct Words<'a> {
    text: &'a [u8],
    /// How much of the text has been searched for white space.
    looked_at: usize,
    /// What bit 0 of `spaces` stands for.
    base: usize,
    /// The white space that was found and not used up.
    spaces: u64,
    /// Where the next word begins, or white space in front of it.
    start: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            while self.spaces != 0 {
                let end = self.base + self.spaces.trailing_zeros() as usize;
                self.spaces &= self.spaces - 1;
                let start = std::mem::replace(&mut self.start, end + 1);
                if start < end {
                    return Some(&self.text[start..end]);
                }
            }
            if self.looked_at == self.text.len() {
                let last = self.text.get(self.start..).filter(|last| !last.is_empty());
                self.start = self.text.len();
                return last;
            }
            self.look();
        }
    }
}

impl FusedIterator for Words<'_> {}

impl Words<'_> {
    /// Searches the next bytes of the text, 64 of them if there are as many.
    #[inline]
    fn look(&mut self) {
        self.base = self.looked_at;
        let rest = &self.text[self.base..];
        if let Some(block) = rest.first_chunk::<64>() {
            self.spaces = spaces_of_block(block);
            self.looked_at += 64;
            return;
        }
        self.looked_at = self.text.len();
        self.spaces = match self.text.last_chunk::<64>() {
            // Once more over some bytes that have been searched.
            Some(block) => spaces_of_block(block) >> (64 - rest.len()),
            None => {
                let (eights, ones) = rest.as_chunks::<8>();
                let bytes = ones.iter().rev().fold(0, |bytes, byte| bytes << 8 | u64::from(*byte));
                eights
                    .iter()
                    .rev()
                    .fold(spaces(bytes), |found, eight| found << 8 | spaces(u64::from_le_bytes(*eight)))
            }
        };
    }
}

#[inline]
fn spaces_of_block(block: &[u8; 64]) -> u64 {
    let (eights, _) = block.as_chunks::<8>();
    eights.iter().rev().fold(0, |found, eight| found << 8 | spaces(u64::from_le_bytes(*eight)))
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;

/// Which of eight bytes are white space, the first of them in bit 0. Each byte is computed with in the eight bits where it
/// lies, as is described in H. S. Warren, Hacker's Delight, 2nd edition, chapter 6.
#[inline]
fn spaces(bytes: u64) -> u64 {
    let low = bytes & !HIGH;
    // No sum carries into the next byte: the terms are below 0x80 and at most 0x80.
    let at_least = |bound: u8| low + ONES * u64::from(0x80 - bound);
    let is = |byte: u8| !((low ^ (ONES * u64::from(byte))) + (HIGH - ONES));
    let controls = at_least(b'\t') & !at_least(b'\r' + 1) & !is(0x0b);
    let found = (is(b' ') | controls) & !bytes & HIGH;
    // Gathers the highest bits of the bytes.
    (found >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    #[test]
    fn every_byte_is_white_space_or_not_as_the_standard_library_says() {
        for byte in 0..=u8::MAX {
            for at in 0..8 {
                // Neighbours with all bits and without any.
                for neighbour in [0, 0x7f, 0x80, 0xff, b' '] {
                    let mut bytes = [neighbour; 8];
                    bytes[at] = byte;
                    let found = spaces(u64::from_le_bytes(bytes));
                    for (i, byte) in bytes.iter().enumerate() {
                        assert_eq!(found >> i & 1 == 1, byte.is_ascii_whitespace(), "{bytes:?}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn words_are_those_between_white_space(
            text in vec(prop_oneof![3 => Just(b' '), 4 => Just(b'x'), 1 => any::<u8>()], 0..300),
        ) {
            let expected: Vec<_> =
                text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
            prop_assert_eq!(words(&text).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn long_words_are_whole(lengths in vec(0..200_usize, 0..6)) {
            let text = lengths.iter().map(|&length| vec![b'x'; length]).collect::<Vec<_>>().join(&b"\t"[..]);
            let expected: Vec<_> = lengths.iter().copied().filter(|length| *length > 0).collect();
            prop_assert_eq!(words(&text).map(<[u8]>::len).collect::<Vec<_>>(), expected);
        }
    }
}
