//! A client's verified certificate, in the forms that nodes are told of it.
//!
//! Made once per connection, after the handshake verified the chain. Nothing here decides whether a
//! client may enter. Everything is text a node can be handed as it is: no form holds CR, LF or another
//! control character that the certificate brought.

mod dn;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Whether uwsgi nodes get the certificate as PEM too.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PemExport {
    /// They do not: it is the same bytes once more, by a third longer.
    #[default]
    Off,
    /// They do, as `HTTPS_CC`.
    On,
}

/// What a client showed.
#[derive(Debug)]
pub struct ClientCert {
    /// `HTTPS_CLIENT_CERTIFICATE`: the certificate itself.
    pub der: Box<[u8]>,
    /// `HTTPS_DN`: whom it names, as OpenSSL writes it on one line.
    pub dn: Box<str>,
    /// `HTTPS_CC`: the certificate as PEM, if that is wanted.
    pub pem: Option<Box<str>>,
    /// Field lines for HTTP nodes: `Client-Cert` (RFC 9440) and `X-Client-Cert-DN`.
    pub field_lines: Box<str>,
}

/// The name of the field that holds the subject.
const DN_FIELD: &str = "X-Client-Cert-DN";
/// The name of the field that holds the certificate (RFC 9440, 2.2).
const CERT_FIELD: &str = "Client-Cert";

impl ClientCert {
    /// Puts a verified leaf into words; `None` if it is not readable, which no verified one is.
    #[must_use]
    pub fn new(leaf: &CertificateDer<'_>, export: PemExport) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
        let dn = dn::one_line(parsed.subject());
        let body = BASE64.encode(leaf);
        let pem = (export == PemExport::On).then(|| pem(&body).into());
        let field_lines = format!("{CERT_FIELD}: :{body}:\r\n{DN_FIELD}: {dn}\r\n");
        debug_assert!(dn.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "a field value");
        Some(Self {
            der: leaf.as_ref().into(),
            dn: dn.into(),
            pem,
            field_lines: field_lines.into(),
        })
    }
}

/// As OpenSSL writes it: lines of 64 characters.
fn pem(body: &str) -> String {
    let mut text = String::with_capacity(body.len() * 66 / 64 + 64);
    text.push_str("-----BEGIN CERTIFICATE-----\n");
    let mut rest = body;
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::pem::PemObject as _;

    use super::*;

    /// Certificates made by the openssl command, and their subjects as X509_NAME_oneline of OpenSSL
    /// 3.0.19 writes them (testdata/client_cert/README.md).
    #[test]
    fn a_subject_reads_as_openssl_writes_it_on_one_line() {
        for (pem, line) in [
            (
                &include_bytes!("../../testdata/client_cert/utf8.crt")[..],
                r#"/C=IT/O=a\/b\+c\d/CN=x+OU=Caff\xC3\xA8 \xE2\x82\xAC '<>=,;~/serialNumber=12/emailAddress=a@b.example/2.3.4.5=odd/DC=example"#,
            ),
            (
                include_bytes!("../../testdata/client_cert/multi.crt"),
                "/C=IT/O=Test+CN=multi/UID=u1",
            ),
            (
                include_bytes!("../../testdata/client_cert/bmp.crt"),
                r#"/C=IT/O=a\/b\+c\d/OU=\x00C\x00a\x00f\x00f\x00\xE8\x00  \xAC\x00 \x00'\x00<\x00>\x00=\x00,\x00;\x00~/CN=\x03\xA9/serialNumber=12/emailAddress=a@b.example"#,
            ),
        ] {
            let leaf = CertificateDer::from_pem_slice(pem).expect("PEM");
            let told = ClientCert::new(&leaf, PemExport::On).expect("X.509");
            assert_eq!(&*told.dn, line);
            assert_eq!(told.pem.as_deref().map(str::as_bytes), Some(pem), "PEM as openssl's");
            let lines: Vec<&str> = told.field_lines.split_terminator("\r\n").collect();
            let [cert, dn] = lines[..] else { panic!("two lines: {lines:?}") };
            assert_eq!(dn, format!("X-Client-Cert-DN: {line}"));
            let body = cert.strip_prefix("Client-Cert: :").and_then(|rest| rest.strip_suffix(':'));
            assert_eq!(BASE64.decode(body.expect("a byte sequence")).expect("base64"), *leaf);
        }
    }

    #[test]
    fn pem_is_made_only_where_it_is_wanted() {
        let leaf = include_bytes!("../../testdata/client_cert/multi.crt");
        let leaf = CertificateDer::from_pem_slice(leaf).expect("PEM");
        assert_eq!(ClientCert::new(&leaf, PemExport::Off).expect("X.509").pem, None);
        assert!(ClientCert::new(&CertificateDer::from(vec![0x30, 0]), PemExport::Off).is_none());
    }
}
