//! The certificate with which this server proves its name, and its key: read from files, and read
//! again when they change.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use log::{info, warn};
use parking_lot::{Mutex, RwLock};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{task::spawn_blocking, time::sleep};
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at.
const FILE_INTERVAL: Duration = Duration::from_secs(10);

/// The files, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by those of its issuers.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why there is no certificate. Displayed with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{0} cannot be read ({1}): set it to a PEM file")]
    Unreadable(&'static str, io::Error),
    /// The file of the certificate has none.
    #[error("TLS_CERT_FILE has no certificate in PEM form (BEGIN CERTIFICATE)")]
    NoCertificate,
    /// The file of the key has none.
    #[error("TLS_KEY_FILE has no private key in PEM form (BEGIN PRIVATE KEY)")]
    NoKey,
    /// Not a pair that can be used.
    #[error(
        "TLS_CERT_FILE and TLS_KEY_FILE cannot be used together: the key is another's, or of an unknown kind"
    )]
    NoPair,
    /// TLS itself.
    #[error("TLS cannot be set up ({0}): please report this")]
    Tls(rustls::Error),
}

/// The certificate that is in use.
pub struct Certificates {
    files: TlsFiles,
    current: Arc<Current>,
    /// What the files held when they were last read.
    seen: Mutex<Option<[Vec<u8>; 2]>>,
    acceptor: TlsAcceptor,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificates({:?})", self.files)
    }
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read()))
    }
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`CertificateError`]
    pub fn load(files: TlsFiles) -> Result<Self, CertificateError> {
        let content = read(&files)?;
        let current = Arc::new(Current(RwLock::new(Arc::new(parse(&content)?))));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&current) as _;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(CertificateError::Tls)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            files,
            current,
            seen: Mutex::new(Some(content)),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    /// For the handshakes of connections. Each gets the certificate that is in use at that time.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Reads the files again if they have changed. If they cannot be used, the previous certificate
    /// stays in use, and the log says so once.
    pub fn reload(&self) {
        let content = read(&self.files);
        let seen = content.as_ref().ok().cloned();
        if std::mem::replace(&mut *self.seen.lock(), seen.clone()) == seen {
            return;
        }
        match content.and_then(|content| parse(&content)) {
            Ok(pair) => {
                *self.current.0.write() = Arc::new(pair);
                info!("certificate reloaded");
            }
            Err(error) => {
                let cause = error.to_string();
                warn!(cause = cause.as_str(); "the previous certificate stays in use");
            }
        }
    }

    /// Reloads the files whenever they change, for as long as it is polled.
    pub async fn watch(self: Arc<Self>) {
        loop {
            sleep(FILE_INTERVAL).await;
            let this = Arc::clone(&self);
            // On a thread of its own: a network file system may take its time.
            let _ = spawn_blocking(move || this.reload()).await;
        }
    }
}

fn read(files: &TlsFiles) -> Result<[Vec<u8>; 2], CertificateError> {
    let read = |name, path: &Path| {
        fs::read(path).map_err(|error| CertificateError::Unreadable(name, error))
    };
    Ok([
        read("TLS_CERT_FILE", &files.certificate)?,
        read("TLS_KEY_FILE", &files.key)?,
    ])
}

fn parse([certificate, key]: &[Vec<u8>; 2]) -> Result<CertifiedKey, CertificateError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or(CertificateError::NoCertificate)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::NoKey)?;
    // Its error could quote what the file holds.
    CertifiedKey::from_der(chain, key, &ring::default_provider())
        .map_err(|_| CertificateError::NoPair)
}
