//! The Debian package: built by its one command, installed into a root of its own, and a murder run from it; the units.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use murder::clients::{Imap, Trust};
use murder::cluster::{Cluster, Options, PortChoice, Topology};
use system_tests::programs;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn good(output: Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// What it takes to build the package, and to install it.
pub const TOOLS: [&str; 5] = ["dpkg", "dpkg-deb", "gzip", "md5sum", "xargs"];

/// The package, built once for all tests.
pub fn package() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let mut build = Command::new(root().join("packaging/build-deb"));
        let built = build.arg("--programs").arg(programs()).arg(programs().join("debian")).output().unwrap();
        PathBuf::from(good(built).trim())
    })
}

/// A root directory in which dpkg has installed the package; nothing outside is touched.
fn installed() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("mp").tempdir_in("/tmp").unwrap();
    let database = dir.path().join("root/var/lib/dpkg");
    for folder in ["info", "updates", "triggers"] {
        fs::create_dir_all(database.join(folder)).unwrap();
    }
    for file in ["status", "available"] {
        fs::write(database.join(file), "").unwrap();
    }
    let mut dpkg = Command::new("dpkg");
    dpkg.arg(format!("--root={}", dir.path().join("root").display()));
    dpkg.args(["--force-not-root", "--force-script-chrootless", "--force-depends", "-i"]);
    dpkg.arg(package());
    dpkg.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
    good(dpkg.output().unwrap());
    dir
}

#[test]
fn the_package_is_installed_and_a_murder_runs_from_it() {
    if !test_host::has(&TOOLS) {
        return;
    }
    let dir = installed();
    let usr = dir.path().join("root/usr");
    for file in [
        "bin/murder",
        "lib/systemd/system/murder.service",
        "lib/systemd/system/murder-backend-imaps.socket",
        "lib/sysusers.d/murder.conf",
        "lib/tmpfiles.d/murder.conf",
        "share/man/man1/murder-doctor.1.gz",
        "share/man/man5/imapd.conf.5murder.gz",
        "share/man/man8/master.8murder.gz",
        "share/bash-completion/completions/murder",
        "share/zsh/vendor-completions/_murder",
        "share/fish/vendor_completions.d/murder.fish",
        "share/doc/murder/OPERATIONS.md",
        "share/doc/murder/SECURITY.md",
        "share/doc/murder/CHANGELOG.md",
        "share/doc/murder/copyright",
    ] {
        assert!(usr.join(file).exists(), "{file}");
    }
    // The configurations that it brings are right, but for what an admin has to fill in.
    for role in ["mupdate", "backend", "frontend"] {
        let files = usr.join("share/doc/murder/examples").join(role);
        let mut check = Command::new(usr.join("lib/murder/master"));
        check.arg("-t").arg("-C").arg(files.join("imapd.conf")).arg("-M").arg(files.join("cyrus.conf"));
        // Whoever the cyrus user is.
        good(check.env("CYRUS_USER", "root").output().unwrap());
    }
    // What they name in /etc/murder is made when the package is configured, by this command.
    let postinst = fs::read_to_string(dir.path().join("root/var/lib/dpkg/info/murder.postinst")).unwrap();
    assert!(postinst.contains("/usr/lib/murder/murder certificate \"$("), "{postinst}");
    let tmpfiles = fs::read_to_string(usr.join("lib/tmpfiles.d/murder.conf")).unwrap();
    assert!(tmpfiles.contains("d /etc/murder 0750 root mail"), "{tmpfiles}");
    let mut certificate = Command::new(usr.join("lib/murder/murder"));
    certificate.args(["certificate", "be1.example.org", "--authority"]).arg(dir.path().join("authority"));
    good(certificate.arg("--out").arg(dir.path().join("etc")).output().unwrap());
    for file in ["cert.pem", "key.pem", "ca.pem"] {
        assert!(dir.path().join("etc").join(file).is_file(), "{file}");
    }
    let options = Options {
        dir: dir.path().join("m"),
        programs: usr.join("lib/murder"),
        ports: PortChoice::Free { address: test_host::address() },
        ready_within: Duration::from_secs(60),
    };
    let mut topology = Topology::default_demo();
    topology.backends.truncate(1);
    topology.users.truncate(1);
    let mut cluster = Cluster::prepare(topology, &options).unwrap();
    cluster.start().unwrap();
    let frontend = cluster.node("frontend1").unwrap();
    let address = (frontend.ports.address, frontend.ports.get("imaps")).into();
    let mut admin = Imap::tls(address, &Trust::in_authority(&cluster.ca).unwrap()).unwrap();
    let name = cluster.topology.admin.name.clone();
    admin.login(&name, cluster.secrets.password(&name)).unwrap();
    let user = &cluster.topology.users[0];
    let host = cluster.topology.host(&user.backend);
    admin.must(&format!("CREATE user/{} {host}!", user.name)).unwrap();
    assert_eq!(cluster.stop(), Vec::<String>::new());
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    if !test_host::has(&["systemd-analyze"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let units = dir.path().join("units");
    fs::create_dir(&units).unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("etc/systemd")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".service") || name.ends_with(".socket") {
            // The programs are where the test has them, so that they are found.
            let text = fs::read_to_string(entry.path()).unwrap();
            let text = text.replace("/usr/lib/murder", programs().to_str().unwrap());
            fs::write(units.join(&name), text.replace("User=cyrus", "User=root")).unwrap();
            names.push(units.join(name));
        }
    }
    assert!(names.len() > 12, "{names:?}");
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(&names)
        .env("SYSTEMD_UNIT_PATH", format!("{}:", units.display()))
        .output()
        .unwrap();
    good(output);
}
