//! Tokens on the admin socket: who is answered, and what a tenant is shown.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::Signal;

use crate::harness::chromium::Chromium;
use crate::harness::client::Client;
use crate::harness::datagram;
use crate::harness::metrics::Metrics;
use crate::harness::open_admin::OpenAdmin;
use crate::harness::require_tool;
use crate::harness::response::Response;
use crate::harness::router::suzerain;
use crate::harness::wait::{SOON, eventually_true};

/// printf operators-token | sha256sum
const OPERATOR_SHA256: &str = "ac90208e65ca394da5801030b895c631689ae9b24bd1f302ec5acce041bfe130";
const OPERATOR: &str = "operators-token";
const SHOP: &str = "the-token-of-the-shop";

struct Guarded {
    router: OpenAdmin,
    config: std::path::PathBuf,
    token_file: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Guarded {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let token_file = folder.path().join("shop.token");
        std::fs::write(&token_file, SHOP).expect("written");
        std::fs::set_permissions(&token_file, Permissions::from_mode(0o600)).expect("a mode");
        let config = folder.path().join("router.toml");
        let text = format!(
            "admin-token-sha256 = \"{OPERATOR_SHA256}\"\n[tenant.shop]\n\
             keys = [\"shop.test\", \".shop.test\"]\ntoken-file = \"{}\"\n",
            token_file.display()
        );
        std::fs::write(&config, text).expect("written");
        let path = config.display().to_string();
        let router = OpenAdmin::start(&["--config", &path, "--tolerance", "300"]);
        for key in ["shop.test", "a.shop.test", "rival.test"] {
            let fields = [("key", key), ("address", "127.0.0.1:9"), ("proto", "http")];
            datagram::send(router.subscribe, &datagram::plain(0, &fields));
        }
        let guarded = Self { router, config, token_file, _folder: folder };
        eventually_true("all keys are known", SOON, || {
            guarded.ask("/stats", Some(OPERATOR)).text().contains("rival.test")
        });
        guarded
    }

    fn ask(&self, target: &str, token: Option<&str>) -> Response {
        let mut client = Client::connect(self.router.admin);
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let token = token.unwrap_or_default();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}\r\n"));
        client.response()
    }
}

#[test]
fn a_tenant_sees_its_keys_and_strangers_see_nothing() {
    let guarded = Guarded::start();
    for target in ["/stats", "/overview.json", "/metrics"] {
        let all = guarded.ask(target, Some(OPERATOR)).text();
        assert!(all.contains("shop.test") && all.contains("rival.test"), "{target}: {all}");
        let own = guarded.ask(target, Some(SHOP)).text();
        assert!(own.contains("a.shop.test") && !own.contains("rival"), "{target}: {own}");
        for token in [None, Some("guess"), Some("the-token-of-the-shoP")] {
            let refused = guarded.ask(target, token);
            assert_eq!(refused.status, 401, "{target}");
            assert!(!refused.text().contains("shop"), "{target}");
        }
    }
    let metrics = Metrics::parse(&guarded.ask("/metrics", Some(OPERATOR)).text());
    for (reason, count) in [("no_token", 3.0), ("wrong_token", 6.0), ("host", 0.0)] {
        let counted = metrics.sum("suzerain_admin_refused_total", &[("reason", reason)]);
        assert_eq!(counted, count, "{reason}");
    }
    for target in ["/readyz", "/healthz", "/dashboard"] {
        assert_eq!(guarded.ask(target, None).status, 200, "{target}");
    }
    let explained = guarded.ask("/explain?url=http://a.shop.test/", Some(SHOP));
    assert_eq!(explained.json()["key"], "a.shop.test");
    // Whether somebody has the key or nobody, the answer is the same.
    let answers = ["rival.test", "nobody.test"].map(|host| {
        let answer = guarded.ask(&format!("/explain?url=http://{host}/"), Some(SHOP));
        (answer.status, answer.text())
    });
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0, 400);
}

#[test]
fn a_reload_admits_others() {
    let guarded = Guarded::start();
    assert_eq!(guarded.ask("/stats", Some(SHOP)).status, 200);
    std::fs::write(&guarded.token_file, "another-token-of-the-shop").expect("written");
    guarded.router.process.signal(Signal::SIGHUP);
    eventually_true("the old token is nobody's", SOON, || {
        guarded.ask("/stats", Some(SHOP)).status == 401
    });
    assert_eq!(guarded.ask("/stats", Some("another-token-of-the-shop")).status, 200);
    let text = format!("admin-token-sha256 = \"{OPERATOR_SHA256}\"\n");
    std::fs::write(&guarded.config, text).expect("written");
    guarded.router.process.signal(Signal::SIGHUP);
    eventually_true("the tenant is gone", SOON, || {
        guarded.ask("/stats", Some("another-token-of-the-shop")).status == 401
    });
    assert_eq!(guarded.ask("/stats", Some(OPERATOR)).status, 200);
}

#[test]
fn the_command_line_shows_the_token_in_its_file() {
    let guarded = Guarded::start();
    let (folder, admin) = (guarded.router.folder.path(), guarded.router.admin.to_string());
    let url = "http://shop.test/";
    let refused = suzerain(folder, &["explain", "--admin", &admin, url]);
    assert_eq!(refused.code, Some(64));
    assert!(refused.stderr.contains("--token-file FILE"), "{}", refused.stderr);
    let token = guarded.token_file.display().to_string();
    let told = suzerain(folder, &["explain", "--admin", &admin, "--token-file", &token, url]);
    assert!(told.stdout.contains("shop.test"), "{told:?}");
}

#[test]
fn the_dashboard_asks_for_a_token_and_shows_a_tenant_its_own() {
    let chromium = require_tool!("chromium");
    let guarded = Guarded::start();
    let url = format!("http://{}/dashboard", guarded.router.admin);
    let mut browser = Chromium::open(&chromium, guarded.router.folder.path(), &url);
    let state = |text: &str| format!("document.getElementById('state')?.textContent == '{text}'");
    browser.wait_for("a token is asked for", &state("token wanted"));
    let enter = |token: &str| {
        format!(
            "document.getElementById('secret').value = '{token}'; \
                 document.querySelector('#token button').click()"
        )
    };
    browser.evaluate(&enter("guess"));
    browser.wait_for("a guess is refused", "document.getElementById('denied').textContent != ''");
    browser.evaluate(&enter(SHOP));
    browser.wait_for("the tenant is in", &state("serving"));
    let rows = "[...document.querySelectorAll('#rows .name')].map(td => td.textContent).join()";
    assert_eq!(browser.evaluate(rows), "a.shop.test,shop.test");
    assert_eq!(browser.evaluate("document.body.textContent.includes('rival')"), false);
    assert_eq!(browser.evaluate("document.querySelectorAll('.router:not([hidden])').length"), 0);
    browser.evaluate("sessionStorage.clear(); location.reload()");
    browser.wait_for("the token is gone with the session", &state("token wanted"));
}
