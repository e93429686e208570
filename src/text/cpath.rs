//! A path (or any C string) being put together in a fixed buffer.

use core::ffi::CStr;

/// At most `N - 1` bytes and a NUL. A piece that does not fit, or holds a NUL, makes the whole invalid rather than
/// short: [`CPath::get`] then answers `None`.
#[derive(Clone)]
pub struct CPath<const N: usize = 512> {
    bytes: [u8; N],
    len: usize,
    broken: bool,
}

impl<const N: usize> CPath<N> {
    /// An empty path.
    pub const fn new() -> Self {
        CPath { bytes: [0; N], len: 0, broken: false }
    }

    /// The pieces, one after the other.
    pub fn of(pieces: &[&[u8]]) -> Self {
        let mut path = Self::new();
        for piece in pieces {
            path.push(piece);
        }
        path
    }

    /// Appends a piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.broken |= !append(&mut self.bytes, &mut self.len, piece);
    }

    /// Cuts back to `len` bytes; `len` as [`CPath::len`] gave it earlier.
    pub fn truncate(&mut self, len: usize) {
        if len <= self.len {
            self.len = len;
            self.bytes[len] = 0;
            self.broken = false;
        }
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing so far.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The whole, unless something did not fit.
    pub fn get(&self) -> Option<&CStr> {
        if self.broken {
            return None;
        }
        CStr::from_bytes_with_nul(self.bytes.get(..=self.len)?).ok()
    }

    /// The whole, or ENAMETOOLONG.
    pub fn path(&self) -> crate::sys::Result<&CStr> {
        self.get().ok_or(crate::sys::Errno::NAMETOOLONG)
    }

    /// The bytes, without NUL.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Once for all lengths. False: it does not fit.
fn append(bytes: &mut [u8], len: &mut usize, piece: &[u8]) -> bool {
    let end = *len + piece.len();
    match bytes.get_mut(*len..=end) {
        Some([room @ .., nul]) if !piece.contains(&0) => {
            room.copy_from_slice(piece);
            *nul = 0;
            *len = end;
            true
        }
        _ => false,
    }
}

impl<const N: usize> Default for CPath<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::CPath;

    #[test]
    fn what_does_not_fit_makes_the_path_invalid_not_short() {
        assert_eq!(CPath::<4>::of(&[b"a", b"bc"]).get(), Some(c"abc"));
        assert_eq!(CPath::<4>::of(&[b"ab", b"cd"]).get(), None);
        assert_eq!(CPath::<8>::of(&[b"a\0b"]).get(), None);
    }

    #[test]
    fn truncating_brings_back_an_earlier_path() {
        let mut path = CPath::<8>::of(&[b"run"]);
        let len = path.len();
        path.push(b"/far/too/long");
        assert_eq!(path.get(), None);
        path.truncate(len);
        assert_eq!(path.get(), Some(c"run"));
    }
}
