//! The client over TLS, through a proxy in front of a server, as it is deployed.

use crate::loading_tests::{Fixture, Serving, check};
use clock::Clock;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Ends TLS before a server; its certificate is that of `localhost`, and of nothing else.
pub(super) struct Proxy {
    /// `https://localhost:port`.
    pub url: String,
    /// Who signed its certificate.
    pub authorities: PathBuf,
    /// Connections that got through.
    passed: Arc<AtomicU32>,
    _directory: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Proxy {
    pub(super) fn before(server: &str) -> Self {
        let key = key();
        // Two of one name would be taken for each other.
        let name = format!("A test authority {:?}", &key.public_key_raw()[1..9]);
        let mut params = of_name(&name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, key).unwrap();
        let own = self::key();
        let certificate = of_name("A test server", &["localhost"])
            .signed_by(&own, &authority)
            .unwrap();
        Self::with(server, certificate.der(), &own, &authority.pem())
    }

    /// With a certificate that nobody else signed.
    fn unsigned(server: &str) -> Self {
        let key = key();
        let certificate = of_name("A test server", &["localhost"])
            .self_signed(&key)
            .unwrap();
        Self::with(server, certificate.der(), &key, "")
    }

    fn with(
        server: &str,
        certificate: &CertificateDer<'static>,
        key: &KeyPair,
        authorities_pem: &str,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let authorities = directory.path().join("ca.pem");
        std::fs::write(&authorities, authorities_pem).unwrap();
        let runtime = super::runtime().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let passed = Arc::new(AtomicU32::new(0));
        let server = server.strip_prefix("http://").unwrap().to_owned();
        runtime.spawn(pass_on(
            listener,
            TlsAcceptor::from(Arc::new(config)),
            server,
            Arc::clone(&passed),
        ));
        Self {
            url: format!("https://localhost:{port}"),
            authorities,
            passed,
            _directory: directory,
            _runtime: runtime,
        }
    }
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn of_name(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, name.to_owned());
    params
}

async fn pass_on(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    server: String,
    passed: Arc<AtomicU32>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, server) = (acceptor.clone(), server.clone());
        let passed = Arc::clone(&passed);
        tokio::spawn(async move {
            let Ok(mut secure) = acceptor.accept(stream).await else {
                return;
            };
            passed.fetch_add(1, Ordering::SeqCst);
            let mut plain = TcpStream::connect(server).await.unwrap();
            let _ = copy_bidirectional(&mut secure, &mut plain).await;
        });
    }
}

/// A usage file with one call, on a fixture.
fn usage(fixture: &Fixture) -> PathBuf {
    let at = Clock::system().now().plus_secs(-3600);
    fixture.file(
        "usage.ndjson",
        &format!(
            "{{\"id\":\"1\",\"customer\":\"acme-42\",\"meter\":\"call\",\"quantity\":\"60\",\
             \"at\":\"{at}\",\"destination\":\"+4930123456\"}}\n"
        ),
    )
}

fn ingest(serving: &Serving, url: &str, file: &Path, more: &[&str]) -> String {
    let file = file.display().to_string();
    let words = [&["ingest", &file, "--format", "ndjson"], more].concat();
    serving.run_through(url, &words)
}

#[test]
fn a_server_behind_tls_is_spoken_to_by_every_command() {
    let serving = Serving::over(Fixture::new());
    let (proxy, file) = (Proxy::before(serving.url()), usage(&serving.fixture));
    let authorities = proxy.authorities.display().to_string();
    let trust = ["--ca-file", authorities.as_str()];
    check(
        &ingest(&serving, &proxy.url, &file, &trust),
        &["1 row: 1 posted, 0 duplicate", "exit 0"],
    );
    check(
        &ingest(&serving, serving.url(), &file, &[]),
        &["1 row: 0 posted, 1 duplicate", "exit 0"],
    );
    check(
        &serving.run_through(&proxy.url, &[&["resume"], &trust[..]].concat()),
        &["nothing is on hold", "exit 0"],
    );
    let deck = serving.fixture.file("deck.csv", "Prefix,Rate\n4930,0.10\n");
    let deck = deck.display().to_string();
    let import = ["import-rates", &deck, "--card", "carriers", "--dry-run"];
    check(
        &serving.run_through(&proxy.url, &[&import, &trust[..]].concat()),
        &["1 new", "exit 0"],
    );
    assert!(proxy.passed.load(Ordering::SeqCst) >= 3);
}

/// The key would be told to whoever is in between.
#[test]
fn a_certificate_that_nobody_signed_is_refused_by_name() {
    let serving = Serving::over(Fixture::new());
    let file = usage(&serving.fixture);
    let (unsigned, signed) = (Proxy::unsigned(serving.url()), Proxy::before(serving.url()));
    let refused = |proxy: &Proxy, more: &[&str]| {
        let told = ingest(&serving, &proxy.url, &file, more);
        let want = format!(
            "error: the certificate of {} is refused: no known authority signed it (--ca-file",
            proxy.url
        );
        check(&told, &[&want, "UnknownIssuer"]);
    };
    refused(&unsigned, &[]);
    refused(&signed, &[]);
    let another = Proxy::before(serving.url());
    refused(
        &signed,
        &["--ca-file", &another.authorities.display().to_string()],
    );
    assert_eq!(unsigned.passed.load(Ordering::SeqCst), 0);
    assert_eq!(signed.passed.load(Ordering::SeqCst), 0);
}

#[test]
fn a_certificate_of_another_name_and_a_server_without_one_are_refused() {
    let serving = Serving::over(Fixture::new());
    let (proxy, file) = (Proxy::before(serving.url()), usage(&serving.fixture));
    let authorities = proxy.authorities.display().to_string();
    let trust = ["--ca-file", authorities.as_str()];
    let by_number = proxy.url.replace("localhost", "127.0.0.1");
    let without = serving.url().replace("http://", "https://");
    for url in [&by_number, &without] {
        let told = ingest(&serving, url, &file, &trust);
        check(&told, &[&format!("error: no secure connection to {url}: ")]);
    }
    assert_eq!(proxy.passed.load(Ordering::SeqCst), 0);
    let nothing = serving
        .fixture
        .file("nothing.pem", "")
        .display()
        .to_string();
    check(
        &ingest(&serving, &proxy.url, &file, &["--ca-file", &nothing]),
        &[&format!(
            "error: --ca-file: cannot read certificates from {nothing}"
        )],
    );
}
