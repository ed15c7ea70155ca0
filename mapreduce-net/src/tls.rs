//! The TLS configurations: TLS 1.3 only, ring by name, certificates on both sides, no resumption, no early data.

use crate::{leaf::Clock, leaf::LeafStore, transport::Channel, trust::Trust};
use rustls::{
    ClientConfig, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, ring},
    server::NoServerSessionStorage,
    version::TLS13,
};
use std::sync::Arc;

/// The cryptography all of this crate uses, named so that nothing depends on what an embedding program installs as the
/// default of its process.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// What a member shows and asks of whoever connects to it.
pub(crate) fn server_config(leaf: Arc<LeafStore>, trust: Arc<Trust>, clock: Clock) -> ServerConfig {
    let mut config = ServerConfig::builder_with_details(provider(), clock)
        .with_protocol_versions(&[&TLS13])
        .expect("ring offers cipher suites of TLS 1.3")
        .with_client_cert_verifier(trust)
        .with_cert_resolver(leaf);
    config.alpn_protocols = Channel::ALL.iter().map(|channel| channel.alpn().as_bytes().to_vec()).collect();
    // A resumed session would carry over a certificate that has expired since.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config
}

/// What anyone shows and asks of the member it connects to.
pub(crate) fn client_config(
    leaf: Arc<LeafStore>,
    trust: Arc<Trust>,
    clock: Clock,
    channel: Channel,
) -> ClientConfig {
    let mut config = ClientConfig::builder_with_details(provider(), clock)
        .with_protocol_versions(&[&TLS13])
        .expect("ring offers cipher suites of TLS 1.3")
        .dangerous()
        // Nothing is skipped: the verifier fixes the server name and leaves the rest to webpki.
        .with_custom_certificate_verifier(trust)
        .with_client_cert_resolver(leaf);
    config.alpn_protocols = vec![channel.alpn().as_bytes().to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config
}
