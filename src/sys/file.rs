//! Files and folders with 64-bit sizes and offsets, also where `long` has 32 bits.

use core::ffi::{CStr, c_int, c_long, c_void};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::{Errno, check, retry};
use crate::limits::{BOARD, CAR_HEAD_SIZE, CAR_SIZE_MAX};

/// O_LARGEFILE: a 32-bit kernel interface refuses files over 2 GiB without it. libc has 0 for it
/// where `long` has 64 bits.
const READ: c_int =
    libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_LARGEFILE;

/// What is behind a descriptor, of statx(2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Metadata {
    /// A folder; otherwise a regular file.
    pub is_folder: bool,
    /// Bytes.
    pub size: u64,
    /// Time of the last change, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Names that it has.
    pub links: u32,
}

/// Opens `path` for reading, never outside `root`: openat2(2) with `RESOLVE_BENEATH`. Symbolic
/// links are followed while they stay inside, or are `ELOOP` if `follow` is false.
///
/// # Errors
/// `ENOSYS` where the kernel lacks the call, or a sandbox hides it (`EPERM` is one, too); `EXDEV` for
/// what leads out of `root`; `EAGAIN` when renames elsewhere kept the kernel from being sure, twice.
pub fn open_beneath(root: RawFd, path: &CStr, follow: bool) -> Result<OwnedFd, Errno> {
    /// `struct open_how` of openat2(2).
    #[repr(C)]
    struct How {
        flags: u64,
        mode: u64,
        resolve: u64,
    }
    const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
    const RESOLVE_NO_SYMLINKS: u64 = 0x04;
    const RESOLVE_BENEATH: u64 = 0x08;
    let links = if follow {
        RESOLVE_NO_MAGICLINKS
    } else {
        RESOLVE_NO_SYMLINKS
    };
    let how = How {
        flags: READ as u64,
        mode: 0,
        resolve: RESOLVE_BENEATH | links,
    };
    let open = || {
        // SAFETY: path ends in NUL, and `how` is of the size that is said.
        retry(|| unsafe {
            libc::syscall(
                libc::SYS_openat2,
                root,
                path.as_ptr(),
                &raw const how,
                size_of::<How>(),
            )
        } as i64)
        .map(owned)
    };
    match open() {
        // Something was renamed while `..` was resolved, so the kernel asks for another try.
        Err(Errno::EAGAIN) => open(),
        result => result,
    }
}

