//! Parsing of the files below `/proc` that say what a program cost.
//!
//! Pure text in, numbers out, so that every rule is tested without a running proxy. A line that
//! does not look as `proc(5)` says gives `None`, never a guessed zero: a silent zero here would be
//! published as a very fast proxy.

/// What is used of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProcessStat {
    /// Process id of the parent.
    pub parent: i32,
    /// Time in user mode, in clock ticks (`sysconf(_SC_CLK_TCK)`, usually 100 per second).
    pub user_ticks: u64,
    /// Time in kernel mode, in the same ticks.
    pub system_ticks: u64,
    /// Ticks after boot at which it started: with the id it names one process for ever.
    pub started_ticks: u64,
}

/// Reads `/proc/PID/stat`. The program's name may hold spaces and brackets, so fields are counted
/// after the last `)`.
pub fn process_stat(text: &str) -> Option<ProcessStat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // `rest` begins with field 3 of proc(5), the state.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(ProcessStat {
        parent: i32::try_from(number(4)?).ok()?,
        user_ticks: number(14)?,
        system_ticks: number(15)?,
        started_ticks: number(22)?,
    })
}

/// Nanoseconds spent on a CPU: the first field of `/proc/PID/task/TID/schedstat`.
pub fn schedstat_run_ns(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// Ticks all CPUs together were not idle since boot: the first line of `/proc/stat`.
///
/// Time stolen by the hypervisor counts as busy: the measured program did not get it either.
pub fn machine_busy_ticks(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("cpu "))?;
    // user nice system idle iowait irq softirq steal; what follows is already part of user.
    let fields: Vec<u64> = line
        .split_ascii_whitespace()
        .skip(1)
        .take(8)
        .map_while(|field| field.parse().ok())
        .collect();
    if fields.len() < 8 {
        return None;
    }
    let idle = fields[3] + fields[4];
    Some(fields.iter().sum::<u64>() - idle)
}

/// Resident memory of one process.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Resident {
    /// Pages in memory, in KB; pages shared by two processes count twice.
    pub rss_kb: u64,
    /// The same, in KB, but a page shared by n processes counts 1/n in each of them.
    pub pss_kb: u64,
}

/// Reads `/proc/PID/smaps_rollup`.
pub fn resident(text: &str) -> Option<Resident> {
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    Some(Resident { rss_kb: field("Rss:")?, pss_kb: field("Pss:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4711 (nginx: (a) b) S 4710 4711 1 0 -1 4194560 120 0 0 0 37 91 0 0 20 0 1 0 \
                        8812 15351808 900 18446744073709551615 1 1 0 0 0";

    #[test]
    fn stat_is_read_past_a_name_with_spaces_and_brackets() {
        let stat = process_stat(STAT).unwrap();
        assert_eq!(
            stat,
            ProcessStat { parent: 4710, user_ticks: 37, system_ticks: 91, started_ticks: 8812 }
        );
    }

    #[test]
    fn cut_lines_give_nothing_instead_of_zero() {
        assert_eq!(process_stat("4711 (nginx) S 4710 47"), None);
        assert_eq!(schedstat_run_ns(""), None);
        assert_eq!(machine_busy_ticks("cpu  1 2 3\n"), None);
        assert_eq!(resident("Rss:  12 kB\n"), None);
    }

    #[test]
    fn schedstat_gives_its_first_field() {
        assert_eq!(schedstat_run_ns("1786233412 998877 4410\n"), Some(1_786_233_412));
    }

    #[test]
    fn idle_and_waiting_are_not_busy_but_stolen_time_is() {
        let text = "cpu  100 1 50 9000 30 2 3 4 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(machine_busy_ticks(text), Some(100 + 1 + 50 + 2 + 3 + 4));
    }

    #[test]
    fn rollup_gives_both_countings_of_memory() {
        let text = "55d0-7ffc ---p 00000000 00:00 0 [rollup]\nRss:     15120 kB\nPss:      9001 kB\n\
                    Pss_Dirty: 1 kB\n";
        assert_eq!(resident(text), Some(Resident { rss_kb: 15_120, pss_kb: 9_001 }));
    }
}
