//! [`Reach`]: the addresses at which a node can be reached, as far as it knows.

use super::table::ADDRESSES_MAX;
use crate::pool_file::PoolAddress;
use std::{collections::VecDeque, net::SocketAddr};

/// What a node tells others to dial.
#[derive(Debug)]
pub(super) enum Reach {
    /// It does not listen.
    Nowhere,
    /// It was told, or it is bound to one address.
    Known(Vec<String>),
    /// It is bound to all addresses of its host and learns from others which they are.
    Learned {
        /// Where it was dialled, the newest first.
        dialled: VecDeque<SocketAddr>,
        /// Where its packets seem to come from, the newest first: with a NAT in between, others may not get back there.
        seen: VecDeque<SocketAddr>,
    },
}

impl Reach {
    /// Of a node that is bound to `local`, if it listens.
    pub(super) fn new(advertise: &[PoolAddress], local: Option<SocketAddr>) -> Self {
        match local {
            None => Self::Nowhere,
            Some(_) if !advertise.is_empty() => {
                Self::Known(advertise.iter().take(ADDRESSES_MAX).map(PoolAddress::to_string).collect())
            }
            Some(local) if local.ip().is_unspecified() => {
                Self::Learned { dialled: VecDeque::new(), seen: VecDeque::new() }
            }
            Some(local) => Self::Known(vec![local.to_string()]),
        }
    }

    /// Another member says at which address it has dialled or seen this node.
    pub(super) fn learn(&mut self, address: SocketAddr, was_dialled: bool) {
        let Self::Learned { dialled, seen } = self else { return };
        if address.ip().is_unspecified() || address.ip().is_multicast() || address.port() == 0 {
            return;
        }
        let list = if was_dialled { dialled } else { seen };
        if !list.contains(&address) {
            list.push_front(address);
            list.truncate(ADDRESSES_MAX / 2);
        }
    }

    /// The addresses, the best first: those that have worked before those that may, and those that work on the same host
    /// only at the end.
    pub(super) fn addresses(&self) -> Vec<String> {
        let (dialled, seen) = match self {
            Self::Nowhere => return Vec::new(),
            Self::Known(addresses) => return addresses.clone(),
            Self::Learned { dialled, seen } => (dialled, seen),
        };
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for loopback in [false, true] {
            for &address in dialled.iter().chain(seen).filter(|a| a.ip().is_loopback() == loopback) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        addresses.iter().map(SocketAddr::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_advertised_or_bound_is_what_others_are_told() {
        let advertise = ["10.0.0.1:5".parse().unwrap()];
        let mut known = Reach::new(&advertise, Some(address("0.0.0.0:7")));
        known.learn(address("10.0.0.9:7"), true);
        assert_eq!(known.addresses(), ["10.0.0.1:5"]);
        assert_eq!(Reach::new(&[], Some(address("[::1]:7"))).addresses(), ["[::1]:7"]);
        assert!(Reach::new(&advertise, None).addresses().is_empty());
    }

    #[test]
    fn a_node_bound_to_all_addresses_learns_its_own_from_others() {
        let mut reach = Reach::new(&[], Some(address("[::]:7")));
        assert!(reach.addresses().is_empty());
        for (text, dialled) in [
            ("127.0.0.1:7", true),
            ("10.0.0.1:7", false),
            ("10.0.0.2:7", true),
            ("10.0.0.2:7", false),
            ("0.0.0.0:7", true),
            ("10.0.0.3:0", true),
        ] {
            reach.learn(address(text), dialled);
        }
        assert_eq!(reach.addresses(), ["10.0.0.2:7", "10.0.0.1:7", "127.0.0.1:7"]);
        (0..100).for_each(|port| reach.learn(address("10.0.0.1:1000").with_port(port), port % 2 == 0));
        assert_eq!(reach.addresses().len(), ADDRESSES_MAX);
    }

    trait WithPort {
        fn with_port(self, port: u16) -> Self;
    }

    impl WithPort for SocketAddr {
        fn with_port(mut self, port: u16) -> Self {
            self.set_port(port);
            self
        }
    }
}
