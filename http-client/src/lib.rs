//! How this program connects to other programs, with TLS: the command line to a server, webhooks to
//! their receivers. Stripe's library and the mail library build their own connectors, and take none
//! from outside; they use the same TLS (rustls with ring) and the same public authorities.

pub use hyper_rustls::{HttpsConnector, MaybeHttpsStream};

use hyper::Uri;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tower::ServiceExt as _;

/// A connection, with or without TLS.
pub type Stream = TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>;

/// Why nothing can be connected to.
#[derive(Debug, thiserror::Error)]
pub enum NoTls {
    /// The cryptography of this build has no TLS to offer.
    #[error("no TLS: {0}")]
    Unavailable(#[from] rustls::Error),
    #[error("cannot read certificates from {}: {why}", file.display())]
    Authorities { file: PathBuf, why: String },
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum NotConnected {
    /// Somebody answered, but it may be anybody: the certificate is refused, or it is no TLS.
    #[error("{0}")]
    Tls(rustls::Error),
    #[error(transparent)]
    Unreachable(Box<dyn Error + Send + Sync>),
}

impl NotConnected {
    /// The certificate may be right, and its authority is one that nobody named.
    pub fn is_unknown_authority(&self) -> bool {
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        matches!(self, Self::Tls(error) if *error == unknown)
    }

    fn of(error: Box<dyn Error + Send + Sync>) -> Self {
        match of_tls(&*error).cloned() {
            Some(error) => Self::Tls(error),
            None => Self::Unreachable(error),
        }
    }
}

/// What TLS says, from within the errors of those that asked it.
fn of_tls<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    let within = match error.downcast_ref::<io::Error>() {
        // Its source is that of the error within, which itself would be passed over.
        Some(error) => error
            .get_ref()
            .map(|within| -> &'e (dyn Error + 'static) { within }),
        None => error.source(),
    };
    within.and_then(of_tls)
}

/// Whose certificates are believed: what the public authorities sign, and no others unless they are
/// named.
#[derive(Debug, Clone)]
pub struct TlsClient(ClientConfig);

impl TlsClient {
    /// # Errors
    /// There is no TLS.
    pub fn new() -> Result<Self, NoTls> {
        Self::believing(public_authorities())
    }

    /// Believes the authorities of this PEM file, too.
    ///
    /// # Errors
    /// The file cannot be read, or has no certificate that can be used; or there is no TLS.
    pub fn with_authorities(file: &Path) -> Result<Self, NoTls> {
        let mut authorities = public_authorities();
        let bad = |why: String| NoTls::Authorities {
            file: file.to_owned(),
            why,
        };
        let named = certificates(file).map_err(|error| bad(error.to_string()))?;
        if named.is_empty() {
            return Err(bad("there is none in it".to_owned()));
        }
        for certificate in named {
            authorities
                .add(certificate)
                .map_err(|error| bad(error.to_string()))?;
        }
        Self::believing(authorities)
    }

    fn believing(authorities: RootCertStore) -> Result<Self, NoTls> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(Self(
            config
                .with_root_certificates(authorities)
                .with_no_client_auth(),
        ))
    }

    /// Connects as `http` does, always with TLS.
    pub fn https_only<R>(&self, http: HttpConnector<R>) -> HttpsConnector<HttpConnector<R>> {
        HttpsConnectorBuilder::new()
            .with_tls_config(self.0.clone())
            .https_only()
            .enable_http1()
            .wrap_connector(of_both_schemes(http))
    }

    /// Connects as `http` does, with TLS where the URL says so.
    pub fn https_or_http<R>(&self, http: HttpConnector<R>) -> HttpsConnector<HttpConnector<R>> {
        HttpsConnectorBuilder::new()
            .with_tls_config(self.0.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(of_both_schemes(http))
    }

    /// One connection to the server of this URL, with TLS if it begins with `https`.
    ///
    /// # Errors
    /// There is none.
    pub async fn connect(&self, url: Uri) -> Result<Stream, NotConnected> {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        let connected = self.https_or_http(http).oneshot(url).await;
        connected.map(TokioIo::new).map_err(NotConnected::of)
    }
}

/// Which schemes are allowed, the connector around it decides.
fn of_both_schemes<R>(mut http: HttpConnector<R>) -> HttpConnector<R> {
    http.enforce_http(false);
    http
}

fn public_authorities() -> RootCertStore {
    RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_file_iter(file)?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise every server would be refused, and nobody would know why.
    #[test]
    fn a_file_without_authorities_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let refused = || {
            TlsClient::with_authorities(&file)
                .map(|_| ())
                .unwrap_err()
                .to_string()
        };
        let begins = format!("cannot read certificates from {}: ", file.display());
        assert!(refused().starts_with(&begins), "{}", refused());
        for text in [
            "",
            "no PEM\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            std::fs::write(&file, text).unwrap();
            assert!(refused().starts_with(&begins), "{text}: {}", refused());
        }
    }

    #[tokio::test]
    async fn nobody_who_listens_is_no_matter_of_certificates() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Uri = format!("https://{}/", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        drop(listener);
        let refused = TlsClient::new().unwrap().connect(url).await.unwrap_err();
        assert!(
            matches!(refused, NotConnected::Unreachable(_)) && !refused.is_unknown_authority(),
            "{refused}"
        );
    }
}
