//! Sockets given, taken, kept and left.

use super::*;
use std::{
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::net::UnixListener,
};

fn tcp_address(listener: &TcpListener) -> ListenAddr {
    ListenAddr::Tcp(listener.local_addr().unwrap())
}

#[test]
fn what_is_given_is_taken_once_by_kind_and_address() {
    let estate = Estate::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp_address(&listener);
    estate.inherit(listener.into(), Owner::Router).unwrap();
    assert!(estate.take(Kind::Datagram, &address).unwrap().is_empty());
    assert!(estate.take(Kind::Stream, &"127.0.0.1:1".parse().unwrap()).unwrap().is_empty());
    assert_eq!(estate.take(Kind::Stream, &address).unwrap().len(), 1);
    assert!(estate.take(Kind::Stream, &address).unwrap().is_empty(), "somebody has it");
}

#[test]
fn paths_and_datagrams_are_found_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    let estate = Estate::default();
    estate.inherit(UnixListener::bind(&path).unwrap().into(), Owner::Router).unwrap();
    let udp = UdpSocket::bind("[::1]:0").unwrap();
    let address = ListenAddr::Tcp(udp.local_addr().unwrap());
    estate.inherit(udp.into(), Owner::Router).unwrap();
    assert_eq!(estate.take(Kind::Stream, &ListenAddr::Unix(path)).unwrap().len(), 1);
    assert_eq!(estate.take(Kind::Datagram, &address).unwrap().len(), 1);
}

#[test]
fn what_nobody_can_ask_for_is_refused_with_a_reason() {
    let estate = Estate::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert!(matches!(estate.inherit(connected.into(), Owner::Router), Err(Stranger::NotListening)));
    let file = tempfile::tempfile().unwrap();
    assert!(matches!(estate.inherit(file.into(), Owner::Router), Err(Stranger::NoSocket(_))));
    let (datagrams, _other) = std::os::unix::net::UnixDatagram::pair().unwrap();
    assert!(matches!(estate.inherit(datagrams.into(), Owner::Router), Err(Stranger::Address)));
}

#[test]
fn unclaimed_sockets_close_and_used_ones_are_left_to_the_next() {
    let estate = Estate::default();
    let (used, unclaimed) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (used_at, unclaimed_at) = (tcp_address(&used), tcp_address(&unclaimed));
    estate.inherit(used.into(), Owner::Router).unwrap();
    estate.inherit(unclaimed.into(), Owner::Router).unwrap();
    drop(estate.take(Kind::Stream, &used_at).unwrap());
    assert_eq!(estate.close_unclaimed(), [(Kind::Stream, unclaimed_at.clone())]);
    assert!(TcpStream::connect(unclaimed_at.ip().unwrap()).is_err());

    let next = Estate::default();
    for bequest in estate.bequeath().unwrap() {
        next.inherit(bequest.socket.into(), bequest.owner).unwrap();
    }
    estate.release_all();
    assert!(TcpStream::connect(used_at.ip().unwrap()).is_ok(), "the next one has it");
    assert_eq!(next.take(Kind::Stream, &used_at).unwrap().len(), 1);
    next.release(Kind::Stream, &used_at);
    assert!(TcpStream::connect(used_at.ip().unwrap()).is_err(), "nobody has it");
}

#[test]
fn a_file_goes_unless_somebody_else_has_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    for (owner, is_left, stays) in
        [(Owner::Router, false, false), (Owner::Router, true, true), (Owner::Manager, false, true)]
    {
        let path = dir.path().join(format!("{owner:?}{is_left}"));
        let estate = Estate::default();
        estate.inherit(UnixListener::bind(&path).unwrap().into(), owner).unwrap();
        estate.take(Kind::Stream, &ListenAddr::Unix(path.clone())).unwrap();
        let file = estate.file_at(Kind::Stream, &path).unwrap();
        if is_left {
            estate.leave_files();
        }
        drop(file);
        assert_eq!(path.exists(), stays, "{owner:?} {is_left}");
    }
}
