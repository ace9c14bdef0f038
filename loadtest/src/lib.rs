//! A load client, sinks and simulators for a group-message gateway, knowing nothing but its wire protocol.
//!
//! This crate is deliberately a stranger to the gateway: no type is shared with it, so an answer that has drifted
//! from the published interface is found here and not papered over by a common struct. It counts what it sent on its own,
//! and holds the gateway's figures against that.
//!
//! Reading order: [`wire`] is the protocol, [`client`] one connection that speaks it, [`lines`] what people say;
//! [`events`] sends and checks, [`sink`] receives and [`audit`]s, [`broadcast`] compares both ends, [`sending`] tells what
//! sending costs and how fast it obeys, [`simulate`] plays a
//! fleet of shops, [`wecom`] is a platform with everything that is hard about it, [`callbacks`] tells what its encrypted
//! callbacks cost, [`bare`] is the reference server that ratios are stated against.
//!
//! Not for: measuring code in one process (that is `benches/`), or anything that needs the gateway's insides.
#![expect(
    clippy::disallowed_methods,
    reason = "a load client lives in real time: it reads the clock and starts tasks of its own, there is nothing to replay"
)]

pub mod audit;
pub mod bare;
pub mod broadcast;
pub mod callbacks;
pub mod client;
pub mod compare;
pub mod cpu;
pub mod events;
pub mod figures;
pub mod latency;
pub mod lines;
pub mod sending;
pub mod simulate;
pub mod sink;
#[cfg(test)]
mod standin;
pub mod table;
pub mod units;
pub mod wecom;
pub mod wire;
