//! Text cells as codes into the list of different values, built cell by cell.

use crate::table::{MISSING, Text};

/// Builds a text column; each different value is held once and found again without an allocation.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    text: Text,
    /// Open-addressing hash table; its length is a power of two.
    slots: Vec<Slot>,
}

/// A place of the hash table. The hash beside the code spares most looks at the values, which lie all over memory.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    /// [`MISSING`] where the place is free.
    code: u32,
}

const FREE: Slot = Slot { hash: 0, code: MISSING };

impl Dictionary {
    /// Starts with `rows` missing cells.
    pub(super) fn with_missing(rows: usize) -> Self {
        Self { text: Text { codes: vec![MISSING; rows], values: Vec::new() }, slots: Vec::new() }
    }

    /// Makes room for this many cells, where there is so much memory.
    pub(super) fn reserve(&mut self, rows: usize) {
        // The number of rows is a file's own word: room for too many is no reason to fail.
        let _ = self.text.codes.try_reserve_exact(rows.saturating_sub(self.text.codes.len()));
    }

    /// Appends a missing cell.
    pub(super) fn push_missing(&mut self) {
        self.text.codes.push(MISSING);
    }

    /// Appends a cell; bytes that are not UTF-8 become replacement characters.
    pub(super) fn push(&mut self, cell: &[u8]) {
        if self.text.values.len() * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let hash = hash(cell);
        let mut place = hash as usize & mask;
        loop {
            let slot = self.slots[place];
            if slot.code == MISSING {
                break;
            }
            if slot.hash == hash && self.text.values[slot.code as usize].as_bytes() == cell {
                self.text.codes.push(slot.code);
                return;
            }
            place = (place + 1) & mask;
        }
        let code = self.text.values.len() as u32;
        self.slots[place] = Slot { hash, code };
        self.text.values.push(String::from_utf8_lossy(cell).into_owned());
        self.text.codes.push(code);
    }

    /// The finished column.
    pub(super) fn finish(mut self) -> Text {
        self.text.codes.shrink_to_fit();
        self.text.values.shrink_to_fit();
        self.text
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(16);
        let slots = std::mem::replace(&mut self.slots, vec![FREE; size]);
        for slot in slots.into_iter().filter(|slot| slot.code != MISSING) {
            let mut place = slot.hash as usize & (size - 1);
            while self.slots[place].code != MISSING {
                place = (place + 1) & (size - 1);
            }
            self.slots[place] = slot;
        }
    }
}

/// Hashes eight bytes at a time by multiplying and folding, as wyhash does.
fn hash(bytes: &[u8]) -> u32 {
    const KEY: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * u128::from(KEY);
        product as u64 ^ (product >> 64) as u64
    };
    let mut state = KEY ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = fold(state, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    fold(fold(state, u64::from_le_bytes(last)), KEY) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_one_code() {
        let mut dictionary = Dictionary::with_missing(1);
        let cells: Vec<String> = (0..5000).map(|i| format!("value {}", i % 1234)).collect();
        cells.iter().for_each(|cell| dictionary.push(cell.as_bytes()));
        dictionary.push_missing();
        let text = dictionary.finish();
        assert_eq!((text.values.len(), text.codes.len()), (1234, 5002));
        assert_eq!((text.get(0), text.get(5001)), (None, None));
        for (row, cell) in cells.iter().enumerate() {
            assert_eq!(text.get(row + 1), Some(cell.as_str()));
        }
    }
}
