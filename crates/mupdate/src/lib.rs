//! mupdate
