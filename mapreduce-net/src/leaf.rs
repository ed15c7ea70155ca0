//! [`LeafStore`]: the certificate a process shows, issued by itself and renewed before it expires.

use crate::{
    Role,
    authority::{Authority, IssueError, PublicKey, handshake_key, public_key},
    secret::Secret,
};
use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    pki_types::UnixTime,
    server::{ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, SigningKey},
    time_provider::TimeProvider,
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Where the time comes from: the system, or a test.
pub(crate) type Clock = Arc<dyn TimeProvider>;

/// How long the certificates that a process issues itself are valid.
///
/// A certificate is replaced when half its lifetime is over, so the clock of a peer may be ahead by half the lifetime,
/// and behind by `skew`. Connections that exist are not affected by renewal or expiry.
///
/// ```
/// use std::time::Duration;
/// let validity = mapreduce_net::Validity { lifetime: Duration::from_secs(3600), ..Default::default() };
/// assert_eq!(validity.skew, Duration::from_secs(12 * 3600));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From the moment of issue to expiry; 24 hours by default, a minute to a year. Shorter costs a signature each time
    /// half of it is over, and leaves a stolen certificate of a process useful for less long.
    pub lifetime: Duration,
    /// By how much the start of validity lies before the moment of issue; 12 hours by default, up to a year. It costs
    /// nothing; it is for clocks that are wrong, commonly by a time zone.
    pub skew: Duration,
}

impl Default for Validity {
    fn default() -> Self {
        Self { lifetime: Duration::from_secs(24 * 3600), skew: Duration::from_secs(12 * 3600) }
    }
}

impl Validity {
    const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

    /// Whether both are in range.
    pub(crate) fn is_valid(&self) -> bool {
        (Duration::from_secs(60)..=Self::YEAR).contains(&self.lifetime) && self.skew <= Self::YEAR
    }

    pub(crate) fn lifetime_s(&self) -> i64 {
        i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX)
    }

    pub(crate) fn skew_s(&self) -> i64 {
        i64::try_from(self.skew.as_secs()).unwrap_or(i64::MAX)
    }
}

/// The certificate of this process. Asked at every handshake.
pub(crate) enum LeafStore {
    /// Issued by this process, with a key that lives as long as the process.
    Issued(Box<Issued>),
    /// Given by the user.
    Given(Arc<CertifiedKey>),
}

pub(crate) struct Issued {
    authority: Authority,
    validity: Validity,
    clock: Clock,
    key: Arc<dyn SigningKey>,
    public_key: PublicKey,
    current: Mutex<(Arc<CertifiedKey>, UnixTime)>,
}

impl LeafStore {
    /// A store with a new key and its first certificate.
    pub(crate) fn issuing(
        authority: Authority,
        validity: Validity,
        clock: Clock,
    ) -> Result<Self, IssueError> {
        let seed = Secret::random().ok_or(IssueError::NoRandomness)?;
        let (key, public_key) = (handshake_key(&seed), public_key(&seed));
        let now = clock.current_time().ok_or(IssueError::Clock)?;
        let certificate = authority.issue(&public_key, validity, now)?;
        let current = Mutex::new((Arc::new(CertifiedKey::new(vec![certificate], key.clone())), now));
        Ok(Self::Issued(Box::new(Issued { authority, validity, clock, key, public_key, current })))
    }

    /// The certificate to show now.
    pub(crate) fn current(&self) -> Arc<CertifiedKey> {
        match self {
            Self::Issued(issued) => issued.current(),
            Self::Given(key) => key.clone(),
        }
    }
}

impl Issued {
    fn current(&self) -> Arc<CertifiedKey> {
        // A poisoned lock guards a whole value: it is replaced in one assignment.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let renewed = self.clock.current_time().filter(|now| self.is_due(current.1, *now)).map(|now| {
            let certificate = self.authority.issue(&self.public_key, self.validity, now)?;
            Ok::<_, IssueError>((Arc::new(CertifiedKey::new(vec![certificate], self.key.clone())), now))
        });
        match renewed {
            Some(Ok(renewed)) => *current = renewed,
            // The old certificate may still do; if not, the other side says that it has expired.
            Some(Err(error)) => tracing::warn!(%error, "the certificate of this process was not renewed"),
            None => {}
        }
        current.0.clone()
    }

    /// Half the lifetime is over, or the clock was set back to before the issue.
    fn is_due(&self, issued: UnixTime, now: UnixTime) -> bool {
        now.as_secs()
            .checked_sub(issued.as_secs())
            .is_none_or(|age| age >= self.validity.lifetime.as_secs() / 2)
    }
}

impl ResolvesServerCert for LeafStore {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl ResolvesClientCert for LeafStore {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for LeafStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, role): (_, Option<Role>) = match self {
            Self::Issued(issued) => ("issued", Some(issued.authority.role())),
            Self::Given(_) => ("given", None),
        };
        f.debug_struct("LeafStore").field("source", &source).field("role", &role).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::trust::node_id;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A clock that stands where a test puts it.
    #[derive(Debug)]
    pub(crate) struct TestClock(AtomicU64);

    impl TestClock {
        pub(crate) fn at(seconds: u64) -> Arc<Self> {
            Arc::new(Self(AtomicU64::new(seconds)))
        }

        pub(crate) fn set(&self, seconds: u64) {
            self.0.store(seconds, Ordering::SeqCst);
        }
    }

    impl TimeProvider for TestClock {
        fn current_time(&self) -> Option<UnixTime> {
            Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::SeqCst))))
        }
    }

    const HOUR: u64 = 3600;
    const START: u64 = 1_800_000_000;

    #[test]
    fn certificates_are_renewed_at_half_their_lifetime_and_keep_their_key() {
        let clock = TestClock::at(START);
        let authority = Authority::founding(Secret::random().unwrap());
        let store = LeafStore::issuing(authority, Validity::default(), clock.clone()).unwrap();
        let first = store.current();
        clock.set(START + 12 * HOUR - 1);
        assert!(Arc::ptr_eq(&store.current(), &first));
        clock.set(START + 12 * HOUR);
        let second = store.current();
        assert_ne!(second.cert, first.cert);
        assert!(Arc::ptr_eq(&second.key, &first.key));
        assert_eq!(node_id(&second.cert[0]).unwrap(), node_id(&first.cert[0]).unwrap());
        clock.set(START + 24 * HOUR - 1);
        assert!(Arc::ptr_eq(&store.current(), &second));
    }

    #[test]
    fn a_clock_that_is_set_back_gets_a_certificate_of_its_time() {
        let clock = TestClock::at(START);
        let authority = Authority::founding(Secret::random().unwrap());
        let store = LeafStore::issuing(authority, Validity::default(), clock.clone()).unwrap();
        let first = store.current();
        clock.set(START - HOUR);
        let second = store.current();
        assert_ne!(second.cert, first.cert);
        clock.set(0);
        assert!(
            Arc::ptr_eq(&store.current(), &second),
            "no certificate can be made of 1970, so the last one stays"
        );
    }

    #[test]
    fn validity_out_of_range_is_told() {
        assert!(Validity::default().is_valid());
        assert!(!Validity { lifetime: Duration::from_secs(59), ..Validity::default() }.is_valid());
        assert!(!Validity { lifetime: Validity::YEAR * 2, ..Validity::default() }.is_valid());
        assert!(!Validity { skew: Validity::YEAR * 2, ..Validity::default() }.is_valid());
    }
}
