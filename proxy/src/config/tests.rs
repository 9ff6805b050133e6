//! What a file and flags come to, and how mistakes in them are told.

mod compatibility;
mod key_tables;
mod tenants;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use router_core::access_log::AccessLogTarget;
use tempfile::TempDir;

use super::catalog::{OPTIONS, Section, Shape, Table};
use super::*;

/// A config file in a directory of its own.
struct Written {
    directory: TempDir,
}

impl Written {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("r.toml"), text).expect("a file");
        Self { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("r.toml")
    }

    fn load(&self, flags: &[(Opt, &str)]) -> Result<Settings, Vec<String>> {
        load_strings(Some(&self.path()), flags).map_err(|problems| {
            let directory = format!("{}/", self.directory.path().display());
            problems.into_iter().map(|problem| problem.replace(&directory, "")).collect()
        })
    }

    fn problems(&self) -> Vec<String> {
        self.load(&[]).expect_err("a wrong file")
    }
}

fn load_strings(file: Option<&Path>, flags: &[(Opt, &str)]) -> Result<Settings, Vec<String>> {
    let given = |(opt, text): &(Opt, &str)| {
        let place = Place::Flag(*opt);
        Given { opt: *opt, text: (*text).to_owned(), place }
    };
    load(Program::Suzerain, file, flags.iter().map(given).collect())
        .map_err(|error| error.problems.iter().map(std::string::ToString::to_string).collect())
}

fn flag_problem(opt: Opt, text: &str) -> String {
    let flags = [(Opt::Http, "127.0.0.1:0"), (opt, text)];
    load_strings(None, &flags).expect_err(text).join("\n")
}

fn addr(text: &str) -> ListenAddr {
    text.parse().expect("a listen address")
}

#[test]
fn every_option_is_in_the_catalogue_once_and_documented() {
    for facts in OPTIONS {
        assert_eq!(facts.opt.facts().name, facts.name, "{} is doubled", facts.name);
        let same = OPTIONS.iter().filter(|other| other.key() == facts.key()).count();
        assert_eq!(same, 1, "{}", facts.name);
        assert!(facts.about.ends_with('.'), "{}", facts.name);
        assert!(!facts.allowed.is_empty() && !facts.default.is_empty(), "{}", facts.name);
        assert!(facts.shape == Shape::Switch || !facts.value.is_empty(), "{}", facts.name);
    }
    assert_eq!(Opt::named("head", Table::Timeouts), Some(Opt::TimeoutHead));
    assert_eq!(Opt::named("head", Table::Top), None);
}

/// The examples of the reference are a file that loads, once its paths exist.
#[test]
fn the_examples_of_the_catalogue_load() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().display().to_string();
    let names = ["keys", "certs", "owners"].map(|name| format!("/etc/suzerain/{name}"));
    for name in names.iter().map(String::as_str).chain(["/var/lib/apps/certs"]) {
        fs::create_dir_all(format!("{root}{name}")).expect("a directory");
    }
    for name in ["/var/log/suzerain", "/var/lib/suzerain"] {
        fs::create_dir_all(format!("{root}{name}")).expect("a directory");
    }
    for name in ["/etc/suzerain/default.crt", "/etc/suzerain/default.key"] {
        fs::write(format!("{root}{name}"), "").expect("a file");
    }
    fs::write(format!("{root}/etc/suzerain/sticky.key"), [b'k'; 32]).expect("a file");
    fs::create_dir(format!("{root}/etc/suzerain/tenants")).expect("a directory");
    for name in ["operator.token", "tenants/shop.token"] {
        let path = format!("{root}/etc/suzerain/{name}");
        fs::write(&path, format!("token-in-{name}")).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    }
    let page = reference();
    let (_, rest) = page.split_once("```toml\n").expect("an example");
    let (text, _) = rest.split_once("```").expect("its end");
    let text =
        text.replace("/etc/", &format!("{root}/etc/")).replace("/var/", &format!("{root}/var/"));
    // An account that every machine has.
    let text = text.replace("user = \"suzerain\"", "user = \"nobody\"");
    let text = text.replace("group = \"suzerain\"", "group = 1");
    let text = text.replace("\"adm\"", "1").replace("\"wheel\"", "1");
    let text = text.replace("/run/suzerain/ctl", &format!("{root}/etc/suzerain/ctl"));
    let settings = Written::new(&text).load(&[]).expect("a right file");
    assert_eq!(settings.policy.timeouts, Timeouts::default());
    assert_eq!(settings.limits, ClientLimits::default());
    assert_eq!(settings.tolerance, Settings::default().tolerance);
    assert_eq!(settings.sign_tolerance, Settings::default().sign_tolerance);
    assert_eq!(settings.http.len(), 2);
    assert_eq!(settings.route[0].weight, 2);
    assert_eq!(settings.sign_check.expect("a check").digest, Digest::Sha256);
}

