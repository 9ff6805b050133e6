//! The dashboard in a real browser: what it shows, what it makes of hostile names, how it looks.
//!
//! `BLESS=1` writes the pictures of `docs/SEEING.md`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;

use crate::harness::chromium::Chromium;
use crate::harness::client::try_get;
use crate::harness::datagram;
use crate::harness::open_admin::OpenAdmin;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Origin, get, require_tool};

/// What a tenant calls its vassal who wants to run a script in the operator's browser.
const HOSTILE: &str = "<img src=x onerror='window.owned=1'><script>window.owned=1</script>";

/// Requests to some keys until dropped.
struct Traffic {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    fn to(router: SocketAddr, keys: &'static [&'static str]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Relaxed) {
                for key in keys {
                    let _ = try_get(router, key, "/");
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn announce(router: &OpenAdmin, key: &str, address: &str, more: &[(&str, &str)]) {
    let fields = [("key", key), ("address", address), ("proto", "http")];
    let fields: Vec<_> = fields.into_iter().chain(more.iter().copied()).collect();
    datagram::send(router.subscribe, &datagram::plain(0, &fields));
}

fn open(chromium: &Path, router: &OpenAdmin) -> Chromium {
    let url = format!("http://{}/dashboard", router.admin);
    let mut browser = Chromium::open(chromium, router.folder.path(), &url);
    browser.wait_for(
        "the page has numbers",
        "document.getElementById('state')?.textContent == 'serving'",
    );
    browser
}

fn keep(name: &str, picture: &[u8]) {
    assert!(picture.starts_with(b"\x89PNG"));
    if std::env::var_os("BLESS").is_some() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/figures");
        std::fs::write(folder.join(name), picture).expect("the picture is written");
    }
}

#[test]
fn the_dashboard_shows_a_busy_router_and_runs_no_script_of_a_tenant() {
    let chromium = require_tool!("chromium");
    let origin = Origin::echo();
    let address = origin.address().to_string();
    let route = origin.route("shop.test");
    let router =
        OpenAdmin::start(&["--route", &route, "--https", "127.0.0.1:0", "--tolerance", "60"]);
    announce(&router, "blog.test", &address, &[("vassal", HOSTILE)]);
    announce(&router, "api.test/v2", &address, &[("weight", "3")]);
    // A vassal that sleeps, and a datagram that is refused.
    announce(&router, "asleep.test", "", &[("vassal", "sleeper")]);
    announce(&router, "bad key.test", &address, &[]);
    let traffic = Traffic::to(router.http, &["shop.test", "shop.test", "blog.test", "nobody.test"]);
    let mut browser = open(&chromium, &router);
    browser.resize(1100, 960, "light");
    browser
        .wait_for("a rate is shown", "parseFloat(document.getElementById('rate').textContent) > 0");
    browser.wait_for(
        "a latency is shown",
        "/[µm]s$/.test(document.getElementById('p99').textContent)",
    );
    browser.wait_for(
        "the busiest key comes first, with a rate",
        "(() => { const c = document.querySelector('#rows tr')?.children; \
          return c?.[0].textContent == 'shop.test' && parseFloat(c[1].textContent) > 0 })()",
    );
    browser.wait_for(
        "the hostile name is there as text",
        "document.getElementById('rows').textContent.includes(\"<img src=x onerror=\")",
    );
    for (what, script) in [
        ("its script ran", "window.owned === 1"),
        ("its markup was parsed", "document.querySelector('#rows img, #rows script') !== null"),
        ("no lease", "!/lease [1-6][0-9] s/.test(document.getElementById('rows').textContent)"),
        (
            "no node is configured",
            "!/configured/.test(document.getElementById('rows').textContent)",
        ),
        ("no node sleeps", "!/asleep/.test(document.getElementById('rows').textContent)"),
        ("no reject", "!/bad key/.test(document.getElementById('rejects').textContent)"),
        ("no certificate", "!/default/.test(document.getElementById('certificates').textContent)"),
        ("no core", "document.querySelectorAll('#cores .bar').length !== 2"),
        ("no style", "getComputedStyle(document.getElementById('state')).borderRadius === '0px'"),
        (
            "it reached out",
            "performance.getEntriesByType('resource').some(r => new URL(r.name).host !== location.host)",
        ),
    ] {
        assert_ne!(browser.evaluate(script), true, "{what}");
    }
    browser.wait_for(
        "some looks were taken",
        "document.getElementById('rate-line').getAttribute('points').split(' ').length > 5",
    );
    keep("dashboard-light.png", &browser.screenshot());
    browser.resize(1100, 420, "dark");
    keep("dashboard-dark.png", &browser.screenshot());
    browser.resize(360, 800, "light");
    browser.wait_for(
        "a phone need not scroll sideways",
        "document.documentElement.scrollWidth <= 360",
    );
    browser.evaluate("document.getElementById('keys').scrollIntoView()");
    keep("dashboard-phone.png", &browser.screenshot());
    drop(traffic);
}

#[test]
fn the_dashboard_searches_pages_and_holds_still() {
    let chromium = require_tool!("chromium");
    let router = OpenAdmin::start(&["--tolerance", "300"]);
    let stats = || get(router.admin, &router.admin.to_string(), "/overview.json?keys=1").json();
    for number in 0..60 {
        announce(&router, &format!("site{number:02}.test"), "127.0.0.1:9", &[]);
    }
    eventually_true("all are known", SOON, || stats()["keys"]["matched"] == 60);
    let mut browser = open(&chromium, &router);
    browser.resize(1000, 900, "light");
    let rows = "[...document.querySelectorAll('#rows .name')].map(td => td.textContent)";
    let first = |name: &str, count: u32| {
        format!("(() => {{ const r = {rows}; return r[0] == '{name}' && r.length == {count} }})()")
    };
    browser.wait_for("a page of keys", &first("site00.test", 25));
    browser.evaluate("document.getElementById('next').click()");
    browser.wait_for("the second page", &first("site25.test", 25));
    browser.evaluate("document.getElementById('next').click()");
    browser.wait_for("the last page", &first("site50.test", 10));
    browser.wait_for("it is the last", "document.getElementById('next').disabled");
    browser.evaluate("document.querySelector('[data-sort=key]').click()");
    browser.wait_for("sorted by name", &first("site00.test", 25));
    browser.evaluate("document.querySelector('[data-sort=key]').click()");
    browser.wait_for("from the other end", &first("site59.test", 25));
    let search = |text: &str| {
        format!(
            "(() => {{ const s = document.getElementById('search'); s.value = '{text}'; \
                 s.dispatchEvent(new Event('input')) }})()"
        )
    };
    browser.evaluate(&search("Site4"));
    browser.wait_for("ten are found", &first("site49.test", 10));
    browser.evaluate(&search("<b>nothing"));
    browser.wait_for(
        "none is found",
        "document.getElementById('keys-empty').textContent == 'No key matches.'",
    );
    browser.evaluate(&search(""));
    browser.wait_for("all are back", &first("site59.test", 25));
    // From here on nothing may move, and what has the focus keeps it.
    browser.evaluate(
        "window.polls = 0; window.moved = 0; \
         new PerformanceObserver(l => l.getEntries().forEach(e => window.moved += e.value)).observe({ type: 'layout-shift' }); \
         new PerformanceObserver(l => window.polls += l.getEntries().length).observe({ type: 'resource' }); \
         document.getElementById('order').focus()",
    );
    // What the last search moved was perhaps not drawn yet.
    browser.wait_for("a look", "window.polls >= 1");
    browser.evaluate("window.moved = 0");
    browser.wait_for("three more looks", "window.polls >= 4");
    assert_eq!(browser.evaluate("window.moved"), 0, "the layout moved");
    assert_eq!(browser.evaluate("document.activeElement.id"), "order");
    drop(router.process);
    browser.wait_for(
        "the end is seen",
        "document.getElementById('state').textContent == 'disconnected'",
    );
}
