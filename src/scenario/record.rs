//! A scenario from what has happened.