/// Set `BLESS=1` to write the page anew.
#[test]
fn docs_config_md_is_what_the_catalogue_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CONFIG.md");
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, reference()).expect("docs/ can be written");
    }
    let page = fs::read_to_string(path).unwrap_or_default();
    assert!(page == reference(), "docs/CONFIG.md is old: run this test with BLESS=1");
}

#[test]
fn the_smallest_file_gets_the_documented_defaults() {
    let settings = Written::new("http = \":8080\"\n").load(&[]).expect("a right file");
    assert_eq!(settings.http, [addr("0.0.0.0:8080")]);
    assert_eq!(settings.tolerance, Duration::from_secs(17));
    assert_eq!(settings.sign_tolerance, Duration::from_secs(60));
    assert_eq!(settings.io, IoChoice::Auto);
    assert_eq!(settings.access_log.target, AccessLogTarget::Off);
    assert_eq!(settings.policy.body_bytes_max, None);
    assert!(settings.workers >= 1);
    assert_eq!(settings.warnings(), [Warning::NothingToRoute]);
}

#[test]
fn a_flag_replaces_what_the_file_says_and_never_adds_to_it() {
    let file =
        Written::new("http = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\nworkers = 3\ntolerance = 30\n");
    let flags = [(Opt::Http, "127.0.0.1:3"), (Opt::Tolerance, "20s")];
    let settings = file.load(&flags).expect("right settings");
    assert_eq!(settings.http, [addr("127.0.0.1:3")]);
    assert_eq!(settings.tolerance, Duration::from_secs(20));
    assert_eq!(settings.workers, 3);
}

/// A broken value of the file does not matter once a flag replaced it.
#[test]
fn a_flag_mends_a_broken_value_of_the_file() {
    let file = Written::new("http = \"127.0.0.1:1\"\nworkers = 0\n");
    assert_eq!(file.load(&[(Opt::Workers, "2")]).expect("right settings").workers, 2);
}

#[test]
fn every_problem_of_a_file_is_told_at_once_with_line_and_column() {
    let file = Written::new(
        "http = \"localhost:80\"\nsuscribe = []\nsign-check = \"MD5:/\"\n\n[timeouts]\nhead = \"1ms\"\nkeepalve = \"1s\"\n",
    );
    let problems = file.problems();
    assert_eq!(problems.len(), 5, "{problems:#?}");
    let starts = [
        "r.toml:1:8: http \"localhost:80\": not an IP address (names are not looked up); allowed: IP:PORT",
        "r.toml:2:1: unknown key \"suscribe\"; did you mean \"subscribe\"?",
        "r.toml:3:14: sign-check \"MD5:/\": the digest \"MD5\" is unknown; allowed: DIGEST:DIR",
        "r.toml:6:8: timeouts.head \"1ms\": shorter than 10ms; allowed: a duration",
        "r.toml:7:1: unknown key \"timeouts.keepalve\"; did you mean \"timeouts.keepalive\"?",
    ];
    for start in starts {
        assert!(problems.iter().any(|told| told.starts_with(start)), "{start}\n{problems:#?}");
    }
}

