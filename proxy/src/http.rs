//! The life of a request.
//!
//! [`session`] receives heads of one client connection and hands each to [`judge`], which decides
//! everything that can be decided without waiting: is it sound, which node, which bytes for it.
//! [`exchange`] then makes [`attempt`]s until one node answers. [`request_body`] and [`response`] move
//! the bytes, independently of each other; [`reply`] says what the router itself has to say, and
//! [`conclude`] what is said of it all afterwards.

pub mod admission;
pub mod attempt;
pub mod blame;
pub mod body_rate;
pub mod client_auth;
pub mod conclude;
pub mod exchange;
pub mod failure;
pub mod forward;
pub mod forward_http;
pub mod forward_uwsgi;
pub mod gate;
pub mod held_body;
pub mod in_flight;
pub mod inbound;
pub mod judge;
pub mod provenance;
pub mod raw_body;
pub mod record;
pub mod refusal;
pub mod rejects;
pub mod reply;
pub mod request_body;
pub mod request_id;
pub mod response;
pub mod rtsp;
pub mod session;
pub mod spans;
pub mod sticky;
mod switched;
mod traced;
pub mod trailers;
pub mod unserved;
mod wait_room;
pub mod wake;
pub mod wish;
