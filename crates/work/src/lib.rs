//! What clients cause a server to do, within bounds: [`aside`], work whose size a client decides, away from the threads that
//! serve all clients.

pub mod aside;
pub mod limits;
