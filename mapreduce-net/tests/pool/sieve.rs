//! [`Sieve`]: a job with side outputs.

use super::gate::Hook;
use mapreduce_core::prelude::*;

/// Sums numbers by their last two digits. Multiples of seven are `bad`, and multiples of five `late`, which sums of odd
/// digits are as well.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Sieve {
    /// Called ahead of a number.
    pub(crate) of_map: Hook,
    /// Called behind a key, when its sum has been written.
    pub(crate) of_reduce: Hook,
}

impl Mapper for Sieve {
    type Input = Items<u64>;
    type Key = u64;
    type Value = u64;

    fn map(&self, n: &u64, out: &mut impl Emit<u64, u64>) -> Result {
        self.of_map.call(*n)?;
        out.count("numbers", 1);
        if n.is_multiple_of(5) {
            out.side("late", n.to_string().as_bytes())?;
        }
        if n.is_multiple_of(7) {
            return out.side("bad", format!("bad {n}").as_bytes());
        }
        out.emit(&(n % 100), n)
    }
}

pub(crate) struct Sift(Hook);

impl Reducer<u64, u64> for Sift {
    type Key = u64;
    type Value = String;

    fn reduce(&self, key: &u64, values: &mut Values<'_, u64>, out: &mut impl Emit<u64, String>) -> Result {
        out.count("keys", 1);
        let mut sum = 0;
        while let Some(n) = values.next()? {
            sum += *n;
        }
        match key % 2 {
            0 => out.emit(key, &format!("the sum, \"{sum}\""))?,
            _ => out.side("late", format!("{key} {sum}").as_bytes())?,
        }
        self.0.call(*key)
    }
}

impl Job for Sieve {
    const NAME: &'static str = "sieve";
    const SIDE_OUTPUTS: &'static [&'static str] = &["late", "bad", "unused"];
    type Shared = ();
    type Mapper = Self;
    type Combiner = Sum;
    type Reducer = Sift;

    fn mapper(&self, (): &()) -> Result<Self> {
        Ok(self.clone())
    }

    fn combiner(&self) -> Sum {
        Sum
    }

    fn reducer(&self, (): &()) -> Result<Sift> {
        Ok(Sift(self.of_reduce.clone()))
    }
}
