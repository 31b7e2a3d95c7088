//! imapd.conf(5), made from the registry of options.

use ::config::imapd::reload::AT_START;
use ::config::imapd::{Effect, OPTIONS};

pub fn page() -> String {
    let mut page = String::from(
        ".TH IMAPD.CONF 5\n.SH NAME\nimapd.conf \\- configuration of a node of the murder\n.SH DESCRIPTION\n\
         Each line is of the form\n.IR key : \\ value .\nThe value is the rest of the line: there is no quoting, and no \
         comment after a value. A line whose first character is # is a comment. A line that ends in a backslash goes on in \
         the next.\n.B @include:\n.I file\nreads another file in its place.\n.PP\nA key\n.IR entry _ option\nholds for the \
         entry of that name in cyrus.conf only, and goes before the plain option. The same settings may be written as \
         TOML, in a file whose name ends in .toml.\n",
    );
    let mut section = "";
    for option in OPTIONS {
        if section != option.section {
            section = option.section;
            page.push_str(&format!(".SH {}\n", escape(&section.to_uppercase())));
        }
        let default = if option.default.is_empty() { "none" } else { option.default };
        page.push_str(&format!(".TP\n.BR {}: \" {}\"\n", escape(option.name), escape(default)));
        page.push_str(&format!("{} ({})\n", escape(option.doc), escape(&option.kind.to_string())));
        match option.effect {
            Effect::Honoured if AT_START.contains(&option.name) => {
                page.push_str("Takes effect when the node is restarted.\n");
            }
            Effect::Honoured => {}
            Effect::None(why) => page.push_str(&format!("Accepted without effect: {}.\n", escape(why))),
            Effect::Refused(why) => {
                page.push_str(&format!("Refused but for its default: {}.\n", escape(why)))
            }
        }
    }
    page.push_str(concat!(
        ".SH KEYS THAT ARE NO OPTIONS\n",
        ".TP\n.BI partition\\- name :\nDirectory of a partition.\n",
        ".TP\n.IB shorthost _password:\nPassword for one server.\n",
        ".TP\n.IB shorthost _mechs:\nMechanisms to use towards it.\n",
        ".TP\n.IB shorthost _client_cert: , _client_key:\nCertificate and key to show to it.\n",
        ".TP\n.IB shorthost _address:\nHost or address to connect to in place of its name.\n",
        ".TP\n.IB shorthost _ports:\nIts ports, as imap=143 lmtp=24 pop3=110 sieve=4190 mupdate=3905.\n",
        ".TP\n.IB shorthost _tls:\nWhether TLS towards it is demanded (switch). Unset: where tls_server_ca_file or tls_server_ca_dir is set. \
With no, TLS is used where it is offered, as before.\n",
        ".PP\nThe short host of a server is its name up to the first dot.\n",
        ".SH EXAMPLES\nA frontend:\n.PP\n.nf\n",
        "configdirectory: /var/lib/murder\nservername: mail.example.org\nmupdate_server: mupdate.example.org\n",
        "mupdate_authname: frontend\nmupdate_password: secret\nproxy_authname: proxy\nproxy_password: secret\n",
        "serverlist: backend1.example.org backend2.example.org\nimaps_maxlogins_per_user: 50\n.fi\n",
        ".PP\nThe same as TOML. A table's keys are joined with its name by _, those of [partition] by \\-:\n.PP\n.nf\n",
        "configdirectory = \"/var/lib/murder\"\nservername = \"mail.example.org\"\n",
        "serverlist = [\"backend1.example.org\", \"backend2.example.org\"]\n\n",
        "[mupdate]\nserver = \"mupdate.example.org\"\nauthname = \"frontend\"\npassword = \"secret\"\n\n",
        "[proxy]\nauthname = \"proxy\"\npassword = \"secret\"\n\n[imaps]\nmaxlogins_per_user = 50\n.fi\n",
    ));
    page
}

fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_option_is_on_the_page() {
        let page = super::page();
        assert!(page.contains(".BR client_timeout: \" 10s\""));
        assert_eq!(page.matches(".BR ").count(), super::OPTIONS.len());
    }

    #[test]
    fn both_examples_of_the_page_say_the_same() {
        let page = super::page();
        let blocks: Vec<&str> =
            page.split(".nf\n").skip(1).filter_map(|rest| rest.split(".fi\n").next()).collect();
        let [lines, toml] = blocks.as_slice() else { panic!("two examples, not {}", blocks.len()) };
        let read = |name: &str, text: &str| {
            let imapd = ::config::imapd::Imapd::parse(std::path::Path::new(name), text, "imaps").unwrap();
            let options = [
                "configdirectory",
                "servername",
                "mupdate_server",
                "mupdate_password",
                "proxy_authname",
                "serverlist",
            ];
            let written = options.map(|option| imapd.written(option).map(|written| written.value.clone()));
            (written, imapd.maxlogins_per_user, imapd.serverlist.clone())
        };
        let (lines, toml) = (read("imapd.conf", lines), read("imapd.toml", toml));
        assert_eq!((&lines.1, &lines.2), (&toml.1, &toml.2));
        assert_eq!(lines.0[..5], toml.0[..5]);
        assert!(lines.0.iter().all(Option::is_some), "{lines:?}");
    }
}
