//! pop3proxy
