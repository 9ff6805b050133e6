//! What the demo lays out in its directory: key pairs, the directory of the public halves, and a
//! small WSGI app to subscribe by hand.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use tempfile::TempDir;

use super::DemoError;

/// The app of the copy-paste line.
const APP: &str = include_str!("app.py");

/// The demo's directory; it goes away with this value.
pub struct Materials {
    directory: TempDir,
}

impl Materials {
    /// Makes the directory, readable by its owner only, with an RSA key pair for each key.
    pub fn make(keys: &[&str]) -> Result<Self, DemoError> {
        let directory = tempfile::Builder::new()
            .prefix("suzerain-demo-")
            .tempdir()
            .map_err(DemoError::Directory)?;
        let materials = Self { directory };
        fs::create_dir(materials.public_dir()).map_err(DemoError::Directory)?;
        for key in keys {
            let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
            let public = materials.public_dir().join(subscribe::key_file_name(key));
            fs::write(public, pair.public_key_pem()).map_err(DemoError::Directory)?;
            secret(&materials.private_path(key), &pair.serialize_pem())?;
        }
        fs::write(materials.app_path(), APP).map_err(DemoError::Directory)?;
        Ok(materials)
    }

    /// The directory for `--sign-check`.
    pub fn public_dir(&self) -> PathBuf {
        self.directory.path().join("keys")
    }

    /// The private key that signs for `key`.
    pub fn private_path(&self, key: &str) -> PathBuf {
        self.directory.path().join(format!("{key}.key.pem"))
    }

    /// Its text.
    pub fn private_pem(&self, key: &str) -> Result<String, DemoError> {
        fs::read_to_string(self.private_path(key)).map_err(DemoError::Directory)
    }

    /// The WSGI app.
    pub fn app_path(&self) -> PathBuf {
        self.directory.path().join("app.py")
    }
}

fn secret(path: &Path, text: &str) -> Result<(), DemoError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(DemoError::Directory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_private_and_everything_goes_away_at_the_end() {
        let materials = Materials::make(&["a.localhost"]).expect("a directory and a key");
        let private = materials.private_path("a.localhost");
        let mode = fs::metadata(&private).expect("a private key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let public = fs::read_to_string(materials.public_dir().join("a.localhost.pem"));
        assert!(public.expect("a public key").starts_with("-----BEGIN PUBLIC KEY-----"));
        drop(materials);
        assert!(!private.exists());
    }
}
