//! Transfers over real connections on loopback.
