//! lmtpproxy
