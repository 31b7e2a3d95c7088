//! Names: this node's own, and those of the servers that it is told to use.

use config::imapd::{Imapd, Role, shorthost};

use super::report::place;
use super::{Node, Report};

pub(super) async fn check(node: &Node, report: &mut Report) {
    let imapd = &node.imapd;
    // Others connect to a backend by the name that it registers.
    let needed = imapd.role() == Role::Backend;
    one(imapd, "servername", &imapd.servername, needed, report).await;
    for upstream in imapd.mupdate_upstreams() {
        one(imapd, "mupdate_server", &upstream.host, true, report).await;
        if upstream.host.eq_ignore_ascii_case(&imapd.servername) && imapd.role() == Role::Backend {
            report.error(
                "names",
                &upstream.host,
                "a backend cannot be its own MUPDATE master under one imapd.conf",
                place(imapd, "mupdate_server"),
            );
        }
    }
    let servers = imapd.serverlist.iter().map(|server| ("serverlist", server.as_str()));
    for (option, server) in servers.chain(imapd.defaultserver.iter().map(|s| ("defaultserver", s.as_str()))) {
        one(imapd, option, server, true, report).await;
    }
}

async fn one(imapd: &Imapd, option: &str, server: &str, needed: bool, report: &mut Report) {
    let host = imapd.host_address(server);
    match tokio::net::lookup_host((host.as_str(), 0)).await {
        Ok(mut addresses) => {
            let address = addresses.next().map(|address| address.ip().to_string()).unwrap_or_default();
            report.pass(format!("{server} is {address}"));
        }
        Err(error) => {
            let message = format!("{host} cannot be resolved: {error}");
            let change = format!(
                "{}\nor name its address: {}_address: 192.0.2.1",
                place(imapd, option),
                shorthost(server)
            );
            match needed {
                true => report.error("names", server, message, change),
                false => report.warn("names", server, message, change),
            }
        }
    }
}
