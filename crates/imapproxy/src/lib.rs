//! imapproxy
