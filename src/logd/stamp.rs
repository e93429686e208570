//! Time stamps in front of lines: made once for all lines that have come at one time. Where local time is known from.

use crate::limits::{ZONE_FILE, ZONE_PATH};
use crate::sys::args::{self, Env};
use crate::sys::{Errno, Fd, file, pages};
use crate::text::CPath;
use crate::text::date::Civil;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::text::tai::Stamp;
use crate::text::zone::Zone;
use core::ffi::CStr;
use core::fmt::{self, Display};

/// Both kinds of stamps of one time.
pub struct Stamps {
    dates: Dates,
    /// The label whose digits are in `tai`.
    sec: u64,
    tai: [u8; 26],
    local: [u8; LOCAL],
    /// How much of `local` is the date.
    date: usize,
}

/// Room for the longest date, nine digits and their point, two spaces.
const LOCAL: usize = Civil::SIZE + 10 + 2;

impl Stamps {
    /// Of 1970. Reads the machine's time zone: see [`Dates::of_machine`].
    pub fn new() -> Stamps {
        Stamps::with(Dates::of_machine(args::original().map(args::Args::env)))
    }

    /// As [`Stamps::new`], for who has no use for local time: it reads nothing, and that is UTC.
    pub fn utc() -> Stamps {
        Stamps::with(Dates::utc())
    }

    fn with(dates: Dates) -> Stamps {
        let mut stamps = Stamps { dates, sec: 0, tai: [b' '; 26], local: [b' '; LOCAL], date: 0 };
        stamps.set(0, 0);
        stamps
    }

    /// Why local time is UTC although something else was asked for.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.dates.trouble()
    }

    /// Makes them those of a wall-clock time.
    pub fn set(&mut self, sec: u64, nano: u32) {
        let stamp = Stamp::from_unix(sec, nano);
        if stamp.sec != self.sec {
            self.sec = stamp.sec;
            self.tai[..25].copy_from_slice(&stamp.to_text());
            if let Some(date) = self.dates.of(stamp) {
                self.local[..date.len()].copy_from_slice(date);
                self.date = date.len();
            }
        } else {
            let mut nano = nano;
            for digit in self.tai[17..25].iter_mut().rev() {
                *digit = b"0123456789abcdef"[nano as usize & 15];
                nano >>= 4;
            }
        }
        let fraction = &mut self.local[self.date..];
        fraction[..10].copy_from_slice(&decimals(nano));
        fraction[10..12].fill(b' ');
    }

    /// `@4000000…` and a space.
    pub fn tai(&self) -> &[u8] {
        &self.tai
    }

    /// `2026-11-22 09:25:06.988537991` and two spaces.
    pub fn local(&self) -> &[u8] {
        &self.local[..self.date + 12]
    }
}

impl Default for Stamps {
    fn default() -> Self {
        Self::new()
    }
}

/// Nanoseconds, less than 10^9, as a point and nine digits.
pub fn decimals(mut nano: u32) -> [u8; 10] {
    let mut text = [b'.'; 10];
    for digit in text[1..].iter_mut().rev() {
        *digit = b'0' + (nano % 10) as u8;
        nano /= 10;
    }
    text
}

/// Dates of stamps as people read them, in one zone. The last one is kept: asking for another time of the same second costs
/// nothing.
pub struct Dates {
    zone: Zone<'static>,
    trouble: Option<Trouble>,
    sec: u64,
    text: [u8; Civil::SIZE],
    /// Where the text begins; there is none if it is the end.
    from: usize,
}

/// Why a time zone cannot be had; UTC is used in its place.
pub struct Trouble {
    /// What was looked for: the TZ variable's value, or a path.
    name: &'static CStr,
    why: Errno,
}

impl Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Printable(self.name.to_bytes());
        match self.why {
            Errno::INVAL => write!(f, "{name} is neither a time zone's file nor a rule for one: local time is UTC"),
            why => write!(f, "unable to read the time zone {name}: {}: local time is UTC", Reason(why)),
        }
    }
}

impl Dates {
    /// In UTC.
    pub fn utc() -> Dates {
        Dates { zone: Zone::UTC, trouble: None, sec: 0, text: [0; Civil::SIZE], from: Civil::SIZE }
    }

    /// In the time zone that the variable TZ names (see tzset(3): a file, below TZDIR or /usr/share/zoneinfo if its path is
    /// not absolute, or a rule), else in that of /etc/localtime; in UTC if that is not there either, and if something is
    /// wrong: see [`Dates::trouble`].
    pub fn of_machine(env: Option<Env>) -> Dates {
        let variable = |name: &[u8]| env.and_then(|env| env.get(name));
        let (name, zone) = match variable(b"TZ") {
            Some(name) => (name, named(name, variable(b"TZDIR").unwrap_or(c"/usr/share/zoneinfo"))),
            None => {
                (MACHINE, of_file(MACHINE).or_else(|why| if why == Errno::NOENT { Ok(Zone::UTC) } else { Err(why) }))
            }
        };
        match zone {
            Ok(zone) => Dates { zone, ..Dates::utc() },
            Err(why) => Dates { trouble: Some(Trouble { name, why }), ..Dates::utc() },
        }
    }

