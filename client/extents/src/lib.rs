//! dfs-extents.
