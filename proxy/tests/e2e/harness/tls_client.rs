//! A TLS client that trusts one CA, says every failure, and makes a new handshake each time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::certs::ca;
use super::wait::SOON;

/// Whom a client trusts. It resumes no session.
pub struct Trust(Arc<rustls::ClientConfig>);

impl Trust {
    /// Whoever the CA of the tests vouches for.
    #[track_caller]
    pub fn in_the_ca() -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca()).expect("PEM")).expect("an anchor");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Self(Arc::new(config))
    }
}

/// One handshake and one request; why it did not end in a 200.
///
/// # Errors
/// Whatever went wrong, for people.
pub fn fetch(to: SocketAddr, name: &str, trust: &Trust) -> Result<(), String> {
    let stream = TcpStream::connect(to).map_err(|error| format!("connect: {error}"))?;
    stream.set_read_timeout(Some(SOON)).map_err(|error| error.to_string())?;
    let server = name.to_owned().try_into().map_err(|_| "no name".to_owned())?;
    let session = rustls::ClientConnection::new(trust.0.clone(), server);
    let session = session.map_err(|error| error.to_string())?;
    let mut held = rustls::StreamOwned::new(session, stream);
    let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    held.write_all(request.as_bytes()).map_err(|error| format!("handshake: {error}"))?;
    let mut answer = Vec::new();
    held.read_to_end(&mut answer).map_err(|error| format!("answer: {error}"))?;
    let head = String::from_utf8_lossy(&answer[..answer.len().min(100)]).into_owned();
    if head.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(format!("answer: {head}")) }
}
