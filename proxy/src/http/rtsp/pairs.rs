//! Which node an RTSP session tunnelled in HTTP belongs to.
//!
//! Such a session is a GET whose response is the server's side and a POST whose body is the client's,
//! on two connections that different workers may serve; the same `x-sessioncookie` in both makes them
//! one, and both must reach the same node. The choice is remembered rather than computed from the
//! cookie: nodes come and go while a session lives, and a computed choice would move with them.
//!
//! Shared by the workers, locked only by requests that carry a cookie. Bounded: when it is full of
//! living sessions further ones are routed like other requests.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use route_table::Node;

/// Longest cookie that pairs; they are about 22 bytes.
pub const COOKIE_BYTES_MAX: usize = 128;
/// Sessions remembered at once, the waiting ones included.
const SESSIONS_MAX: usize = 4096;
/// How long the second request of a pair is waited for.
const WAITING_MS: u64 = 30_000;

/// What makes two requests one session. Cookies of different keys never meet.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Pair {
    /// The key both are routed by.
    pub key: Box<str>,
    /// The cookie both carry.
    pub cookie: Box<[u8]>,
}

/// Which half of a session a request is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// The GET, whose response is what the server says.
    Listening,
    /// The POST, whose body is what the client says.
    Sending,
}

/// What is known of the other half.
#[derive(Clone, Debug)]
pub struct Known {
    /// The node of the session.
    pub node: Arc<Node>,
    /// How far it got.
    pub state: State,
}

/// How far a session got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Only a POST was seen.
    Alone,
    /// The node was asked by GET and did not answer yet.
    Asked,
    /// The node agreed to the tunnel, which is open.
    Open,
}

#[derive(Debug)]
struct Session {
    node: Arc<Node>,
    state: State,
    /// GETs whose tunnel is open.
    tunnels: usize,
    /// When it is forgotten, unless a tunnel is open.
    expires_ms: u64,
    /// Until when a GET that came while a tunnel was open may make another one.
    asked_again_ms: Option<u64>,
}

/// The sessions of this router.
#[derive(Debug, Default)]
pub struct Pairs {
    sessions: Mutex<HashMap<Pair, Session>>,
}

impl Pairs {
    fn lock(&self) -> MutexGuard<'_, HashMap<Pair, Session>> {
        // Every change is one insert, remove or store: a panic elsewhere leaves nothing half done.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a session.
    pub fn known(&self, pair: &Pair, now_ms: u64) -> Option<Known> {
        let sessions = self.lock();
        let session = sessions.get(pair).filter(|known| known.lives(now_ms))?;
        Some(Known { node: session.node.clone(), state: session.state })
    }

    /// Remembers the node chosen for one half, for the other. A GET of an open session makes it outlive the
    /// tunnel that is open, since the client may have ended that one already.
    pub fn remember(&self, pair: &Pair, part: Part, node: &Arc<Node>, now_ms: u64) {
        let mut sessions = self.lock();
        if !sessions.contains_key(pair) && sessions.len() >= SESSIONS_MAX {
            sessions.retain(|_, session| session.lives(now_ms));
            if sessions.len() >= SESSIONS_MAX {
                return;
            }
        }
        let state = if part == Part::Listening { State::Asked } else { State::Alone };
        let expires_ms = now_ms + WAITING_MS;
        let fresh = || Session::new(node, state, expires_ms);
        let session = sessions.entry(pair.clone()).or_insert_with(fresh);
        if session.tunnels == 0 {
            *session = fresh();
        } else if part == Part::Listening {
            session.asked_again_ms = Some(expires_ms);
        }
    }

    /// Marks a session with `node` as open until the returned value is dropped.
    pub fn open(self: &Arc<Self>, pair: Pair, node: &Arc<Node>) -> Open {
        let mut sessions = self.lock();
        // It may be gone: the node took long to answer.
        let fresh = || Session::new(node, State::Open, 0);
        let session = sessions.entry(pair.clone()).or_insert_with(fresh);
        session.state = State::Open;
        session.tunnels += 1;
        session.asked_again_ms = None;
        Open { pairs: self.clone(), pair }
    }
}

