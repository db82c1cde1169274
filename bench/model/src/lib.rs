//! dfs-model.
