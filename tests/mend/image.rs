//! Arenas in memory, and kernels to go with them.

use linchpin::state::arena::SIZE;
use linchpin::state::claims::Claims;
use linchpin::state::layout::State;
use linchpin::state::ledger::{Ledger, Look, What};
use linchpin::state::{
    Allow, Client, Epitaph, Header, Held, Inbox, Job, Notify, Pending, Redo, Service, Tables, Transfer,
};
use linchpin::svscan::{Role, mend};
use linchpin::sys::{Fd, memory};
use rustix::fs::SeekFrom;
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::mem::{offset_of, size_of};
use zerocopy::FromBytes;

const PAGE: usize = 4096;

/// What the kernel says.
#[derive(Clone, Default)]
pub struct World {
    pub fds: HashMap<i32, Look>,
    pub children: HashSet<i32>,
    pub paths: HashMap<(i32, CString), (u64, u64)>,
    pub statuses: HashMap<i32, (i32, bool)>,
    pub reads: HashMap<i32, bool>,
    pub peers: HashMap<i32, (u32, u32, u32)>,
    pub now: u64,
}

impl World {
    pub fn open(&mut self, fd: i32, what: What, ino: u64) {
        assert!(self.fds.insert(fd, Look { what, dev: 7, ino }).is_none());
    }
}

/// A world and what was written.
struct Asked<'a>(&'a World, Fd);

impl Ledger for Asked<'_> {
    fn now(&mut self) -> u64 {
        self.0.now
    }

    fn look(&mut self, fd: i32) -> Option<Look> {
        self.0.fds.get(&fd).copied()
    }

    fn is_child(&mut self, pid: i32) -> bool {
        self.0.children.contains(&pid)
    }

    fn at(&mut self, dir: i32, path: &CStr) -> Option<(u64, u64)> {
        self.0.paths.get(&(dir, path.to_owned())).copied()
    }

    fn status(&mut self, dir: i32) -> Option<(i32, bool)> {
        self.0.statuses.get(&dir).copied()
    }

    fn reads(&mut self, fd: i32) -> Option<bool> {
        self.0.reads.get(&fd).copied()
    }

    fn peer(&mut self, fd: i32) -> Option<(u32, u32, u32)> {
        self.0.peers.get(&fd).copied()
    }

    fn written(&mut self, from: usize) -> Option<usize> {
        next_data(self.1, from)
    }
}

fn next_data(fd: Fd, from: usize) -> Option<usize> {
    rustix::fs::seek(fd, SeekFrom::Data(from as u64)).ok().map(|at| at as usize)
}

/// The pages of a file that hold something, page by page.
pub fn pages(fd: Fd) -> Vec<usize> {
    let (mut pages, mut at) = (Vec::new(), 0);
    while let Some(data) = next_data(fd, at) {
        pages.push(data / PAGE * PAGE);
        at = data / PAGE * PAGE + PAGE;
    }
    pages
}

/// An arena that can be damaged, mended and made whole again.
pub struct Image {
    memory: &'static mut [u8],
    fd: Fd,
    whole: HashMap<usize, Vec<u8>>,
    claims: Box<Claims>,
    pub world: World,
    pub role: Role,
}

impl Image {
    pub fn new(world: World) -> Image {
        let fd = memory::create(c"image", SIZE).unwrap();
        let memory = memory::map(fd, SIZE).unwrap();
        Image { memory, fd, whole: HashMap::new(), claims: Box::new(Claims::new()), world, role: Role::Svscan }
    }

    /// Reads the arena of a process that does not run meanwhile.
    pub fn read(from: Fd, world: World) -> Image {
        let image = Image::new(world);
        for page in pages(from) {
            let mut bytes = [0; PAGE];
            let n = rustix::io::pread(from, &mut bytes, page as u64).unwrap();
            image.memory[page..page + n].copy_from_slice(&bytes[..n]);
        }
        image.kept()
    }

    /// As it is now, it is whole.
    pub fn kept(mut self) -> Image {
        self.keep();
        self
    }

    pub fn keep(&mut self) {
        self.whole = pages(self.fd).into_iter().map(|page| (page, self.memory[page..page + PAGE].to_vec())).collect();
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        self.memory
    }

    pub fn tables(&mut self) -> &mut Tables {
        let (State { tables, .. }, _) = State::mut_from_prefix(self.memory).ok().unwrap();
        tables
    }

    /// What is wrong.
    pub fn violation(&mut self) -> Option<&'static str> {
        let (State { tables, .. }, _) = State::mut_from_prefix(self.memory).ok().unwrap();
        let ledger = &mut Asked(&self.world, self.fd);
        mend::violation(&mut self.claims, tables, self.role, ledger).map(|violation| violation.what)
    }

    /// Mends it: answers what it said.
    pub fn mend(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        let (State { tables, .. }, _) = State::mut_from_prefix(self.memory).ok().unwrap();
        let ledger = &mut Asked(&self.world, self.fd);
        mend::mend_with(&mut self.claims, tables, self.role, ledger, &mut |line| said.push(line.to_string()));
        said
    }

    /// Makes it whole again.
    pub fn restore(&mut self) {
        for page in pages(self.fd) {
            let room = &mut self.memory[page..page + PAGE];
            match self.whole.get(&page) {
                Some(whole) if room != whole => room.copy_from_slice(whole),
                None => memory::release(room),
                _ => {}
            }
        }
    }

    /// The records that are not as they were when it was whole.
    pub fn changed(&mut self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for page in pages(self.fd) {
            let now = &self.memory[page..page + PAGE];
            let whole = self.whole.get(&page);
            for (at, byte) in now.iter().enumerate() {
                if whole.map_or(0, |whole| whole[at]) != *byte {
                    let name = record_at(page + at);
                    if names.last() != Some(&name) {
                        names.push(name);
                    }
                }
            }
        }
        names.dedup();
        names
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        self.fd.close(); // the mapping stays: tests have few
    }
}

/// The record at an offset of the arena.
pub fn record_at(offset: usize) -> String {
    let at = offset.wrapping_sub(offset_of!(State, tables));
    let tables = [
        ("header", offset_of!(Tables, header), size_of::<Header>()),
        ("epitaph", offset_of!(Tables, epitaph), size_of::<Epitaph>()),
        ("redo", offset_of!(Tables, redo), size_of::<Redo>()),
        ("inbox", offset_of!(Tables, inbox), size_of::<Inbox>()),
        ("transfer", offset_of!(Tables, transfer), size_of::<Transfer>()),
        ("job", offset_of!(Tables, jobs), size_of::<Job>()),
        ("service", offset_of!(Tables, services), size_of::<Service>()),
        ("held", offset_of!(Tables, held), size_of::<Held>()),
        ("notify", offset_of!(Tables, notifies), size_of::<Notify>()),
        ("allow", offset_of!(Tables, allows), size_of::<Allow>()),
        ("pending", offset_of!(Tables, pending), size_of::<Pending>()),
        ("client", offset_of!(Tables, clients), size_of::<Client>()),
    ];
    match tables.iter().rev().find(|(_, start, _)| at >= *start) {
        Some((name, start, size)) if at < size_of::<Tables>() => match (at - start) / size {
            0 if ["header", "epitaph", "redo", "inbox", "transfer"].contains(name) => (*name).to_owned(),
            slot => format!("{name} {slot}"),
        },
        _ => "ring".to_owned(),
    }
}
