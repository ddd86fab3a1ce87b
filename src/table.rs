//! A table of a fixed number of places, whose free ones form a list: taking and freeing one takes the same few steps
//! however many there are, and a place is touched only when those before it have been in use at once.

use core::marker::PhantomData;
use core::num::NonZeroU16;

/// A place that is taken in a [`Table`] of `T`. `None` of an `Option<Slot<T>>` is all zeroes.
pub struct Slot<T> {
    /// Its index + 1.
    number: NonZeroU16,
    table: PhantomData<fn() -> T>,
}

/// At most `N` values of `T`. All zeroes is an empty table, if all zeroes is the value that it is made of.
pub struct Table<T, const N: usize> {
    values: [T; N],
    /// Of a free place the next free one: 0 for none, else index + 1.
    next: [u16; N],
    first_free: u16,
    /// Places that were ever taken.
    touched: u16,
    taken: u16,
}

impl<T> Slot<T> {
    /// Where it is in its table, from 0 on.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.number.get() - 1)
    }
}

// By hand, for a slot can be copied whatever stands in it.
impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slot<T> {}

impl<T> PartialEq for Slot<T> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<T> Eq for Slot<T> {}

impl<T> core::fmt::Debug for Slot<T> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "Slot({})", self.index())
    }
}

impl<T, const N: usize> Table<T, N> {
    /// An empty table, made of values that stand for nothing.
    #[must_use]
    pub const fn new(values: [T; N]) -> Self {
        const { assert!(N > 0 && N < u16::MAX as usize) };
        Self {
            values,
            next: [0; N],
            first_free: 0,
            touched: 0,
            taken: 0,
        }
    }

    /// Takes a place, with whatever stands in it; `None` if all are taken.
    pub fn take(&mut self) -> Option<Slot<T>> {
        let number = match NonZeroU16::new(self.first_free) {
            Some(free) => {
                self.first_free = self.next[usize::from(free.get() - 1)];
                free
            }
            None if usize::from(self.touched) < N => {
                self.touched += 1;
                NonZeroU16::new(self.touched)?
            }
            None => return None,
        };
        self.taken += 1;
        Some(Slot {
            number,
            table: PhantomData,
        })
    }

    /// Frees a place, once; what stands in it stays.
    pub fn free(&mut self, slot: Slot<T>) {
        self.next[slot.index()] = self.first_free;
        self.first_free = slot.number.get();
        self.taken -= 1;
    }

    /// Places that are taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.taken.into()
    }

    /// Whether no place is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// What stands in a place.
    pub fn get(&mut self, slot: Slot<T>) -> &mut T {
        &mut self.values[slot.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_place_is_all_zeroes_and_costs_no_more_than_a_number() {
        assert_eq!(size_of::<Option<Slot<u64>>>(), size_of::<u16>());
    }

    #[test]
    fn places_are_taken_in_order_and_the_last_one_freed_comes_first() {
        let mut table = Table::new([0_u32; 4]);
        assert!(table.is_empty());
        let slots: Vec<_> = (0..4).map(|_| table.take().unwrap()).collect();
        assert!((0..4).eq(slots.iter().map(|slot| slot.index())));
        assert_eq!((table.take(), table.len()), (None, 4));
        for (value, slot) in slots.iter().enumerate() {
            *table.get(*slot) = value as u32;
        }
        table.free(slots[1]);
        table.free(slots[3]);
        assert_eq!(table.len(), 2);
        assert_eq!(table.take(), Some(slots[3]));
        assert_eq!(table.take(), Some(slots[1]));
        assert_eq!(table.take(), None);
        assert!((0..4).eq(slots.iter().map(|slot| *table.get(*slot))));
    }

    #[test]
    fn a_place_is_touched_only_when_those_before_it_are_taken() {
        let mut table = Table::new([(); 100]);
        for _ in 0..10 {
            let (first, second) = (table.take().unwrap(), table.take().unwrap());
            assert!(first.index() < 2 && second.index() < 2);
            table.free(first);
            table.free(second);
        }
        assert_eq!(table.touched, 2);
    }
}
