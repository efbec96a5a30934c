//! Events as text.
