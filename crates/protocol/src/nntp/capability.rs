//! What CAPABILITIES lists (RFC 3977 section 3.3.2): the same on a frontend as on a backend.

/// What the list depends on.
#[derive(Debug, Clone, Default)]
pub struct Capabilities<'a> {
    pub implementation: &'a str,
    pub starttls: bool,
    /// Somebody has logged in, or need not.
    pub known: bool,
    /// AUTHINFO is still to come: what it takes.
    pub login: Option<Logins<'a>>,
    pub compress: bool,
    /// Not `-r`.
    pub feeds: bool,
    /// Not `-f`.
    pub reads: bool,
    /// `allownewnews`
    pub newnews: bool,
    /// Proxies are asked where their clients come from: on a backend, before login.
    pub xclient: bool,
}

/// Ways to log in.
#[derive(Debug, Clone, Default)]
pub struct Logins<'a> {
    /// AUTHINFO USER may be used on this connection.
    pub user: bool,
    pub sasl: &'a [&'a str],
}

impl Capabilities<'_> {
    /// The lines, in Cyrus's order.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec!["VERSION 2".to_owned()];
        if !self.implementation.is_empty() {
            lines.push(format!("IMPLEMENTATION {}", self.implementation));
        }
        if self.starttls {
            lines.push("STARTTLS".to_owned());
        }
        if let Some(login) = &self.login {
            let user = if login.user { " USER" } else { "" };
            let sasl = if login.sasl.is_empty() { "" } else { " SASL" };
            lines.push(format!("AUTHINFO{user}{sasl}"));
            if !login.sasl.is_empty() {
                lines.push(format!("SASL {}", login.sasl.join(" ")));
            }
        }
        if self.compress {
            lines.push("COMPRESS DEFLATE".to_owned());
        }
        if self.feeds {
            lines.extend(["IHAVE", "STREAMING"].map(str::to_owned));
        }
        if self.xclient {
            lines.push("XCLIENT".to_owned());
        }
        if !self.reads {
            return lines;
        }
        if !self.known {
            lines.push("LIST ACTIVE".to_owned());
            return lines;
        }
        lines.extend(["READER", "POST"].map(str::to_owned));
        if self.newnews {
            lines.push("NEWNEWS".to_owned());
        }
        lines.extend(
            ["HDR", "OVER MSGID", "XPAT", "LIST ACTIVE HEADERS NEWSGROUPS OVERVIEW.FMT"].map(str::to_owned),
        );
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_used_is_listed() {
        let stranger = Capabilities {
            implementation: "x",
            starttls: true,
            login: Some(Logins { user: true, sasl: &["PLAIN"] }),
            compress: true,
            feeds: true,
            reads: true,
            ..Capabilities::default()
        };
        let expected = "VERSION 2,IMPLEMENTATION x,STARTTLS,AUTHINFO USER SASL,SASL PLAIN,COMPRESS DEFLATE,IHAVE,STREAMING,LIST ACTIVE";
        assert_eq!(stranger.lines().join(","), expected);
        let reader = Capabilities { known: true, reads: true, newnews: true, ..Capabilities::default() };
        let expected =
            "VERSION 2,READER,POST,NEWNEWS,HDR,OVER MSGID,XPAT,LIST ACTIVE HEADERS NEWSGROUPS OVERVIEW.FMT";
        assert_eq!(reader.lines().join(","), expected);
    }
}
