//! Carrying out a plan: at the start, and again at SIGHUP.
//!
//! At SIGHUP both files are read anew. With a mistake in either nothing changes. Else services with the same name, listen and
//! proto keep their sockets; processes that serve the same as before are only told to reread their configuration; what is gone
//! is ended, what is new is started.

use std::collections::BTreeMap;
use std::time::Instant;

use rustix::process::Signal;
use time::OffsetDateTime;
use tracing::{error, info, warn};

use crate::child::PoolKey;
use crate::daemon::Keeper;
use crate::group::Group;
use crate::plan::{GroupKey, Plan, ServiceKey};
use crate::pool::Pool;
use crate::services::Services;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// SIGHUP.
    pub(crate) fn reload(&mut self) {
        info!("got SIGHUP");
        self.look_after_files();
        self.above.reloading();
        match Plan::read(&self.sources) {
            Ok(mut plan) => {
                plan.warnings.iter().for_each(|warning| warn!("{warning}"));
                self.imapd.needs_restart(&plan.imapd).iter().for_each(|problem| warn!("{problem}"));
                self.opening.patience = std::time::Duration::ZERO;
                self.opening.marking = plan.imapd.qosmarking.octet();
                self.services.apply(std::mem::take(&mut plan.services), self.opening);
                self.apply(plan);
            }
            Err(problems) => {
                problems.0.iter().for_each(|problem| error!("{problem}"));
                error!("the configuration has errors: keeping the old one");
            }
        }
        self.above.ready();
    }

    /// Makes the node what the plan says, short of START and of the sockets, which are open by now.
    pub(crate) fn apply(&mut self, plan: Plan) {
        self.children.set_drain(plan.imapd.drain_timeout);
        self.imapd = plan.imapd;
        self.apply_page();
        self.apply_groups();
        self.apply_pools();
        self.apply_daemons(plan.daemons);
        self.events.apply(plan.events, Instant::now(), OffsetDateTime::now_utc());
    }

    fn apply_groups(&mut self) {
        let mut wanted = members(&self.services);
        for (key, mut group) in std::mem::take(&mut self.groups) {
            match wanted.remove(&key) {
                Some(members) => {
                    group.reload(members, &self.services, &mut self.children);
                    self.groups.insert(key, group);
                }
                None => {
                    if let Some(pid) = group.pid() {
                        self.children.signal(pid, Signal::TERM);
                    }
                }
            }
        }
        for (key, members) in wanted {
            self.groups.insert(key.clone(), Group::new(key, members));
        }
    }

    fn apply_pools(&mut self) {
        let foreign = self.services.iter().filter(|listening| listening.service.group().is_none());
        let wanted: Vec<PoolKey> = foreign
            .flat_map(|listening| {
                let service = &listening.service.key;
                (0..listening.sockets.len()).map(|socket| PoolKey { service: service.clone(), socket })
            })
            .collect();
        for (key, mut pool) in std::mem::take(&mut self.pools) {
            pool.reload(&mut self.children);
            if wanted.contains(&key) {
                self.pools.insert(key, pool);
            } else if !pool.is_empty() {
                self.retired.push(pool);
            }
        }
        for key in wanted {
            if self.pools.contains_key(&key) {
                continue;
            }
            match Pool::new(key.clone(), &self.children.surroundings().wake) {
                Ok(pool) => {
                    self.pools.insert(key, pool);
                }
                Err(cause) => error!("cannot serve {}: {cause}", key.service),
            }
        }
    }

    fn apply_daemons(&mut self, daemons: Vec<crate::plan::Daemon>) {
        let mut before = std::mem::take(&mut self.daemons);
        for daemon in daemons {
            let known = before.iter().position(|keeper| keeper.name() == daemon.name);
            self.daemons.push(match known {
                Some(place) => {
                    let mut keeper = before.remove(place);
                    keeper.reload(daemon, &mut self.children);
                    keeper
                }
                None => Keeper::new(daemon),
            });
        }
        for pid in before.iter().filter_map(Keeper::pid) {
            self.children.signal(pid, Signal::TERM);
        }
    }
}

/// The services of each process of ours, in the order of the file.
fn members(services: &Services) -> BTreeMap<GroupKey, Vec<ServiceKey>> {
    let mut groups: BTreeMap<GroupKey, Vec<ServiceKey>> = BTreeMap::new();
    for listening in services.iter() {
        if let Some(key) = listening.service.group() {
            groups.entry(key).or_default().push(listening.service.key.clone());
        }
    }
    groups
}