/// Takes charge of what a system call has opened.
pub(super) fn owned(raw: usize) -> OwnedFd {
    let raw = RawFd::try_from(raw).expect("descriptors are small numbers");
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

/// Opens one name in `folder` for reading, and no symbolic link: openat(2) with `O_NOFOLLOW`.
pub fn open_file(folder: RawFd, name: &CStr) -> Result<OwnedFd, Errno> {
    // SAFETY: name ends in NUL.
    retry(|| i64::from(unsafe { libc::openat(folder, name.as_ptr(), READ | libc::O_NOFOLLOW) }))
        .map(owned)
}

/// Opens the folder `name` in the open `folder`, but not through a symbolic link.
///
/// # Errors
/// `ENOTDIR` for anything else, and what open(2) says.
pub fn open_folder_in(folder: RawFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = READ | libc::O_NOFOLLOW | libc::O_DIRECTORY;
    // SAFETY: name ends in NUL.
    retry(|| i64::from(unsafe { libc::openat(folder, name.as_ptr(), flags) })).map(owned)
}

/// Opens the file `path` for reading, as on any command line: symbolic links are followed.
pub fn open_followed(path: &CStr) -> Result<OwnedFd, Errno> {
    // SAFETY: path ends in NUL.
    retry(|| i64::from(unsafe { libc::open(path.as_ptr(), READ) })).map(owned)
}

/// Opens the folder `path`, as on any command line.
pub fn open_folder(path: &CStr) -> Result<OwnedFd, Errno> {
    // SAFETY: path ends in NUL.
    retry(|| i64::from(unsafe { libc::open(path.as_ptr(), READ | libc::O_DIRECTORY) })).map(owned)
}

impl Metadata {
    /// Asks statx(2) about an open descriptor. `EACCES` for what is neither file nor folder.
    pub fn of(descriptor: RawFd) -> Result<Self, Errno> {
        Self::read(&statx(descriptor, c"", libc::AT_EMPTY_PATH)?)
    }

    /// Asks about one name in an open folder. A symbolic link is followed where it stays beneath
    /// that folder: what is outside the root is not told.
    ///
    /// # Errors
    /// `ENOENT` when the name, or what a link leads to, is gone; `EACCES` or `EPERM` for what is
    /// neither file nor folder and for a link that leads out of the folder, in circles, through a
    /// file, or that this kernel cannot follow safely. `EIO` and all others tell of the card or of
    /// the system.
    pub fn at(folder: RawFd, name: &CStr) -> Result<Self, Errno> {
        let answer = statx(folder, name, libc::AT_SYMLINK_NOFOLLOW)?;
        if answer.kind() != libc::S_IFLNK {
            return Self::read(&answer);
        }
        let target = open_beneath(folder, name, true).map_err(|errno| match errno {
            Errno::EXDEV
            | Errno::ELOOP
            | Errno::ENOTDIR
            | Errno::ENAMETOOLONG
            | Errno::ENXIO
            | Errno::ENOSYS => Errno::EACCES,
            errno => errno,
        })?;
        Self::of(target.as_raw_fd())
    }

    fn read(answer: &Statx) -> Result<Self, Errno> {
        let kind = answer.kind();
        if kind != libc::S_IFREG && kind != libc::S_IFDIR {
            return Err(Errno::EACCES);
        }
        let mtime = &answer.mtime;
        let mtime_ns = mtime
            .seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(mtime.nanoseconds.into());
        Ok(Self {
            is_folder: kind == libc::S_IFDIR,
            size: answer.size,
            mtime_ns,
            links: answer.links,
        })
    }
}

pub(super) fn statx(folder: RawFd, name: &CStr, flags: c_int) -> Result<Statx, Errno> {
    // STATX_TYPE, _NLINK, _MTIME, _SIZE, _MNT_ID, _MNT_ID_UNIQUE. What a kernel does not know it leaves
    // out: before Linux 6.8 a mount can have the number of an earlier one, before 5.8 it has none.
    const MASK: u32 = 0x0001 | 0x0004 | 0x0040 | 0x0200 | 0x1000 | 0x4000;
    let mut answer = MaybeUninit::<Statx>::zeroed();
    let room = answer.as_mut_ptr();
    // SAFETY: `answer` has the room of the kernel's struct statx.
    retry(|| unsafe {
        libc::syscall(libc::SYS_statx, folder, name.as_ptr(), flags, MASK, room) as i64
    })?;
    // SAFETY: the kernel has filled it in, and zeroes are a value of it, too.
    Ok(unsafe { answer.assume_init() })
}

/// `struct statx` of statx(2); libc has it for some C libraries only.
#[repr(C)]
pub(super) struct Statx {
    mask: u32,
    block_size: u32,
    attributes: u64,
    links: u32,
    user: u32,
    group: u32,
    mode: u16,
    spare_mode: u16,
    inode: u64,
    size: u64,
    blocks: u64,
    attributes_mask: u64,
    access: StatxTime,
    birth: StatxTime,
    change: StatxTime,
    mtime: StatxTime,
    special: [u32; 2],
    /// Major and minor number of the device that it lies on.
    pub(super) device: [u32; 2],
    /// The number of the mount that it lies on; 0 before Linux 5.8.
    pub(super) mount: u64,
    spare: [u64; 13],
}

impl Statx {
    fn kind(&self) -> u32 {
        u32::from(self.mode) & libc::S_IFMT
    }
}

#[repr(C)]
struct StatxTime {
    seconds: i64,
    nanoseconds: u32,
    spare: i32,
}

const _: () = assert!(size_of::<Statx>() == 256);

/// Reads from `offset` into the cars of `room`, leaving space for each one's length: preadv(2), or
/// with `cached_only` preadv2(2) with `RWF_NOWAIT`, which answers `EAGAIN` rather than wait for the
/// card. Returns the bytes of data; few or none mean the end of the file, or of what is cached.
pub fn read_cars(
    file: RawFd,
    room: &mut [u8],
    offset: u64,
    cached_only: bool,
) -> Result<usize, Errno> {
    let pieces = room
        .chunks_mut(CAR_SIZE_MAX)
        .map(|car| &mut car[CAR_HEAD_SIZE..]);
    let buffers: Buffers = pieces
        .map(|data| libc::iovec {
            iov_base: data.as_mut_ptr().cast(),
            iov_len: data.len(),
        })
        .collect();
    read_vector(file, &buffers, offset, cached_only)
}

type Buffers = heapless::Vec<libc::iovec, { BOARD.cars_per_batch_max }>;

/// Where kernel, file system or emulation lack `RWF_NOWAIT`, it waits.
fn read_vector(
    file: RawFd,
    buffers: &[libc::iovec],
    offset: u64,
    cached_only: bool,
) -> Result<usize, Errno> {
    static NO_WAIT_WORKS: AtomicBool = AtomicBool::new(true);
    const RWF_NOWAIT: c_int = 0x08;
    let count = buffers.len() as c_long;
    let (low, high) = (
        offset as c_long,
        (u128::from(offset) >> c_long::BITS) as c_long,
    );
    if cached_only && NO_WAIT_WORKS.load(Ordering::Relaxed) {
        // SAFETY: the buffers are writable for their lengths: both callers make them of slices. The
        // kernel takes the offset in two longs everywhere (preadv(2), "C library/kernel differences").
        match retry(|| unsafe {
            libc::syscall(
                libc::SYS_preadv2,
                file as c_long,
                buffers.as_ptr(),
                count,
                low,
                high,
                RWF_NOWAIT as c_long,
            )
        } as i64)
        {
            Err(Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::EINVAL) => {
                NO_WAIT_WORKS.store(false, Ordering::Relaxed)
            }
            result => return result,
        }
    }
    // SAFETY: as above.
    retry(|| unsafe {
        libc::syscall(
            libc::SYS_preadv,
            file as c_long,
            buffers.as_ptr(),
            count,
            low,
            high,
        )
    } as i64)
}

/// Reads at most `room` bytes from `offset`; see [`read_cars`] for `cached_only`.
pub fn read_at(
    file: RawFd,
    room: &mut [u8],
    offset: u64,
    cached_only: bool,
) -> Result<usize, Errno> {
    let buffer = libc::iovec {
        iov_base: room.as_mut_ptr().cast::<c_void>(),
        iov_len: room.len(),
    };
    read_vector(file, &[buffer], offset, cached_only)
}

/// Of what is advised at once the kernel fetches no more than the device's read-ahead, whose default
/// this is.
const READ_AHEAD_BYTES: u64 = 128 * 1024;

/// Asks the kernel to fetch a window of the file: posix_fadvise64 `WILLNEED`. Only advice.
pub fn advise_needed(file: RawFd, offset: u64, size: u64) {
    for from in (0..size).step_by(READ_AHEAD_BYTES as usize) {
        let (at, count) = (offset + from, READ_AHEAD_BYTES.min(size - from));
        // SAFETY: no memory is passed.
        unsafe {
            libc::posix_fadvise64(file, at as i64, count as i64, libc::POSIX_FADV_WILLNEED);
        }
    }
}

/// Sends at most `count` bytes of `file` from `offset` to a socket: sendfile64(2). 0 is the end of
/// the file.
pub fn send_file(socket: RawFd, file: RawFd, offset: u64, count: usize) -> Result<usize, Errno> {
    let mut offset = i64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel writes `offset` only.
    retry(|| unsafe { libc::sendfile64(socket, file, &raw mut offset, count) } as i64)
}

/// Entries of a folder as getdents64(2) gives them, in the caller's buffer.
pub struct Directory<'a> {
    bytes: &'a [u8],
}

