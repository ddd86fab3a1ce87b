use std::ffi::CString;
use std::fs::{self, FileTimes};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use std::vec::Vec;

use super::*;
use crate::entry::{By, Entry};
use crate::files::{FileSlot, FileTable, LOOKS_MAX, Progress, Root, seek};
use crate::http::{FixedBuf, Output};
use crate::limits::{BOARD, CAR_BUFFER_BYTES, CAR_DATA_MAX, CAR_HEAD_SIZE, CAR_SIZE_MAX};
use crate::worker::http::rows::RowsEnd;

const BY_NAME_DOWN: Order = order(By::Name, true);

const fn order(by: By, descending: bool) -> Order {
    Order { by, descending }
}

/// A folder as a connection has it, and the worker's listing.
struct Served {
    files: FileTable<1>,
    slot: FileSlot,
    listing: Box<SharedListing>,
    random: u64,
    /// How often rows or cars were laid for the last listing.
    turns: usize,
}

impl Served {
    fn new(folder: &Path) -> Self {
        let path = CString::new(folder.as_os_str().as_bytes()).unwrap();
        let path = Box::leak(path.into_boxed_c_str());
        let found = Root::open(path).unwrap().find(b"/").unwrap();
        let mut files = FileTable::new();
        let slot = files.insert(found);
        files.get(slot).name.clear();
        Self {
            files,
            slot,
            listing: Box::new(const { SharedListing::new() }),
            random: 0x2545_f491_4f6c_dd1d,
            turns: 0,
        }
    }

    fn seek(&mut self, name: &str, order: Order) -> Result<(), Errno> {
        seek(self.files.get(self.slot), name.as_bytes(), order)
    }

    fn random(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 32) as usize % below
    }

    /// Begins again: `None` if there are too many entries for this order.
    fn pass(&mut self, order: Order, filter: &[u8]) -> Option<()> {
        let folder = self.files.get(self.slot);
        self.listing.begin(folder, order).unwrap();
        self.ready(filter)
    }

    /// Reads on until there is something to be laid; `None` as for [`Served::pass`].
    fn ready(&mut self, filter: &[u8]) -> Option<()> {
        let keep = |name: &[u8]| {
            filter.is_empty() || name.windows(filter.len()).any(|part| part == filter)
        };
        let folder = self.files.get(self.slot);
        loop {
            match self.listing.walk.step(folder, keep).unwrap() {
                Progress::More => {}
                Progress::Ready => return Some(()),
                Progress::TooMany => return None,
            }
        }
    }

    /// The rows as a client gets them that takes some bytes at a time, and has the listing taken from
    /// it in between; and whether the limit left something out.
    fn rows(&mut self, order: Order, filter: &[u8], limit: u32) -> Option<(String, bool)> {
        let mut body = Vec::new();
        self.turns = 0;
        let (mut rows, mut skip) = (0, 0);
        let mut buffer = vec![0; 64 * 1024];
        self.pass(order, filter)?;
        loop {
            self.ready(filter)?;
            self.turns += 1;
            let folder = self.files.get(self.slot);
            let write = |number: u32, entry: &Entry<'_>, out: &mut FixedBuf<'_>| {
                let separator = if rows + number == 0 { "" } else { "," };
                out.text(separator);
                out.put(entry.name);
                out.text(if entry.is_folder { "/" } else { " " });
                out.number(entry.size, 1);
            };
            let (laid, end) = self
                .listing
                .rows
                .lay(
                    &mut self.listing.walk,
                    folder,
                    skip,
                    limit - rows,
                    &mut buffer,
                    write,
                )
                .unwrap();
            let sent = match self.random(4) {
                0 => 0,
                1 => laid,
                _ => self.random(laid + 1),
            };
            body.extend_from_slice(&buffer[..sent]);
            let folder = self.files.get(self.slot);
            let (whole, new_skip) = self.listing.rows.advance(&self.listing.walk, folder, sent);
            (rows, skip) = (rows + whole, new_skip);
            if sent == laid && end != RowsEnd::More {
                let body = String::from_utf8(body).unwrap();
                return Some((body, end == RowsEnd::Limit));
            }
            if sent < laid || self.random(4) == 0 {
                self.pass(order, filter)?;
            }
        }
    }
}

