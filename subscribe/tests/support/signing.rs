//! Fresh keys, and a sign-check directory in memory, for tests that sign.

use std::collections::HashMap;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use subscribe::KeyFiles;

/// One key pair in the forms that files have.
pub struct Pair {
    pub pkcs8_pem: String,
    pub pkcs1_pem: String,
    pub public_pem: String,
    pub public: rsa::RsaPublicKey,
}

impl Pair {
    pub fn generate(size: KeySize) -> Self {
        let pair = KeyPair::generate(size).expect("aws-lc makes a key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("a key can be encoded");
        let private = RsaPrivateKey::from_pkcs8_der(der.as_ref()).expect("`rsa` reads it");
        let public = private.to_public_key();
        Self {
            pkcs8_pem: private.to_pkcs8_pem(LineEnding::LF).expect("PEM").to_string(),
            pkcs1_pem: private.to_pkcs1_pem(LineEnding::LF).expect("PEM").to_string(),
            public_pem: public.to_public_key_pem(LineEnding::LF).expect("PEM"),
            public,
        }
    }
}

/// A directory of public keys that lives in memory.
#[derive(Default)]
pub struct Directory(pub HashMap<String, Vec<u8>>);

impl Directory {
    pub fn put(&mut self, file_name: &str, pem: impl Into<Vec<u8>>) {
        self.0.insert(file_name.to_owned(), pem.into());
    }
}

impl KeyFiles for Directory {
    fn read(&mut self, file_name: &str) -> Option<Vec<u8>> {
        self.0.get(file_name).cloned()
    }
}
