//! What planning promises.