impl Served {
    /// The text of a listing as its cars carry it to a client that takes some bytes at a time.
    fn cars(&mut self) -> String {
        let (mut text, mut skip) = (Vec::new(), 0);
        let mut buffer = vec![0; CAR_BUFFER_BYTES];
        self.turns = 0;
        self.pass(Order::NAME, b"").unwrap();
        loop {
            self.ready(b"").unwrap();
            self.turns += 1;
            let folder = self.files.get(self.slot);
            let (laid, is_end) = self
                .listing
                .cars
                .lay(&mut self.listing.walk, folder, skip, &mut buffer)
                .unwrap();
            if is_end {
                text.extend(data_of(&buffer[..laid]));
                return String::from_utf8(text).unwrap();
            }
            assert_eq!(laid, self.listing.cars.count() * CAR_SIZE_MAX, "whole cars");
            let sent = match self.random(3) {
                0 => self.random(self.listing.cars.count() + 1),
                _ => self.listing.cars.count(),
            };
            text.extend(data_of(&buffer[..sent * CAR_SIZE_MAX]));
            let folder = self.files.get(self.slot);
            skip = self.listing.cars.advance(&self.listing.walk, folder, sent);
            if sent < self.listing.cars.count() || self.random(10) == 0 {
                self.pass(Order::NAME, b"").unwrap();
            }
        }
    }
}

/// What cars carry, of which only the last one may be shorter than a full one.
fn data_of(mut cars: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    while let Some((head, rest)) = cars.split_at_checked(CAR_HEAD_SIZE) {
        let size = i32::from_le_bytes(head.try_into().unwrap()) as usize;
        assert!(size == 0 || data.len().is_multiple_of(CAR_DATA_MAX));
        data.extend(&rest[..size]);
        cars = &rest[size..];
    }
    assert!(cars.is_empty());
    data
}

fn put(folder: &Path, name: &str, size: usize, seconds: u64) {
    let path = folder.join(name);
    fs::write(&path, vec![b'x'; size]).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

fn small_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "b.txt", 30, 1);
    put(folder.path(), "a.jpg", 10, 3);
    put(folder.path(), "d.txt", 10, 4);
    put(folder.path(), "c.txt", 200, 2);
    fs::create_dir(folder.path().join("e")).unwrap();
    std::os::unix::fs::symlink("/etc", folder.path().join("outside")).unwrap();
    folder
}

#[test]
fn rows_come_in_each_order() {
    let folder = small_folder();
    for (order, expected) in [
        (Order::NAME, "a.jpg 10,b.txt 30,c.txt 200,d.txt 10,e/0"),
        (BY_NAME_DOWN, "e/0,d.txt 10,c.txt 200,b.txt 30,a.jpg 10"),
        (
            order(By::Size, false),
            "e/0,a.jpg 10,d.txt 10,b.txt 30,c.txt 200",
        ),
        (
            order(By::Size, true),
            "c.txt 200,b.txt 30,a.jpg 10,d.txt 10,e/0",
        ),
        (
            order(By::Date, false),
            "b.txt 30,c.txt 200,a.jpg 10,d.txt 10,e/0",
        ),
        (
            order(By::Date, true),
            "e/0,d.txt 10,a.jpg 10,c.txt 200,b.txt 30",
        ),
    ] {
        let mut served = Served::new(folder.path());
        let all = served.rows(order, b"", u32::MAX);
        assert_eq!(all, Some((expected.into(), false)), "{order:?}");
        let wanted: Vec<&str> = expected
            .split(',')
            .filter(|row| row.contains("txt"))
            .collect();
        served.seek("", order).unwrap();
        let some = served.rows(order, b"txt", 10);
        assert_eq!(some, Some((wanted.join(","), false)), "{order:?}");
    }
}

