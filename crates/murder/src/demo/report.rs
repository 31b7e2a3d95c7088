//! How to reach a demo: for people as text, for programs as `demo.json`.

use std::{fmt::Write, io, path::PathBuf};

use serde::Serialize;

use crate::cluster::{Cluster, Ports, Role};

#[derive(Serialize)]
struct Report<'a> {
    nodes: Vec<NodeReport<'a>>,
    users: Vec<UserReport<'a>>,
    admin: AdminReport<'a>,
    ca: &'a PathBuf,
}

#[derive(Serialize)]
struct NodeReport<'a> {
    name: &'a str,
    role: Role,
    address: String,
    ports: Ports,
    imapd_conf: PathBuf,
    cyrus_conf: PathBuf,
    master_pid: Option<u32>,
}

#[derive(Serialize)]
struct UserReport<'a> {
    name: &'a str,
    password: &'a str,
    backend: String,
}

#[derive(Serialize)]
struct AdminReport<'a> {
    name: &'a str,
    password: &'a str,
}

/// Writes `demo.json`, whole or not at all; only its owner reads it.
pub(super) fn write_json(cluster: &Cluster) -> io::Result<()> {
    let topology = &cluster.topology;
    let report = Report {
        nodes: cluster
            .nodes
            .iter()
            .map(|node| NodeReport {
                name: &node.name,
                role: node.role,
                address: node.ports.address.to_string(),
                ports: node.ports,
                imapd_conf: node.imapd_conf(),
                cyrus_conf: node.cyrus_conf(),
                master_pid: node.master_pid(),
            })
            .collect(),
        users: topology
            .users
            .iter()
            .map(|user| UserReport {
                name: &user.name,
                password: cluster.secrets.password(&user.name),
                backend: topology.host(&user.backend),
            })
            .collect(),
        admin: AdminReport {
            name: &topology.admin.name,
            password: cluster.secrets.password(&topology.admin.name),
        },
        ca: &cluster.ca,
    };
    files::replace(&cluster.dir.join("demo.json"), 0o600, &serde_json::to_vec_pretty(&report)?)
}

/// Addresses, accounts and ready-made commands.
pub(super) fn text(cluster: &Cluster) -> String {
    let mut out = String::new();
    for node in &cluster.nodes {
        let ports: Vec<String> =
            node.ports.all().map(|(service, port)| format!("{service} {port}")).collect();
        let _ = writeln!(out, "  {:<24} {} {}", node.name, node.ports.address, ports.join(", "));
    }
    let topology = &cluster.topology;
    let _ = writeln!(out);
    for user in &topology.users {
        let password = cluster.secrets.password(&user.name);
        let _ = writeln!(out, "  {:<10} password {password}  (on {})", user.name, user.backend);
    }
    let admin = &topology.admin.name;
    let _ = writeln!(out, "  {admin:<10} password {}  (admin)", cluster.secrets.password(admin));
    let (Some(frontend), Some(user)) = (cluster.first(Role::Frontend), topology.users.first()) else {
        return out;
    };
    let (ca, address, ports) = (cluster.ca.display(), frontend.ports.address, frontend.ports);
    let login = format!("{}:{}", user.name, cluster.secrets.password(&user.name));
    let _ = writeln!(out, "\nTry it:");
    let _ = writeln!(
        out,
        "  curl --cacert {ca} -u {login} 'imaps://{address}:{}/INBOX;MAILINDEX=1'",
        ports.imaps
    );
    let _ = writeln!(out, "  curl --cacert {ca} -u {login} pop3s://{address}:{}/1", ports.pop3s);
    let _ = writeln!(
        out,
        "  python3 -c \"import smtplib; print(smtplib.LMTP('{address}', {}).sendmail('me@example.org', ['{}'], 'Subject: hello\\n\\nhello\\n'))\"",
        ports.lmtp, user.name
    );
    let _ = writeln!(
        out,
        "  Thunderbird: add an account, configure by hand: IMAP, server {address}, port {}, SSL/TLS, normal password,\n  \
         user {}; import {ca} under Settings > Privacy & Security > Certificates > Authorities first",
        ports.imaps, user.name
    );
    let _ = writeln!(out, "\nAll of this is in {}", cluster.dir.join("demo.json").display());
    out
}
