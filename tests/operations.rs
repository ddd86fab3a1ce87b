//! What running it for years takes: a file of options, users, a supervisor, a card that comes and goes.

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

use crate::common;

use common::http::{Answer, Client};
use common::server::Server;

/// Asks the first listener for one path over HTTP.
fn get(server: &Server, target: &str) -> Answer {
    Client::connect(server).get(target, &[])
}
