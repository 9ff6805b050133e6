//! The system calls of a router that serves, each with its reason: what `seccomp` allows.
//!
//! The list holds for both programs and both drivers, and for what a successor needs until it
//! confines itself: filters are inherited and cannot be taken off. `docs/SYSCALLS.md` is made from it.

use nix::libc;

/// One system call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Its name in the kernel.
    pub name: &'static str,
    /// Its number on this machine.
    pub number: i64,
    /// What it is for.
    pub why: &'static str,
}

/// Calls for one purpose.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// What they are about.
    pub title: &'static str,
    /// When they are allowed.
    pub when: When,
    /// In no order that matters.
    pub calls: &'static [Call],
}

/// When a group is allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum When {
    /// Always.
    Always,
    /// Unless the configuration says `io = "epoll"`.
    Ring,
}

macro_rules! call {
    ($name:ident, $number:ident, $why:literal) => {
        Call { name: stringify!($name), number: libc::$number, why: $why }
    };
}

/// All of them.
pub const GROUPS: &[Group] = &[
    Group {
        title: "Memory",
        when: When::Always,
        calls: &[
            call!(
                mmap,
                SYS_mmap,
                "the allocator, stacks of threads, io_uring's rings, the loader of a successor"
            ),
            call!(munmap, SYS_munmap, "the allocator gives memory back"),
            call!(mremap, SYS_mremap, "the allocator grows large blocks in place"),
            call!(mprotect, SYS_mprotect, "guard pages of stacks, and the loader of a successor"),
            call!(brk, SYS_brk, "the allocator"),
            call!(madvise, SYS_madvise, "the allocator gives pages back"),
        ],
    },
    Group {
        title: "Threads and time",
        when: When::Always,
        calls: &[
            call!(clone, SYS_clone, "threads where clone3 is not known, and starting a successor"),
            call!(clone3, SYS_clone3, "threads, and starting a successor"),
            #[cfg(target_arch = "x86_64")]
            call!(vfork, SYS_vfork, "starting a successor"),
            call!(futex, SYS_futex, "locks and channels between threads"),
            call!(set_robust_list, SYS_set_robust_list, "every thread at its start"),
            call!(rseq, SYS_rseq, "every thread at its start"),
            call!(set_tid_address, SYS_set_tid_address, "the loader of a successor"),
            call!(gettid, SYS_gettid, "names a thread in a panic, and abort"),
            call!(getpid, SYS_getpid, "abort, and names of temporary files"),
            call!(getppid, SYS_getppid, "a successor looks who started it"),
            call!(sched_getaffinity, SYS_sched_getaffinity, "how many CPUs there are"),
            call!(sched_setaffinity, SYS_sched_setaffinity, "pins workers to their cores"),
            call!(sched_yield, SYS_sched_yield, "locks of the libraries while they are contended"),
            call!(getcpu, SYS_getcpu, "the allocator's arenas"),
            call!(exit, SYS_exit, "the end of a thread"),
            call!(exit_group, SYS_exit_group, "the end of the process"),
            call!(nanosleep, SYS_nanosleep, "pauses of control threads"),
            call!(clock_nanosleep, SYS_clock_nanosleep, "pauses of control threads"),
            call!(
                clock_gettime,
                SYS_clock_gettime,
                "the time, where the kernel does not share it with processes"
            ),
            call!(clock_getres, SYS_clock_getres, "the loader of a successor"),
            #[cfg(target_arch = "x86_64")]
            call!(
                gettimeofday,
                SYS_gettimeofday,
                "the time, where the kernel does not share it with processes"
            ),
            #[cfg(target_arch = "x86_64")]
            call!(time, SYS_time, "the time, where the kernel does not share it with processes"),
        ],
    },
    Group {
        title: "Signals",
        when: When::Always,
        calls: &[
            call!(rt_sigaction, SYS_rt_sigaction, "the handlers, and the defaults for a successor"),
            call!(rt_sigprocmask, SYS_rt_sigprocmask, "threads start with their signals blocked"),
            call!(rt_sigreturn, SYS_rt_sigreturn, "the way back from a handler"),
            call!(rt_sigtimedwait, SYS_rt_sigtimedwait, "waiting for signals"),
            call!(
                sigaltstack,
                SYS_sigaltstack,
                "every thread, for the message of a stack overflow"
            ),
            call!(tgkill, SYS_tgkill, "abort sends its signal so"),
            call!(kill, SYS_kill, "ends a successor that does not become ready"),
            call!(
                restart_syscall,
                SYS_restart_syscall,
                "the kernel goes on with an interrupted pause"
            ),
        ],
    },
    Group {
        title: "Files",
        when: When::Always,
        calls: &[
            call!(openat, SYS_openat, "certificates, keys, configuration, logs, /proc/self"),
            #[cfg(target_arch = "x86_64")]
            call!(open, SYS_open, "the C library opens so what it reads itself"),
            call!(openat2, SYS_openat2, "looking files up below a directory and nowhere else"),
            call!(read, SYS_read, "files, wakeups, and sockets on epoll"),
            call!(readv, SYS_readv, "sockets on epoll"),
            call!(pread64, SYS_pread64, "the loader of a successor"),
            call!(write, SYS_write, "logs, wakeups, and sockets on epoll"),
            call!(writev, SYS_writev, "logs, and sockets on epoll"),
            call!(pwrite64, SYS_pwrite64, "held bodies"),
            call!(lseek, SYS_lseek, "held bodies, and the size of a file"),
            call!(ftruncate, SYS_ftruncate, "held bodies and journals"),
            call!(fallocate, SYS_fallocate, "room for journals"),
            call!(fsync, SYS_fsync, "journals and state"),
            call!(fdatasync, SYS_fdatasync, "journals and state"),
            call!(flock, SYS_flock, "one owner of a journal"),
            call!(close, SYS_close, "everything that was opened"),
            call!(close_range, SYS_close_range, "a successor gets no other descriptors"),
            call!(fstat, SYS_fstat, "sizes and times of files"),
            call!(newfstatat, SYS_newfstatat, "sizes and times of files"),
            #[cfg(target_arch = "x86_64")]
            call!(stat, SYS_stat, "sizes and times of files, by the C library"),
            #[cfg(target_arch = "x86_64")]
            call!(lstat, SYS_lstat, "sizes and times of files, by the C library"),
            call!(statx, SYS_statx, "sizes and times of files"),
            call!(statfs, SYS_statfs, "what kind of file system a path is on"),
            call!(fstatfs, SYS_fstatfs, "what kind of file system a file is on"),
            #[cfg(target_arch = "x86_64")]
            call!(access, SYS_access, "the loader of a successor"),
            call!(faccessat, SYS_faccessat, "whether a file is there"),
            call!(faccessat2, SYS_faccessat2, "whether a file is there"),
            call!(getdents64, SYS_getdents64, "directories of certificates and keys"),
            call!(getcwd, SYS_getcwd, "the directory of the start, for a successor"),
            call!(chdir, SYS_chdir, "a successor starts where this process did"),
            #[cfg(target_arch = "x86_64")]
            call!(readlink, SYS_readlink, "names behind symbolic links"),
            call!(readlinkat, SYS_readlinkat, "where a path of a tenant really leads"),
            #[cfg(target_arch = "x86_64")]
            call!(rename, SYS_rename, "new files replace old ones at once"),
            call!(renameat, SYS_renameat, "new files replace old ones at once"),
            call!(renameat2, SYS_renameat2, "new files replace old ones at once"),
            #[cfg(target_arch = "x86_64")]
            call!(unlink, SYS_unlink, "socket files at the end"),
            call!(unlinkat, SYS_unlinkat, "socket files at the end, and temporary files"),
            #[cfg(target_arch = "x86_64")]
            call!(mkdir, SYS_mkdir, "directories for temporary files"),
            call!(mkdirat, SYS_mkdirat, "directories for temporary files"),
            call!(linkat, SYS_linkat, "temporary files get their name when they are whole"),
            #[cfg(target_arch = "x86_64")]
            call!(chmod, SYS_chmod, "who may connect to a unix socket"),
            call!(fchmod, SYS_fchmod, "who may connect to a unix socket"),
            call!(fchmodat, SYS_fchmodat, "who may connect to a unix socket"),
            call!(umask, SYS_umask, "the mode of new files, for a successor"),
            call!(
                fcntl,
                SYS_fcntl,
                "descriptors that a successor gets or does not get, and splicing that does not wait"
            ),
            call!(
                ioctl,
                SYS_ioctl,
                "non-blocking mode, bytes in a socket, and whether standard output is a terminal"
            ),
            call!(memfd_create, SYS_memfd_create, "state for a successor"),
            call!(copy_file_range, SYS_copy_file_range, "copying a file"),
            call!(sendfile, SYS_sendfile, "held bodies on their way"),
            call!(inotify_init1, SYS_inotify_init1, "changed certificates and keys are noticed"),
            call!(
                inotify_add_watch,
                SYS_inotify_add_watch,
                "changed certificates and keys are noticed"
            ),
            call!(
                inotify_rm_watch,
                SYS_inotify_rm_watch,
                "changed certificates and keys are noticed"
            ),
        ],
    },
    Group {
        title: "Sockets",
        when: When::Always,
        calls: &[
            call!(
                socket,
                SYS_socket,
                "nodes, listeners of a reload, and the machine's own addresses"
            ),
            call!(socketpair, SYS_socketpair, "wakeups between threads, and a successor"),
            call!(bind, SYS_bind, "listeners of a reload"),
            call!(listen, SYS_listen, "listeners of a reload"),
            call!(accept4, SYS_accept4, "clients, the admin socket"),
            call!(accept, SYS_accept, "clients on epoll"),
            call!(connect, SYS_connect, "nodes on epoll, the emperor, other routers"),
            call!(shutdown, SYS_shutdown, "the end of one direction"),
            call!(getsockname, SYS_getsockname, "ports that the kernel chose"),
            call!(getpeername, SYS_getpeername, "who connected"),
            call!(getsockopt, SYS_getsockopt, "errors of a connect, credentials of a sender"),
            call!(setsockopt, SYS_setsockopt, "options of listeners and connections"),
            call!(sendto, SYS_sendto, "sockets on epoll, datagrams"),
            call!(recvfrom, SYS_recvfrom, "sockets on epoll, datagrams"),
            call!(sendmsg, SYS_sendmsg, "sockets on epoll, and descriptors for a successor"),
            call!(recvmsg, SYS_recvmsg, "sockets on epoll, datagrams with credentials"),
            call!(sendmmsg, SYS_sendmmsg, "datagrams"),
            call!(splice, SYS_splice, "large bodies, without copying them"),
            call!(recvmmsg, SYS_recvmmsg, "datagrams of subscriptions, many at once"),
        ],
    },
    Group {
        title: "Waiting",
        when: When::Always,
        calls: &[
            call!(epoll_create1, SYS_epoll_create1, "each thread that waits for sockets"),
            call!(epoll_ctl, SYS_epoll_ctl, "which sockets are waited for"),
            #[cfg(target_arch = "x86_64")]
            call!(epoll_wait, SYS_epoll_wait, "waiting for sockets"),
            call!(epoll_pwait, SYS_epoll_pwait, "waiting for sockets"),
            call!(epoll_pwait2, SYS_epoll_pwait2, "waiting for sockets"),
            #[cfg(target_arch = "x86_64")]
            call!(poll, SYS_poll, "waiting for a few sockets"),
            call!(ppoll, SYS_ppoll, "waiting for a few sockets"),
            #[cfg(target_arch = "x86_64")]
            call!(select, SYS_select, "waiting for a few sockets, by the C library"),
            call!(pselect6, SYS_pselect6, "waiting for a few sockets, by the C library"),
            call!(eventfd2, SYS_eventfd2, "wakeups between threads"),
            call!(pipe2, SYS_pipe2, "wakeups by signals, the output of a successor, splicing"),
            call!(timerfd_create, SYS_timerfd_create, "timers of the administrative threads"),
            call!(timerfd_settime, SYS_timerfd_settime, "timers of the administrative threads"),
        ],
    },
    Group {
        title: "io_uring",
        when: When::Ring,
        calls: &[
            call!(io_uring_setup, SYS_io_uring_setup, "the ring of each worker"),
            call!(io_uring_enter, SYS_io_uring_enter, "handing operations to the kernel"),
            call!(
                io_uring_register,
                SYS_io_uring_register,
                "what a ring supports, and buffers in it"
            ),
        ],
    },
    Group {
        title: "The process",
        when: When::Always,
        calls: &[
            call!(execve, SYS_execve, "starting a successor: an upgrade"),
            call!(wait4, SYS_wait4, "the end of a successor"),
            call!(waitid, SYS_waitid, "the end of a successor"),
            call!(pidfd_open, SYS_pidfd_open, "the end of a successor"),
            call!(
                pidfd_send_signal,
                SYS_pidfd_send_signal,
                "ends a successor that does not become ready"
            ),
            call!(dup, SYS_dup, "descriptors for a successor"),
            #[cfg(target_arch = "x86_64")]
            call!(dup2, SYS_dup2, "descriptors for a successor"),
            call!(dup3, SYS_dup3, "descriptors for a successor"),
            call!(setpgid, SYS_setpgid, "a successor gets a process group"),
            call!(setsid, SYS_setsid, "a successor gets a session"),
            call!(prlimit64, SYS_prlimit64, "how many files may be open"),
            #[cfg(target_arch = "x86_64")]
            call!(getrlimit, SYS_getrlimit, "how many files may be open"),
            call!(getrusage, SYS_getrusage, "the CPU time in /metrics"),
            call!(sysinfo, SYS_sysinfo, "how much memory there is"),
            call!(uname, SYS_uname, "the name of the machine"),
            #[cfg(target_arch = "x86_64")]
            call!(arch_prctl, SYS_arch_prctl, "the loader of a successor"),
            call!(prctl, SYS_prctl, "names of threads, and confining a successor again"),
            call!(seccomp, SYS_seccomp, "confining a successor again"),
            call!(capget, SYS_capget, "what powers a successor has"),
            call!(capset, SYS_capset, "giving powers up"),
            call!(getuid, SYS_getuid, "who the process is"),
            call!(geteuid, SYS_geteuid, "who the process is"),
            call!(getgid, SYS_getgid, "who the process is"),
            call!(getegid, SYS_getegid, "who the process is"),
            call!(getgroups, SYS_getgroups, "who the process is"),
            call!(getresuid, SYS_getresuid, "who the process is"),
            call!(getresgid, SYS_getresgid, "who the process is"),
            call!(getrandom, SYS_getrandom, "keys, tickets, hash seeds"),
        ],
    },
];
