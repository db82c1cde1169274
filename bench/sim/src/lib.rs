//! dfs-sim.
