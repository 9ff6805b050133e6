//! Sticky sessions: a cookie of our own that leads a client back to the node that served it.
//!
//! Its value is a keyed hash of key and node, so it names no address, cannot be made up, and means
//! nothing under another key. It is only a wish: when the node is gone or out, another is picked and
//! the cookie replaced. Nothing is stored per client; a router with the same secret understands it.

use std::{cell::RefCell, collections::HashMap};

use aws_lc_rs::hmac;
use http1_wire::RequestHead;
use route_table::{Node, NodeId, Route};

use crate::context::Scheme;

/// Bytes of the hash that make the value.
const TOKEN_BYTES: usize = 12;
/// Values remembered by a worker, so that a request costs no hash per node.
const REMEMBERED_MAX: usize = 16 * 1024;

/// The value of a cookie.
pub type Token = [u8; 2 * TOKEN_BYTES];

/// What makes the values: one secret for the router.
#[derive(Clone, Debug)]
pub struct StickySecret(hmac::Key);

impl StickySecret {
    /// From bytes that nobody else knows.
    pub fn new(secret: &[u8]) -> Self {
        // Hashed for this purpose, so that a secret used elsewhere too gives nothing away here.
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let own = hmac::sign(&root, b"suzerain sticky sessions");
        Self(hmac::Key::new(hmac::HMAC_SHA256, own.as_ref()))
    }

    fn token(&self, route: &Route, node: &Node) -> Token {
        let key = route.key().as_str().as_bytes();
        let mut context = hmac::Context::with_key(&self.0);
        // The length parts the two, so that no other pair hashes the same.
        context.update(&(key.len() as u64).to_le_bytes());
        context.update(key);
        context.update(node.facts.announced.as_bytes());
        let hash = context.sign();
        let mut token = [b'0'; 2 * TOKEN_BYTES];
        for (pair, byte) in token.chunks_exact_mut(2).zip(hash.as_ref()) {
            pair.copy_from_slice(&[hex(byte >> 4), hex(byte & 0xf)]);
        }
        token
    }
}

const fn hex(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

/// The values one worker remembers. A node keeps its id while its key and address stay the same.
#[derive(Default)]
pub struct Tokens {
    by_node: RefCell<HashMap<NodeId, Token>>,
}

impl Tokens {
    fn of(&self, secret: &StickySecret, route: &Route, node: &Node) -> Token {
        let mut by_node = self.by_node.borrow_mut();
        if by_node.len() >= REMEMBERED_MAX {
            by_node.clear();
        }
        *by_node.entry(node.id).or_insert_with(|| secret.token(route, node))
    }

    /// The node that a request's cookie names, if it is one of the route's.
    pub fn wanted(
        &self,
        secret: &StickySecret,
        name: &str,
        head: &RequestHead<'_, '_>,
        route: &Route,
    ) -> Option<NodeId> {
        let value = cookie(head, name)?;
        let named = |node: &&std::sync::Arc<Node>| self.of(secret, route, node)[..] == *value;
        route.nodes().iter().find(named).map(|node| node.id)
    }

    /// The cookie to give with an answer of `node`.
    pub fn cookie(&self, secret: &StickySecret, route: &Route, node: &Node) -> Box<StickyCookie> {
        let path = match route.key().mount() {
            "" => "/",
            mount => mount,
        };
        Box::new(StickyCookie { token: self.of(secret, route, node), path: path.into() })
    }
}

/// A cookie that is to be set.
#[derive(Clone, Debug)]
pub struct StickyCookie {
    token: Token,
    path: Box<str>,
}

impl StickyCookie {
    /// The value of a `Set-Cookie` field: for this host and path only, unseen by scripts, not sent
    /// with requests other sites cause, and over HTTPS never sent without it.
    pub fn field(&self, name: &str, scheme: Scheme) -> Vec<u8> {
        let secure = if scheme == Scheme::Https { "; Secure" } else { "" };
        let token = String::from_utf8_lossy(&self.token);
        let path = &self.path;
        format!("{name}={token}; Path={path}; HttpOnly; SameSite=Lax{secure}").into_bytes()
    }
}

/// Where a plan leaves a cookie for the response.
pub type CookieSlot = RefCell<Option<Box<StickyCookie>>>;

/// The value of the first cookie called `name` that can be one of ours.
fn cookie<'b>(head: &RequestHead<'_, 'b>, name: &str) -> Option<&'b [u8]> {
    let fields = head.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case("cookie"));
    let pairs = fields.flat_map(|(_, value)| value.split(|&byte| byte == b';'));
    pairs
        .filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .find(|value| value.len() == 2 * TOKEN_BYTES)
}

