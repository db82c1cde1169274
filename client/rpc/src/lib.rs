//! Connect and serve: the roles as traits, over TCP, in process, or simulated.
pub mod roles;
