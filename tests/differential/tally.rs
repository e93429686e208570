//! `death_tally`, and what becomes of a supervisor without its directories.

use crate::compare::differ;
use crate::supervision::*;
use crate::world::*;

fn die(w: &mut World, events: &mut crate::listener::Listener) {
    w.send("a", "o");
    events.until('D');
}

#[test]
pub fn the_oldest_deaths_are_forgotten() {
    let run = "#!/bin/sh\nn=$(cat n)\necho $((n + 1)) >n\nexit $n\n";
    differ(|w| {
        w.with(&[("a", &[("run", run), ("n", "0\n"), ("max-death-tally", "3\n"), DOWN])]);
        let mut events = w.listen("a");
        for _ in 0..5 {
            die(w, &mut events);
        }
        w.tally("a");
        w.out("s6-svdt a");
        w.out("s6-svdt -n 2 a");
        w.out("s6-svdt -n 0 a");
        std::fs::write(w.path("a/max-death-tally"), "0").unwrap();
        die(w, &mut events);
        w.tally("a");
        std::fs::write(w.path("a/max-death-tally"), "no number").unwrap();
        die(w, &mut events);
        w.tally("a");
        w.run("s6-svdt-clear a");
        w.tally("a");
        w.out("s6-svdt a");
    });
}

#[test]
pub fn svdt_knows_signals_by_name_and_by_number() {
    differ(|w| {
        w.with(&[("a", &[("run", "#!/bin/sh\nkill -$(cat signal) $$\n"), ("signal", "TERM"), DOWN])]);
        let mut events = w.listen("a");
        for signal in ["TERM", "KILL", "USR1", "SEGV"] {
            std::fs::write(w.path("a/signal"), signal).unwrap();
            die(w, &mut events);
        }
        w.tally("a");
        w.out("s6-svdt -S a");
        w.out("s6-svdt -s a");
    });
}

#[test]
pub fn a_tally_of_a_wrong_size_is_emptied() {
    differ(|w| {
        w.with(&[("a", &[("run", "#!/bin/sh\nexit 1\n"), DOWN])]);
        let file = w.path("a/supervise/death_tally");
        std::fs::write(&file, "thirteen byte").unwrap();
        w.out("s6-svdt a");
        w.tally("a");
        std::fs::write(&file, "thirteen byte").unwrap();
        let mut events = w.listen("a");
        die(w, &mut events);
        w.note("its size then", std::fs::metadata(&file).unwrap().len() % 14);
        die(w, &mut events);
        w.out("s6-svdt a");
        std::fs::remove_file(&file).unwrap();
        w.out("s6-svdt a");
    });
}

#[test]
pub fn a_supervisor_outlives_its_directories() {
    let run = "#!/bin/sh\necho up >$SAID\nexec sleep 1000\n";
    differ(|w| {
        w.with(&[("a", &[("run", run)])]);
        w.heard("it is");
        let pid = w.pid_of("a");
        std::fs::remove_dir_all(w.path("a/supervise")).unwrap();
        std::fs::remove_dir_all(w.path("a/event")).unwrap();
        kill(pid, 9);
        w.heard("again it is");
        w.run("s6-svok a");
        w.run("s6-svstat a");
        std::fs::create_dir(w.path("a/supervise")).unwrap();
        w.run("s6-svc -u a");
        let unheard = w.unheard();
        w.note("said", unheard);
    });
}
