//! Keys: encodings sort as the values do, come back, and parts are prefix-free.

use std::{borrow::Cow, cmp::Ordering, cmp::Reverse, fmt::Debug};

use mapreduce_core::{CodecError, Key, KeyPart, Schema, Sorted, impl_key};
use proptest::{prelude::*, test_runner::TestCaseResult};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Visit {
    country: String,
    day: Reverse<u32>,
    route: Option<Vec<u8>>,
}
impl_key!(Visit { country, day, route });

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UserId(u64);
impl_key!(UserId(0));

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span(char, i16);
impl_key!(Span(0, 1));

fn encoding<K: Key + ?Sized>(key: &K) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode(&mut bytes);
    bytes
}

fn part<K: KeyPart>(key: &K) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode_part(&mut bytes);
    bytes
}

/// What has to hold for two keys and any bytes; `compare` is the order of the keys.
fn check<K: KeyPart + Debug>(a: &K, b: &K, noise: &[u8], compare: fn(&K, &K) -> Ordering) -> TestCaseResult {
    let order = compare(a, b);
    prop_assert_eq!(encoding(a).cmp(&encoding(b)), order);
    prop_assert_eq!(part(a).cmp(&part(b)), order);
    prop_assert_eq!(part(a).starts_with(&part(b)), order == Ordering::Equal);

    let whole = encoding(a);
    let mut scratch = b"left over".to_vec();
    prop_assert_eq!(a.encoded(&mut scratch), &whole[..]);
    prop_assert_eq!(compare(&*K::decode(&whole)?, a), Ordering::Equal);

    let mut followed = part(a);
    let len = followed.len();
    followed.extend_from_slice(noise);
    let mut rest = &followed[..];
    prop_assert_eq!(compare(&K::decode_part(&mut rest)?, a), Ordering::Equal);
    prop_assert_eq!(rest, noise);
    let mut rest = &followed[..];
    K::skip_part(&mut rest)?;
    prop_assert_eq!(rest, noise);
    for len in 0..len {
        prop_assert!(K::decode_part(&mut &followed[..len]).is_err());
        prop_assert!(K::skip_part(&mut &followed[..len]).is_err());
    }

    for bytes in [noise, &followed, &whole[..whole.len() / 2]] {
        if let Ok(key) = K::decode(bytes) {
            prop_assert_eq!(&encoding(&*key)[..], bytes, "two encodings of one key");
        }
    }
    Ok(())
}

/// Strings that share beginnings and hold what the escape is about.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a\u{0}\u{1}\u{ff}]{0,4}", 1 => ".*"]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => Just(0), 1 => Just(1), 2 => Just(0xFF), 1 => any::<u8>()];
    prop::collection::vec(byte, 0..6)
}

fn f64_bits() -> impl Strategy<Value = f64> {
    let odd = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN, f64::MIN_POSITIVE, f64::MAX];
    prop_oneof![any::<u64>().prop_map(f64::from_bits), prop::sample::select(odd.to_vec())]
}

fn f32_bits() -> impl Strategy<Value = f32> {
    prop_oneof![any::<u32>().prop_map(f32::from_bits), any::<i8>().prop_map(f32::from)]
}

fn visit() -> impl Strategy<Value = Visit> {
    (text(), 0..3u32, prop::option::of(bytes())).prop_map(|(country, day, route)| Visit {
        country,
        day: Reverse(day),
        route,
    })
}

macro_rules! laws {
    ($($name:ident: $strategy:expr, $compare:expr;)*) => {
        proptest! {$(
            #[test]
            fn $name(a in $strategy, b in $strategy, noise in bytes()) {
                check(&a, &b, &noise, $compare)?;
                check(&a, &a.clone(), &noise, $compare)?;
            }
        )*}
    };
}

