//! Moves of mailboxes between two backends, and what is kept of them on disk.
//!
//! A move has a *source* and a *destination*. The source copies while mail flows, freezes for the last difference, and then sends one
//! conditional write to the MUPDATE master: the entry of the move's *root* names the destination from there on. That write is the
//! decision. Before it the source accepts changes, after it the destination does, and nobody at any moment in between.
//!
//! ```text
//! source       queued ──▶ copying ──▶ (frozen) ──▶ SWITCHING ──▶ SWITCHED ──▶ KEPT
//!                 └──────────┴───────────┴──▶ ABORTED ◀──┘ fenced
//! destination             INCOMING ──▶ PREPARED ──────────────▶ COMMITTED ──▶ DONE
//!                            └────────────┴──▶ ABORTED
//! master       root active@source#n ─────────────────▶ root active@destination#m; then the other items
//! ```
//!
//! 1. [`source`] is the source's side as a machine without input or output: it names the next step, and hears how the step ended.
//! 2. [`destination`] is the other side: one table of what is done when something is asked or heard in some phase.
//! 3. [`journal`] keeps both sides' phases on disk, one file a move, so that a crash at any step is put right at the next start.
//!
//! 4. [`wishes`] is what an operator wants of a move besides.
//! 5. [`order`] is what an operator's command says to a backend, and is shown.
//! 6. [`names`] says to the comparison with the master's list what it must leave to a move.
//!
//! The tests play every order of steps, lost replies and deaths of the three nodes against both machines (`tests/it/model.rs`).

pub mod destination;
mod id;
pub mod journal;
pub mod limits;
pub mod names;
pub mod order;
pub mod source;
pub mod wishes;

pub use id::{IdError, MoveId, is_uniqueid};
