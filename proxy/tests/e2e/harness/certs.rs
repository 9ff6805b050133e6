//! Keys and certificates made by the openssl command, once per test process.
//!
//! One CA signs every leaf, so that a client can check what it is served. The RSA pairs sign
//! subscriptions; generating one takes a noticeable part of a second.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::tools::{find, openssl};

/// A certificate and its private key, as PEM files.
#[derive(Clone, Debug)]
pub struct Pair {
    pub crt: PathBuf,
    pub key: PathBuf,
}

impl Pair {
    /// Copies the pair to `FOLDER/NAME.crt` and `FOLDER/NAME.key`, each by rename, the key first:
    /// a reader never sees half a file.
    #[track_caller]
    pub fn install(&self, folder: &Path, name: &str) {
        place(&self.key, &folder.join(format!("{name}.key")));
        place(&self.crt, &folder.join(format!("{name}.crt")));
    }
}

/// Copies a file under a temporary name and renames it over `to`.
#[track_caller]
pub fn place(from: &Path, to: &Path) {
    let mut staged = to.as_os_str().to_owned();
    staged.push(".new");
    std::fs::copy(from, &staged).expect("copy");
    std::fs::rename(&staged, to).expect("rename");
}

/// The CA's certificate, for clients.
pub fn ca() -> PathBuf {
    folder().join("ca.crt")
}

/// What the key of a certificate is.
#[derive(Clone, Copy, Debug)]
pub enum KeyKind {
    P256,
    Rsa(u32),
}

/// A new certificate for `name` with a P-256 key, signed by the CA.
#[track_caller]
pub fn leaf(folder: &Path, name: &str) -> Pair {
    leaf_of(KeyKind::P256, folder, name)
}

/// A new certificate for `name`, signed by the CA.
#[track_caller]
pub fn leaf_of(kind: KeyKind, folder: &Path, name: &str) -> Pair {
    let (algorithm, option) = match kind {
        KeyKind::P256 => ("ec", "ec_paramgen_curve:P-256".to_owned()),
        KeyKind::Rsa(bits) => ("rsa", format!("rsa_keygen_bits:{bits}")),
    };
    let (crt, key) =
        (folder.join(format!("{name}.leaf.crt")), folder.join(format!("{name}.leaf.key")));
    let request = folder.join(format!("{name}.csr"));
    let extensions = folder.join(format!("{name}.ext"));
    let text = format!(
        "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:{name}\n"
    );
    std::fs::write(&extensions, text).expect("write");
    let subject = format!("/CN={name}");
    ssl(&[
        "req",
        "-newkey",
        algorithm,
        "-pkeyopt",
        &option,
        "-nodes",
        "-subj",
        &subject,
        "-keyout",
        utf8(&key),
        "-out",
        utf8(&request),
    ]);
    let (ca_crt, ca_key) = (self::folder().join("ca.crt"), self::folder().join("ca.key"));
    ssl(&[
        "x509",
        "-req",
        "-in",
        utf8(&request),
        "-CA",
        utf8(&ca_crt),
        "-CAkey",
        utf8(&ca_key),
        "-days",
        "30",
        "-sha256",
        "-extfile",
        utf8(&extensions),
        "-out",
        utf8(&crt),
    ]);
    Pair { crt, key }
}

/// An RSA 2048 pair for signing: the private key's PEM file and the public key's.
#[derive(Clone, Debug)]
pub struct SigningPair {
    pub private: PathBuf,
    pub public: PathBuf,
}

/// The pair every honest vassal signs with.
pub fn honest() -> SigningPair {
    signing_pair("honest")
}

/// A pair no router knows.
pub fn stranger() -> SigningPair {
    signing_pair("stranger")
}

fn signing_pair(name: &str) -> SigningPair {
    let folder = folder();
    SigningPair {
        private: folder.join(format!("{name}.key.pem")),
        public: folder.join(format!("{name}.pub.pem")),
    }
}

/// A `--sign-check` directory that knows the honest key under each of these keys.
#[track_caller]
pub fn sign_check_folder(parent: &Path, keys: &[&str]) -> PathBuf {
    let folder = parent.join("keys");
    std::fs::create_dir_all(&folder).expect("a folder");
    for key in keys {
        place(&honest().public, &folder.join(subscribe::key_file_name(key)));
    }
    folder
}

/// The folder of this process's CA and signing pairs, made at first use.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let name = format!("pki-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let at = |name: &str| folder.join(name);
        ssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=suzerain test CA",
            "-days",
            "30",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-keyout",
            utf8(&at("ca.key")),
            "-out",
            utf8(&at("ca.crt")),
        ]);
        for pair in ["honest", "stranger"] {
            let (private, public) =
                (at(&format!("{pair}.key.pem")), at(&format!("{pair}.pub.pem")));
            ssl(&[
                "genpkey",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
                "-out",
                utf8(&private),
            ]);
            ssl(&["pkey", "-in", utf8(&private), "-pubout", "-out", utf8(&public)]);
        }
        folder
    })
}

#[track_caller]
fn ssl(arguments: &[&str]) {
    let program = find("openssl").expect("openssl is installed");
    openssl(&program, arguments);
}

/// A path of ours as text.
pub fn utf8(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}
