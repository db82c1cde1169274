//! What reads promise.
