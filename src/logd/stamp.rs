//! Time stamps in front of lines: made once for all lines that have come at one time.

/// Both kinds of stamps of one time.
pub struct Stamps {
    tai: [u8; 26],
    local: [u8; 31],
}

impl Stamps {
    /// Of 1970. Reads the machine's time zone.
    pub fn new() -> Stamps {
        todo!()
    }

    /// Makes them those of a wall-clock time.
    pub fn set(&mut self, _sec: u64, _nano: u32) {
        todo!()
    }

    /// `@4000000…` and a space.
    pub fn tai(&self) -> &[u8] {
        &self.tai
    }

    /// `2026-11-22 09:25:06.988537991` and two spaces.
    pub fn local(&self) -> &[u8] {
        &self.local
    }
}

impl Default for Stamps {
    fn default() -> Self {
        Self::new()
    }
}
