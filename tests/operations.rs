//! What running it for years takes: a file of options, users, a supervisor, a card that comes and goes.

#![allow(missing_docs)] // a test's name is its documentation

#[path = "operations/card.rs"]
mod card;
#[path = "operations/config.rs"]
mod config;
#[path = "operations/home.rs"]
mod home;
#[path = "operations/root.rs"]
mod root;
#[path = "operations/stuck.rs"]
mod stuck;
#[path = "operations/supervisor.rs"]
mod supervisor;
#[path = "operations/user.rs"]
mod user;

mod common;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use common::http::{Answer, Client};
use common::server::Server;

/// `trainyard eject` asks every server of this machine: while it does so, no test may hold one up.
static ALL_ANSWER: RwLock<()> = RwLock::new(());

fn while_all_answer() -> RwLockReadGuard<'static, ()> {
    ALL_ANSWER.read().unwrap_or_else(PoisonError::into_inner)
}

fn while_one_does_not_answer() -> RwLockWriteGuard<'static, ()> {
    ALL_ANSWER.write().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the first listener for one path over HTTP.
fn get(server: &Server, target: &str) -> Answer {
    Client::connect(server).get(target, &[])
}
