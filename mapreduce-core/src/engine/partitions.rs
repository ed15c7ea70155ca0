//! [`partitions`]: how many reduce tasks a round has.

use crate::{Dataset, Input, Job, Options};

/// The number of partitions of a round: those of the keys, which are [`Options::partitions_for`] and all that a
/// partitioner sees, and one more for the lines of the mappers if the job has [side outputs](Job::SIDE_OUTPUTS). The
/// coordinator, the nodes and [`erased_round`](crate::exec::erased_round) are told this number.
pub fn partitions<J: Job, I: Input>(options: &Options, data: &Dataset<I>) -> u32 {
    options.partitions_for(data.bytes()).saturating_add(u32::from(!J::SIDE_OUTPUTS.is_empty()))
}
