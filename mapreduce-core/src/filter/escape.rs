//! Keys and values as fields of a line, and back.
//!
//! | byte | in a key | in a value |
//! |---|---|---|
//! | tab | as the other control bytes | as it is |
//! | `00` to `1F` | `10`, then the byte with `40` added: a line feed is `10 4A` | the same |
//! | `20` to `F3` | as it is | as it is |
//! | `F4` to `FF` | `F4`, then `80` to `8B` | as it is |
//!
//! This is the caret notation (`^J`) with the control character "data link escape" (`10`) in place of the caret.
//!
//! Why lines sort as their keys do: each byte of a key becomes a code of one or two bytes, no code is the beginning of
//! another, and the codes compare as the bytes do. So where two keys differ first, their lines do, and in the same way. If
//! one key is the beginning of the other, its line goes on with a tab, which is less than the first byte of any code: that is
//! what a caret of at least `0A` is for. And it has to be at most the smallest byte that stands for itself, which the
//! printable `^` is not.
//!
//! `F4` begins the last characters of Unicode (private ones, from U+100000 on); bytes above it are in no UTF-8 text. So text
//! stays text, and lines that begin with `F4 8F`, the last character of all, sort behind all keys.

/// What an escape of a control byte begins with.
const ESCAPE: u8 = 0x10;
/// What is added to a control byte behind it.
const SHIFT: u8 = 0x40;
/// The first byte that stands for itself.
const PLAIN: u8 = 0x20;
/// The first byte above those that stand for themselves in a key; and what an escape of these begins with.
const HIGH: u8 = 0xF4;
/// What stands behind it for `HIGH` itself.
const HIGH_CODE: u8 = 0x80;

/// Appends a key.
#[inline]
pub(super) fn key(bytes: &[u8], out: &mut Vec<u8>) {
    escape(bytes, out, |byte| (PLAIN..HIGH).contains(&byte));
}

/// Appends a value, or what else is last in a line.
#[inline]
pub(super) fn value(bytes: &[u8], out: &mut Vec<u8>) {
    escape(bytes, out, |byte| byte >= PLAIN || byte == b'\t');
}

#[inline]
fn escape(mut bytes: &[u8], out: &mut Vec<u8>, plain: impl Fn(u8) -> bool) {
    loop {
        let run = bytes.iter().position(|byte| !plain(*byte)).unwrap_or(bytes.len());
        let (run, rest) = bytes.split_at(run);
        out.extend_from_slice(run);
        let Some((&byte, rest)) = rest.split_first() else { return };
        out.extend_from_slice(&if byte < PLAIN {
            [ESCAPE, byte + SHIFT]
        } else {
            [HIGH, byte - HIGH + HIGH_CODE]
        });
        bytes = rest;
    }
}

/// Why a field is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadEscape {
    /// Where in the field.
    pub(super) offset: usize,
}

/// Appends the key that a field stands for. A key has one field only: what [`key`] does not write is refused, since it
/// would not sort as the key does.
#[inline]
pub(super) fn unescape_key(field: &[u8], out: &mut Vec<u8>) -> Result<(), BadEscape> {
    unescape(field, out, |byte| (PLAIN..HIGH).contains(&byte))
}

/// Appends the value that a field stands for.
#[inline]
pub(super) fn unescape_value(field: &[u8], out: &mut Vec<u8>) -> Result<(), BadEscape> {
    unescape(field, out, |byte| byte != ESCAPE)
}

#[inline]
fn unescape(field: &[u8], out: &mut Vec<u8>, plain: impl Fn(u8) -> bool) -> Result<(), BadEscape> {
    let mut rest = field;
    loop {
        let run = rest.iter().position(|byte| !plain(*byte)).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..run]);
        match &rest[run..] {
            [] => return Ok(()),
            [ESCAPE, code @ SHIFT..0x60, behind @ ..] => {
                out.push(code - SHIFT);
                rest = behind;
            }
            [HIGH, code @ HIGH_CODE..0x8C, behind @ ..] => {
                out.push(code - HIGH_CODE + HIGH);
                rest = behind;
            }
            bad => return Err(BadEscape { offset: field.len() - bad.len() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn escaped(write: impl Fn(&[u8], &mut Vec<u8>), bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write(bytes, &mut out);
        out
    }

    fn line(key: &[u8], value: &[u8]) -> Vec<u8> {
        [escaped(super::key, key), b"\t".to_vec(), escaped(super::value, value)].concat()
    }

    /// Bytes among which those with a meaning are common.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let special =
            proptest::sample::select(b"\0\t\n\r\x0b\x10\x1f @I_~\x80\x8b\x8f\xf3\xf4\xf5\xff".to_vec());
        prop_oneof![vec(any::<u8>(), 0..8), vec(special, 0..8)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn lines_sort_as_their_keys_do(a in bytes(), b in bytes(), beginning in bytes(), x in bytes(), y in bytes()) {
            // Two keys that may have a beginning in common, and often one that is the beginning of the other.
            for (a, b) in [(a.clone(), b.clone()), ([&beginning[..], &a].concat(), [&beginning[..], &b].concat()), (a.clone(), [&a[..], &b].concat())] {
                if a != b {
                    prop_assert_eq!(line(&a, &x).cmp(&line(&b, &y)), a.cmp(&b));
                }
            }
        }

        #[test]
        fn keys_and_values_come_back(bytes in bytes()) {
            let mut back = Vec::new();
            prop_assert_eq!(unescape_key(&escaped(key, &bytes), &mut back), Ok(()));
            prop_assert_eq!(&back, &bytes);
            back.clear();
            prop_assert_eq!(unescape_value(&escaped(value, &bytes), &mut back), Ok(()));
            prop_assert_eq!(&back, &bytes);
        }

        #[test]
        fn a_field_holds_no_byte_that_ends_it(bytes in bytes()) {
            prop_assert!(escaped(key, &bytes).iter().all(|byte| *byte >= 0x10));
            prop_assert!(!escaped(value, &bytes).iter().any(|byte| b"\0\n\r".contains(byte)));
        }

        #[test]
        fn a_key_has_one_field_only(field in bytes()) {
            let mut back = Vec::new();
            if unescape_key(&field, &mut back).is_ok() {
                prop_assert_eq!(escaped(key, &back), field);
            }
        }

        #[test]
        fn text_stays_as_it_is(text in "[ -~äéßλ中🦀]{0,12}") {
            prop_assert_eq!(escaped(key, text.as_bytes()), text.as_bytes());
            prop_assert_eq!(escaped(value, text.as_bytes()), text.as_bytes());
        }

        #[test]
        fn the_last_character_sorts_behind_every_key(bytes in bytes()) {
            let last = char::MAX.to_string();
            prop_assert!(escaped(key, &bytes)[..] < *last.as_bytes());
        }
    }

    #[test]
    fn bytes_without_a_meaning_are_refused() {
        for (field, offset) in [
            (&b"ab\x10"[..], 2),
            (b"\x10a", 0),
            (b"a\x10?", 1),
            (b"\xf4", 0),
            (b"a\xf4\x8c", 1),
            (b"\xf5", 0),
            (b"a\x01", 1),
        ] {
            assert_eq!(unescape_key(field, &mut Vec::new()), Err(BadEscape { offset }), "{field:?}");
        }
        assert_eq!(unescape_value(b"a\x10", &mut Vec::new()), Err(BadEscape { offset: 1 }));
        // Of values that others have written.
        let mut back = Vec::new();
        assert_eq!(unescape_value(b"\t\r\xf4\xff", &mut back), Ok(()));
        assert_eq!(back, b"\t\r\xf4\xff");
    }
}
