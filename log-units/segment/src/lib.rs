//! dfs-segment.
