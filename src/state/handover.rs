//! Handing all that must survive to another binary, whose arena may be laid out in another way: a [`stream`] in a sealed
//! memfd, whose descriptor is named in the environment ([`VARIABLE`]). The arena stays open until the other binary has read
//! that: if it cannot, this one is executed again, with the arena as it was.

use super::arena::{self, STATE};
use super::schema::name_hash;
use super::stream::{self, Problem, Summary};
use super::{Arena, Tables};
use crate::has::UPGRADE;
use crate::sys::args::Env;
use crate::sys::{Errno, Fd, Result, again, fd, sealed};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::number::{Decimal, parse_u32};
use crate::{error, fault_point, log, notice};
use core::fmt::{self, Arguments, Display};
use core::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// Why a hand-over cannot be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It is no sealed memfd, or cannot be read.
    File(Errno),
    /// What is in it is none.
    Stream(Problem),
}

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::File(e) => write!(f, "it is no sealed memfd: {}", Reason(*e)),
            Refused::Stream(problem) => problem.fmt(f),
        }
    }
}

/// The variable in the environment: the descriptors of the hand-over, of the arena that it was made of, and of the binary
/// that made it, with commas between.
pub const VARIABLE: &str = "LINCHPIN_HANDOVER";

/// What follows the number in [`STATE`] if the other binary could not take what was handed over.
pub const REFUSED: &[u8] = b",refused";

/// In the header's field `asker`: everybody who waits for another binary is told that it did not go on.
pub const NOBODY_GOES_ON: u32 = u32::MAX;

/// The client that has asked for another binary: its slot, plus one, and the generation of that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asker {
    /// See above.
    pub place: u32,
    /// See above.
    pub generation: u32,
}

impl Asker {
    /// Nobody.
    pub const NONE: Asker = Asker { place: 0, generation: 0 };
}

/// A hand-over of what is in the tables; `exe` is the binary of those who take it, `asker` is told when they go on.
pub fn make(tables: &Tables, exe: Fd, asker: Asker) -> Result<Fd> {
    let changes = [
        (name_hash("exe_fd"), i64::from(exe.0)),
        (name_hash("asker"), asker.place.into()),
        (name_hash("asker_generation"), asker.generation.into()),
    ];
    sealed::create(c"linchpin-handover", |sink| stream::write(tables, log::ring(), &changes, sink))
}

/// Executes `binary`, which goes on with what is in the tables. `own` are the descriptors that it makes anew. Comes back
/// with the reason if that cannot be: then all but close-on-exec, and the mask of signals, is as it was.
pub fn enter(tables: &mut Tables, binary: Fd, asker: Asker, own: &[Fd]) -> Errno {
    let header = &mut tables.header;
    header.fds_top = fd::highest() as u32 + 1;
    let header = &tables.header;
    let mut exe = match binary.duplicate(header.own_from.max(3)) {
        Ok(exe) => exe,
        Err(e) => return e,
    };
    let why = match make(tables, exe, asker) {
        Ok(mut handover) => {
            fault_point!("upgrade.written");
            let number = |fd: i32| Decimal::new(fd.unsigned_abs().into());
            let numbers = [number(handover.0), number(header.arena_fd), number(header.exe_fd)];
            let [this, arena, old] = numbers.each_ref().map(Decimal::as_bytes);
            let variable = CPath::<64>::of(&[VARIABLE.as_bytes(), b"=", this, b",", arena, b",", old]);
            fd::keep_open_on_exec();
            for fd in own {
                let _ = fd.set_cloexec(true);
            }
            fault_point!("upgrade.executing");
            let why = variable.path().map_or_else(|e| e, |variable| again::exec_other(exe, variable));
            handover.close();
            why
        }
        Err(e) => e,
    };
    exe.close();
    why
}

/// While a hand-over is being read: the binary that made it, and the arena that it was made of.
static BACK: [AtomicI32; 2] = [AtomicI32::new(-1), AtomicI32::new(-1)];

fn set_back(binary: Fd, arena: Fd) {
    let [its_binary, its_arena] = &BACK;
    its_binary.store(binary.0, Relaxed);
    its_arena.store(arena.0, Relaxed);
}

/// If a hand-over is being read, the binary that has made it goes on, with the arena as it was. Returns if there is none, or if
/// that cannot be. System calls only.
pub fn go_back() {
    let [binary, arena] = BACK.each_ref().map(|back| Fd(back.load(Relaxed)));
    if UPGRADE && binary.is_some() && arena.is_some() {
        let number = Decimal::new(arena.0.unsigned_abs().into());
        let variable = CPath::<48>::of(&[STATE, b"=", number.as_bytes(), REFUSED]);
        if let Ok(variable) = variable.path() {
            again::exec_other(binary, variable);
        }
    }
}

/// Takes what the environment names. `None`: it names nothing. If it cannot be taken, the binary that has made it is
/// executed again; if that cannot be either, what is wrong is the error.
pub fn given(env: Env) -> Option<core::result::Result<Arena, Refused>> {
    let value = env.get(VARIABLE.as_bytes()).filter(|_| UPGRADE)?;
    env.remove(VARIABLE.as_bytes());
    let mut numbers = value.to_bytes().split(|byte| *byte == b',').map(|word| parse_u32(word).unwrap_or(u32::MAX));
    let mut next = || i32::try_from(numbers.next().unwrap_or(u32::MAX)).map_or(Fd::NONE, Fd);
    let (mut this, mut before, mut old) = (next(), next(), next());
    set_back(old, before);
    #[cfg(feature = "faults")]
    if env.get(b"LINCHPIN_FAIL_TAKING_OVER").is_some() {
        crate::sys::inject::fail(crate::sys::inject::Kind::Null);
    }
    let taken = arena::fresh().map_err(Refused::File).and_then(|mut arena| {
        let summary = take(this, &mut arena, &mut |what| error!("handed over: {what}"))?;
        Ok((arena, summary))
    });
    match taken {
        Ok((arena, summary)) => {
            set_back(Fd::NONE, Fd::NONE);
            for fd in [&mut this, &mut before, &mut old] {
                if fd.0 > 2 {
                    fd.close();
                }
            }
            let header = &mut arena.tables.header;
            header.upgrades = header.upgrades.wrapping_add(1);
            notice!("version {} takes over from version {}", crate::VERSION, summary.version);
            Some(Ok(arena))
        }
        Err(refused) => {
            error!("what was handed over cannot be taken: {refused}: going back to the binary before");
            go_back();
            Some(Err(refused))
        }
    }
}

/// A hand-over of a process that has nothing.
pub fn make_empty() -> Result<Fd> {
    let arena = arena::fresh()?;
    let handover = make(arena.tables, Fd::NONE, Asker::NONE);
    Fd(arena.tables.header.arena_fd).close();
    handover
}

/// Takes what is handed over into an arena that is fresh. What is left out is told to `say`.
pub fn take(fd: Fd, arena: &mut Arena, say: &mut dyn FnMut(Arguments<'_>)) -> core::result::Result<Summary, Refused> {
    sealed::with_bytes(fd, |bytes| stream::read(bytes, arena.tables, arena.ring, say))
        .map_err(Refused::File)?
        .map_err(Refused::Stream)
}

/// Takes it on trial, into an arena of which nothing is left then.
pub fn try_out(fd: Fd, say: &mut dyn FnMut(Arguments<'_>)) -> core::result::Result<Summary, Refused> {
    let mut arena = arena::fresh().map_err(Refused::File)?;
    let mut own = Fd(arena.tables.header.arena_fd);
    let taken = take(fd, &mut arena, say);
    own.close();
    taken
}
