//! Choices read from bytes. Where the bytes end every choice is the first one, so that fewer bytes make something simpler.

/// The bytes that are left.
pub struct Choices<'a> {
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Choices<'a> {
    /// The choices that these bytes make.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes: bytes.iter(),
        }
    }

    fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or(0)
    }

    fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// A number from nothing to `most`.
    pub fn up_to(&mut self, most: usize) -> usize {
        if most < usize::from(u8::MAX) {
            usize::from(self.byte()) % (most + 1)
        } else {
            usize::try_from(self.number() >> 1).unwrap_or(0) % (most + 1)
        }
    }

    /// One of several. `None` where there is nothing to choose from.
    pub fn of<'b, T>(&mut self, several: &'b [T]) -> Option<&'b T> {
        let last = several.len().checked_sub(1)?;
        several.get(self.up_to(last))
    }

    /// True once in so many times, and never without bytes.
    pub fn one_in(&mut self, times: u8) -> bool {
        self.byte() % times == times - 1
    }

    /// A whole number between two bounds, which are as likely as all between them: mistakes live at the edges.
    pub(crate) fn between(&mut self, least: i64, most: i64) -> i64 {
        match self.byte() % 8 {
            0 | 1 => least,
            2 => most,
            3..=5 => least.saturating_add(i64::from(self.byte())).min(most),
            _ => {
                let width = u128::try_from(i128::from(most) - i128::from(least)).unwrap_or(0) + 1;
                let offset = i128::try_from(u128::from(self.number()) % width).unwrap_or(0);
                i64::try_from(i128::from(least) + offset).unwrap_or(least)
            }
        }
    }
}