/// Whether `name` may name a cookie (RFC 6265 4.1.1: a token).
pub fn is_cookie_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http1_wire::{FieldSlots, Parsed, parse_request};
    use route_table::{Address, Algorithm, NodeFacts, NodeOrigin, Opening, Proto, RouteKey};
    use std::sync::Arc;

    fn route(key: &str, addresses: &[&str]) -> Route {
        let facts = |address: &&str| NodeFacts {
            address: Address::parse(address.as_bytes()).unwrap(),
            announced: (*address).into(),
            proto: Proto::Http,
            opening: Opening::default(),
            modifier1: 0,
            modifier2: 0,
            weight: 1,
            backup: 0,
            origin: NodeOrigin::Static,
            announcer: None,
        };
        let nodes = (0..).zip(addresses).map(|(id, it)| Arc::new(Node::new(NodeId(id), facts(it))));
        let key = RouteKey::parse(key.as_bytes()).unwrap();
        Route::new(key, nodes.collect::<Vec<_>>(), Algorithm::Wrr)
    }

    fn wanted(tokens: &Tokens, route: &Route, cookies: &str) -> Option<u64> {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{cookies}\r\n");
        let mut slots = FieldSlots::new();
        let Ok(Parsed::Complete(head)) = parse_request(text.as_bytes(), &mut slots) else {
            panic!("a sound head");
        };
        let secret = StickySecret::new(b"secret");
        tokens.wanted(&secret, "srv", &head, route).map(|id| id.0)
    }

    #[test]
    fn a_cookie_leads_to_its_node_and_under_its_key_only() {
        let nodes = ["10.0.0.1:80", "10.0.0.2:80"];
        let (here, there) = (route("a.example", &nodes), route("b.example", &nodes));
        let secret = StickySecret::new(b"secret");
        let token = String::from_utf8(secret.token(&here, &here.nodes()[1]).to_vec()).unwrap();
        let tokens = Tokens::default();
        let mine = format!("Cookie: a=b; srv={token} ;c=d\r\n");
        assert_eq!(wanted(&tokens, &here, &mine), Some(1));
        let second = format!("Cookie: srv=stale\r\nCookie: srv={token}\r\n");
        assert_eq!(
            wanted(&tokens, &here, &second),
            Some(1),
            "one that cannot be ours is passed over"
        );
        assert_eq!(wanted(&Tokens::default(), &there, &mine), None);
        for other in ["", "Cookie: srv=\r\n", "Cookie: xsrv=abc\r\n", "Cookie: srv=10.0.0.2:80\r\n"]
        {
            assert_eq!(wanted(&tokens, &here, other), None, "{other}");
        }
    }

    #[test]
    fn the_value_is_the_same_after_a_restart_and_another_with_another_secret() {
        let route = route("a.example", &["10.0.0.1:80"]);
        let token = |secret: &[u8]| StickySecret::new(secret).token(&route, &route.nodes()[0]);
        assert_eq!(token(b"one"), token(b"one"));
        assert_ne!(token(b"one"), token(b"two"));
    }

    #[test]
    fn the_cookie_is_for_its_path_and_secure_over_https() {
        let route = route("a.example/shop", &["10.0.0.1:80"]);
        let secret = StickySecret::new(b"secret");
        let cookie = Tokens::default().cookie(&secret, &route, &route.nodes()[0]);
        let text = String::from_utf8(cookie.field("srv", Scheme::Https)).unwrap();
        assert!(text.ends_with("; Path=/shop; HttpOnly; SameSite=Lax; Secure"), "{text}");
        assert!(!String::from_utf8(cookie.field("srv", Scheme::Http)).unwrap().contains("Secure"));
    }
}
