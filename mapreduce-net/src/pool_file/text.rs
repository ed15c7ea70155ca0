//! The text of a pool file.
//!
//! ```text
//! mapreduce pool file, version 1
//! kind: member                          or: client
//! pool: <32 hexadecimal digits>         the PoolId; follows from the keys below
//! address: HOST:PORT                    1 to 64 of these
//! secret: <base64 of 32 bytes>          member files only: the secret of the pool
//! client-key: <base64 of 32 bytes>      client files only: the private key (seed) of the client authority
//! member-authority: <base64>            client files only: the public key of the member authority
//! checksum: <16 hexadecimal digits>     first 8 bytes of the SHA-256 of all lines above
//! ```
//!
//! Lines end with a line feed, the last one too; carriage returns before it are dropped before anything is looked at, so
//! a file survives being copied as text. Empty lines and lines that begin with `#` are skipped, but are part of the
//! checksum. The checksum tells a file that was cut short or mangled apart from a whole one; it protects from nobody.

use super::{ADDRESSES_MAX, Kind, PoolAddress};
use crate::{
    PoolId,
    secret::{Secret, base64_key},
};
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

/// The version this module reads and writes.
pub(super) const VERSION: u32 = 1;
const HEADER: &str = "mapreduce pool file, version ";

/// What a file says, not yet checked for whether its keys belong to its pool.
pub(super) struct Content {
    pub(super) pool: PoolId,
    /// The line that says it.
    pub(super) pool_line: usize,
    pub(super) addresses: Vec<PoolAddress>,
    pub(super) keys: Keys,
}

/// The keys of either kind of file.
pub(super) enum Keys {
    Member { secret: Secret },
    Client { client_key: Secret, member_authority: [u8; 32] },
}

/// Why a text is not a pool file.
#[derive(Debug, PartialEq)]
pub(super) enum TextError {
    Foreign,
    Version(String),
    Damaged { line: usize, reason: String },
}

/// Writes a file.
pub(super) fn write(pool: PoolId, addresses: &[PoolAddress], keys: &Keys) -> Zeroizing<String> {
    // One allocation, so that no copy of a key is left behind by one that grew.
    let length = 1024 + addresses.iter().map(|address| address.to_string().len() + 16).sum::<usize>();
    let mut text = Zeroizing::new(String::with_capacity(length));
    let mut line = |parts: &[&str]| {
        parts.iter().for_each(|part| text.push_str(part));
        text.push('\n');
    };
    line(&[HEADER, &VERSION.to_string()]);
    let (kind, warning) = match keys {
        Keys::Member { .. } => (Kind::Member, "can run the registered jobs on every node of the pool"),
        Keys::Client { .. } => (Kind::Client, "can submit jobs to the pool"),
    };
    line(&["# Whoever holds this file ", warning, ". Keep it private (mode 0600)."]);
    line(&["kind: ", kind.name()]);
    line(&["pool: ", &pool.to_string()]);
    for address in addresses {
        line(&["address: ", &address.to_string()]);
    }
    match keys {
        Keys::Member { secret } => line(&["secret: ", &secret.to_base64()]),
        Keys::Client { client_key, member_authority } => {
            line(&["client-key: ", &client_key.to_base64()]);
            line(&["member-authority: ", &data_encoding::BASE64.encode(member_authority)]);
        }
    }
    let sum = checksum(text.as_bytes());
    text.push_str("checksum: ");
    text.push_str(&sum);
    text.push('\n');
    text
}

