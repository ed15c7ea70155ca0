//! K-means as an iterated map-reduce job.
