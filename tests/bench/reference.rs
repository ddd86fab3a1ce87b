//! Reference servers: what a server would cost that does one thing the plain way, and nothing else.
//!
//! They print the lines that the real one prints, so that the same harness starts them.

use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use trainyard::sys::{self, Descriptor, Errno};

use super::client;

/// Serves until it is killed.
pub fn serve(kind: &str, path: &Path) -> ! {
    let file = File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    let mut head = client::request(path); // car(name), and a car() that the size takes the place of
    head.truncate(head.len() - 4);
    head.extend([8, 0, 0, 0]);
    head.extend(size.to_le_bytes());
    let served = Served { file, size, head };
    match kind {
        "send-per-car" => each_client(|stream| served.send_per_car(stream, true)),
        "send-per-car-gathered" => each_client(|stream| served.send_per_car(stream, false)),
        "sendfile" => each_client(|stream| served.sendfile(&stream)),
        "direct" => direct(&served),
        "passed-singly" => passed_singly(&served),
        _ => panic!("no reference is called {kind}"),
    }
}

struct Served {
    file: File,
    size: u64,
    head: Vec<u8>,
}

impl Served {
    /// The cars of the protocol as the classic exercise sends them: read one, send one. Each leaves
    /// `at_once` (TCP_NODELAY), or the kernel may gather what comes while others are on their way.
    fn send_per_car(&self, mut stream: TcpStream, at_once: bool) -> std::io::Result<()> {
        stream.set_nodelay(at_once)?;
        stream.write_all(&self.head)?;
        let mut car = [0; 1004];
        let mut offset = 0;
        while offset < self.size {
            let length = (self.size - offset).min(1000) as usize;
            car[..4].copy_from_slice(&(length as u32).to_le_bytes());
            self.file.read_exact_at(&mut car[4..4 + length], offset)?;
            stream.write_all(&car[..4 + length])?;
            offset += length as u64;
        }
        stream.write_all(&[0; 4])
    }

    /// The file's bytes without any cars: the least that a server can do.
    fn sendfile(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nonblocking(true)?;
        let mut offset = 0;
        while offset < self.size {
            let count = (self.size - offset) as usize;
            match sys::send_file(stream.as_raw_fd(), self.file.as_raw_fd(), offset, count) {
                Ok(sent) => offset += sent as u64,
                Err(Errno::EAGAIN) => wait(&[stream.as_fd()], PollFlags::POLLOUT),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// A small file's train in one send, as trainyard does it; the caller closes.
    fn answer(&self, socket: &Descriptor) {
        let mut train = [0; 2048];
        let (head, size) = (self.head.len(), self.size as usize);
        train[..head].copy_from_slice(&self.head);
        train[head..][..4].copy_from_slice(&(size as u32).to_le_bytes());
        let data = &mut train[head + 4..][..size];
        self.file.read_exact_at(data, 0).unwrap();
        // A client that has gone is no fault of the server's.
        let _ = sys::send(socket.raw(), &train[..head + 4 + size + 4], false);
    }
}

/// Serves one client after the other. That a client leaves early is the end of its load.
fn each_client(mut serve: impl FnMut(TcpStream) -> std::io::Result<()>) -> ! {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    say_ready(listener.local_addr().unwrap());
    loop {
        let _ = listener.accept().and_then(|(stream, _)| serve(stream));
    }
}

/// One process that accepts all that wait, and answers each itself.
fn direct(served: &Served) -> ! {
    let listener = listen();
    loop {
        wait(&[sys::borrow(&listener)], PollFlags::POLLIN);
        while let Ok((mut socket, _)) = sys::accept(&listener) {
            served.answer(&socket);
            socket.close();
        }
    }
}

/// The classic pool: a parent accepts one client and passes it to its child at once, which answers
/// and reports it; each is a message of its own.
fn passed_singly(served: &Served) -> ! {
    let (parent_end, child_end) = sys::pair().unwrap();
    let parent = sys::process_id();
    if sys::fork().unwrap().is_none() {
        sys::become_child(parent);
        loop {
            wait(&[sys::borrow(&child_end)], PollFlags::POLLIN);
            let Ok(received) = sys::receive_message(child_end.raw(), &mut [0; 8]) else {
                continue;
            };
            for mut socket in received.descriptors {
                served.answer(&socket);
                socket.close();
            }
            sys::send_message(child_end.raw(), &[1], &[]).unwrap();
        }
    }
    let listener = listen();
    loop {
        let ends = [sys::borrow(&listener), sys::borrow(&parent_end)];
        wait(&ends, PollFlags::POLLIN);
        // So few are on their way at once (the client's bound) that the pair is never full.
        if let Ok((mut socket, _)) = sys::accept(&listener) {
            sys::send_message(parent_end.raw(), &[1], &[socket.raw()]).unwrap();
            socket.close();
        }
        let _ = sys::receive(parent_end.raw(), &mut [0; 8], false);
    }
}

fn listen() -> Descriptor {
    let (listener, address) = sys::listen(([127, 0, 0, 1], 0).into(), false, None).unwrap();
    say_ready(address);
    listener
}

fn say_ready(address: std::net::SocketAddr) {
    println!("train {address}\nready");
}

fn wait(descriptors: &[BorrowedFd], flags: PollFlags) {
    let mut polled: Vec<PollFd> = descriptors
        .iter()
        .map(|descriptor| PollFd::new(*descriptor, flags))
        .collect();
    let _ = poll(&mut polled, PollTimeout::NONE);
}
