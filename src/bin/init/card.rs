//! The card: which there is, what of it is served, and that it may be pulled and put back at any time.

use std::fs;

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

use crate::console::say;
use crate::filesystem::{Kind, kind_of, mount_device};
use crate::system::make_folder;

/// Where the served partition is mounted.
pub(crate) const FOLDER: &str = "/card";
/// Where the boot partition is mounted while its settings are read.
const BOOT_FOLDER: &str = "/run/boot";
/// The owner's settings there.
const SETTINGS: &str = "/run/boot/trainyard.txt";
/// Settings are a page of text; more is somebody else's file.
const SETTINGS_BYTES_MAX: u64 = 64 * 1024;
/// How long a card that could not be mounted is left alone: a first read may fail while it settles, and
/// the kernel takes no card of the name of one that the server still holds.
const AGAIN_MS: u64 = 500;
/// How long a card must have looked the same before it is used: the kernel shows one before it has found
/// its partitions.
const SETTLED_MS: u64 = 100;

/// A card in its slot. The kernel gives each a number that it never gives again, so that a card that
/// was swapped between two looks is not taken for the one before.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Disk {
    /// As in /sys/block.
    name: String,
    number: String,
    /// The names of those found so far.
    partitions: Vec<String>,
}

impl Disk {
    /// The first card there is.
    fn first() -> Option<Self> {
        let names = fs::read_dir("/sys/block").ok()?.flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        // A chip on the board has boot areas beside it, which are no cards.
        let mut names: Vec<String> = names
            .filter(|name| name.starts_with("mmcblk") && !name.contains("boot"))
            .collect();
        names.sort();
        names.into_iter().find_map(Self::named)
    }

    fn named(name: String) -> Option<Self> {
        let number = fs::read_to_string(format!("/sys/block/{name}/diskseq")).ok()?;
        let prefix = format!("{name}p");
        let entries = fs::read_dir(format!("/sys/block/{name}")).ok()?.flatten();
        let entries = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut partitions: Vec<String> =
            entries.filter(|entry| entry.starts_with(&prefix)).collect();
        partitions.sort();
        Some(Self {
            name,
            number,
            partitions,
        })
    }

    fn is_there(&self) -> bool {
        Self::named(self.name.clone()).as_ref() == Some(self)
    }

    /// A partition's device, if there is one of this number.
    fn partition(&self, number: u32) -> Option<String> {
        let name = format!("{0}p{number}", self.name);
        let is_found = self.partitions.contains(&name);
        is_found.then(|| format!("/dev/{name}"))
    }

    /// What of it is served: the second partition, as the first is the one to boot from; or the only
    /// one; or all of a card without partitions.
    fn served(&self) -> String {
        let partition = self.partition(2).or_else(|| self.partition(1));
        partition.unwrap_or_else(|| format!("/dev/{}", self.name))
    }

    /// Has the kernel refuse every write to it, whoever asks.
    fn forbid_writes(&self) {
        let path = format!("/sys/block/{}/force_ro", self.name);
        if let Err(error) = fs::write(&path, "1") {
            say!("{path}: cannot be set, the mount alone is read-only: {error}");
        }
    }

    /// 512-byte sectors written since it was put in.
    fn sectors_written(&self) -> Option<u64> {
        let counters = fs::read_to_string(format!("/sys/block/{}/stat", self.name)).ok()?;
        counters.split_ascii_whitespace().nth(6)?.parse().ok()
    }
}

/// What has become of the card.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    /// There is one, and it is mounted.
    Came,
    /// It was pulled. Its mount is gone from the tree, and goes altogether once the server lets go.
    Went,
}

/// The card that was seen last, and since when it has looked like that.
#[derive(Default)]
struct Sighting {
    disk: Option<Disk>,
    since_ms: u64,
}

impl Sighting {
    /// Takes what is seen now; the card, once it has settled.
    fn take(&mut self, seen: Option<Disk>, now_ms: u64) -> Option<Disk> {
        if self.disk != seen {
            self.disk = seen;
            self.since_ms = now_ms;
        }
        let is_settled = now_ms - self.since_ms >= SETTLED_MS;
        self.disk.clone().filter(|_| is_settled)
    }
}

/// The slot.
#[derive(Default)]
pub(crate) struct Slot {
    seen: Sighting,
    mounted: Option<Disk>,
    /// One that could not be mounted, and when it is tried again.
    refused: Option<(Disk, u64)>,
}

impl Slot {
    /// The owner's settings from the first partition of the first card: `None` while there is no card,
    /// nothing where it has no such file. To be called until there is one, or it is given up.
    pub(crate) fn read_settings(&mut self, now_ms: u64) -> Option<Vec<u8>> {
        let disk = self.seen.take(Disk::first(), now_ms)?;
        let Some(device) = disk.partition(1) else {
            return Some(Vec::new());
        };
        disk.forbid_writes();
        let read = read_settings_of(&device);
        Some(read.unwrap_or_else(|reason| {
            say!("settings: {device}: {reason}");
            Vec::new()
        }))
    }