laws! {
    u8_keys: any::<u8>(), Ord::cmp;
    u16_keys: any::<u16>(), Ord::cmp;
    u32_keys: any::<u32>(), Ord::cmp;
    u64_keys: any::<u64>(), Ord::cmp;
    u128_keys: any::<u128>(), Ord::cmp;
    usize_keys: any::<usize>(), Ord::cmp;
    i8_keys: any::<i8>(), Ord::cmp;
    i16_keys: any::<i16>(), Ord::cmp;
    i32_keys: any::<i32>(), Ord::cmp;
    i64_keys: any::<i64>(), Ord::cmp;
    i128_keys: any::<i128>(), Ord::cmp;
    isize_keys: any::<isize>(), Ord::cmp;
    bool_keys: any::<bool>(), Ord::cmp;
    char_keys: any::<char>(), Ord::cmp;
    unit_keys: Just(()), Ord::cmp;
    f32_keys: f32_bits(), f32::total_cmp;
    f64_keys: f64_bits(), f64::total_cmp;
    string_keys: text(), Ord::cmp;
    byte_string_keys: bytes(), Ord::cmp;
    byte_array_keys: any::<[u8; 3]>(), Ord::cmp;
    option_keys: prop::option::of(text()), Ord::cmp;
    nested_option_keys: prop::option::of(prop::option::of(0..3u8)), Ord::cmp;
    reverse_keys: text().prop_map(Reverse), Ord::cmp;
    twice_reversed_keys: bytes().prop_map(|key| Reverse(Reverse(key))), Ord::cmp;
    reverse_option_keys: prop::option::of(-2..2i8).prop_map(Reverse), Ord::cmp;
    pair_keys: (text(), text()), Ord::cmp;
    nested_pair_keys: ((bytes(), bytes()), prop::option::of((text(), 0..2u8))), Ord::cmp;
    mixed_tuple_keys: (text(), bytes().prop_map(Reverse), any::<bool>()), Ord::cmp;
    longest_tuple_keys: (text(), 0..2u8, text(), 0..2i64, bytes(), any::<bool>(), text(), text()), Ord::cmp;
    tuples_of_floats: (f64_bits(), f32_bits()), |a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
    struct_keys: visit(), Ord::cmp;
    newtype_keys: any::<u64>().prop_map(UserId), Ord::cmp;
    tuple_struct_keys: (any::<char>(), -2..2i16).prop_map(|(a, b)| Span(a, b)), Ord::cmp;
    structs_inside_keys: (prop::option::of(visit()), (0..3u64).prop_map(|id| Reverse(UserId(id)))), Ord::cmp;
}

proptest! {
    #[test]
    fn unsized_keys_are_their_own_bytes(a in text(), b in bytes()) {
        let mut scratch = Vec::new();
        prop_assert_eq!(a.as_str().encoded(&mut scratch).as_ptr(), a.as_ptr());
        prop_assert_eq!(b.as_slice().encoded(&mut scratch).as_ptr(), b.as_ptr());
        prop_assert_eq!(encoding(a.as_str()), encoding(&a));
        let borrowed = matches!(<str as Key>::decode(a.as_bytes())?, Cow::Borrowed(text) if text == a);
        prop_assert!(borrowed);
        let borrowed = matches!(<[u8] as Key>::decode(&b)?, Cow::Borrowed(bytes) if bytes == b);
        prop_assert!(borrowed);
    }
}

/// The ends of the ranges, which random numbers do not meet.
#[test]
fn edges_sort_in_place() {
    fn ascending<K: KeyPart + Debug>(keys: &[K]) {
        for pair in keys.windows(2) {
            assert!(encoding(&pair[0]) < encoding(&pair[1]), "{pair:?}");
        }
    }
    ascending(&[i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX]);
    ascending(&[i128::MIN, -1, 0, 1, i128::MAX]);
    ascending(&[0, 1, 255, 256, u128::MAX]);
    ascending(&['\0', 'a', '\u{D7FF}', '\u{E000}', char::MAX]);
    let nan = f64::NAN.abs();
    ascending(&[-nan, f64::NEG_INFINITY, -1.0, -f64::MIN_POSITIVE, -0.0, 0.0, 1.0, f64::INFINITY, nan]);
    ascending(&[None, Some(i8::MIN), Some(i8::MAX)]);
    ascending(&[Some("b"), Some("a"), Some(""), None].map(|key| Reverse(key.map(str::to_owned))));
    ascending(
        &["", "\0", "\0\0", "\0\u{1}", "\u{1}", "a", "a\0", "a\0b", "aa"].map(|key| (key.to_owned(), ())),
    );
}