#[test]
fn a_timeout_outside_of_its_table_is_shown_the_way() {
    let problems = Written::new("http = \":1\"\nkeepalive = 5\n").problems();
    assert_eq!(
        problems,
        ["r.toml:2:1: unknown key \"keepalive\"; did you mean \"timeouts.keepalive\"?"]
    );
}

#[test]
fn what_is_not_toml_is_told_with_its_place() {
    let problems = Written::new("http = \":1\"\nworkers = = 2\n").problems();
    assert!(problems[0].starts_with("r.toml:2:11: not TOML: "), "{problems:#?}");
}

#[test]
fn a_missing_file_is_told_by_name() {
    let problems = load_strings(Some(Path::new("/nonexistent/r.toml")), &[]).expect_err("no file");
    assert!(problems[0].starts_with("/nonexistent/r.toml: cannot be read: No such file"));
}

#[test]
fn types_are_not_guessed() {
    let file =
        Written::new("http = [\":1\", 2]\ndotsplit = \"on\"\nworkers = 1.5\nio = [\"auto\"]\n");
    assert_eq!(
        file.problems(),
        [
            "r.toml:1:15: http is an integer; allowed: a string or an array of strings",
            "r.toml:2:12: dotsplit is a string; allowed: true or false",
            "r.toml:3:11: workers is a number with a fraction; allowed: a string or a number",
            "r.toml:4:6: io is an array; allowed: a string or a number",
        ]
    );
}

#[test]
fn underscores_name_the_same_option_and_both_at_once_are_told() {
    let right = Written::new("http = \":1\"\naccess_log = \"-\"\n").load(&[]).expect("right");
    assert_eq!(right.access_log.target, AccessLogTarget::Stdout);
    let twice =
        Written::new("http = \":1\"\naccess-log = \"-\"\naccess_log = \"off\"\n").problems();
    assert_eq!(twice, ["r.toml:3:14: access-log \"off\" is already given by r.toml:2:14"]);
}

#[test]
fn values_out_of_bounds_are_told_with_what_is_allowed() {
    let cases = [
        (Opt::Workers, "0", "--workers \"0\": less than 1; allowed: a number from 1 to 256"),
        (Opt::Workers, "257", "--workers \"257\": more than 256"),
        (Opt::Workers, "two", "--workers \"two\": not a whole number"),
        (Opt::Tolerance, "999ms", "--tolerance \"999ms\": shorter than 1s"),
        (Opt::SignTolerance, "25h", "--sign-tolerance \"25h\": longer than 86400s"),
        (Opt::ConnectionsMax, "0", "--connections-max \"0\": less than 1"),
        (Opt::BodyBytesMax, "much", "--body-bytes-max \"much\": not a size; allowed: a size as"),
        (Opt::Io, "kqueue", "--io \"kqueue\": no such interface; allowed: auto, uring or epoll"),
        (Opt::LogLevel, "loud", "--log-level \"loud\": no such level; allowed: off, error"),
        (
            Opt::UpstreamAllow,
            "10.0.0.1/8",
            "--upstream-allow \"10.0.0.1/8\": bits are set beyond the prefix; did you mean 10.0.0.0/8?",
        ),
        (Opt::UpstreamAllow, "lan", "--upstream-allow \"lan\": neither a network"),
        (
            Opt::ProxyProtocol,
            "10.0.0.1/8",
            "--proxy-protocol \"10.0.0.1/8\": bits are set beyond the prefix; did you mean 10.0.0.0/8?",
        ),
        (Opt::ProxyProtocol, "lb.test", "--proxy-protocol \"lb.test\": neither a network"),
        (Opt::Via, "", "--via \"\": not 1 to 64 bytes long; allowed: off, or a name"),
        (Opt::Via, "a b", "--via \"a b\": not made of letters"),
        (Opt::HttpsRedirect, "on", "--https-redirect \"on\": \"on\" is no status of a redirect"),
        (Opt::Hsts, "forever", "--hsts \"forever\": \"forever\" is not a duration"),
        (
            Opt::HttpVar,
            "HTTP_HOST=x",
            "--http-var \"HTTP_HOST=x\": HTTP_HOST is made from the request; allowed: NAME=VALUE",
        ),
        (Opt::HttpModifier1, "256", "--http-modifier1 \"256\": not a number from 0 to 255"),
        (Opt::Route, "a.b", "--route \"a.b\": there is no = between key and address"),
        (
            Opt::Route,
            "a.b=127.0.0.1:1,proto=ftp",
            "--route \"a.b=127.0.0.1:1,proto=ftp\": the protocol \"ftp\" is unknown",
        ),
        (
            Opt::Route,
            "a.b=127.0.0.1:1,weight=0",
            "--route \"a.b=127.0.0.1:1,weight=0\": the weight \"0\" is not 1 to 65535",
        ),
        (
            Opt::Route,
            "a.b=127.0.0.1:1,x",
            "--route \"a.b=127.0.0.1:1,x\": \"x\" is none of proto=, weight= and send-proxy=",
        ),
    ];
    for (opt, text, start) in cases {
        let told = flag_problem(opt, text);
        assert!(told.starts_with(start), "{told}");
    }
}

