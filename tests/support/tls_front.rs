//! TLS in front of a server that speaks none.

use std::{net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use super::certificates::Issued;

/// Accepts TLS on a free port of the loopback interface. Dropping it cuts everything.
pub struct TlsFront {
    addr: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    accepting: JoinHandle<()>,
}

impl TlsFront {
    /// Passes everything on to `target`.
    pub async fn start(issued: &Issued, target: SocketAddr) -> Self {
        let certificate = CertificateDer::from_pem_file(&issued.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(&issued.key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let target = Arc::new(Mutex::new(target));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let accepting = tokio::spawn(accept(listener, acceptor, Arc::clone(&target)));
        Self {
            addr,
            target,
            accepting,
        }
    }

    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// New connections go there.
    pub fn aim(&self, target: SocketAddr) {
        *self.target.lock() = target;
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        // The task owns the listener and all connections, which go with it.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, target: Arc<Mutex<SocketAddr>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            incoming = listener.accept() => {
                let Ok((client, _)) = incoming else { continue };
                let (acceptor, target) = (acceptor.clone(), *target.lock());
                connections.spawn(async move {
                    // A handshake fails if the client does not trust the certificate.
                    let Ok(mut client) = acceptor.accept(client).await else { return };
                    let Ok(mut server) = TcpStream::connect(target).await else { return };
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
