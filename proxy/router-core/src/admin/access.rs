//! Who may look at what: tokens, and the keys of a tenant.
//!
//! Of a token only its SHA-256 is kept. A presented token is hashed and compared with every digest
//! there is, each in constant time, so neither the answer nor its delay tells how close a guess
//! came or whose it was. A tenant is shown its own keys as if there were no others.

mod patterns;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use route_table::{Route, Table};

use super::refusals::Refusal;
pub use patterns::{KeyPatterns, Pattern, PatternError};

/// Shortest token taken from a file: shorter ones can be guessed.
pub const TOKEN_BYTES_MIN: usize = 16;
/// Longest token.
pub const TOKEN_BYTES_MAX: usize = 512;

/// Whether somebody without a token is answered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Strictness {
    /// Yes, and is shown everything.
    #[default]
    Optional,
    /// No.
    Required,
}

/// The SHA-256 of a token.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct TokenDigest([u8; SHA256_OUTPUT_LEN]);

impl TokenDigest {
    /// Of this token.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest(&SHA256, token).as_ref());
        Self(bytes)
    }
}

/// A text that is no digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not 64 hexadecimal digits")]
pub struct DigestError;

impl FromStr for TokenDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let digits = text.as_bytes();
        if digits.len() != 2 * SHA256_OUTPUT_LEN || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(DigestError);
        }
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| DigestError)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| DigestError)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(…)")
    }
}

/// Somebody who sees some keys.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tenant {
    /// What it is called.
    pub name: String,
    /// Its keys.
    pub keys: KeyPatterns,
    /// Digests of its tokens.
    pub tokens: Vec<TokenDigest>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Viewer {
    /// Sees everything.
    Operator,
    /// Sees its own keys.
    Tenant(Arc<Tenant>),
}

impl Viewer {
    /// Whether this key is shown to it.
    #[must_use]
    pub fn sees(&self, key: &str) -> bool {
        match self {
            Self::Operator => true,
            Self::Tenant(tenant) => tenant.keys.hold(key),
        }
    }

    /// The routes of the keys it is shown, in no order. Who names its keys one by one has them
    /// looked up, and is not kept waiting for all others.
    #[must_use]
    pub fn routes<'t>(&'t self, table: &'t Table) -> Box<dyn Iterator<Item = &'t Route> + 't> {
        let all = table.iter().map(|route| &**route);
        match self {
            Self::Operator => Box::new(all),
            Self::Tenant(tenant) if tenant.keys.has_suffixes() => {
                Box::new(all.filter(|route| tenant.keys.hold(route.key().as_str())))
            }
            Self::Tenant(tenant) => {
                Box::new(tenant.keys.names().filter_map(|key| table.get(key)).map(|route| &**route))
            }
        }
    }
}

/// All tokens, and what is without one.
#[derive(Clone, Debug, Default)]
pub struct Access {
    strictness: Strictness,
    tokens: Vec<(TokenDigest, Viewer)>,
}

impl Access {
    /// Tokens of operators, and tenants with theirs.
    #[must_use]
    pub fn new(strictness: Strictness, operators: &[TokenDigest], tenants: Vec<Tenant>) -> Self {
        let mut tokens: Vec<_> = operators.iter().map(|token| (*token, Viewer::Operator)).collect();
        for tenant in tenants.into_iter().map(Arc::new) {
            let viewer = |token: &TokenDigest| (*token, Viewer::Tenant(tenant.clone()));
            tokens.extend(tenant.tokens.iter().map(viewer));
        }
        Self { strictness, tokens }
    }

    /// Who asks, by the value of `Authorization`.
    ///
    /// # Errors
    /// [`Refusal::NoToken`] or [`Refusal::WrongToken`]. A wrong token is never better than none.
    pub fn admit(&self, authorization: Option<&[u8]>) -> Result<Viewer, Refusal> {
        let Some(value) = authorization else {
            return match self.strictness {
                Strictness::Optional => Ok(Viewer::Operator),
                Strictness::Required => Err(Refusal::NoToken),
            };
        };
        let token = bearer(value).ok_or(Refusal::WrongToken)?;
        let TokenDigest(presented) = TokenDigest::of(token);
        let mut found = None;
        for (TokenDigest(known), viewer) in &self.tokens {
            if verify_slices_are_equal(known, &presented).is_ok() {
                found = Some(viewer);
            }
        }
        found.cloned().ok_or(Refusal::WrongToken)
    }
}

/// The token of `Bearer TOKEN`.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(b"Bearer ".len())?;
    let token = rest.trim_ascii();
    let is_one =
        scheme.eq_ignore_ascii_case(b"Bearer ") && (1..=TOKEN_BYTES_MAX).contains(&token.len());
    is_one.then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(strictness: Strictness) -> Access {
        let tenant = Tenant {
            name: "shop".into(),
            keys: ["shop.example"].iter().map(|text| text.parse().unwrap()).collect(),
            tokens: vec![TokenDigest::of(b"old token of shop"), TokenDigest::of(b"token of shop")],
        };
        Access::new(strictness, &[TokenDigest::of(b"token of operator")], vec![tenant])
    }

    #[test]
    fn a_token_decides_who_asks_whatever_is_required() {
        for strictness in [Strictness::Optional, Strictness::Required] {
            let access = access(strictness);
            let who = |value: &str| match access.admit(Some(value.as_bytes())) {
                Ok(Viewer::Operator) => "operator".to_owned(),
                Ok(Viewer::Tenant(tenant)) => tenant.name.clone(),
                Err(refusal) => {
                    assert_eq!(refusal, Refusal::WrongToken);
                    "nobody".to_owned()
                }
            };
            assert_eq!(who("Bearer token of operator"), "operator");
            assert_eq!(who("bearer  token of shop "), "shop");
            assert_eq!(who("Bearer old token of shop"), "shop");
            for wrong in [
                "Bearer token of shop2",
                "Bearer ",
                "Bearer",
                "",
                "Basic dG9rZW4=",
                "token of shop",
            ] {
                assert_eq!(who(wrong), "nobody", "{wrong}");
            }
            let long = format!("Bearer {}", "x".repeat(TOKEN_BYTES_MAX + 1));
            assert_eq!(who(&long), "nobody");
        }
    }

    #[test]
    fn without_a_token_it_depends() {
        assert!(matches!(access(Strictness::Optional).admit(None), Ok(Viewer::Operator)));
        assert!(matches!(access(Strictness::Required).admit(None), Err(Refusal::NoToken)));
        let guess = Access::default().admit(Some(b"Bearer anything at all"));
        assert!(matches!(guess, Err(Refusal::WrongToken)));
    }

    #[test]
    fn a_digest_is_read_as_sha256sum_writes_it() {
        // printf secret | sha256sum
        let text = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        assert_eq!(text.parse(), Ok(TokenDigest::of(b"secret")));
        assert_eq!(text.to_uppercase().parse(), Ok(TokenDigest::of(b"secret")));
        for wrong in [&text[1..], "", &text.replace('2', "g"), &text.replace("2b", "+b")] {
            assert_eq!(wrong.parse::<TokenDigest>(), Err(DigestError), "{wrong}");
        }
        assert!(!format!("{:?}", TokenDigest::of(b"secret")).contains("2b"));
    }
}
