//! What the fold promises.
