//! Scripts, messages, and what becomes of them.

mod brief;
mod case;
mod cases;
mod differential;
mod hostile;
mod world;
