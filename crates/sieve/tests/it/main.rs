//! Scripts, messages, and what becomes of them.

mod cases;
mod hostile;
mod world;