#[test]
fn paths_that_do_not_exist_are_told_before_anything_is_bound() {
    let cases = [
        (Opt::SignCheck, "SHA256:/nonexistent/keys"),
        (Opt::CertDir, "/nonexistent"),
        (Opt::CertRoot, "/nonexistent"),
        (Opt::DefaultCert, "/nonexistent.crt,/nonexistent.key"),
        (Opt::Admin, "/nonexistent/admin.sock"),
        (Opt::AccessLog, "/nonexistent/access.log"),
        (Opt::Subscribe, "/nonexistent/sub.sock"),
    ];
    for (opt, text) in cases {
        let told = flag_problem(opt, text);
        assert!(told.contains("/nonexistent") && told.contains("xist"), "{told}");
    }
}

#[test]
fn a_router_without_listeners_does_not_start() {
    let problems = load_strings(None, &[]).expect_err("no listener");
    assert!(problems[0].starts_with("nothing to listen on"));
}

#[test]
fn unsigned_subscriptions_stay_on_this_machine_unless_that_is_said() {
    let http = (Opt::Http, "127.0.0.1:0");
    for text in ["127.0.0.1:7171", "[::1]:7171", "/tmp/suzerain-test.sock"] {
        load_strings(None, &[http, (Opt::Subscribe, text)]).expect(text);
    }
    for text in [":7171", "0.0.0.0:7171", "[::]:7171", "10.0.0.1:7171"] {
        let problems =
            load_strings(None, &[http, (Opt::Subscribe, text)]).expect_err(text).join("\n");
        assert!(problems.contains("can be reached by other machines"), "{problems}");
        let open = [http, (Opt::Subscribe, text), (Opt::AllowUnsigned, "true")];
        let settings = load_strings(None, &open).expect(text);
        assert_eq!(settings.warnings(), [Warning::OpenSubscriptions(addr(text))]);
        let signed = [http, (Opt::Subscribe, text), (Opt::SignCheck, "SHA256:/")];
        assert_eq!(load_strings(None, &signed).expect(text).warnings(), []);
    }
}

#[test]
fn sha1_is_taken_with_a_warning() {
    let flags = [
        (Opt::Http, "127.0.0.1:0"),
        (Opt::Subscribe, "127.0.0.1:7171"),
        (Opt::SignCheck, "sha1:/"),
    ];
    let settings = load_strings(None, &flags).expect("right settings");
    assert_eq!(settings.warnings(), [Warning::Sha1]);
}

