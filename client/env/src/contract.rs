//! The suite that every `Disk` passes.
