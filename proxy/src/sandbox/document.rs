//! `docs/SYSCALLS.md` and the profile for containers, made from the list.

use std::fmt::Write as _;

use super::syscalls::{GROUPS, When};

const INTRODUCTION: &str = "# System calls

What a router may ask of the kernel with `seccomp = \"on\"`, and why. Everything else ends the process (`on`) or is written
to the audit log (`log`). See [SANDBOX.md](SANDBOX.md#system-calls).

This page is made from `proxy/src/sandbox/syscalls.rs`; a test keeps it true.
";

/// What a container needs besides, until the router has confined itself: becoming a user, and what the
/// runtime does between its own filter and our first instruction.
const CONTAINER: &[&str] = &[
    "chown",
    "fchown",
    "fchownat",
    "lchown",
    "setgid",
    "setgroups",
    "setresgid",
    "setresuid",
    "setuid",
    "setfsuid",
    "setfsgid",
    "setregid",
    "setreuid",
    "execveat",
    "getpgrp",
    "getpgid",
    "getsid",
    "getpriority",
    "setpriority",
    "pause",
    "alarm",
    "setitimer",
    "getitimer",
    "capget",
    "readahead",
    "fadvise64",
    "utimensat",
    "chroot",
    "mknodat",
    "symlinkat",
    "symlink",
    "link",
    "rmdir",
    "creat",
    "dup2",
    "pipe",
    "epoll_create",
    "eventfd",
    "inotify_init",
    "signalfd4",
    "timer_create",
    "timer_delete",
    "timer_settime",
    "getdents",
    "membarrier",
    "mlock",
    "munlock",
    "mincore",
    "msync",
    "sched_getparam",
    "sched_getscheduler",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_setscheduler",
    "futex_waitv",
    "rt_sigpending",
    "rt_sigqueueinfo",
    "rt_sigsuspend",
    "tkill",
    "tee",
    "preadv",
    "pwritev",
    "preadv2",
    "pwritev2",
    "sync_file_range",
    "timerfd_gettime",
    "fork",
    "landlock_create_ruleset",
    "landlock_add_rule",
    "landlock_restrict_self",
];

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for group in GROUPS {
        let _ = write!(page, "\n## {}\n\n", group.title);
        if group.when == When::Ring {
            page.push_str("Not with `io = \"epoll\"`.\n\n");
        }
        page.push_str("| call | what for |\n|---|---|\n");
        for call in group.calls {
            let _ = writeln!(page, "| `{}` | {} |", call.name, call.why);
        }
    }
    page
}

fn profile() -> String {
    let own = GROUPS.iter().flat_map(|group| group.calls).map(|call| call.name);
    let mut names: Vec<_> = own.chain(CONTAINER.iter().copied()).collect();
    names.sort_unstable();
    names.dedup();
    let profile = serde_json::json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "archMap": [
            { "architecture": "SCMP_ARCH_X86_64", "subArchitectures": [] },
            { "architecture": "SCMP_ARCH_AARCH64", "subArchitectures": [] },
        ],
        "syscalls": [{ "names": names, "action": "SCMP_ACT_ALLOW" }],
    });
    serde_json::to_string_pretty(&profile).expect("plain values") + "\n"
}

/// Set `BLESS=1` to write the file anew.
#[track_caller]
fn compare(path: &str, wanted: &str) {
    let path = format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, wanted).expect("it can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{path} is old: run this test with BLESS=1");
}

/// The list differs by processor; the files are those of the most common one.
#[cfg(target_arch = "x86_64")]
#[test]
fn syscalls_md_and_the_container_profile_are_what_the_list_says() {
    compare("docs/SYSCALLS.md", &page());
    compare("packaging/seccomp-container.json", &profile());
}
