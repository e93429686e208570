//! What an errno means, in the words of the C library: s6's messages end with them, and people search for them.

use crate::sys::Errno;
use core::fmt;

/// Displays an errno as strerror(3) does; one that is not in the table as `errno N`.
pub struct Reason(pub Errno);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.raw_os_error();
        match TABLE.iter().find(|(n, _)| i32::from(*n) == number) {
            Some((_, text)) => f.write_str(text),
            None => write!(f, "errno {number}"),
        }
    }
}

const TABLE: [(u8, &str); 58] = [
    (0, "Success"),
    (1, "Operation not permitted"),
    (2, "No such file or directory"),
    (3, "No such process"),
    (4, "Interrupted system call"),
    (5, "Input/output error"),
    (6, "No such device or address"),
    (7, "Argument list too long"),
    (8, "Exec format error"),
    (9, "Bad file descriptor"),
    (10, "No child processes"),
    (11, "Resource temporarily unavailable"),
    (12, "Cannot allocate memory"),
    (13, "Permission denied"),
    (14, "Bad address"),
    (15, "Block device required"),
    (16, "Device or resource busy"),
    (17, "File exists"),
    (18, "Invalid cross-device link"),
    (19, "No such device"),
    (20, "Not a directory"),
    (21, "Is a directory"),
    (22, "Invalid argument"),
    (23, "Too many open files in system"),
    (24, "Too many open files"),
    (25, "Inappropriate ioctl for device"),
    (26, "Text file busy"),
    (27, "File too large"),
    (28, "No space left on device"),
    (29, "Illegal seek"),
    (30, "Read-only file system"),
    (31, "Too many links"),
    (32, "Broken pipe"),
    (34, "Numerical result out of range"),
    (36, "File name too long"),
    (38, "Function not implemented"),
    (39, "Directory not empty"),
    (40, "Too many levels of symbolic links"),
    (71, "Protocol error"),
    (75, "Value too large for defined data type"),
    (76, "Name not unique on network"),
    (88, "Socket operation on non-socket"),
    (90, "Message too long"),
    (91, "Protocol wrong type for socket"),
    (92, "Protocol not available"),
    (93, "Protocol not supported"),
    (95, "Operation not supported"),
    (97, "Address family not supported by protocol"),
    (98, "Address already in use"),
    (99, "Cannot assign requested address"),
    (100, "Network is down"),
    (101, "Network is unreachable"),
    (104, "Connection reset by peer"),
    (105, "No buffer space available"),
    (107, "Transport endpoint is not connected"),
    (110, "Connection timed out"),
    (111, "Connection refused"),
    (113, "No route to host"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_the_c_librarys() {
        for (number, text) in TABLE {
            // SAFETY: strerror returns a C string; tests of this module run it from one thread.
            #[allow(unsafe_code)]
            let expected = unsafe { std::ffi::CStr::from_ptr(libc::strerror(number.into())) };
            assert_eq!(text, expected.to_str().unwrap());
        }
    }
}
