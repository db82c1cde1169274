//! dfs-materializer.
