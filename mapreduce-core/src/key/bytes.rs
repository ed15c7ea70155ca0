//! Keys that are strings of characters or bytes: as they are, or escaped when they are a part of a key.
//!
//! A byte string ends with `00 00` and writes each zero byte in it as `00 FF`. Where one string ends and a longer one goes
//! on, the first has `00 00` and the other has `00 FF` or a byte above zero, so the shorter one comes first.

use std::borrow::Cow;

use super::{Key, KeyPart, key_as_part, take};
use crate::{codec::CodecError, schema::Schema};

/// `Key` for a type that is its own encoding.
macro_rules! raw_key {
    ($key:ty, $name:literal, |$self:ident| $bytes:expr, |$encoded:ident| $decode:expr) => {
        impl Key for $key {
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                let $self = self;
                out.extend_from_slice($bytes);
            }

            #[inline]
            fn decode($encoded: &[u8]) -> Result<Cow<'_, Self>, CodecError> {
                $decode
            }

            #[inline]
            fn encoded<'a>(&'a self, _: &'a mut Vec<u8>) -> &'a [u8] {
                let $self = self;
                $bytes
            }

            fn schema(schema: &mut Schema) {
                schema.text($name);
            }
        }
    };
}

raw_key!(str, "str", |key| key.as_bytes(), |bytes| utf8(bytes).map(Cow::Borrowed));
raw_key!(String, "str", |key| key.as_bytes(), |bytes| utf8(bytes).map(|text| Cow::Owned(text.to_owned())));
raw_key!([u8], "bytes", |key| key, |bytes| Ok(Cow::Borrowed(bytes)));
raw_key!(Vec<u8>, "bytes", |key| key, |bytes| Ok(Cow::Owned(bytes.to_vec())));

impl KeyPart for String {
    #[inline]
    fn encode_part(&self, out: &mut Vec<u8>) {
        escape(self.as_bytes(), out);
    }

    fn decode_part(bytes: &mut &[u8]) -> Result<Self, CodecError> {
        let text = unescape::<Self>(bytes)?;
        Self::from_utf8(text).map_err(|error| CodecError::decode::<Self>(error.as_bytes().len(), NOT_UTF8))
    }

    fn skip_part(bytes: &mut &[u8]) -> Result<(), CodecError> {
        skip::<Self>(bytes)
    }
}

impl KeyPart for Vec<u8> {
    #[inline]
    fn encode_part(&self, out: &mut Vec<u8>) {
        escape(self, out);
    }

    fn decode_part(bytes: &mut &[u8]) -> Result<Self, CodecError> {
        unescape::<Self>(bytes)
    }

    fn skip_part(bytes: &mut &[u8]) -> Result<(), CodecError> {
        skip::<Self>(bytes)
    }
}

impl<const N: usize> KeyPart for [u8; N] {
    #[inline]
    fn encode_part(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    #[inline]
    fn decode_part(bytes: &mut &[u8]) -> Result<Self, CodecError> {
        take::<Self, N>(bytes)
    }
}

key_as_part!({const N: usize} [u8; N], |schema| schema.text(&format!("[u8;{N}]")));

const NOT_UTF8: &str = "the text is not UTF-8";

fn utf8(bytes: &[u8]) -> Result<&str, CodecError> {
    str::from_utf8(bytes).map_err(|_| CodecError::decode::<str>(bytes.len(), NOT_UTF8))
}

#[inline]
fn escape(mut text: &[u8], out: &mut Vec<u8>) {
    while let Some(zero) = memchr::memchr(0, text) {
        out.extend_from_slice(&text[..=zero]);
        out.push(0xFF);
        text = &text[zero + 1..];
    }
    out.extend_from_slice(text);
    out.extend_from_slice(&[0, 0]);
}

/// Drops an escaped string from the front of `bytes`.
fn skip<K>(bytes: &mut &[u8]) -> Result<(), CodecError> {
    while let Some(zero) = memchr::memchr(0, bytes) {
        match bytes.get(zero + 1) {
            Some(0) => {
                *bytes = &bytes[zero + 2..];
                return Ok(());
            }
            Some(0xFF) => *bytes = &bytes[zero + 2..],
            _ => break,
        }
    }
    Err(endless::<K>(bytes))
}

#[cold]
fn endless<K>(bytes: &[u8]) -> CodecError {
    CodecError::decode::<K>(bytes.len(), "the string in it does not end with two zero bytes")
}

/// Takes an escaped string off the front of `bytes`.
fn unescape<K>(bytes: &mut &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut text = Vec::new();
    while let Some(zero) = memchr::memchr(0, bytes) {
        let (run, rest) = bytes.split_at(zero);
        text.extend_from_slice(run);
        match rest {
            [0, 0, rest @ ..] => {
                *bytes = rest;
                return Ok(text);
            }
            [0, 0xFF, rest @ ..] => {
                text.push(0);
                *bytes = rest;
            }
            _ => break,
        }
    }
    Err(endless::<K>(bytes))
}
