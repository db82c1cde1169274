//! What people type, on a real system in a process of its own: each line of the first hour that exists is here.
mod bench;
mod config;
mod demo;
mod examples;
mod first_hour;
mod formats;
mod nodes;
mod refusals;
mod seeing;
mod strangers;
mod syncing;
mod system;
mod traces;
mod transcript;
