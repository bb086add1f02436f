//! What a measurement costs in processor time: the load generator takes its cores from the server
//! that it measures, so its own share belongs into every result.

use std::time::Duration;

/// The kernel counts in 1/100 s for every program, whatever its own tick.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of the load generator and of the server during a measurement. None: the system
/// does not tell, or the server is not our child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    pub client: Option<Duration>,
    pub server: Option<Duration>,
}

impl Cost {
    /// Since these processes began.
    pub fn so_far(server: Option<u32>) -> Self {
        Self {
            client: cpu_time("self"),
            server: server.and_then(|pid| cpu_time(&pid.to_string())),
        }
    }

    pub fn since(self, earlier: Self) -> Self {
        let less = |now: Option<Duration>, then: Option<Duration>| now?.checked_sub(then?);
        Self {
            client: less(self.client, earlier.client),
            server: less(self.server, earlier.server),
        }
    }
}

/// User and system time of all threads of a process.
fn cpu_time(pid: &str) -> Option<Duration> {
    ticks(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?).map(|ticks| TICK * ticks)
}

/// proc_pid_stat(5): the fields 14 and 15. The second is the program's name in parentheses, which
/// may hold anything.
fn ticks(stat: &str) -> Option<u32> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    user.checked_add(fields.next()?.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_user_and_system_time() {
        assert_eq!(
            ticks("42 (a) b 1 (x)) S 1 42 42 0 -1 4194560 1 2 3 4 700 50 9 9 20 0 4 0 1"),
            Some(750)
        );
        assert_eq!(ticks("42 (a) S 1"), None);
        assert_eq!(ticks(""), None);
        let (before, after) = (
            Cost {
                client: Some(TICK),
                server: None,
            },
            Cost {
                client: Some(TICK * 3),
                server: Some(TICK),
            },
        );
        assert_eq!(
            after.since(before),
            Cost {
                client: Some(TICK * 2),
                server: None
            }
        );
    }
}
