//! A selection: the smallest names of a folder of any size, in fixed memory, sorted.

use crate::limits::BOARD;

/// Bytes for names, each with its length before it.
const ROOM_BYTES: usize = BOARD.listing_bytes;
/// Names at most: enough for names of 31 bytes.
const NAMES_MAX: usize = ROOM_BYTES / 32;

/// Where the greatest name stands that was kept at the last cut.
const BOUND: u32 = 0;

/// The smallest of the names offered that are greater than a first one. All zeroes is empty.
pub(super) struct Selection {
    room: [u8; ROOM_BYTES],
    offsets: [u32; NAMES_MAX],
    used: usize,
    count: usize,
    /// Some name offered found no room: those kept are all smaller.
    cut: bool,
}

impl Selection {
    pub(super) const fn new() -> Self {
        Self {
            room: [0; ROOM_BYTES],
            offsets: [0; NAMES_MAX],
            used: 0,
            count: 0,
            cut: false,
        }
    }

    /// Forgets all names.
    pub(super) fn clear(&mut self) {
        (self.used, self.count, self.cut) = (0, 0, false);
    }

    /// Names that are kept.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Whether greater names than those kept were offered.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// The name with this index, in sorted order after [`Selection::sort`].
    pub(super) fn name(&self, index: usize) -> &[u8] {
        assert!(index < self.count);
        name_at(&self.room, self.offsets[index])
    }

    /// Keeps `name` if it is greater than `after` and among the smallest.
    pub(super) fn offer(&mut self, name: &[u8], after: &[u8]) {
        assert!(!name.is_empty() && name.len() <= 255, "NAME_MAX");
        if name <= after {
            return;
        }
        if self.count == NAMES_MAX || self.used + 1 + name.len() > ROOM_BYTES {
            self.keep_smaller_half();
        }
        // After a cut the greatest name kept is last: names behind it may lie before others that
        // were dropped, and would leave a gap.
        if self.cut && name > name_at(&self.room, BOUND) {
            return;
        }
        self.room[self.used] = name.len() as u8;
        self.room[self.used + 1..][..name.len()].copy_from_slice(name);
        self.offsets[self.count] = self.used as u32;
        self.used += 1 + name.len();
        self.count += 1;
    }

    /// Sorts the names kept by their bytes.
    pub(super) fn sort(&mut self) {
        let room = &self.room;
        self.offsets[..self.count]
            .sort_unstable_by(|a, b| name_at(room, *a).cmp(name_at(room, *b)));
    }

    fn keep_smaller_half(&mut self) {
        self.sort();
        self.cut = true;
        let keep = self.count / 2;
        assert!(keep > 0, "the room holds hundreds of the longest names");
        let mut bound = [0; 256];
        let bound_size = 1 + usize::from(self.room[self.offsets[keep - 1] as usize]);
        bound[..bound_size]
            .copy_from_slice(&self.room[self.offsets[keep - 1] as usize..][..bound_size]);
        // The bound goes first (BOUND), then the others in the order in which they lie, so that each moves
        // down over room that is free already. They are pushed up by the bound's size first.
        let others = keep - 1;
        self.offsets[..others].sort_unstable();
        let mut end = 0;
        for index in 0..others {
            let from = self.offsets[index] as usize;
            let size = 1 + usize::from(self.room[from]);
            self.room.copy_within(from..from + size, end);
            self.offsets[index] = end as u32;
            end += size;
        }
        self.room.copy_within(..end, bound_size);
        self.offsets[..others]
            .iter_mut()
            .for_each(|offset| *offset += bound_size as u32);
        self.room[..bound_size].copy_from_slice(&bound[..bound_size]);
        self.offsets[others] = 0;
        (self.used, self.count) = (end + bound_size, keep);
    }
}

fn name_at(room: &[u8], offset: u32) -> &[u8] {
    let (length, rest) = room[offset as usize..]
        .split_first()
        .expect("an offset within the room");
    &rest[..usize::from(*length)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed() -> Box<Selection> {
        Box::new(Selection::new())
    }

    #[test]
    fn passes_over_a_folder_of_any_size_give_every_name_once_in_order() {
        let mut names: Vec<Vec<u8>> = (0..100_000_u64)
            .map(|i| {
                let mut name =
                    format!("{:016x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes();
                name.resize(16 + (i % 40) as usize, b'.');
                name
            })
            .collect();
        let mut selection = boxed();
        let (mut got, mut passes) = (Vec::new(), 0);
        loop {
            selection.clear();
            let after: Vec<u8> = got.last().cloned().unwrap_or_default();
            names.iter().for_each(|name| selection.offer(name, &after));
            selection.sort();
            got.extend((0..selection.len()).map(|index| selection.name(index).to_vec()));
            passes += 1;
            if !selection.is_cut() {
                break;
            }
        }
        names.sort();
        assert!(got == names);
        assert!((2..20).contains(&passes), "{passes} passes");
    }

    #[test]
    fn the_longest_names_find_room_too() {
        let mut selection = boxed();
        for i in 0..20_000_u32 {
            let mut name = vec![0xff; 255];
            name[..4].copy_from_slice(
                &(i.wrapping_mul(2_654_435_761))
                    .to_be_bytes()
                    .map(|byte| byte | 1),
            );
            selection.offer(&name, b"");
        }
        selection.sort();
        assert!(selection.len() > 100 && selection.is_cut());
        assert!(
            (1..selection.len()).all(|index| selection.name(index - 1) <= selection.name(index))
        );
    }
}
