//! The certificate that is served now.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, pki_types::ServerName};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::{harness::certs, traffic::HOST};

/// The authority that signed everything, as clients want it.
pub fn roots() -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(certs::ca()).expect("a certificate");
    roots.add(ca).expect("an authority");
    Arc::new(roots)
}

/// The leaf that a new connection is shown.
///
/// # Errors
/// Why there is none, in a word for people.
pub fn leaf(https: SocketAddr) -> Result<Vec<u8>, String> {
    let config = ClientConfig::builder().with_root_certificates(roots()).with_no_client_auth();
    let name = ServerName::try_from(HOST).expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let stream = TcpStream::connect(https).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(|error| error.to_string())?;
    let mut stream = StreamOwned::new(connection, stream);
    // Asking makes the handshake happen; closing is said so that the router has nothing to wait for.
    stream.flush().map_err(|error| error.to_string())?;
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).map_err(|error| error.to_string())?;
    }
    let leaf = stream.conn.peer_certificates().and_then(|chain| chain.first().cloned());
    stream.conn.send_close_notify();
    let _ = stream.flush();
    leaf.map(|leaf| leaf.to_vec()).ok_or_else(|| "no certificate was shown".to_owned())
}
