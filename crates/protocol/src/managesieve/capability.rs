//! What a server announces (RFC 5804 section 1.7), in Cyrus's order.

use super::write_string;

/// What the block depends on.
#[derive(Debug, Clone, Default)]
pub struct Capabilities<'a> {
    pub implementation: &'a str,
    /// Mechanisms that may be used here; none after the login.
    pub sasl: &'a [&'a str],
    /// Extensions that a script may require, as one text.
    pub sieve: &'a str,
    /// Methods of notifications, where scripts may require enotify.
    pub notify: Option<&'a str>,
    /// Redirections of one message at most.
    pub max_redirects: Option<u32>,
    pub starttls: bool,
    /// Proxies are asked where their clients come from: on a backend, before the login.
    pub xclient: bool,
    /// Who is logged in.
    pub owner: Option<&'a str>,
}

impl Capabilities<'_> {
    /// The lines, without the reply that ends them.
    pub fn write(&self, out: &mut Vec<u8>) {
        line(out, "IMPLEMENTATION", Some(self.implementation));
        line(out, "VERSION", Some("1.0"));
        if self.owner.is_none() && !self.sasl.is_empty() {
            line(out, "SASL", Some(&self.sasl.join(" ")));
        }
        line(out, "SIEVE", Some(self.sieve));
        if let Some(notify) = self.notify {
            line(out, "NOTIFY", Some(notify));
        }
        if let Some(most) = self.max_redirects {
            line(out, "MAXREDIRECTS", Some(&most.to_string()));
        }
        if self.starttls {
            line(out, "STARTTLS", None);
        }
        if self.xclient {
            line(out, "XCLIENT", None);
        }
        if let Some(owner) = self.owner {
            line(out, "OWNER", Some(owner));
        }
        line(out, "UNAUTHENTICATE", None);
    }
}

fn line(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    write_string(name.as_bytes(), out);
    if let Some(value) = value {
        out.push(b' ');
        write_string(value.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(capabilities: &Capabilities<'_>) -> String {
        let mut out = Vec::new();
        capabilities.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn mechanisms_are_announced_before_the_login_and_the_owner_after_it() {
        let before = Capabilities {
            implementation: "x",
            sasl: &["PLAIN", "LOGIN"],
            sieve: "fileinto",
            notify: Some("mailto"),
            max_redirects: Some(32),
            starttls: true,
            xclient: true,
            owner: None,
        };
        let expected = "\"IMPLEMENTATION\" \"x\"\r\n\"VERSION\" \"1.0\"\r\n\"SASL\" \"PLAIN LOGIN\"\r\n\"SIEVE\" \"fileinto\"\r\n\
             \"NOTIFY\" \"mailto\"\r\n\"MAXREDIRECTS\" \"32\"\r\n\"STARTTLS\"\r\n\"XCLIENT\"\r\n\"UNAUTHENTICATE\"\r\n";
        assert_eq!(written(&before), expected);
        let after = Capabilities { owner: Some("fred"), starttls: false, ..before };
        let told = written(&after);
        assert!(told.contains("\"OWNER\" \"fred\"\r\n") && !told.contains("SASL"), "{told}");
    }
}