/// Reads a file.
pub(super) fn parse(bytes: &[u8]) -> Result<Content, TextError> {
    let text = unix_lines(bytes);
    let text = std::str::from_utf8(&text).map_err(|error| {
        let line = 1 + text[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
        if line == 1 { TextError::Foreign } else { damaged(line, "is not text") }
    })?;
    let (first, _) = text.split_once('\n').unwrap_or((text, ""));
    match first.strip_prefix(HEADER) {
        None if !first.is_empty() && HEADER.starts_with(first) => {
            return Err(damaged(1, "the file is cut short"));
        }
        None if first.is_empty() && text.is_empty() => return Err(damaged(1, "the file is empty")),
        None => return Err(TextError::Foreign),
        Some(version) if version == VERSION.to_string() => {}
        Some("") => return Err(damaged(1, "the file is cut short")),
        Some(version) => return Err(TextError::Version(version.chars().take(20).collect())),
    }
    let body = verified(text)?;
    let mut fields = Fields::default();
    for (index, line) in body.lines().enumerate().skip(1) {
        if !line.is_empty() && !line.starts_with('#') {
            fields.take(index + 1, line).map_err(|reason| TextError::Damaged { line: index + 1, reason })?;
        }
    }
    fields.finish().map_err(|reason| TextError::Damaged { line: body.lines().count(), reason })
}

/// The lines above the checksum, if it is right.
fn verified(text: &str) -> Result<&str, TextError> {
    let last_line = text.lines().count();
    let cut = || damaged(last_line, "the file is cut short; its last line must be a checksum");
    let whole = text.strip_suffix('\n').ok_or_else(cut)?;
    let start = whole.rfind('\n').ok_or_else(cut)? + 1;
    let (body, line) = (&text[..start], &whole[start..]);
    let found = line.strip_prefix("checksum: ").ok_or_else(cut)?;
    if found == checksum(body.as_bytes()) {
        Ok(body)
    } else {
        Err(damaged(last_line, "the checksum does not fit; the lines above were changed"))
    }
}

fn damaged(line: usize, reason: &str) -> TextError {
    TextError::Damaged { line, reason: reason.to_owned() }
}

/// The text without the carriage returns that some ways of copying put before line feeds.
fn unix_lines(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut lines = Zeroizing::new(Vec::with_capacity(bytes.len()));
    for (index, &byte) in bytes.iter().enumerate() {
        if byte != b'\r' || bytes.get(index + 1) != Some(&b'\n') {
            lines.push(byte);
        }
    }
    lines
}

fn checksum(body: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&digest(&SHA256, body).as_ref()[..8])
}

/// The fields read so far.
#[derive(Default)]
struct Fields {
    kind: Option<Kind>,
    pool: Option<(PoolId, usize)>,
    addresses: Vec<PoolAddress>,
    secret: Option<Secret>,
    client_key: Option<Secret>,
    member_authority: Option<[u8; 32]>,
}

impl Fields {
    /// Takes one line. The reasons name fields, never the values of keys.
    fn take(&mut self, number: usize, line: &str) -> Result<(), String> {
        let Some((name, value)) = line.split_once(": ") else {
            return Err("there is no `name: value`".to_owned());
        };
        let key = || format!("`{name}` is not a key");
        let again = match name {
            "kind" => {
                let kind = Kind::from_name(value).ok_or("the kind is neither `member` nor `client`")?;
                self.kind.replace(kind).is_some()
            }
            "pool" => {
                let pool = value.parse().map_err(|error| format!("{error}"))?;
                self.pool.replace((pool, number)).is_some()
            }
            "address" => {
                if self.addresses.len() == ADDRESSES_MAX {
                    return Err(format!("there are more than {ADDRESSES_MAX} addresses"));
                }
                self.addresses.push(value.parse().map_err(|error| format!("{error}"))?);
                false
            }
            "secret" => self.secret.replace(Secret::from_base64(value).ok_or_else(key)?).is_some(),
            "client-key" => self.client_key.replace(Secret::from_base64(value).ok_or_else(key)?).is_some(),
            "member-authority" => {
                self.member_authority.replace(*base64_key(value).ok_or_else(key)?).is_some()
            }
            _ => return Err("the field is unknown".to_owned()),
        };
        if again { Err(format!("`{name}` stands here a second time")) } else { Ok(()) }
    }

    fn finish(self) -> Result<Content, String> {
        let missing = |name: &str| format!("there is no `{name}`");
        let kind = self.kind.ok_or_else(|| missing("kind"))?;
        let (pool, pool_line) = self.pool.ok_or_else(|| missing("pool"))?;
        if self.addresses.is_empty() {
            return Err(missing("address"));
        }
        let keys = match (kind, self.secret, self.client_key, self.member_authority) {
            (Kind::Member, Some(secret), None, None) => Keys::Member { secret },
            (Kind::Client, None, Some(client_key), Some(member_authority)) => {
                Keys::Client { client_key, member_authority }
            }
            (kind, ..) => return Err(format!("the keys are not those of a {kind} file")),
        };
        Ok(Content { pool, pool_line, addresses: self.addresses, keys })
    }
}
