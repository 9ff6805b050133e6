//! Routers that pass signed subscriptions on to each other.

use nix::sys::signal::Signal;

use crate::harness::certs::{honest, sign_check_folder, stranger};
use crate::harness::datagram;
use crate::harness::router::{Setup, Subscribe, suzerain};
use crate::harness::vassal::vassal;
use crate::harness::wait::SOON;
use crate::harness::{Router, eventually, get, require_tool};

const KEY: &str = "passed.test";

fn setup(subscribe: Subscribe) -> Setup {
    let setup = Router::setup().subscribe(subscribe);
    let keys = sign_check_folder(setup.folder(), &[KEY]);
    setup.args(["--sign-check", &format!("SHA256:{}", keys.display())])
}

fn sign() -> String {
    format!("SHA256:{}", honest().private.display())
}

fn forwards(router: &Router, outcome: &str) -> f64 {
    let name = "suzerain_subscription_forwards_total";
    router.metrics().sum(name, &[("outcome", outcome)])
}

fn datagrams(router: &Router) -> f64 {
    router.metrics().sum("suzerain_subscription_datagrams_total", &[])
}

#[test]
fn a_second_router_serves_what_a_signed_vassal_tells_the_first() {
    let uwsgi = require_tool!("uwsgi");
    let second = setup(Subscribe::Udp).start();
    let first = setup(Subscribe::Udp).args(["--resubscribe", &second.subscribe_text()]).start();
    let app = vassal("a")
        .subscribe2(format!("server={},key={KEY},sign={}", first.subscribe(), sign()))
        .start(&uwsgi, first.folder());
    second.wait_for_nodes(KEY, 1);
    assert_eq!(get(second.http(), KEY, "/").json()["node"], "a");
    // It goes on doing so: a renewal of the first is one of the second.
    eventually("renewals are passed on", SOON, || {
        let renewed = [("verdict", "renewed")];
        let name = "suzerain_subscription_verdicts_total";
        (second.metrics().sum(name, &renewed) >= 2.0).then_some(())
    });
    // What is refused is not passed on.
    let before = datagrams(&second);
    let forged = vassal("b")
        .subscribe2(format!(
            "server={},key={KEY},sign=SHA256:{}",
            first.subscribe(),
            stranger().private.display()
        ))
        .start(&uwsgi, second.folder());
    datagram::send(first.subscribe(), &datagram::plain(0, &[("key", KEY), ("address", ":1")]));
    eventually("forged ones are refused", SOON, || (first.rejects_total() >= 3.0).then_some(()));
    drop(forged);
    assert_eq!(second.rejects_total(), 0.0);
    assert!(datagrams(&second) >= before);
    app.signal(Signal::SIGINT);
    first.wait_for_nodes(KEY, 0);
    second.wait_for_nodes(KEY, 0);
    assert_eq!(forwards(&first, "sent"), datagrams(&second), "each that arrived was sent once");
    assert_eq!(forwards(&first, "dropped"), 0.0);
}

/// Two routers that tell each other everything: each datagram crosses each way once and ends as a
/// replay where it began.
#[test]
fn routers_in_a_circle_pass_each_datagram_on_once() {
    let uwsgi = require_tool!("uwsgi");
    let (one, two) = (setup(Subscribe::Unix), setup(Subscribe::Unix));
    let path = |setup: &Setup| setup.folder().join("sub.sock").display().to_string();
    let (to_one, to_two) = (path(&one), path(&two));
    let one = one.args(["--resubscribe", &to_two]).start();
    let two = two.args(["--resubscribe", &to_one]).start();
    let app = vassal("a")
        .subscribe2(format!("server={to_one},key={KEY},sign={}", sign()))
        .start(&uwsgi, one.folder());
    two.wait_for_nodes(KEY, 1);
    eventually("several announcements went round", SOON, || {
        (forwards(&two, "sent") >= 3.0).then_some(())
    });
    app.signal(Signal::SIGINT);
    one.wait_for_nodes(KEY, 0);
    two.wait_for_nodes(KEY, 0);
    let name = "suzerain_subscription_rejects_total";
    let settled = eventually("the circle is quiet", SOON, || {
        let replayed = one.metrics().sum(name, &[("reason", "replayed")]);
        (forwards(&two, "sent") == replayed).then_some(replayed)
    });
    // Of what the first accepted each went out once; each came back once, and no further.
    let accepted = one.metrics().sum("suzerain_subscription_verdicts_total", &[]);
    assert_eq!(forwards(&one, "sent"), accepted);
    assert_eq!(settled, accepted);
    assert_eq!(datagrams(&one), 2.0 * accepted);
    assert_eq!((two.rejects_total(), datagrams(&two)), (0.0, accepted));
}

#[test]
fn resubscribing_without_signatures_or_to_itself_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = ["run", "--http", "127.0.0.1:0", "--subscribe", "127.0.0.1:7171", "--resubscribe"];
    let told = suzerain(folder.path(), &[&start[..], &["127.0.0.1:7172"]].concat());
    assert!(told.stderr.contains("--resubscribe needs sign-check"), "{told:?}");
    let told = suzerain(folder.path(), &[&start[..], &["127.0.0.1:7171"]].concat());
    assert!(told.stderr.contains("this router's own"), "{told:?}");
}
