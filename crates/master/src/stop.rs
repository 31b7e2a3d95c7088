//! The end: every child is told to finish, and whoever does not within the bound is killed, and said so.
//!
//! Daemons of `wait=y` outlive the services, and are ended in the reverse of the order they were started in.

use std::time::Instant;

use rustix::process::{Pid, Signal};
use tracing::{info, warn};

use crate::child::Child;
use crate::limits::KILLED;
use crate::supervisor::{Happening, Inputs, Supervisor};

impl Supervisor {
    /// Stops everything. A second signal to stop cuts the waiting short.
    pub(crate) async fn stop(mut self, mut inputs: Inputs) {
        self.above.stopping();
        self.stopping = true;
        let last: Vec<Pid> =
            self.daemons.iter().filter(|daemon| daemon.waits()).filter_map(|daemon| daemon.pid()).collect();
        self.ready_file.remove();
        self.end_all(&mut inputs, |pid| !last.contains(&pid)).await;
        for pid in last.into_iter().rev() {
            self.end_all(&mut inputs, |other| other == pid).await;
        }
        info!("All children have exited, closing down");
    }

    /// Tells those that a rule picks to end, and waits for it, within the bound.
    async fn end_all(&mut self, inputs: &mut Inputs, rule: impl Fn(Pid) -> bool) {
        for pid in self.matching(&rule) {
            self.children.signal(pid, Signal::TERM);
        }
        let mut deadline = Instant::now() + self.children.bound();
        let mut killed = false;
        while !self.matching(&rule).is_empty() {
            if Instant::now() >= deadline {
                if killed {
                    warn!("giving up on children that survived SIGKILL");
                    return;
                }
                self.kill_rest(&rule);
                killed = true;
                deadline = Instant::now() + KILLED;
            }
            match inputs.next(Some(deadline)).await {
                Some(Happening::Stop(_)) => {
                    info!("told again to stop: not waiting any longer");
                    deadline = Instant::now();
                }
                Some(other) => self.note(other),
                None => {}
            }
        }
    }

    fn kill_rest(&mut self, rule: &impl Fn(Pid) -> bool) {
        self.matching(rule).into_iter().for_each(|pid| self.children.kill_overdue(pid));
    }

    fn matching(&self, rule: &impl Fn(Pid) -> bool) -> Vec<Pid> {
        self.children.pids(|_: &Child| true).into_iter().filter(|pid| rule(*pid)).collect()
    }
}
