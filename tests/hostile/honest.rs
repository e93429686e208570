//! A client that measures how long a store makes it wait. On a busy machine both also wait for a processor, and the kernel
//! counts for how long (/proc/PID/schedstat): that is not the store's doing.

use crate::supervision::c_path;
use crate::world::honest_name;
use linchpin::fdholder::client::Connection;
use linchpin::sys::{Errno, time};
use std::path::Path;
use std::time::{Duration, Instant};

/// The longest that the store may make an honest client wait.
pub const LONGEST: Duration = Duration::from_millis(50);

/// How long an honest client waited.
#[allow(dead_code)] // `times` is for whoever reads the output
#[derive(Clone, Copy, Debug)]
pub struct Waited {
    /// On a connection that it keeps.
    pub kept: Duration,
    /// With a connection for each request.
    pub anew: Duration,
    /// How often it asked each way.
    pub times: usize,
}

impl Waited {
    /// Whether it was made to wait for too long.
    pub fn too_long(&self) -> bool {
        self.kept.max(self.anew) > LONGEST
    }
}

/// How long a process or thread has waited for a processor, all in all.
fn delayed(who: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{who}/schedstat")).expect("a kernel with CONFIG_SCHED_INFO");
    Duration::from_nanos(stat.split(' ').nth(1).unwrap().parse().unwrap())
}

/// Asks the store of process `pid` for `span`, a little apart. Of the times the 98th percentile: interrupts and other
/// machines' processors are nobody's doing here.
pub fn measure(store: &Path, pid: i32, span: Duration) -> Waited {
    let mut waited: [Vec<Duration>; 2] = Default::default();
    let (began, path, pid) = (Instant::now(), c_path(store), pid.to_string());
    let deadline = || Some(time::boot() + 60 * time::SECOND);
    let time = |body: &mut dyn FnMut()| {
        let delays = || delayed(&pid) + delayed("thread-self");
        let (before, start) = (delays(), Instant::now());
        body();
        let took = start.elapsed();
        took.saturating_sub(delays() - before)
    };
    // What is kept has been answered once: until then it waits with the newcomers.
    let keep = || {
        let mut connection = Connection::open(&path, deadline()).unwrap();
        connection.retrieve(honest_name(0).as_bytes(), false).unwrap().close();
        connection
    };
    let mut kept = keep();
    for n in 1.. {
        let mut got = Err(Errno::PIPE);
        waited[0].push(time(&mut || got = kept.retrieve(honest_name(n % 100).as_bytes(), false)));
        match got {
            Ok(mut fd) => fd.close(),
            // Silent for too long while all places were taken: the machine is busy.
            Err(Errno::PIPE | Errno::CONNRESET) => {
                kept.close();
                kept = keep();
            }
            Err(e) => panic!("{e}"),
        }
        waited[1].push(time(&mut || {
            let mut anew = Connection::open(&path, deadline()).unwrap();
            assert_eq!(anew.delete(b"honest, and not there"), Err(Errno::NOENT));
            anew.close();
        }));
        if began.elapsed() > span && n >= 50 {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
        if n % 100 == 0 {
            // So that it is never the one that has been there for longest.
            kept.close();
            kept = keep();
        }
    }
    kept.close();
    let times = waited[0].len();
    let [kept, anew] = waited.map(|mut waited| {
        waited.sort();
        waited[times * 98 / 100]
    });
    Waited { kept, anew, times }
}
