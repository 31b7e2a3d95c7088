//! Open files: each client takes one, and one more towards its backend.

use config::imapd::Role;
use rustix::process::{Resource, getrlimit};

use super::{Node, Report};

pub(super) fn check(node: &Node, report: &mut Report) {
    let services = node.cyrus.iter().flat_map(|cyrus| &cyrus.services);
    let clients: u64 = services.map(|service| u64::from(service.maxchild.unwrap_or(0))).sum();
    let each = if node.imapd.role() == Role::Frontend { 2 } else { 1 };
    let wanted = clients.saturating_mul(each).saturating_add(SPARE).max(LEAST);
    // The daemons raise the limit as far as they may. systemd's is in the unit.
    match getrlimit(Resource::Nofile).maximum {
        Some(most) if most < wanted => report.warn(
            "limits",
            "open files",
            format!("{most} are allowed here; maxchild of all services together may need {wanted}"),
            format!(
                "in the systemd unit: LimitNOFILE={wanted}, or in limits.conf: cyrus hard nofile {wanted}"
            ),
        ),
        Some(most) => report.pass(format!("{most} open files are allowed")),
        None => report.pass("open files are not limited"),
    }
}

/// Files that are no clients.
const SPARE: u64 = 1024;
/// What a node without maxchild should have.
const LEAST: u64 = 16_384;
