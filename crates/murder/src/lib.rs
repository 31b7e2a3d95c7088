//! murder