#[test]
fn believing_everybody_is_taken_with_a_warning() {
    let flags = |text| [(Opt::Http, "127.0.0.1:0"), (Opt::ProxyProtocol, text)];
    let trusting = [(Opt::Http, "127.0.0.1:0"), (Opt::TrustedProxy, "0.0.0.0/0")];
    let net = "0.0.0.0/0".parse().expect("a network");
    let settings = load_strings(None, &trusting).expect("right settings");
    assert!(settings.warnings().contains(&Warning::OpenTrustedProxy(net)));
    for text in ["0.0.0.0/0", "::/0"] {
        let settings = load_strings(None, &flags(text)).expect("right settings");
        let net = text.parse().expect("a network");
        assert!(settings.warnings().contains(&Warning::OpenProxyProtocol(net)));
    }
    for text in ["127.0.0.1", "10.0.0.0/8", "fd00::/8", "::1", "unix"] {
        let settings = load_strings(None, &flags(text)).expect("right settings");
        assert_eq!(settings.warnings(), [Warning::NothingToRoute], "{text}");
    }
}

#[test]
fn a_router_of_packets_is_told_who_may_claim_anything_and_when_it_serves_nobody() {
    let warnings = |more: &[(Opt, &str)]| {
        let given = [&[(Opt::Uwsgi, "127.0.0.1:0")], more].concat();
        let given = given.into_iter().map(|(opt, text)| {
            let place = Place::Flag(opt);
            Given { opt, text: text.to_owned(), place }
        });
        load(Program::Fastrouter, None, given.collect()).expect("right flags").warnings()
    };
    assert_eq!(warnings(&[]), [Warning::NothingToRoute]);
    assert_eq!(warnings(&[(Opt::Pattern, "/run/%s.sock")]), []);
    let open = warnings(&[(Opt::Base, "/tmp"), (Opt::UwsgiAllow, "0.0.0.0/0")]);
    assert_eq!(open, [Warning::OpenUwsgi("0.0.0.0/0".parse().expect("a network"))]);
}

#[test]
fn an_option_of_the_other_program_is_refused_by_its_name() {
    let problems = Written::new("http = \":8080\"\nuwsgi = \":3031\"\n").problems();
    assert_eq!(
        problems,
        ["r.toml:2:1: uwsgi is an option of suzerain-fastrouter, not of suzerain"]
    );
}

#[test]
fn one_address_serves_one_purpose() {
    let twice = [(Opt::Http, "127.0.0.1:80"), (Opt::Http, "127.0.0.1:80")];
    let problems = load_strings(None, &twice).expect_err("the same address");
    assert_eq!(problems, ["--http \"127.0.0.1:80\" is already given by --http"]);
    let both = [(Opt::Http, "127.0.0.1:80"), (Opt::Https, "127.0.0.1:80")];
    let problems = load_strings(None, &both).expect_err("the same address");
    assert_eq!(problems, ["--https \"127.0.0.1:80\" is already http of --http"]);
    let free =
        [(Opt::Http, "127.0.0.1:0"), (Opt::Http, "127.0.0.1:0"), (Opt::Admin, "127.0.0.1:0")];
    assert_eq!(load_strings(None, &free).expect("two free ports").http.len(), 2);
}

#[test]
fn a_static_route_knows_its_protocol_and_weight() {
    let flags =
        [(Opt::Http, "127.0.0.1:0"), (Opt::Route, "A.Example=127.0.0.1:3000,proto=http,weight=5")];
    let settings = load_strings(None, &flags).expect("right settings");
    let route = &settings.route[0];
    assert_eq!((route.key.as_str(), route.weight), ("a.example", 5));
    assert_eq!(route.proto, Proto::Http);
    assert_eq!(route.announced, "127.0.0.1:3000");
}

#[test]
fn sections_of_the_reference_cover_every_option() {
    let page = reference();
    for facts in OPTIONS {
        assert!(page.contains(&format!("### `{}`", facts.key())), "{}", facts.name);
    }
    assert_eq!(Section::ALL.len(), 12);
}