#[test]
fn the_byte_layouts_are_those_of_the_table() {
    assert_eq!(encoding(&258u16), [1, 2]);
    assert_eq!(encoding(&-1i16), [0x7F, 0xFF]);
    assert_eq!(encoding(&1usize), [0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(encoding(&-1isize), [0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
    assert_eq!(encoding(&'a'), [0, 0, 0, 0x61]);
    assert_eq!(encoding(&1.0f32), [0xBF, 0x80, 0, 0]);
    assert_eq!(encoding(&-1.0f32), [0x40, 0x7F, 0xFF, 0xFF]);
    assert_eq!(encoding("a\0b"), b"a\0b");
    assert_eq!(encoding(&("a\0b".to_owned(), true)), b"a\x00\xFFb\x00\x00\x01");
    assert_eq!(encoding(&None::<u8>), [0]);
    assert_eq!(encoding(&Some(7u8)), [1, 7]);
    assert_eq!(encoding(&Reverse(7u8)), [0xF8]);
    assert_eq!(encoding(&Reverse("a".to_owned())), [0x9E, 0xFF, 0xFF]);
    assert_eq!(encoding(&Span('a', 0)), [0, 0, 0, 0x61, 0x80, 0]);
}

#[test]
fn errors_name_the_type_and_the_reason() {
    fn message<K: KeyPart + Debug>(bytes: &[u8]) -> String {
        K::decode(bytes).map(drop).unwrap_err().to_string()
    }
    assert_eq!(message::<u32>(&[1, 2]), "cannot decode 2 bytes as u32: it takes 4");
    assert!(matches!(u8::decode(&[1, 2]), Err(CodecError::Trailing { len: 2, used: 1, .. })));
    assert_eq!(message::<bool>(&[2]), "cannot decode 1 bytes as bool: the byte is 2, not 0 or 1");
    assert_eq!(
        message::<char>(&[0, 0, 0xD8, 0]),
        "cannot decode 4 bytes as char: 0xd800 is no Unicode scalar value"
    );
    assert!(message::<Option<u8>>(&[3, 0]).ends_with("it starts with 3, not with 0 or 1"));
    assert!(message::<(String, u8)>(b"abc").ends_with("does not end with two zero bytes"));
    assert!(message::<(String, u8)>(b"a\0b\0\0").ends_with("does not end with two zero bytes"));
    assert!(message::<(String, u8)>(b"\xFF\0\0\x01").ends_with("the text is not UTF-8"));
    assert!(message::<String>(b"\xFF").ends_with("the text is not UTF-8"));
    assert!(<str as Key>::decode(b"\xFF").is_err());
}

/// A byte that is never decoded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Skipped(u8);

impl Key for Skipped {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.0);
    }
    fn decode(_: &[u8]) -> Result<Cow<'_, Self>, CodecError> {
        unreachable!("it is skipped")
    }
    fn schema(schema: &mut Schema) {
        schema.text("skipped");
    }
}

impl KeyPart for Skipped {
    fn encode_part(&self, out: &mut Vec<u8>) {
        out.push(self.0);
    }
    fn decode_part(_: &mut &[u8]) -> Result<Self, CodecError> {
        unreachable!("it is skipped")
    }
    fn skip_part(bytes: &mut &[u8]) -> Result<(), CodecError> {
        *bytes = bytes.get(1..).ok_or_else(|| CodecError::decode::<Self>(0, "it takes 1"))?;
        Ok(())
    }
}

#[derive(Clone)]
struct OfSkipped {
    a: Option<Skipped>,
    b: Reverse<Skipped>,
    c: Skipped,
}
impl_key!(OfSkipped { a, b, c });

#[test]
fn a_group_is_found_without_decoding_it() {
    fn group<K: KeyPart>(key: K) {
        let whole = encoding(&Sorted(key.clone(), u32::MAX));
        assert_eq!(Sorted::<K, u32>::group(&whole).unwrap(), part(&key));
    }
    group(Some(Skipped(3)));
    group(None::<Skipped>);
    group(Reverse(Skipped(3)));
    group(Some(Reverse((Skipped(0), Skipped(255)))));
    group(OfSkipped { a: Some(Skipped(1)), b: Reverse(Skipped(2)), c: Skipped(3) });
    // Shorter, as long, and longer than what is looked at first.
    for len in [0, 59, 60, 61, 62, 63, 64, 65, 500] {
        group(Reverse("a\0".repeat(len)));
        group(Reverse("b".repeat(len)));
    }
}
