//! `smtp_backend: sendmail`. The program is this test's own binary, run again by a script.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use submission::{SendError, Submission};
use test_host::sink::{self, Behaviour};

use crate::{imapd, mail};

/// A script that speaks as `sendmail -bs` does. Its standard output is the harness's: SMTP goes out by another descriptor.
fn sendmail(dir: &Path, refuse: &str) -> PathBuf {
    let path = dir.join("sendmail");
    let itself = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\nexport SINK='{}' SINK_REFUSES='{refuse}' SINK_WORDS=\"$*\"\n\
         exec 3>&1\nexec '{}' program::a_program_takes_mails --exact --nocapture --quiet --test-threads=1 >/dev/null\n",
        dir.join("mails").display(),
        itself.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_program_takes_mails() {
    let Some(mails) = std::env::var_os("SINK") else { return };
    assert_eq!(std::env::var("SINK_WORDS").unwrap(), "-bs");
    let mut behaviour = Behaviour::offering(&["AUTH PLAIN"]);
    let refuse = std::env::var("SINK_REFUSES").unwrap();
    if let Some((command, answer)) = refuse.split_once('=') {
        behaviour = behaviour.answering(command, answer);
    }
    let user = std::env::var("CYRUS_SENDMAIL_AUTH_ID").unwrap_or_default();
    let path = format!("{}-{user}", Path::new(&mails).display());
    sink::sendmail(Path::new("/dev/fd/3"), Path::new(&path), &behaviour).unwrap();
    std::process::exit(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_goes_through_the_program_that_imapd_conf_names() {
    let dir = tempfile::tempdir().unwrap();
    let imapd = imapd(&format!("sendmail: {}", sendmail(dir.path(), "").display()));
    let mut mail = mail();
    mail.user = Some("fred".into());
    Submission::default().send(&imapd, &mail).await.unwrap();
    let [kept] = &sink::kept(&dir.path().join("mails-fred"))[..] else { panic!("one mail") };
    // Nobody listens between the two.
    assert_eq!(kept.commands, ["MAIL FROM:<ann@example.org> AUTH=fred", "RCPT TO:<fred@far.org>"]);
    assert_eq!(kept.message, "Subject: x\n\n.dot\nend\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_program_refuses_is_told_and_so_is_one_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let refusing = imapd(&format!("sendmail: {}", sendmail(dir.path(), "RCPT=550 5.1.1 nobody").display()));
    let told = Submission::default().send(&refusing, &mail()).await.unwrap_err().to_string();
    assert!(told.ends_with("sendmail: RCPT: 550 5.1.1 nobody"), "{told}");
    let told = Submission::default().send(&imapd("sendmail: /nowhere/sendmail"), &mail()).await.unwrap_err();
    assert!(
        matches!(told, SendError::Program(..)) && told.to_string().contains("see the option sendmail"),
        "{told}"
    );
    let told =
        Submission::default().send(&imapd("sendmail: /bin/true"), &mail()).await.unwrap_err().to_string();
    assert!(told.starts_with("/bin/true: greeting: "), "{told}");
}
