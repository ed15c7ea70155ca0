//! [`partitions`]: how many reduce tasks a round has.

use crate::{Dataset, Error, Input, Job, Options};

/// The number of partitions of a round: those of the keys, which are [`Options::partitions_for`] and all that a
/// partitioner sees, and one more for the lines of the mappers if the job has [side outputs](Job::SIDE_OUTPUTS). The
/// coordinator, the nodes and [`erased_round`](crate::exec::erased_round) are told this number.
///
/// # Errors
/// [`Error::TooManyPartitions`] for more than [`Options::PARTITIONS_MAX`].
pub fn partitions<J: Job, I: Input>(options: &Options, data: &Dataset<I>) -> Result<u32, Error> {
    let of_keys = options.partitions_for(data.bytes());
    let partitions = of_keys.saturating_add(u32::from(!J::SIDE_OUTPUTS.is_empty()));
    match partitions <= Options::PARTITIONS_MAX {
        true => Ok(partitions),
        false => Err(Error::TooManyPartitions { partitions }),
    }
}
