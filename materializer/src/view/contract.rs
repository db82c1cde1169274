//! What every view must do; both stores pass it.
