//! A selection: the first entries of a folder of any size in some order, in fixed memory, sorted. It is a bounded
//! top-k: when the room is full, the half that comes last in the order is dropped, and from then on all that would
//! come behind the last one that was kept.

use crate::entry::{By, Order};
use crate::limits::{BOARD, NAME_MAX};

/// Bytes for items: each is a key (not where the order is by name), the length of a name in two bytes, a
/// name.
const ROOM_BYTES: usize = BOARD.listing_bytes;
/// Items at most: enough for names of 30 bytes.
const ITEMS_MAX: usize = ROOM_BYTES / 32;
/// Bytes of the longest item.
const ITEM_BYTES_MAX: usize = 8 + LENGTH_BYTES + NAME_MAX;
/// Bytes of a name's length.
const LENGTH_BYTES: usize = size_of::<u16>();

const _: () = assert!(
    ROOM_BYTES / ITEM_BYTES_MAX >= 2,
    "a cut leaves half of the items"
);

/// Where the last item stands that was kept at the last cut.
const BOUND: u32 = 0;

/// An entry as an order sees it: its key by [`Order::key`], and its name.
pub(super) type Item<'a> = (u64, &'a [u8]);

/// The first of the entries offered that follow a certain one. All zeroes is empty, by name.
pub(super) struct Selection {
    room: [u8; ROOM_BYTES],
    offsets: [u32; ITEMS_MAX],
    used: usize,
    count: usize,
    order: Order,
    /// Some entry offered found no room: those kept are all before it.
    cut: bool,
}

impl Selection {
    pub(super) const fn new() -> Self {
        Self {
            room: [0; ROOM_BYTES],
            offsets: [0; ITEMS_MAX],
            used: 0,
            count: 0,
            order: Order::NAME,
            cut: false,
        }
    }

    /// Forgets all entries; those offered from now on are kept in this order.
    pub(super) fn clear(&mut self, order: Order) {
        (self.used, self.count, self.order, self.cut) = (0, 0, order, false);
    }

    /// The order of its entries.
    pub(super) fn order(&self) -> Order {
        self.order
    }

    /// Entries that are kept.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Whether more entries were offered than are kept, all of them behind those.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// The entry with this index, in sorted order after [`Selection::sort`].
    pub(super) fn item(&self, index: usize) -> Item<'_> {
        assert!(index < self.count);
        item_at(&self.room, self.offsets[index], self.order)
    }

    /// Keeps `item` if it follows `after` and is among the first. Every item follows a name of no
    /// bytes.
    pub(super) fn offer(&mut self, item: Item<'_>, after: Item<'_>) {
        let (key, name) = item;
        assert!((1..=NAME_MAX).contains(&name.len()), "the walk has looked");
        if !after.1.is_empty() && self.order.compare(item, after).is_le() {
            return;
        }
        let key_bytes = key.to_ne_bytes();
        let key_size = key_size(self.order);
        let size = key_size + LENGTH_BYTES + name.len();
        if self.count == ITEMS_MAX || self.used + size > ROOM_BYTES {
            self.keep_first_half();
        }
        // After a cut the last item kept is the bound: items behind it may lie before others that
        // were dropped, and would leave a gap.
        let bound = || item_at(&self.room, BOUND, self.order);
        if self.cut && self.order.compare(item, bound()).is_gt() {
            return;
        }
        let room = &mut self.room[self.used..][..size];
        room[..key_size].copy_from_slice(&key_bytes[..key_size]);
        let (length, name_room) = room[key_size..].split_at_mut(LENGTH_BYTES);
        length.copy_from_slice(&(name.len() as u16).to_ne_bytes());
        name_room.copy_from_slice(name);
        self.offsets[self.count] = self.used as u32;
        self.used += size;
        self.count += 1;
    }

    /// Sorts the entries kept.
    pub(super) fn sort(&mut self) {
        let (room, order) = (&self.room, self.order);
        self.offsets[..self.count].sort_unstable_by(|left, right| {
            order.compare(item_at(room, *left, order), item_at(room, *right, order))
        });
    }

    fn keep_first_half(&mut self) {
        self.sort();
        self.cut = true;
        let keep = self.count / 2;
        assert!(keep > 0, "the room holds hundreds of the longest names");
        let mut bound = [0; ITEM_BYTES_MAX];
        let bound_size = self.size_at(self.offsets[keep - 1]);
        bound[..bound_size]
            .copy_from_slice(&self.room[self.offsets[keep - 1] as usize..][..bound_size]);
        // The bound goes first (BOUND), then the others in the order in which they lie, so that each moves
        // down over room that is free already. They are pushed up by the bound's size first.
        let others = keep - 1;
        self.offsets[..others].sort_unstable();
        let mut end = 0;
        for index in 0..others {
            let from = self.offsets[index] as usize;
            let size = self.size_at(self.offsets[index]);
            self.room.copy_within(from..from + size, end);
            self.offsets[index] = end as u32;
            end += size;
        }
        self.room.copy_within(..end, bound_size);
        self.offsets[..others]
            .iter_mut()
            .for_each(|offset| *offset += bound_size as u32);
        self.room[..bound_size].copy_from_slice(&bound[..bound_size]);
        self.offsets[others] = BOUND;
        (self.used, self.count) = (end + bound_size, keep);
    }

    fn size_at(&self, offset: u32) -> usize {
        let (_, name) = item_at(&self.room, offset, self.order);
        key_size(self.order) + LENGTH_BYTES + name.len()
    }
}

