//! SASL as a client, towards backends and the MUPDATE master.
//!
//! Only mechanisms that carry an authorisation identity are used: LOGIN would drop it silently, and the session
//! would be the proxy's own.

