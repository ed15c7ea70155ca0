//! Lengths of keys and values in front of them or behind: LEB128, which is 7 bits a byte, low bits first, the top bit set
//! on all but the last.

/// The most bytes that a length takes.
pub(super) const LENGTH_BYTES_MAX: usize = usize::BITS.div_ceil(7) as usize;

/// How many bytes a length takes.
#[inline]
pub(super) fn bytes_of(length: usize) -> usize {
    (usize::BITS - (length | 1).leading_zeros()).div_ceil(7) as usize
}

/// Hands out the bytes of a length. Most have one.
#[inline]
pub(super) fn put(mut length: usize, mut byte: impl FnMut(u8)) {
    while length >= 0x80 {
        byte(length as u8 | 0x80);
        length >>= 7;
    }
    byte(length as u8);
}

/// Takes a length off the front of some bytes. `None` if it does not end there, or has too many bytes to be one.
#[inline]
pub(super) fn take(bytes: &mut &[u8]) -> Option<usize> {
    match bytes.split_first() {
        // Most have one byte.
        Some((&byte, rest)) if byte < 0x80 => {
            *bytes = rest;
            Some(byte.into())
        }
        _ => take_long(bytes),
    }
}

#[cold]
fn take_long(bytes: &mut &[u8]) -> Option<usize> {
    let mut begun = Begun::default();
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        match begun.add(byte) {
            Ok(None) => {}
            ended => return ended.ok().flatten(),
        }
    }
}

/// A length of which some bytes have come, or none.
#[derive(Debug, Default)]
pub(super) struct Begun {
    length: usize,
    shift: u32,
}

/// More bytes than a length has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Begun {
    /// Adds the next byte, and gives the length if that was its last.
    #[inline]
    pub(super) fn add(&mut self, byte: u8) -> Result<Option<usize>, TooLong> {
        if self.shift >= usize::BITS {
            return Err(TooLong);
        }
        self.length |= usize::from(byte & 0x7f) << self.shift;
        self.shift += 7;
        Ok((byte < 0x80).then(|| std::mem::take(self).length))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shift == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(length, |byte| bytes.push(byte));
        bytes
    }

    proptest! {
        #[test]
        fn a_length_comes_back_and_what_follows_it_stays(length in any::<usize>(), shift in 0..usize::BITS) {
            let length = length >> shift;
            let mut bytes = encoded(length);
            prop_assert_eq!(bytes.len(), bytes_of(length));
            prop_assert!(bytes.len() <= LENGTH_BYTES_MAX);
            for len in 0..bytes.len() {
                prop_assert_eq!(take(&mut &bytes[..len]), None);
            }
            let mut begun = Begun::default();
            for (i, byte) in (1..).zip(&bytes) {
                let expected = (i == bytes.len()).then_some(length);
                prop_assert_eq!(begun.add(*byte), Ok(expected));
                prop_assert_eq!(begun.is_empty(), expected.is_some());
            }
            bytes.push(1);
            let mut rest = &bytes[..];
            prop_assert_eq!(take(&mut rest), Some(length));
            prop_assert_eq!(rest, [1]);
        }
    }

    /// The bytes of files and messages depend on it.
    #[test]
    fn lengths_are_leb128() {
        for (length, bytes) in
            [(0, &[0][..]), (0x7f, &[0x7f]), (0x80, &[0x80, 1]), (624_485, &[0xe5, 0x8e, 0x26])]
        {
            assert_eq!(encoded(length), bytes);
        }
        assert_eq!(encoded(usize::MAX).len(), LENGTH_BYTES_MAX);
    }

    #[test]
    fn bytes_without_an_end_are_no_length() {
        assert_eq!(take(&mut &[0xff; LENGTH_BYTES_MAX + 1][..]), None);
        let mut begun = Begun::default();
        for _ in 0..LENGTH_BYTES_MAX {
            assert_eq!(begun.add(0xff), Ok(None));
        }
        assert_eq!(begun.add(0), Err(TooLong));
    }
}
