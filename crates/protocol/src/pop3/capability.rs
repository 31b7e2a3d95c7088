//! What CAPA lists (RFC 2449): the same on a frontend, before login, as on a backend.

/// What the list depends on.
#[derive(Debug, Clone, Default)]
pub struct Capabilities<'a> {
    /// SASL mechanisms; none after login.
    pub sasl: &'a [&'a str],
    pub stls: bool,
    /// USER and PASS may be used.
    pub user: bool,
    /// Days that messages stay; `None`: for ever.
    pub expire_days: Option<u64>,
    /// Seconds between two logins of a user.
    pub login_delay: u64,
    /// Proxies are asked where their clients come from: on a backend, before login.
    pub xclient: bool,
    pub implementation: &'a str,
}

impl Capabilities<'_> {
    /// The lines, in Cyrus's order.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.sasl.is_empty() {
            lines.push(format!("SASL {}", self.sasl.join(" ")));
        }
        if self.stls {
            lines.push("STLS".to_owned());
        }
        lines.push(match self.expire_days {
            Some(days) => format!("EXPIRE {days}"),
            None => "EXPIRE NEVER".to_owned(),
        });
        lines.push(format!("LOGIN-DELAY {}", self.login_delay));
        lines.extend(["TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE"].map(str::to_owned));
        if self.user {
            lines.push("USER".to_owned());
        }
        if self.xclient {
            lines.push("XCLIENT".to_owned());
        }
        if !self.implementation.is_empty() {
            lines.push(format!("IMPLEMENTATION {}", self.implementation));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_used_is_listed() {
        let all = Capabilities {
            sasl: &["PLAIN"],
            stls: true,
            user: true,
            xclient: true,
            implementation: "x",
            ..Default::default()
        };
        let expected = "SASL PLAIN,STLS,EXPIRE NEVER,LOGIN-DELAY 0,TOP,UIDL,PIPELINING,RESP-CODES,AUTH-RESP-CODE,USER,XCLIENT,IMPLEMENTATION x";
        assert_eq!(all.lines().join(","), expected);
        let least = Capabilities { expire_days: Some(30), ..Default::default() }.lines().join(",");
        assert_eq!(least, "EXPIRE 30,LOGIN-DELAY 0,TOP,UIDL,PIPELINING,RESP-CODES,AUTH-RESP-CODE");
    }
}
