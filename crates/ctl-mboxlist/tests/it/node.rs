//! A node's files, and the tools run on them.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

pub struct Node {
    pub dir: tempfile::TempDir,
}

impl Node {
    /// A node with this imapd.conf, after its `configdirectory` and `servername`.
    pub fn new(conf: &str) -> Node {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("conf")).unwrap();
        let text = format!("configdirectory: {}/conf\nservername: be1.example\n{conf}", dir.path().display());
        std::fs::write(dir.path().join("imapd.conf"), text).unwrap();
        Node { dir }
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub fn run(&self, program: &str, words: &str, input: &str) -> Output {
        let program = match program {
            "ctl_mboxlist" => env!("CARGO_BIN_EXE_ctl_mboxlist"),
            "cyr_expire" => env!("CARGO_BIN_EXE_cyr_expire"),
            "squatter" => env!("CARGO_BIN_EXE_squatter"),
            "reconstruct" => env!("CARGO_BIN_EXE_reconstruct"),
            "sievec" => env!("CARGO_BIN_EXE_sievec"),
            "sieved" => env!("CARGO_BIN_EXE_sieved"),
            _ => env!("CARGO_BIN_EXE_ctl_cyrusdb"),
        };
        let mut command = Command::new(program);
        command.arg("-C").arg(self.path("imapd.conf")).args(words.split_whitespace()).env("RUST_LOG", "off");
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Runs what must succeed, and gives its standard output.
    pub fn must(&self, program: &str, words: &str, input: &str) -> String {
        let output = self.run(program, words, input);
        assert!(output.status.success(), "{program} {words}: {}", text(&output.stderr));
        text(&output.stdout)
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A local mailbox's line in a dump.
pub fn local(name: &str, partition: &str) -> String {
    let user = name.rsplit('.').next().unwrap_or(name);
    format!(
        "\"{name}\": {{\"name\": \"{name}\", \"mtime\": \"5\", \"uidvalidity\": \"6\", \"createdmodseq\": \"7\", \
         \"foldermodseq\": \"8\", \"mbtype\": \"e\", \"partition\": \"{partition}\", \"acl\": {{\"{user}\": \"lrs\"}}, \
         \"uniqueid\": \"id-{name}\", \"name_history\": []}}"
    )
}

/// A dump of these lines.
pub fn dump(lines: &[String]) -> String {
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}
