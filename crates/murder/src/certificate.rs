//! `murder certificate`: a certificate for a node, signed by an authority of this murder's own, so that nodes can verify each other
//! from the first day. Whoever has an authority already needs none of this.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use time::{Duration, OffsetDateTime};

/// Makes a certificate for a node, signed by an authority of this murder's own, which is made when there is none
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Where the authority is kept: ca.pem, and ca.key, which signs for every node
    #[arg(long, value_name = "DIR", default_value = "/etc/murder/authority")]
    authority: PathBuf,
    /// Where cert.pem, key.pem and ca.pem are written
    #[arg(long, value_name = "DIR", default_value = "/etc/murder")]
    out: PathBuf,
    /// How long the certificate holds
    #[arg(long, value_name = "DAYS", default_value_t = 730, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
    /// Replace a certificate that is there
    #[arg(long)]
    renew: bool,
    /// The node's name: servername in its imapd.conf
    #[arg(value_parser = host)]
    name: String,
    /// Further names by which clients connect
    #[arg(value_parser = host)]
    also: Vec<String>,
}

/// A host's name or address, as a certificate can hold it.
fn host(text: &str) -> Result<String, String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    let name = text.strip_prefix("*.").unwrap_or(text);
    match text.parse::<std::net::IpAddr>().is_ok() || (text.len() <= 253 && name.split('.').all(label)) {
        true => Ok(text.to_owned()),
        false => Err("is no name or address of a host".to_owned()),
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Made(#[from] rcgen::Error),
    #[error("{}: {cause}", .path.display())]
    Io { path: PathBuf, cause: io::Error },
    #[error("{}: there is a certificate already; --renew replaces it", .0.display())]
    There(PathBuf),
}

impl Error {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |cause| Error::Io { path: path.to_owned(), cause }
    }
}

/// 0 when it was made.
pub fn run(args: &Args) -> ExitCode {
    match make(args) {
        Ok(()) => {
            let Args { name, out, authority, .. } = args;
            service::say!(
                "{}: a certificate for {name}, for {} days",
                out.join("cert.pem").display(),
                args.days
            );
            service::say!(
                "the authority's key is {}: keep it from others",
                authority.join("ca.key").display()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            service::complain!("murder certificate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make(args: &Args) -> Result<(), Error> {
    let [cert, key, ca] = ["cert.pem", "key.pem", "ca.pem"].map(|file| args.out.join(file));
    if !args.renew
        && let Some(there) = [&cert, &key].into_iter().find(|file| file.exists())
    {
        return Err(Error::There(there.clone()));
    }
    let authority = Authority::keep(&args.authority)?;
    let names = std::iter::once(&args.name).chain(&args.also).cloned().collect();
    let made = authority.issue(&args.name, names, i64::from(args.days))?;
    files::directory(&args.out, 0o750, None).map_err(Error::at(&args.out))?;
    // The key first: a certificate without its key would be an error to who starts meanwhile.
    write(&key, &made.key, 0o640)?;
    share(&key)?;
    write(&cert, &made.certificate, 0o644)?;
    write(&ca, &authority.certificate, 0o644)
}

/// The daemons read the key by their group.
fn share(key: &Path) -> Result<(), Error> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let mut fields = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let group =
        fields.find(|fields| fields.first() == Some(&GROUP)).and_then(|fields| fields.get(2)?.parse().ok());
    match group {
        Some(group) => files::give(key, (0, group)).map_err(Error::at(key)),
        None => Ok(()),
    }
}

/// What signs.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    /// PEM.
    pub certificate: String,
}

/// A certificate and its key, in PEM.
pub(crate) struct Made {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Result<Authority, rcgen::Error> {
        Self::with_key(name, KeyPair::generate()?)
    }

    fn with_key(name: &str, key: KeyPair) -> Result<Authority, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Authority { params, key, certificate })
    }

    /// The one of this directory, or a new one that is kept there.
    fn keep(directory: &Path) -> Result<Authority, Error> {
        let (ca, key) = (directory.join("ca.pem"), directory.join("ca.key"));
        if key.exists() {
            let text = |path: &Path| {
                let bytes = files::read(path).map_err(Error::at(path))?;
                Ok::<_, Error>(String::from_utf8_lossy(&bytes).into_owned())
            };
            let mut authority = Self::with_key(NAME, KeyPair::from_pem(&text(&key)?)?)?;
            // What the nodes have, not another one of the same key.
            authority.certificate = text(&ca)?;
            return Ok(authority);
        }
        let authority = Self::new(NAME)?;
        files::directory(directory, 0o700, None).map_err(Error::at(directory))?;
        write(&ca, &authority.certificate, 0o644)?;
        write(&key, &authority.key.serialize_pem(), 0o600)?;
        Ok(authority)
    }

    /// A certificate for these names.
    pub fn issue(&self, common: &str, names: Vec<String>, days: i64) -> Result<Made, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, common);
        let now = OffsetDateTime::now_utc();
        // Clocks differ a little.
        (params.not_before, params.not_after) = (now - Duration::DAY, now + Duration::days(days));
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key))?.pem();
        Ok(Made { certificate, key: key.serialize_pem() })
    }
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    files::replace(path, mode, text.as_bytes()).map_err(Error::at(path))
}

const NAME: &str = "murder authority";
/// The group of the daemons.
const GROUP: &str = "mail";

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   made
  1   there is one already, or a file could not be read or written

Examples:
  murder certificate mail.example.org                            for this node, in /etc/murder
  murder certificate be1.example.org --out /root/be1             for another one: copy it to be1:/etc/murder
  murder certificate --renew mail.example.org && systemctl reload murder";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_for_names_that_hosts_can_have() {
        for name in ["be1.example.org", "localhost", "*.example.org", "192.0.2.1", "::1"] {
            assert_eq!(host(name).as_deref(), Ok(name));
        }
        for name in ["", "a b", "x/../y", "a..b", ".", "be1.example.org."] {
            assert!(host(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn certificates_of_two_nodes_are_trusted_by_each_other_and_a_renewed_one_too() {
        let dir = tempfile::tempdir().unwrap();
        let args = |name: &str, renew| Args {
            authority: dir.path().join("authority"),
            out: dir.path().join(name),
            days: 30,
            renew,
            name: format!("{name}.example.org"),
            also: vec!["localhost".into()],
        };
        make(&args("be1", false)).unwrap();
        make(&args("be2", false)).unwrap();
        assert!(matches!(make(&args("be2", false)), Err(Error::There(_))));
        make(&args("be2", true)).unwrap();
        let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap();
        for (name, other) in [("be1", "be2"), ("be2", "be1")] {
            let (cert, ca) = (dir.path().join(name).join("cert.pem"), dir.path().join(other).join("ca.pem"));
            let host = format!("{name}.example.org");
            let seen = transport::tls::inspect(&cert, &host, Some(&ca), None, now).unwrap();
            assert_eq!((seen.covers, seen.trusted), (Ok(()), Some(Ok(()))));
            // To the nearest day: a second may begin between the making and the look.
            assert_eq!(seen.valid.map(|(_, end)| (end - now + 43_200) / 86_400), Some(30));
        }
        let mode = |file: &str| {
            let meta = std::fs::metadata(dir.path().join(file)).unwrap();
            std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777
        };
        assert_eq!((mode("authority/ca.key"), mode("be1/key.pem"), mode("authority")), (0o600, 0o640, 0o700));
    }
}
