//! TLS to upstream: the certificate authorities that are trusted, and what a handshake finds wrong.

use std::{fmt, io, sync::Arc};

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{
    dial::{BoxedIo, CONNECT_TIMEOUT, Leg},
    failure::ConnectFailure,
};
use crate::upstream::diagnosis::Diagnosis;

/// Certificate authorities.
#[derive(Clone)]
pub struct CaCertificates(rustls::RootCertStore);

impl Default for CaCertificates {
    /// None at all.
    fn default() -> Self {
        Self(rustls::RootCertStore::empty())
    }
}

impl fmt::Debug for CaCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaCertificates({})", self.0.len())
    }
}

/// Why a file cannot serve as a list of certificate authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// A section of it is not PEM.
    #[error("it is not valid PEM")]
    Pem,
    /// There is no certificate in it.
    #[error("it has no certificate in PEM form (BEGIN CERTIFICATE)")]
    Empty,
    /// A section is PEM, but no certificate.
    #[error("its certificate number {0} is invalid")]
    Invalid(usize),
}

impl CaCertificates {
    /// Adds the certificates of a PEM file.
    ///
    /// # Errors
    ///
    /// [`CaError`] if there are none, or if one of them cannot be used.
    pub fn add_pem(&mut self, pem: &[u8]) -> Result<(), CaError> {
        for (at, certificate) in certificates(pem)?.into_iter().enumerate() {
            let added = self.0.add(certificate);
            added.map_err(|_| CaError::Invalid(at + 1))?;
        }
        Ok(())
    }

    /// Adds the certificates of a bundle, such as the system's. One that cannot be used is skipped:
    /// bundles have old ones.
    ///
    /// # Errors
    ///
    /// [`CaError`] if none of them can be used.
    pub fn add_bundle(&mut self, pem: &[u8]) -> Result<(), CaError> {
        match self.0.add_parsable_certificates(certificates(pem)?) {
            (0, _) => Err(CaError::Invalid(1)),
            _ => Ok(()),
        }
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CaError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if all.is_empty() => Err(CaError::Empty),
        Ok(all) => Ok(all),
        Err(_) => Err(CaError::Pem),
    }
}

/// TLS settings. A clone shares the session cache.
#[derive(Clone, Debug)]
pub(super) struct Tls(Arc<rustls::ClientConfig>);

impl Tls {
    /// Trusts Mozilla's root certificates and these, and offers HTTP/1.1 only: each reply has a socket
    /// of its own, so that closing it stops that reply and no other.
    pub(super) fn new(certificates: &CaCertificates) -> Result<Self, rustls::Error> {
        let mut roots = certificates.0.clone();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Encrypts a connection to a host.
    ///
    /// # Errors
    ///
    /// What the handshake found wrong.
    pub(super) async fn handshake(
        &self,
        host: &str,
        io: BoxedIo,
        leg: Leg,
    ) -> Result<BoxedIo, ConnectFailure> {
        let failed = |reason, diagnosis| ConnectFailure::new(leg.tls(), reason, diagnosis);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| failed("the host name is invalid", Diagnosis::NameResolution))?;
        let connector = TlsConnector::from(Arc::clone(&self.0));
        match timeout(CONNECT_TIMEOUT, connector.connect(name, io)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(match finding(&error) {
                Some((reason, diagnosis)) => failed(reason, diagnosis),
                // A filter that reads the host's name in the handshake cuts the connection there.
                None => ConnectFailure::io(leg.tls(), &error, leg.diagnosis(Diagnosis::Blocked)),
            }),
            Err(_) => {
                let diagnosis = leg.diagnosis(Diagnosis::Blocked);
                Err(failed("no handshake within 5 s", diagnosis))
            }
        }
    }
}

/// What TLS found wrong, if that is the error. rustls's own text may quote the certificate.
pub(in crate::upstream) fn certificate_reason(error: &io::Error) -> Option<&'static str> {
    finding(error).map(|(reason, _)| reason)
}

fn finding(error: &io::Error) -> Option<(&'static str, Diagnosis)> {
    use rustls::{CertificateError as Certificate, Error as Tls};

    let error = error.get_ref()?.downcast_ref::<Tls>()?;
    Some(match error {
        Tls::InvalidCertificate(certificate) => match certificate {
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                ("the certificate has expired", Diagnosis::CertificateExpired)
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => (
                "the certificate is not valid yet",
                Diagnosis::CertificateExpired,
            ),
            Certificate::Revoked => ("the certificate is revoked", Diagnosis::Tls),
            Certificate::UnknownIssuer => (
                "the certificate's issuer is unknown",
                Diagnosis::UnknownIssuer,
            ),
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => (
                "the certificate is for another host name",
                Diagnosis::CertificateName,
            ),
            Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
                ("the certificate is not for servers", Diagnosis::Tls)
            }
            Certificate::BadEncoding | Certificate::BadSignature => {
                ("the certificate is malformed", Diagnosis::Tls)
            }
            _ => ("the certificate is not accepted", Diagnosis::Tls),
        },
        Tls::InvalidMessage(_) => ("the server does not speak TLS", Diagnosis::NoTls),
        Tls::PeerIncompatible(_) => (
            "the server supports no common protocol version or cipher",
            Diagnosis::Tls,
        ),
        Tls::AlertReceived(alert) => (
            alert.as_str().unwrap_or("the server sent an alert"),
            Diagnosis::Tls,
        ),
        Tls::NoApplicationProtocol => ("the server does not offer HTTP/1.1", Diagnosis::Tls),
        Tls::HandshakeNotComplete => ("the handshake is not complete", Diagnosis::Tls),
        _ => ("the handshake failed", Diagnosis::Tls),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_certificate_has_its_diagnosis() {
        use rustls::CertificateError as Certificate;

        let context = Certificate::NotValidForNameContext {
            expected: "r.openai.azure.com".try_into().unwrap(),
            presented: vec!["canary.example".to_owned()],
        };
        for (certificate, reason, diagnosis) in [
            (
                Certificate::UnknownIssuer,
                "the certificate's issuer is unknown",
                Diagnosis::UnknownIssuer,
            ),
            (
                Certificate::Expired,
                "the certificate has expired",
                Diagnosis::CertificateExpired,
            ),
            (
                context,
                "the certificate is for another host name",
                Diagnosis::CertificateName,
            ),
        ] {
            let error = io::Error::other(rustls::Error::InvalidCertificate(certificate));
            assert_eq!(finding(&error), Some((reason, diagnosis)));
        }
        assert_eq!(finding(&io::Error::other("canary")), None);
        let general = io::Error::other(rustls::Error::General("canary".to_owned()));
        assert_eq!(
            finding(&general),
            Some(("the handshake failed", Diagnosis::Tls))
        );
    }

    #[test]
    fn a_file_without_a_usable_certificate_is_refused() {
        let section = |content: &str| {
            format!("-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n")
        };
        for (pem, error) in [
            (String::new(), CaError::Empty),
            ("not a certificate".to_owned(), CaError::Empty),
            (section("!"), CaError::Pem),
            (section("AAAA"), CaError::Invalid(1)),
        ] {
            let mut all = CaCertificates::default();
            assert_eq!(all.add_pem(pem.as_bytes()), Err(error), "{pem}");
            assert_eq!(all.add_bundle(pem.as_bytes()), Err(error), "{pem}");
        }
    }
}