/// Bytes of the key before each name.
fn key_size(order: Order) -> usize {
    if order.by == By::Name { 0 } else { 8 }
}

fn item_at(room: &[u8], offset: u32, order: Order) -> Item<'_> {
    let (key, rest) = room[offset as usize..].split_at(key_size(order));
    let key = key.try_into().map_or(0, u64::from_ne_bytes);
    let (length, rest) = rest.split_first_chunk().expect("an offset within the room");
    (key, &rest[..usize::from(u16::from_ne_bytes(*length))])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: [Order; 4] = {
        const fn order(by: By, descending: bool) -> Order {
            Order { by, descending }
        }
        [
            Order::NAME,
            order(By::Name, true),
            order(By::Size, false),
            order(By::Date, true),
        ]
    };

    fn boxed(order: Order) -> Box<Selection> {
        let mut selection = Box::new(Selection::new());
        selection.clear(order);
        selection
    }

    #[test]
    fn passes_over_a_folder_of_any_size_give_every_entry_once_in_order() {
        for order in ORDERS {
            let mut items: Vec<(u64, Vec<u8>)> = (0..100_000_u64)
                .map(|i| {
                    let mut name =
                        format!("{:016x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes();
                    name.resize(16 + (i % 40) as usize, b'.');
                    let key = if order.by == By::Name { 0 } else { i % 1000 };
                    (key, name)
                })
                .collect();
            let mut selection = boxed(order);
            let (mut got, mut passes) = (Vec::<(u64, Vec<u8>)>::new(), 0);
            loop {
                selection.clear(order);
                let after = got.last().cloned().unwrap_or_default();
                for (key, name) in &items {
                    selection.offer((*key, name), (after.0, &after.1));
                }
                selection.sort();
                got.extend((0..selection.len()).map(|index| {
                    let (key, name) = selection.item(index);
                    (key, name.to_vec())
                }));
                passes += 1;
                if !selection.is_cut() {
                    break;
                }
            }
            items.sort_by(|left, right| order.compare((left.0, &left.1), (right.0, &right.1)));
            assert!(got == items, "{order:?}");
            assert!((2..30).contains(&passes), "{passes} passes");
        }
    }

    #[test]
    fn the_longest_names_find_room_too() {
        for order in ORDERS {
            let mut selection = boxed(order);
            for i in 0..20_000_u32 {
                let mut name = vec![0xff; NAME_MAX];
                name[..4].copy_from_slice(
                    &(i.wrapping_mul(2_654_435_761))
                        .to_be_bytes()
                        .map(|byte| byte | 1),
                );
                selection.offer((u64::from(i % 3), &name), (0, b""));
            }
            selection.sort();
            assert!(selection.len() > 40 && selection.is_cut());
            assert!((1..selection.len()).all(|index| {
                let (before, item) = (selection.item(index - 1), selection.item(index));
                order.compare(before, item).is_le()
            }));
        }
    }
}
