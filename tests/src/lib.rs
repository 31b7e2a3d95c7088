//! The builder of whole systems for tests.
