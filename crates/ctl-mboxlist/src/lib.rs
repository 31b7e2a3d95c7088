//! ctl-mboxlist
