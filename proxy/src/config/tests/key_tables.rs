//! What `[key."NAME"]` tables come to, and how mistakes in them are told.

use super::*;

#[test]
fn a_table_changes_one_key_and_leaves_the_others() {
    let file = Written::new(
        "http = \":1\"\nbody-bytes-max = \"1MiB\"\n[timeouts]\nfirst-byte = \"9s\"\n\
         [key.\"Shop.Example\"]\nbody_bytes_max = \"2MiB\"\n\
         [key.\".b.example:81/cart\".timeouts]\ntunnel = \"5m\"\n",
    );
    let settings = file.load(&[]).expect("a right file");
    assert_eq!(settings.policy.body_bytes_max, Some(1 << 20));
    let [(shop, of_shop), (cart, of_cart)] = &*settings.keys else { panic!("{:?}", settings.keys) };
    assert_eq!((shop.as_str(), cart.as_str()), ("shop.example", ".b.example:81/cart"));
    assert_eq!(of_shop.body_bytes_max, Some(2 << 20));
    assert_eq!(of_cart.body_bytes_max, Some(1 << 20));
    assert_eq!(of_cart.timeouts.tunnel, Duration::from_secs(300));
    for policy in [of_shop, of_cart] {
        assert_eq!(policy.timeouts.first_byte, Duration::from_secs(9));
    }
}

#[test]
fn a_flag_is_for_all_keys_and_a_table_is_nearer() {
    let file = Written::new("http = \":1\"\n[key.a]\nbody-bytes-max = \"1\"\n[key.b]\n");
    let settings = file.load(&[(Opt::BodyBytesMax, "7")]).expect("right settings");
    let bounds: Vec<_> = settings.keys.iter().map(|(_, policy)| policy.body_bytes_max).collect();
    assert_eq!(bounds, [Some(1), Some(7)]);
}

#[test]
fn every_problem_of_the_tables_is_told_with_line_and_column() {
    let file = Written::new(
        "http = \":1\"\n\
         [key.\"a b\"]\n\
         [key.\"c.example\"]\n\
         body-byte-max = 1\n\
         workers = 2\n\
         first-byte = \"1s\"\n\
         timeouts.drain = \"1s\"\n\
         timeouts.connect = \"1ms\"\n\
         [key.\"C.example\"]\n\
         body-bytes-max = \"1\"\n\
         body_bytes_max = \"2\"\n\
         [key.\"d.example\".key.e]\n\
         [key]\n\
         f = 1\n",
    );
    assert_eq!(
        file.problems(),
        [
            "r.toml:2:6: key \"a b\": byte 0x20 cannot stand in a host name; allowed: a host name or IP \
             address, perhaps with a dot before it, a :PORT or a /PATH behind it",
            "r.toml:4:1: unknown key \"body-byte-max\"; did you mean \"body-bytes-max\"?",
            "r.toml:5:1: workers holds for the whole router and cannot be set for one key",
            "r.toml:6:1: unknown key \"first-byte\"; did you mean \"timeouts.first-byte\"?",
            "r.toml:7:10: timeouts.drain holds for the whole router and cannot be set for one key",
            "r.toml:8:20: timeouts.connect \"1ms\": shorter than 10ms; allowed: a duration as \
             500ms, 10s or 5m, from 10ms to 24h",
            "r.toml:9:6: key \"c.example\" has a table already, at r.toml:3:6",
            "r.toml:11:18: body-bytes-max \"2\" is already given by r.toml:10:18",
            "r.toml:12:18: unknown key \"key\"; docs/CONFIG.md lists every key",
            "r.toml:14:5: an integer below key; allowed: tables, as [key.\"shop.example\"]",
        ]
    );
}

#[test]
fn a_key_that_is_no_table_is_told() {
    assert_eq!(
        Written::new("http = \":1\"\nkey = \"a\"\n").problems(),
        ["r.toml:2:7: a string below key; allowed: tables, as [key.\"shop.example\"]"]
    );
}