#[test]
fn pages_follow_each_other_without_a_gap() {
    let folder = small_folder();
    for by in [By::Name, By::Size, By::Date] {
        for descending in [false, true] {
            let order = order(by, descending);
            let (all, _) = Served::new(folder.path()).rows(order, b"", 9).unwrap();
            let (mut pages, mut after) = (Vec::new(), String::new());
            loop {
                let mut served = Served::new(folder.path());
                served.seek(&after, order).unwrap();
                let (page, has_more) = served.rows(order, b"", 2).unwrap();
                after = page
                    .rsplit(',')
                    .next()
                    .unwrap()
                    .split([' ', '/'])
                    .next()
                    .unwrap()
                    .into();
                pages.push(page);
                if !has_more {
                    break;
                }
            }
            assert_eq!(pages.len(), 3);
            assert_eq!(pages.join(","), all, "{order:?}");
        }
    }
    let mut served = Served::new(folder.path());
    let (_, has_more) = served.rows(Order::NAME, b"", 5).unwrap();
    assert!(!has_more, "just all");
    assert_eq!(
        served.seek("gone", order(By::Size, true)),
        Err(Errno::ENOENT)
    );
    served.seek("bb", Order::NAME).unwrap();
    let (rest, _) = served.rows(Order::NAME, b"", 9).unwrap();
    assert_eq!(
        rest, "c.txt 200,d.txt 10,e/0",
        "a name that is not there has a place"
    );
}

#[test]
fn an_empty_folder_has_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    let mut served = Served::new(folder.path());
    assert_eq!(
        served.rows(BY_NAME_DOWN, b"", 1),
        Some((String::new(), false))
    );
}

#[test]
fn a_folder_that_does_not_fit_is_listed_by_name_only() {
    let folder = tempfile::tempdir().unwrap();
    let count = BOARD.listing_bytes / 256 + 50;
    for i in 0..count {
        let ending = if i % 100 == 7 { "few" } else { "most" };
        fs::write(folder.path().join(format!("{i:0>250}.{ending}")), "").unwrap();
    }
    let mut served = Served::new(folder.path());
    assert_eq!(served.rows(order(By::Date, true), b"", u32::MAX), None);
    // The filter comes before the room: those that it leaves are few.
    assert!(
        served
            .rows(order(By::Date, true), b".few", u32::MAX)
            .is_some()
    );
    for order in [Order::NAME, BY_NAME_DOWN] {
        served.seek("", order).unwrap();
        let (body, _) = served.rows(order, b"", u32::MAX).unwrap();
        let got: Vec<&str> = body.split(',').collect();
        assert_eq!(got.len(), count);
        let mut sorted = got.clone();
        sorted.sort_by(|left, right| order.compare((0, left.as_bytes()), (0, right.as_bytes())));
        assert!(got == sorted);
    }
}

#[test]
fn an_entry_that_is_removed_between_pass_and_row_is_left_out() {
    let folder = small_folder();
    let mut served = Served::new(folder.path());
    served.pass(Order::NAME, b"").unwrap();
    fs::remove_file(folder.path().join("a.jpg")).unwrap();
    put(folder.path(), "b.txt", 31, 1);
    let mut buffer = vec![0; 64 * 1024];
    let file = served.files.get(served.slot);
    let write = |_: u32, entry: &Entry<'_>, out: &mut FixedBuf<'_>| {
        out.put(entry.name);
        out.number(entry.size, 1);
    };
    let (laid, end) = served
        .listing
        .rows
        .lay(&mut served.listing.walk, file, 0, 1, &mut buffer, write)
        .unwrap();
    assert_eq!((&buffer[..laid], end), (&b"b.txt31"[..], RowsEnd::Limit));
}

