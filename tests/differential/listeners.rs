//! `event/`: who is told and who is not.

use crate::compare::differ;
use crate::listener::Listener;
use crate::supervision::*;
use crate::world::*;
use std::time::{Duration, Instant};

#[test]
pub fn a_listener_that_comes_and_goes_sees_whole_events() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        // The storm keeps the notifier busy while listeners are made; none may see an end or a half-made FIFO.
        for _ in 0..10 {
            let mut listener = w.listen("a");
            w.send("a", "du");
            assert_eq!(listener.until('D'), "dD", "the last one had its u");
            listener.until('u');
        }
        let left = std::fs::read_dir(w.path("a/event")).unwrap().count();
        w.note("left", left);
    });
}

#[test]
pub fn names_of_another_form_are_left_alone() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), DOWN])]);
        let event = w.path("a/event");
        let names = [
            "ftrig1:@4000000068000000000000:diffLi",   // 37
            "ftrig1:@400000006800000000000000:diff41", // 39: the right one
            "ftrig1:@400000006800000000000000:diff4141",
            "ftrig2:@400000006800000000000000:diff39",
            "other",
        ];
        let mut listeners = names.map(|name| Listener::named(&event, name));
        // Without a reader: only the right form is removed.
        for name in ["ftrig1:@400000006800000000000001:stale1", "ftrig1:@400000006800000000000001:stale", "stale"] {
            make_fifo(&event.join(name));
        }
        let mut events = w.listen("a");
        w.send("a", "ud");
        w.until(&mut events, 'D');
        // When the next event comes, the one before has been sent to all.
        w.send("a", "u");
        w.until(&mut events, 'u');
        for (listener, name) in listeners.iter_mut().zip(names) {
            let events = listener.rest();
            w.note(name, events.strip_prefix("udD").map_or(events.as_str(), |_| "udD"));
        }
        drop(events);
        w.layout("a/event");
    });
}

#[test]
pub fn a_full_fifo_is_left_alone_and_holds_nobody_up() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), DOWN])]);
        let deaf = w.listen("a");
        deaf.fill();
        let mut events = w.listen("a");
        for _ in 0..5 {
            w.send("a", "ud");
            w.until(&mut events, 'D');
        }
        w.note("it is there", deaf.path.exists());
    });
}

#[test]
pub fn the_fifo_of_a_dead_listener_is_removed_at_the_next_event() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), DOWN])]);
        let dead = w.path("a/event/ftrig1:@400000006800000000000000:deadxx");
        make_fifo(&dead);
        w.note("before", dead.exists());
        let mut events = w.listen("a");
        w.send("a", "u");
        w.until(&mut events, 'u');
        // The notifier may have come to us first.
        w.eventually("removed", || !dead.exists());
    });
}

#[test]
pub fn a_killed_svwait_leaves_a_fifo_that_the_next_event_removes() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), DOWN])]);
        let child = w.begin("s6-svwait -u a");
        w.eventually("listening", || w.listeners("a/event") == 1);
        kill(child.id() as i32, 9);
        w.end_of("svwait ends", child);
        let mut events = w.listen("a");
        w.send("a", "u");
        w.until(&mut events, 'u');
        w.send("a", "d");
        w.until(&mut events, 'D');
        drop(events);
        w.eventually("gone", || {
            w.send("a", "ud");
            fifos(&w.path("a")) == 0
        });
    });
}

#[test]
pub fn a_regular_file_with_the_name_of_a_listener_is_written_to() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), DOWN])]);
        let file = w.path("a/event/ftrig1:@400000006800000000000000:regula");
        std::fs::write(&file, "").unwrap();
        let mut events = w.listen("a");
        w.send("a", "u");
        w.until(&mut events, 'u');
        w.send("a", "d");
        w.until(&mut events, 'D');
        // When the third event comes, the first has been sent to all.
        w.note("it says", std::fs::read_to_string(&file).unwrap() != "");
    });
}

#[test]
pub fn the_fifo_of_a_client_has_the_form_that_others_expect() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), DOWN])]);
        let child = w.begin("s6-svwait -u a");
        w.eventually("listening", || w.listeners("a/event") == 1);
        let name = first(w);
        let (label, random) = name.split_at(33);
        let stamp = label.strip_prefix("ftrig1:@").unwrap().strip_suffix(':').unwrap();
        w.note("length", name.len());
        w.note(
            "stamp",
            stamp.starts_with('4') && stamp.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
        );
        w.note("random part", random.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        let kind = std::fs::metadata(w.path("a/event").join(&name)).unwrap();
        w.note("mode", format!("{:o}", std::os::unix::fs::PermissionsExt::mode(&kind.permissions())));
        w.run("s6-svc -u a");
        w.end_of("svwait", child);
        // s6's helper removes it, perhaps a moment later.
        w.eventually("removed", || fifos(&w.path("a")) == 0);
    });
}

fn first(w: &World) -> String {
    let entry = std::fs::read_dir(w.path("a/event")).unwrap().flatten().next();
    entry.map_or(String::from("."), |entry| entry.file_name().to_str().unwrap().to_owned())
}

#[test]
pub fn a_notifier_is_done_in_no_time_whoever_listens() {
    differ(|w| {
        std::fs::create_dir(w.path(".d")).unwrap();
        let deaf = Listener::new(&w.path(".d"));
        deaf.fill();
        let mut listener = Listener::new(&w.path(".d"));
        let since = Instant::now();
        w.run("s6-ftrig-notify .d message");
        w.note("in time", since.elapsed() < Duration::from_secs(20));
        w.note("received", listener.until('e'));
        w.note("received", listener.until('e'));
        w.run("s6-ftrig-notify .nonexistent x");
    });
}
