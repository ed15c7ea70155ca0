//! Map-reduce jobs on a QUIC-connected pool of peers.
