//! Real Apache (`mod_proxy_uwsgi`) before the router and real uWSGI behind it.

use crate::harness::front::{Front, app, file_of, sha1_of};
use crate::harness::router::Subscribe;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Router, require_tool};

/// Bytes of a download.
const LARGE: usize = 50 * 1024 * 1024;

#[test]
fn requests_uploads_and_downloads_pass_from_apache() {
    let (apache, uwsgi) = (require_tool!("apache2"), require_tool!("uwsgi"));
    let curl = require_tool!("curl");
    let router = Router::setup().subscribe(Subscribe::Udp).start();
    let _app = app("a")
        .subscribe_to(format!("{}:a.example", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("a.example", 1);
    let lines = format!("ProxyPass \"/\" \"uwsgi://{}/\"", router.http());
    let front = Front::apache(&apache, router.folder(), &lines);
    let from = ["--interface", "127.0.0.9"];
    let got = front.ask(&curl, "a.example", "/n%20x/?y=2", &from).json();
    for (name, value) in [
        ("PATH_INFO", "/n x/"),
        ("QUERY_STRING", "y=2"),
        ("HTTP_HOST", "a.example"),
        ("REMOTE_ADDR", "127.0.0.9"),
    ] {
        assert_eq!(got["env"][name], value, "{name}");
    }
    let file = file_of(router.folder(), 3_000_000);
    let upload = format!("@{}", file.display());
    let more = ["-H", "Expect:", "--data-binary", &upload];
    let posted = front.ask(&curl, "a.example", "/upload", &more);
    assert_eq!(posted.status, 200, "{posted:?}");
    assert_eq!(posted.json()["body"]["sha1"], sha1_of(&file));
    let arrived = router.folder().join("arrived");
    let more = ["-o", arrived.to_str().expect("UTF-8")];
    let got = front.ask(&curl, "a.example", &format!("/download?{LARGE}"), &more);
    assert_eq!((got.exit, got.status), (0, 200), "{got:?}");
    assert_eq!(std::fs::metadata(&arrived).expect("a file").len(), LARGE as u64);
    assert_eq!(front.ask(&curl, "zzz.example", "/", &[]).status, 404);
    assert_eq!(front.ask(&curl, "a.example", "/", &["-I"]).status, 200);
    eventually_true("the log names the client of Apache", SOON, || {
        router.access_log().contains("client=127.0.0.9:")
    });
}
