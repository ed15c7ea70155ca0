//! The jobs that are run as filters.

use mapreduce_core::{Combiner, codec::CodecError, prelude::*, schema::Schema};
use std::borrow::Cow;

/// Each line counted.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Count;

impl Mapper for Count {
    type Input = Lines;
    type Key = [u8];
    type Value = u64;
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], u64>) -> Result {
        out.count("lines", 1);
        out.emit(line, &1)
    }
}

impl SimpleJob for Count {
    const NAME: &'static str = "count";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

/// The lines that begin with the same byte, one behind the other in the order in which they come.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Joined;

impl Mapper for Joined {
    type Input = Lines;
    type Key = [u8];
    type Value = [u8];
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], [u8]>) -> Result {
        out.emit(&line[..line.len().min(1)], line)
    }
}

#[derive(Default)]
pub(crate) struct Join;

impl Reducer<[u8], [u8]> for Join {
    type Key = [u8];
    type Value = [u8];
    fn reduce(&self, key: &[u8], values: &mut Values<'_, [u8]>, out: &mut impl Emit<[u8], [u8]>) -> Result {
        let mut all = Vec::new();
        while let Some(value) = values.next()? {
            all.extend_from_slice(&value);
            all.push(b'|');
        }
        out.count("keys", 1);
        out.emit(key, &all)
    }
}

impl SimpleJob for Joined {
    const NAME: &'static str = "joined";
    type Combiner = NoCombiner;
    type Reducer = Join;
}

/// The same by a combiner, to which the order matters.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct JoinedEarly;

impl Mapper for JoinedEarly {
    type Input = Lines;
    type Key = [u8];
    type Value = Vec<u8>;
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], Vec<u8>>) -> Result {
        out.emit(&line[..line.len().min(1)], &[line, b"|"].concat())
    }
}

#[derive(Default)]
pub(crate) struct Concat;

impl Combiner<[u8], Vec<u8>> for Concat {
    fn combine(&self, _: &[u8], into: &mut Vec<u8>, value: &Vec<u8>) {
        into.extend_from_slice(value);
    }
}

impl SimpleJob for JoinedEarly {
    const NAME: &'static str = "joined-early";
    type Combiner = Concat;
    type Reducer = Fold<Concat>;
}

/// Two bytes, grouped by the first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair([u8; 2]);

impl Key for Pair {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
    fn decode(bytes: &[u8]) -> Result<Cow<'_, Self>, CodecError> {
        let pair = bytes.try_into().map_err(|_| CodecError::decode::<Self>(bytes.len(), "not two bytes"))?;
        Ok(Cow::Owned(Self(pair)))
    }
    fn group(encoded: &[u8]) -> Result<&[u8], CodecError> {
        encoded.get(..1).ok_or_else(|| CodecError::decode::<Self>(encoded.len(), "not two bytes"))
    }
    fn schema(schema: &mut Schema) {
        schema.text("pair");
    }
}

/// The first three of the second bytes of the lines that begin with the same byte.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Seconds;

impl Mapper for Seconds {
    type Input = Lines;
    type Key = Pair;
    type Value = (u8, bool);
    fn map(&self, line: &[u8], out: &mut impl Emit<Pair, (u8, bool)>) -> Result {
        match *line {
            [first, second, ..] => out.emit(&Pair([first, second]), &(second, second % 2 == 1)),
            _ => Ok(()),
        }
    }
}

#[derive(Default)]
pub(crate) struct FirstThree;

impl Reducer<Pair, (u8, bool)> for FirstThree {
    type Key = u8;
    type Value = Vec<(u8, bool)>;
    fn reduce(
        &self,
        key: &Pair,
        values: &mut Values<'_, (u8, bool)>,
        out: &mut impl Emit<u8, Vec<(u8, bool)>>,
    ) -> Result {
        let mut first = Vec::new();
        while first.len() < 3
            && let Some(value) = values.next()?
        {
            first.push(value.into_owned());
        }
        out.emit(&key.0[0], &first)
    }
}

impl SimpleJob for Seconds {
    const NAME: &'static str = "seconds";
    type Combiner = NoCombiner;
    type Reducer = FirstThree;
}

/// The lines in order.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Sort;

impl Mapper for Sort {
    type Input = Lines;
    type Key = [u8];
    type Value = ();
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], ()>) -> Result {
        out.emit(line, &())
    }
}

impl SimpleJob for Sort {
    const NAME: &'static str = "sort";
    type Combiner = NoCombiner;
    type Reducer = Identity;
}

/// Pairs each line of the first input with those of the second that begin with the same byte.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Matches;

impl Mapper for Matches {
    type Input = Either<Lines, Utf8Lines>;
    type Key = [u8];
    type Value = String;
    fn map(&self, line: Either<&[u8], &str>, out: &mut impl Emit<[u8], String>) -> Result {
        let (side, line) = match line {
            Either::Left(line) => ("left", str::from_utf8(line)?),
            Either::Right(line) => ("right", line),
        };
        out.emit(&line.as_bytes()[..line.len().min(1)], &format!("{side} {line}"))
    }
}

impl SimpleJob for Matches {
    const NAME: &'static str = "matches";
    type Combiner = NoCombiner;
    type Reducer = Identity;
}

/// Lines with an `a`, in the order in which they come.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Grep;

impl Mapper for Grep {
    type Input = Lines;
    type Key = [u8];
    type Value = u64;
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], u64>) -> Result {
        if line.contains(&b'a') { out.emit(line, &(line.len() as u64)) } else { Ok(()) }
    }
}

impl SimpleJob for Grep {
    const NAME: &'static str = "grep";
    type Combiner = NoCombiner;
    type Reducer = NoReducer;
}

/// The number of lines, under no key.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CountAll;

impl Mapper for CountAll {
    type Input = Lines;
    type Key = ();
    type Value = u64;
    fn map(&self, _: &[u8], out: &mut impl Emit<(), u64>) -> Result {
        out.emit(&(), &1)
    }
}

impl SimpleJob for CountAll {
    const NAME: &'static str = "count-all";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}