#[test]
fn a_row_shows_the_size_that_put_it_where_it_is() {
    let folder = small_folder();
    let mut served = Served::new(folder.path());
    let by_size = order(By::Size, true);
    served.pass(by_size, b"txt").unwrap();
    put(folder.path(), "c.txt", 1, 2);
    let mut buffer = vec![0; 64 * 1024];
    let file = served.files.get(served.slot);
    let write = |_: u32, entry: &Entry<'_>, out: &mut FixedBuf<'_>| out.number(entry.size, 1);
    let (laid, _) = served
        .listing
        .rows
        .lay(&mut served.listing.walk, file, 0, 1, &mut buffer, write)
        .unwrap();
    assert_eq!(&buffer[..laid], b"200");
    assert_eq!(
        served
            .listing
            .rows
            .advance(&served.listing.walk, file, laid),
        (1, 0)
    );
    assert_eq!((&file.name[..], file.size), (&b"c.txt"[..], 200));
    let (rest, _) = served.rows(by_size, b"txt", 9).unwrap();
    assert_eq!(
        rest, "b.txt 30,d.txt 10,c.txt 1",
        "what shrank since comes again"
    );
}

/// More links that lead nowhere than one pass can keep, and a file here and there among them.
fn mostly_unshown(folder: &Path) -> (usize, Vec<String>) {
    let count = 3 * BOARD.listing_bytes / 256;
    let mut shown = Vec::new();
    for index in 0..count {
        let name = format!("{index:0>250}");
        if index % 1500 == 700 {
            fs::write(folder.join(&name), b"12").unwrap();
            shown.push(name);
        } else {
            std::os::unix::fs::symlink("nowhere", folder.join(name)).unwrap();
        }
    }
    (count, shown)
}

#[test]
fn entries_that_are_not_shown_are_passed_a_bounded_number_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let (count, shown) = mostly_unshown(folder.path());
    let rows: Vec<String> = shown.iter().map(|name| format!("{name} 2")).collect();
    let mut served = Served::new(folder.path());
    let (all, has_more) = served.rows(Order::NAME, b"", u32::MAX).unwrap();
    assert!(all == rows.join(",") && !has_more);
    assert!(served.turns >= count / LOOKS_MAX, "{}", served.turns);
    // Whether there is more than the limit, is looked for as far, and no further than, the next one.
    for (limit, is_all) in [(shown.len() - 1, false), (shown.len(), true)] {
        served.seek("", Order::NAME).unwrap();
        let (some, has_more) = served.rows(Order::NAME, b"", limit as u32).unwrap();
        assert!(some == rows[..limit].join(",") && has_more != is_all);
        let position = &served.files.get(served.slot).name[..];
        assert_eq!(
            position,
            shown[limit - 1].as_bytes(),
            "where the next page begins"
        );
    }
    served.seek("", Order::NAME).unwrap();
    let text = served.cars();
    let names = text
        .split_terminator('\0')
        .map(|entry| &entry[entry.len() - 250..]);
    assert!(names.eq(&shown));
    assert!(served.turns >= count / LOOKS_MAX, "{}", served.turns);
}

#[test]
fn by_size_a_bounded_number_of_entries_is_looked_at_in_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let by_size = order(By::Size, true);
    for index in 0..3 * LOOKS_MAX {
        put(folder.path(), &format!("{index:04}"), index % 5, 1);
    }
    let mut served = Served::new(folder.path());
    let file = served.files.get(served.slot);
    served.listing.begin(file, by_size).unwrap();
    let mut steps = 0;
    while served.listing.walk.step(file, |_| true).unwrap() == Progress::More {
        steps += 1;
    }
    assert!(steps >= 3, "{steps} steps");
    let (all, _) = served.rows(by_size, b"", u32::MAX).unwrap();
    assert_eq!(all.split(',').count(), 3 * LOOKS_MAX);
    assert!(all.starts_with("0004 4,0009 4,"), "{all:.60}");
}
