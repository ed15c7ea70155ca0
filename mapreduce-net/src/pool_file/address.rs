//! [`PoolAddress`]: where a pool can be joined.

use std::{
    fmt,
    net::{Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// The UDP port of a pool when an address names none.
pub const DEFAULT_PORT: u16 = 7077;
/// The longest name in the domain name system.
const HOST_BYTES_MAX: usize = 253;

/// A host (name or IP address) and a port through which a pool can be joined.
///
/// ```
/// use mapreduce_net::pool_file::PoolAddress;
/// let address: PoolAddress = "laptop.local".parse()?;
/// assert_eq!((address.host(), address.port()), ("laptop.local", 7077));
/// assert_eq!("[fd7a::1]:99".parse::<PoolAddress>()?.host(), "fd7a::1");
/// # Ok::<(), mapreduce_net::pool_file::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolAddress {
    host: String,
    port: u16,
}

impl PoolAddress {
    /// The name or IP address (an IPv6 address without its brackets).
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The UDP port; [`DEFAULT_PORT`] if the text named none.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// The text is not an address of a pool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address: {reason}; write HOST, HOST:PORT, or [IPV6]:PORT")]
pub struct AddressError {
    /// The text, cut to 80 characters.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl From<SocketAddr> for PoolAddress {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_canonical().to_string(), port: address.port() }
    }
}

impl FromStr for PoolAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        parse(text).map_err(|reason| AddressError { text: text.chars().take(80).collect(), reason })
    }
}

fn parse(text: &str) -> Result<PoolAddress, &'static str> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("the bracket is not closed")?;
        host.parse::<Ipv6Addr>().map_err(|_| "in the brackets is no IPv6 address")?;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(port),
            None if rest.is_empty() => None,
            None => return Err("after the bracket there must be a colon and a port"),
        };
        (host, port)
    } else if text.parse::<Ipv6Addr>().is_ok() {
        (text, None)
    } else {
        match text.split_once(':') {
            Some((host, port)) => (name(host)?, Some(port)),
            None => (name(text)?, None),
        }
    };
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            port.parse().ok().filter(|&port| port != 0).ok_or("the port is not from 1 to 65535")?
        }
        Some(_) => return Err("the port is not a number"),
    };
    Ok(PoolAddress { host: host.to_owned(), port })
}

/// A host name or an IPv4 address; whether it exists is found out by whoever connects to it.
fn name(host: &str) -> Result<&str, &'static str> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    match host {
        "" => Err("there is no host"),
        host if host.len() > HOST_BYTES_MAX => Err("the host is longer than 253 characters"),
        host if !host.bytes().all(letter) => Err("a host has only letters, digits, dots and hyphens"),
        host => Ok(host),
    }
}

impl fmt::Display for PoolAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_with_their_port_and_read_back() {
        for (text, shown) in [
            ("10.0.0.1", "10.0.0.1:7077"),
            ("node-1.lan:1", "node-1.lan:1"),
            ("::1", "[::1]:7077"),
            ("[::1]", "[::1]:7077"),
            ("[fe80::2]:65535", "[fe80::2]:65535"),
        ] {
            let address: PoolAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "there is no host"),
            (":1", "there is no host"),
            ("a:0", "the port is not from 1 to 65535"),
            ("a:65536", "the port is not from 1 to 65535"),
            ("a:", "the port is not from 1 to 65535"),
            ("a:+1", "the port is not a number"),
            ("a:b:c", "the port is not a number"),
            ("a b", "a host has only letters, digits, dots and hyphens"),
            ("http://a", "the port is not a number"),
            ("[::1", "the bracket is not closed"),
            ("[a]:1", "in the brackets is no IPv6 address"),
            ("[::1]1", "after the bracket there must be a colon and a port"),
        ] {
            assert_eq!(text.parse::<PoolAddress>().unwrap_err().reason, reason, "{text}");
        }
        assert_eq!("a".repeat(254).parse::<PoolAddress>().unwrap_err().text.len(), 80);
    }
}