    /// Mounts a card that came, if it may, unmounts one that went. To be called a few times a second.
    pub(crate) fn look(&mut self, may_mount: bool, now_ms: u64) -> Option<Change> {
        if let Some(disk) = &self.mounted {
            if disk.is_there() {
                return None;
            }
            say!("card: {} was pulled", disk.name);
            self.mounted = None;
            detach();
            return Some(Change::Went);
        }
        let disk = self.seen.take(Disk::first(), now_ms);
        let disk = disk.filter(|_| may_mount)?;
        let is_early = |(refused, again): &(Disk, u64)| *refused == disk && now_ms < *again;
        if self.refused.as_ref().is_some_and(is_early) {
            return None;
        }
        let is_new = self
            .refused
            .take()
            .is_none_or(|(refused, _)| refused != disk);
        match mount_served(&disk) {
            Ok((device, kind)) => {
                say!("card: {device} mounted, {}", kind.name());
                self.mounted = Some(disk);
                Some(Change::Came)
            }
            Err(reason) => {
                if is_new {
                    say!("card: {reason}");
                }
                self.refused = Some((disk, now_ms + AGAIN_MS));
                None
            }
        }
    }

    /// Lets go of the card for good, before the system ends.
    pub(crate) fn close(&mut self) {
        let Some(disk) = self.mounted.take() else {
            return;
        };
        if let Err(errno) = umount2(FOLDER, MntFlags::empty()) {
            say!("card: {FOLDER} cannot be unmounted: {}", errno.desc());
            detach();
        }
        if let Some(sectors) = disk.sectors_written() {
            say!("card: {sectors} sectors written");
        }
    }
}

/// Takes the mount out of the tree at once. What the server holds of it stays until that lets go, but
/// nothing can be opened there any more.
fn detach() {
    match umount2(FOLDER, MntFlags::MNT_DETACH) {
        // Not mounted, which is what was wanted.
        Ok(()) | Err(Errno::EINVAL) => {}
        Err(errno) => say!("card: {FOLDER} cannot be detached: {}", errno.desc()),
    }
}

fn mount_served(disk: &Disk) -> Result<(String, Kind), String> {
    let device = disk.served();
    disk.forbid_writes();
    let kind = kind_of(&device)
        .map_err(|error| format!("{device}: cannot be read: {error}"))?
        .ok_or_else(|| format!("{device}: holds neither ext4 nor FAT nor exFAT; format it so"))?;
    mount_device(&device, FOLDER, kind).map_err(|errno| {
        format!(
            "{device}: cannot be mounted as {}: {}",
            kind.name(),
            errno.desc()
        )
    })?;
    Ok((device, kind))
}

fn read_settings_of(device: &str) -> Result<Vec<u8>, String> {
    use std::io::Read;

    let kind = kind_of(device).map_err(|error| error.to_string())?;
    if kind != Some(Kind::Vfat) {
        return Ok(Vec::new());
    }
    make_folder(BOOT_FOLDER);
    mount_device(device, BOOT_FOLDER, Kind::Vfat).map_err(|errno| errno.desc().to_string())?;
    let mut bytes = Vec::new();
    let read = fs::File::open(SETTINGS)
        .and_then(|file| file.take(SETTINGS_BYTES_MAX).read_to_end(&mut bytes));
    if let Err(errno) = umount2(BOOT_FOLDER, MntFlags::MNT_DETACH) {
        say!(
            "settings: {BOOT_FOLDER} cannot be unmounted: {}",
            errno.desc()
        );
    }
    match read {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.to_string()),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(number: &str, partitions: &[&str]) -> Disk {
        Disk {
            name: "mmcblk0".into(),
            number: number.into(),
            partitions: partitions.iter().copied().map(String::from).collect(),
        }
    }

    #[test]
    fn a_card_is_used_once_its_partitions_are_found() {
        let mut seen = Sighting::default();
        let bare = disk("1", &[]);
        let half = disk("1", &["mmcblk0p1"]);
        let whole = disk("1", &["mmcblk0p1", "mmcblk0p2"]);
        let swapped = disk("2", &["mmcblk0p1", "mmcblk0p2"]);
        assert_eq!(seen.take(None, 5000), None);
        assert_eq!(seen.take(Some(bare), 5050), None);
        assert_eq!(seen.take(Some(half), 5150), None);
        assert_eq!(seen.take(Some(whole.clone()), 5200), None);
        assert_eq!(seen.take(Some(whole.clone()), 5299), None);
        assert_eq!(seen.take(Some(whole.clone()), 5300), Some(whole));
        assert_eq!(seen.take(Some(swapped.clone()), 5500), None);
        assert_eq!(seen.take(None, 5700), None);
        assert_eq!(seen.take(Some(swapped.clone()), 5900), None, "put in anew");
        assert_eq!(seen.take(Some(swapped.clone()), 6100), Some(swapped));
    }

    #[test]
    fn the_second_partition_is_served_or_the_only_one_or_all() {
        let whole = disk("1", &["mmcblk0p1", "mmcblk0p10", "mmcblk0p2"]);
        assert_eq!(whole.served(), "/dev/mmcblk0p2");
        assert_eq!(disk("1", &["mmcblk0p1"]).served(), "/dev/mmcblk0p1");
        assert_eq!(disk("1", &[]).served(), "/dev/mmcblk0");
    }
}
