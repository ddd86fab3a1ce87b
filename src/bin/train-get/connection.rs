//! A worker's line to a server: connects, asks, asks again where that is fair, and keeps the
//! connection for the next file of the same server.

use std::fmt;
use std::io::{self, BufReader, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::failure::Failure;
use crate::shared::Shared;
use crate::url;
use crate::wire::{Answer, Car, CarReader, write_request};

/// Per address; a board on the same network answers in milliseconds, or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses before the tries after the first. `--help` tells them.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// Bytes that one read may fetch: about 64 cars.
const READ_SIZE: usize = 64 << 10;

/// A server that URLs name, shared by all the files on it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Set once connecting failed for good: a thousand files must not wait a thousand times.
    given_up: AtomicBool,
}

impl Server {
    pub(crate) fn new(host: String, port: u16) -> Server {
        Server {
            host,
            port,
            given_up: AtomicBool::new(false),
        }
    }

    pub(crate) fn shown(&self, path: &[u8]) -> String {
        url::shown(&self.host, self.port, path)
    }

    fn connect(&self, timeout: Duration) -> Result<Connection, Failure> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(Failure::GivenUp);
        }
        let addresses = (self.host.as_str(), self.port)
            .to_socket_addrs()
            .map_err(Failure::Resolve)?;
        let mut failure =
            Failure::Resolve(io::Error::new(ErrorKind::NotFound, "it has no address"));
        for address in addresses {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                Ok(stream) => {
                    log::debug!("connected to {address}");
                    return Connection::new(stream, timeout).map_err(Failure::Connect);
                }
                Err(error) => {
                    log::debug!("{address}: {error}");
                    failure = Failure::Connect(error);
                }
            }
        }
        Err(failure)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.shown(b"/"))
    }
}

/// An open connection. It goes back to its client only after an end car; any other way it is closed.
pub(crate) struct Connection {
    cars: CarReader<BufReader<TcpStream>>,
}

impl Connection {
    fn new(stream: TcpStream, timeout: Duration) -> io::Result<Connection> {
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            cars: CarReader::new(BufReader::with_capacity(READ_SIZE, stream)),
        })
    }

    fn ask(&mut self, path: &[u8], offset: u64, started: &mut bool) -> Result<Answer, Failure> {
        let sent = write_request(self.cars.stream().get_mut(), path, offset);
        if let Err(error) = sent {
            // A full server speaks before it is asked and closes: its error car may lie there still.
            return match self.cars.read_answer(started) {
                Err(failure @ Failure::Answer(_)) => Err(failure),
                _ => Err(Failure::Lost(error)),
            };
        }
        self.cars.read_answer(started)
    }

    pub(crate) fn next_car(&mut self) -> Result<Car<'_>, Failure> {
        self.cars.next_car()
    }
}

/// What one worker asks with.
pub(crate) struct Client<'a> {
    pub(crate) shared: &'a Shared,
    idle: Option<(Arc<Server>, Connection)>,
}

impl<'a> Client<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Client<'a> {
        Client { shared, idle: None }
    }

    /// Asks for `path` from `offset` on. What follows the answer is to be read from the connection.
    pub(crate) fn ask(
        &mut self,
        server: &Arc<Server>,
        path: &[u8],
        offset: u64,
    ) -> Result<(Answer, Connection), Failure> {
        log::debug!("asking for {} from {offset}", server.shown(path));
        if let Some(mut connection) = self.take_idle(server) {
            let mut started = false;
            match connection.ask(path, offset, &mut started) {
                Ok(answer) => return Ok((answer, connection)),
                // Servers close idle connections when others wait: that is no failure.
                Err(failure) if !started && failure.may_pass() => {
                    log::debug!("idle connection: {failure}")
                }
                Err(failure) => return Err(failure),
            }
        }
        let mut pauses = PAUSES.iter();
        loop {
            let mut started = false;
            let asked = server
                .connect(self.shared.timeout)
                .and_then(|mut connection| {
                    let answer = connection.ask(path, offset, &mut started)?;
                    Ok((answer, connection))
                });
            let failure = match asked {
                Ok(asked) => return Ok(asked),
                Err(failure) => failure,
            };
            match pauses.next() {
                Some(pause) if !started && failure.may_pass() => {
                    let seconds = pause.as_secs_f32();
                    self.shared
                        .progress
                        .say(&format!("{server}: {failure}; trying again in {seconds} s"));
                    thread::sleep(*pause);
                }
                _ => {
                    if matches!(failure, Failure::Connect(_) | Failure::Resolve(_)) {
                        server.given_up.store(true, Ordering::Relaxed);
                    }
                    return Err(failure);
                }
            }
        }
    }

    fn take_idle(&mut self, server: &Arc<Server>) -> Option<Connection> {
        let (its_server, connection) = self.idle.take()?;
        Arc::ptr_eq(&its_server, server).then_some(connection)
    }

    /// Takes a connection back after the end car of its answer.
    pub(crate) fn give_back(&mut self, server: &Arc<Server>, mut connection: Connection) {
        // Bytes after an end car answer nothing that was asked.
        if connection.cars.stream().buffer().is_empty() {
            self.idle = Some((Arc::clone(server), connection));
        }
    }

    /// Closes the idle connection: its place on the server is better used by others.
    pub(crate) fn close(&mut self) {
        self.idle = None;
    }
}