    /// Why it is UTC although something else was asked for.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// The zone.
    pub fn zone(&self) -> &Zone<'static> {
        &self.zone
    }

    /// `2026-11-22 09:25:06`; an inserted second is :60. `None`: the stamp is of before 1970 UTC, or too late to have a date.
    pub fn of(&mut self, stamp: Stamp) -> Option<&[u8]> {
        if stamp.sec != self.sec {
            self.sec = stamp.sec;
            self.from =
                self.zone.at(stamp).map_or(Civil::SIZE, |civil| Civil::SIZE - civil.write(&mut self.text).len());
        }
        Some(&self.text[self.from..]).filter(|text| !text.is_empty())
    }
}

/// The machine's zone.
const MACHINE: &CStr = c"/etc/localtime";

/// The zone that a value of TZ names. EINVAL: it is no file with a zone, and no rule.
fn named(name: &CStr, directory: &CStr) -> Result<Zone<'static>, Errno> {
    let bytes = name.to_bytes();
    let bytes = bytes.strip_prefix(b":").unwrap_or(bytes);
    if bytes.is_empty() {
        return Ok(Zone::UTC);
    }
    let path = match bytes {
        [b'/', ..] => CPath::<ZONE_PATH>::of(&[bytes]),
        _ => CPath::of(&[directory.to_bytes(), b"/", bytes]),
    };
    match path.path().and_then(of_file) {
        // The file comes first: some have the names of rules, EST5EDT.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => Zone::of_rule(bytes).ok_or(Errno::INVAL),
        found => found,
    }
}

/// The zone that a file describes. EINVAL: it describes none, or is too large.
fn of_file(path: &CStr) -> Result<Zone<'static>, Errno> {
    let room = pages::reserve(ZONE_FILE)?;
    let bytes = file::read(Fd::CWD, path, room)?;
    if bytes.len() == ZONE_FILE { None } else { Zone::of_file(bytes) }.ok_or(Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(stamps: &Stamps) -> [String; 2] {
        [stamps.tai(), stamps.local()].map(|stamp| String::from_utf8(stamp.to_vec()).unwrap())
    }

    #[test]
    fn both_stamps_are_of_the_time_that_was_set_last() {
        let mut stamps = Stamps::utc();
        assert_eq!(both(&stamps), ["@400000000000000a00000000 ", "1970-01-01 00:00:00.000000000  "]);
        for (sec, nano, tai, local) in [
            (1_795_339_528, 0x0126_b974, "@400000006b02b52d0126b974 ", "2026-11-22 09:25:28.019315060  "),
            (1_795_339_528, 999_999_999, "@400000006b02b52d3b9ac9ff ", "2026-11-22 09:25:28.999999999  "),
            (1_795_339_528, 0, "@400000006b02b52d00000000 ", "2026-11-22 09:25:28.000000000  "),
            (1_795_339_529, 7, "@400000006b02b52e00000007 ", "2026-11-22 09:25:29.000000007  "),
            (1_795_339_527, 7, "@400000006b02b52c00000007 ", "2026-11-22 09:25:27.000000007  "),
            (253_402_300_799, 0, "@4000003afff441a400000000 ", "9999-12-31 23:59:59.000000000  "),
            (253_402_300_800, 0, "@4000003afff441a500000000 ", "10000-01-01 00:00:00.000000000  "),
            (0, 1, "@400000000000000a00000001 ", "1970-01-01 00:00:00.000000001  "),
        ] {
            stamps.set(sec, nano);
            assert_eq!(both(&stamps), [tai, local]);
        }
    }

    #[test]
    fn no_time_is_too_late_for_a_stamp() {
        let mut stamps = Stamps::utc();
        stamps.set(u64::MAX, 5);
        assert_eq!(stamps.tai().len(), 26);
        assert!(stamps.local().ends_with(b".000000005  "));
    }

    #[test]
    fn a_zone_that_is_not_there_is_told_and_is_utc() {
        let directory = c"/nonexistent";
        for bad in [c"Nowhere/Land", c":Nowhere", c"/dev/null", c"/", c"AB3", c"CET", c"/etc/hostname/x"] {
            let why = named(bad, directory).err().unwrap();
            assert!(Trouble { name: bad, why }.to_string().ends_with(": local time is UTC"), "{bad:?}");
        }
        for good in [c"", c":", c"UTC0", c":CET-1CEST", c"<+0330>-3:30"] {
            assert!(named(good, directory).is_ok(), "{good:?}");
        }
    }
}
