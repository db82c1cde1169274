//! dfs-sequencer.
