//! A server of the train protocol that does what a test says, right or wrong.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use libc::linger;
use nix::sys::socket::{setsockopt, sockopt};

/// A client that says nothing for so long has forgotten us.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// More than any test opens, so that a client in a loop is cut off.
const CONNECTIONS_MAX: usize = 200;

/// One request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The connection's number, from 0 in order of arrival.
    pub(crate) connection: usize,
    /// The path, as sent.
    pub(crate) path: Vec<u8>,
    /// 0 if none was sent.
    pub(crate) offset: u64,
}

/// What the server does next.
pub(crate) enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Waits until the gate opens.
    Wait(Arc<Gate>),
    /// Closes the connection, after all that was sent.
    Close,
    /// Breaks the connection off, as a server that was killed.
    Reset,
}

type Handler = dyn Fn(&Request) -> Vec<Step> + Send + Sync;

struct State {
    handler: Box<Handler>,
    requests: Mutex<Vec<Request>>,
    stopping: AtomicBool,
}

/// The server, until it is dropped.
pub(crate) struct Fake {
    state: Arc<State>,
    port: u16,
    acceptor: Option<JoinHandle<()>>,
}

impl Fake {
    /// Answers every request by what `handler` says.
    pub(crate) fn start(handler: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            handler: Box::new(handler),
            requests: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let for_acceptor = Arc::clone(&state);
        let acceptor = Some(thread::spawn(move || accept(&listener, &for_acceptor)));
        Fake {
            state,
            port,
            acceptor,
        }
    }

    /// The URL of `path`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("train://127.0.0.1:{}/{path}", self.port)
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    /// The offsets that were asked for so far.
    pub(crate) fn offsets(&self) -> Vec<u64> {
        self.requests()
            .iter()
            .map(|request| request.offset)
            .collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.state.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for connection in 0..CONNECTIONS_MAX {
        let Ok((stream, _)) = listener.accept() else {
            return;
        };
        if state.stopping.load(Ordering::SeqCst) {
            return;
        }
        let state = Arc::clone(state);
        // The client may leave at any time; what came of it is for the test to judge.
        thread::spawn(move || serve(stream, connection, &state).ok());
    }
}

fn serve(mut stream: TcpStream, connection: usize, state: &State) -> io::Result<()> {
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    stream.set_nodelay(true)?;
    while let Some((path, offset)) = read_request(&mut stream)? {
        let request = Request {
            connection,
            path,
            offset,
        };
        state.requests.lock().unwrap().push(request.clone());
        for step in (state.handler)(&request) {
            match step {
                Step::Send(bytes) => stream.write_all(&bytes)?,
                Step::Wait(gate) => gate.wait(),
                Step::Close => {
                    stream.shutdown(Shutdown::Write)?;
                    return stream.read_to_end(&mut Vec::new()).map(drop);
                }
                Step::Reset => return reset(stream),
            }
        }
    }
    Ok(())
}

/// None at the end of the connection. Anything but a right request is a failure of the client.
fn read_request(stream: &mut TcpStream) -> io::Result<Option<(Vec<u8>, u64)>> {
    let mut cars: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut head = [0; 4];
        match stream.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && cars.is_empty() => {
                return Ok(None);
            }
            other => other?,
        }
        let data_len =
            usize::try_from(i32::from_le_bytes(head)).expect("a client sends no error car");
        if data_len == 0 {
            break;
        }
        assert!(data_len <= 1000, "a client's car of {data_len} bytes");
        let mut data = vec![0; data_len];
        stream.read_exact(&mut data)?;
        cars.push(data);
    }
    let offset = cars.get(1).map_or(0, |car| {
        u64::from_le_bytes(car[..].try_into().expect("8 bytes"))
    });
    assert!(
        (1..=2).contains(&cars.len()),
        "a request of {} cars",
        cars.len()
    );
    Ok(Some((cars.swap_remove(0), offset)))
}

/// A linger time of none makes the close a reset.
fn reset(stream: TcpStream) -> io::Result<()> {
    let linger = linger {
        l_onoff: 1,
        l_linger: 0,
    };
    Ok(setsockopt(&stream, sockopt::Linger, &linger)?)
}

/// Opens once, for all.
#[derive(Default)]
pub(crate) struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    /// Lets all pass that wait, now and later.
    pub(crate) fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    /// Waits, though not for ever.
    pub(crate) fn wait(&self) {
        let open = self.open.lock().unwrap();
        let _ = self
            .changed
            .wait_timeout_while(open, READ_TIMEOUT, |open| !*open)
            .unwrap();
    }
}

/// `data_len` and data, whatever the length.
pub(crate) fn car(data: &[u8]) -> Vec<u8> {
    let mut car = (data.len() as i32).to_le_bytes().to_vec();
    car.extend_from_slice(data);
    car
}

/// An end car, or an error car: a length alone.
pub(crate) fn bare_car(data_len: i32) -> Vec<u8> {
    data_len.to_le_bytes().to_vec()
}

/// The size car of an answer.
pub(crate) fn size_car(size: u64, mtime_ns: i64) -> Vec<u8> {
    car(&[size.to_le_bytes(), mtime_ns.to_le_bytes()].concat())
}

/// Data cars, full but for the last.
pub(crate) fn data_cars(data: &[u8]) -> Vec<u8> {
    data.chunks(1000).flat_map(car).collect()
}

/// A file's whole answer.
pub(crate) fn file(name: &[u8], content: &[u8], mtime_ns: i64, offset: u64) -> Vec<u8> {
    let Some(data) = usize::try_from(offset)
        .ok()
        .and_then(|offset| content.get(offset..))
    else {
        return bare_car(-22);
    };
    [
        car(name),
        size_car(content.len() as u64, mtime_ns),
        data_cars(data),
        bare_car(0),
    ]
    .concat()
}

/// A folder's whole answer, from lines of `TYPE SIZE MTIME_NS NAME`.
pub(crate) fn folder(name: &[u8], entries: &[&[u8]]) -> Vec<u8> {
    let listing: Vec<u8> = entries
        .iter()
        .flat_map(|entry| [entry, &b"\0"[..]].concat())
        .collect();
    [
        car(name),
        size_car(u64::MAX, 0),
        data_cars(&listing),
        bare_car(0),
    ]
    .concat()
}

/// Bytes that no two files or places have alike.
pub(crate) fn content(seed: u32, size: usize) -> Vec<u8> {
    let mut random = seed.wrapping_mul(2_654_435_769) | 1;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random as u8
    };
    (0..size).map(|_| next()).collect()
}