impl Session {
    fn new(node: &Arc<Node>, state: State, expires_ms: u64) -> Self {
        Self { node: node.clone(), state, tunnels: 0, expires_ms, asked_again_ms: None }
    }

    fn lives(&self, now_ms: u64) -> bool {
        self.tunnels > 0 || now_ms < self.expires_ms
    }
}

/// An open tunnel.
#[derive(Debug)]
pub struct Open {
    pairs: Arc<Pairs>,
    pair: Pair,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut sessions = self.pairs.lock();
        if let Some(session) = sessions.get_mut(&self.pair) {
            session.tunnels = session.tunnels.saturating_sub(1);
            match session.asked_again_ms.take_if(|_| session.tunnels == 0) {
                Some(until_ms) => (session.state, session.expires_ms) = (State::Asked, until_ms),
                None if session.tunnels == 0 => drop(sessions.remove(&self.pair)),
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use route_table::{Address, NodeFacts, NodeId, NodeOrigin, Opening, Proto};

    fn node(id: u64) -> Arc<Node> {
        let facts = NodeFacts {
            address: Address::Tcp("127.0.0.1:1".parse().unwrap()),
            announced: "127.0.0.1:1".into(),
            proto: Proto::Http,
            opening: Opening::default(),
            modifier1: 0,
            modifier2: 0,
            weight: 1,
            backup: 0,
            origin: NodeOrigin::Static,
            announcer: None,
        };
        Arc::new(Node::new(NodeId(id), facts))
    }

    fn pair(key: &str, cookie: &str) -> Pair {
        Pair { key: key.into(), cookie: cookie.as_bytes().into() }
    }

    #[test]
    fn the_second_half_finds_the_node_of_the_first() {
        let pairs = Arc::new(Pairs::default());
        let (mine, other) = (pair("a", "cookie"), pair("b", "cookie"));
        pairs.remember(&mine, Part::Listening, &node(7), 0);
        assert!(pairs.known(&other, 0).is_none(), "another key's cookie is another session");
        assert_eq!(pairs.known(&mine, 0).unwrap().state, State::Asked);
        let open = pairs.open(mine.clone(), &node(7));
        let known = pairs.known(&mine, WAITING_MS * 9).unwrap();
        assert_eq!((known.node.id, known.state), (NodeId(7), State::Open));
        pairs.remember(&mine, Part::Sending, &node(8), 1);
        assert_eq!(pairs.known(&mine, 1).unwrap().node.id, NodeId(7), "an open one stays");
        drop(open);
        assert!(pairs.known(&mine, 1).is_none());
    }

    #[test]
    fn a_get_that_comes_before_the_last_tunnel_ended_is_waited_for() {
        let pairs = Arc::new(Pairs::default());
        let mine = pair("a", "cookie");
        let ended = pairs.open(mine.clone(), &node(7));
        pairs.remember(&mine, Part::Listening, &node(7), 5);
        drop(ended);
        let known = pairs.known(&mine, 5).unwrap();
        assert_eq!((known.node.id, known.state), (NodeId(7), State::Asked));
        assert!(pairs.known(&mine, WAITING_MS + 5).is_none(), "not for ever");
        let first = pairs.open(mine.clone(), &node(7));
        pairs.remember(&mine, Part::Listening, &node(7), 6);
        let second = pairs.open(mine.clone(), &node(7));
        drop(first);
        assert_eq!(pairs.known(&mine, 6).unwrap().state, State::Open);
        drop(second);
        assert!(pairs.known(&mine, 6).is_none(), "nobody else asked");
    }

    #[test]
    fn a_half_alone_is_forgotten_and_gives_its_room_back() {
        let pairs = Arc::new(Pairs::default());
        for count in 0..SESSIONS_MAX {
            pairs.remember(&pair("a", &count.to_string()), Part::Sending, &node(1), 0);
        }
        let late = pair("a", "late");
        pairs.remember(&late, Part::Sending, &node(1), WAITING_MS - 1);
        assert!(pairs.known(&late, WAITING_MS - 1).is_none(), "no room");
        pairs.remember(&late, Part::Sending, &node(1), WAITING_MS);
        assert_eq!(pairs.known(&late, WAITING_MS).unwrap().state, State::Alone);
        assert_eq!(pairs.lock().len(), 1);
    }
}
