//! What a host and a key may be, and what each becomes.

use super::*;

fn host(raw: &str) -> Result<String, KeyError> {
    let mut buf = HostBuf::new();
    let host = canonical_host(raw.as_bytes(), &mut buf)?;
    assert_eq!(host.port().map_or(host.host().into(), |p| format!("{}:{p}", host.host())), {
        host.host_port()
    });
    Ok(host.host_port().into())
}

#[test]
fn case_trailing_dot_and_literal_spelling_are_folded() {
    for (raw, canonical) in [
        ("example.com", "example.com"),
        ("EXAMPLE.Com.", "example.com"),
        ("Example.com.:8080", "example.com:8080"),
        ("a_b-c.9", "a_b-c.9"),
        ("example.com:80", "example.com:80"),
        ("x:1", "x:1"),
        ("x:65535", "x:65535"),
        ("127.0.0.1:3031", "127.0.0.1:3031"),
        ("[::1]", "[::1]"),
        ("[0:0:0::1]:443", "[::1]:443"),
        ("[2001:DB8::A]", "[2001:db8::a]"),
        ("[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]"),
    ] {
        assert_eq!(host(raw).as_deref(), Ok(canonical), "{raw}");
    }
}

#[test]
fn ambiguous_and_hostile_hosts_are_refused() {
    use KeyError::{BadByte, BadLiteral, BadPort, Empty, EmptyLabel};
    for (raw, error) in [
        ("", Empty),
        (":80", Empty),
        (".", EmptyLabel),
        (".example.com", EmptyLabel),
        ("a..b", EmptyLabel),
        ("a..", EmptyLabel),
        ("a:", BadPort),
        ("a:0", BadPort),
        ("a:080", BadPort),
        ("a:+80", BadPort),
        ("a:-1", BadPort),
        ("a:8a", BadPort),
        ("a:65536", BadPort),
        ("a:999999", BadPort),
        ("a:1:2", BadPort),
        ("[::1]x", BadPort),
        ("[::1]:", BadPort),
        ("[::1].", BadPort),
        ("[", BadLiteral),
        ("[]", BadLiteral),
        ("[::1", BadLiteral),
        ("[1.2.3.4]", BadLiteral),
        ("[fe80::1%25eth0]", BadLiteral),
        ("a b", BadByte { byte: b' ' }),
        ("a/b", BadByte { byte: b'/' }),
        ("u@a", BadByte { byte: b'@' }),
        ("a%2e", BadByte { byte: b'%' }),
        ("a\0", BadByte { byte: 0 }),
        ("é", BadByte { byte: 0xc3 }),
        ("*.a", BadByte { byte: b'*' }),
    ] {
        assert_eq!(host(raw), Err(error), "{raw:?}");
    }
}

#[test]
fn a_name_of_255_bytes_is_taken_and_one_more_refused() {
    assert_eq!(host(&"a".repeat(255)), Ok("a".repeat(255)));
    assert_eq!(host(&"a".repeat(256)), Err(KeyError::Long { bytes: 256 }));
    let longest = format!("{}/m", "a".repeat(253));
    assert_eq!(RouteKey::parse(longest.as_bytes()).map(|k| k.as_str().len()), Ok(255));
    let longer = format!(".{}/m", "a".repeat(253));
    assert_eq!(RouteKey::parse(longer.as_bytes()), Err(KeyError::Long { bytes: 256 }));
}

#[test]
fn canonical_text_is_its_own_canonical_form() {
    for raw in ["A.b.:7", "[0::0]:9", "x_Y."] {
        let once = host(raw).expect("legal");
        assert_eq!(host(&once).as_ref(), Ok(&once));
    }
}

#[test]
fn a_key_may_have_a_leading_dot_and_a_mountpoint() {
    let key = RouteKey::parse(b".Example.COM.:8080/App/v1").expect("legal");
    assert_eq!(key.as_str(), ".example.com:8080/App/v1");
    assert_eq!((key.host(), key.port(), key.mount()), (".example.com", Some(8080), "/App/v1"));
    assert!(key.is_suffix());

    let key = RouteKey::parse(b"[::1]:80").expect("legal");
    assert_eq!((key.host(), key.port(), key.mount()), ("[::1]", Some(80), ""));
    let key = RouteKey::parse(b"[::1]").expect("legal");
    assert_eq!((key.host(), key.port()), ("[::1]", None));
}

#[test]
fn keys_that_name_nothing_plain_are_refused() {
    use KeyError::{BadByte, BadMount, Empty, EmptyLabel};
    for (raw, error) in [
        (&b""[..], Empty),
        (b"/app", Empty),
        (b".", Empty),
        (b"..a", EmptyLabel),
        (b".[::1]", BadByte { byte: b'[' }),
        (b"a/", BadMount),
        (b"a//b", BadMount),
        (b"a/../b", BadMount),
        (b"a/.", BadMount),
        (b"a/b?c", BadMount),
        (b"a/b c", BadMount),
        (b"a/\xff", BadMount),
    ] {
        assert_eq!(RouteKey::parse(raw), Err(error), "{raw:?}");
    }
}