/// Reads the next entries of `folder` into `buffer`. None left: an empty [`Directory`].
pub fn getdents(folder: RawFd, buffer: &mut [u8]) -> Result<Directory<'_>, Errno> {
    // SAFETY: the kernel writes at most the buffer's length.
    let size = retry(|| unsafe {
        libc::syscall(
            libc::SYS_getdents64,
            folder,
            buffer.as_mut_ptr(),
            buffer.len(),
        )
    } as i64)?;
    Ok(Directory {
        bytes: &buffer[..size],
    })
}

/// Goes back to a folder's first entry.
pub fn rewind(folder: RawFd) -> Result<(), Errno> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::lseek64(folder, 0, libc::SEEK_SET) }).map(drop)
}

impl<'a> Directory<'a> {
    /// The entries that [`getdents`] has put into these bytes, or the last ones of them.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Whether no entries are left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of the entries that are left.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}

impl<'a> Iterator for Directory<'a> {
    /// A name and its NUL.
    type Item = &'a CStr;

    fn next(&mut self) -> Option<&'a CStr> {
        // struct linux_dirent64: inode u64, offset i64, length u16, type u8, name.
        let length = usize::from(u16::from_ne_bytes(self.bytes.get(16..18)?.try_into().ok()?));
        let entry = self.bytes.get(..length)?;
        self.bytes = &self.bytes[length..];
        CStr::from_bytes_until_nul(entry.get(19..)?).ok()
    }
}
