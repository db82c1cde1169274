//! Every process of a cluster, asked for its figures at once, over the port where its roles answer.
use crate::status::gather::patiently;
use dfs_env::Env;
use dfs_rpc::connector::NodeConnector;
use dfs_rpc::roles::Connector;
use dfs_wire::{Refusal, v1};
use futures::future::join_all;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::time::Instant;

/// What one process told, or why it did not.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) address: String,
    pub(crate) answer: Result<v1::FiguresAnswer, Refusal>,
    pub(crate) at: Instant,
    /// From the question to the answer.
    pub(crate) took_us: u64,
    /// The wall clock here, halfway between question and answer.
    pub(crate) here_us: u64,
}

/// Those that the sequencer lists.
///
/// # Errors
/// When no sequencer answers.
pub(crate) async fn ask_all(
    env: &Env,
    connector: &Arc<NodeConnector>,
) -> Result<Vec<Told>, Refusal> {
    let listed = async { connector.sequencer().await?.status().await };
    let listed = patiently(env, "the sequencer", listed).await?;
    let members = listed.members.unwrap_or_default().members.into_iter();
    let known = members.filter(|member| !member.removed && !member.address.is_empty());
    let addresses: BTreeSet<String> = known
        .map(|member| member.address)
        .chain(listed.voter_addresses)
        .collect();
    let asked = addresses.into_iter().map(|at| ask(env, connector, at));
    Ok(join_all(asked).await)
}

async fn ask(env: &Env, connector: &Arc<NodeConnector>, address: String) -> Told {
    let teller = patiently(env, &address, connector.figures(&address)).await;
    // Connecting is no part of it: the clock is read while the question is under way.
    let (begun, wall_us) = (env.now(), env.wall_us());
    let answer = match teller {
        Ok(teller) => patiently(env, &address, teller.figures()).await,
        Err(refusal) => Err(refusal),
    };
    let at = env.now();
    let took_us = at.saturating_duration_since(begun).as_micros() as u64;
    Told {
        address,
        answer,
        at,
        took_us,
        here_us: wall_us + took_us / 2,
    }
}
