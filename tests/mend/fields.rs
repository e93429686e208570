//! Each group of fields: damaged, it is mended alone, and its name is told.

use crate::image::Image;
use crate::small::{NOW, small};
use linchpin::service::machine::{State, Timer};
use linchpin::state::Tables;
use linchpin::svscan::{Dialect, Role};

type Damage = fn(&mut Tables);

#[test]
fn a_whole_arena_passes_unchanged_and_nothing_is_said() {
    let mut image = small();
    assert_eq!(image.violation(), None);
    assert_eq!(image.mend(), [""; 0]);
    assert_eq!(image.changed(), [""; 0]);
}

/// Damages something of `record`: it is found, only that record is changed by mending, and a line names it.
#[track_caller]
fn heals(image: &mut Image, record: &str, name: &str, damage: impl FnOnce(&mut Tables)) -> Vec<String> {
    image.restore();
    damage(image.tables());
    assert!(image.violation().is_some(), "{record}: nothing is noticed");
    let said = image.mend();
    assert_eq!(image.violation(), None, "{said:?}");
    let changed = image.changed();
    assert!(changed.iter().all(|changed| changed == record), "{record}: {changed:?}: {said:?}");
    assert!(said.iter().any(|line| line.contains(name)), "{name}: {said:?}");
    said
}

/// As [`heals`], and everything is exactly as it was.
#[track_caller]
fn is_undone(image: &mut Image, name: &str, damage: impl FnOnce(&mut Tables)) {
    let said = heals(image, "", name, damage);
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn what_is_damaged_of_an_identity_is_found_again() {
    let image = &mut small();
    is_undone(image, "web", |tables| tables.services[0].kind = 3);
    is_undone(image, "web", |tables| tables.services[0].kind = 200);
    is_undone(image, "web", |tables| tables.services[0].partner = 3);
    is_undone(image, "web", |tables| tables.services[1].partner = -1);
    is_undone(image, "web", |tables| tables.services[1].partner = i32::MIN);
    is_undone(image, "web", |tables| tables.services[0].dev = 99);
    is_undone(image, "db", |tables| tables.services[2].ino = 99);
    is_undone(image, "db", |tables| tables.services[2].generation = 99);
    is_undone(image, "db", |tables| tables.services[2].name_len = 0);
    is_undone(image, "db", |tables| tables.services[2].name_len = 250);
    is_undone(image, "web", |tables| tables.services[1].name = [0xff; 256]);
    is_undone(image, "db", |tables| tables.services[2].used = 0);
    is_undone(image, "db", |tables| tables.services[2].used = 77);
}

#[test]
fn a_name_that_nobody_else_knows_is_what_is_left_of_it() {
    let image = &mut small();
    for (name, left) in [(&b"db"[..], &b"nameless"[..]), (b"idle", b"i")] {
        let slot = if name == b"db" { 2 } else { 3 };
        heals(image, &format!("service {slot}"), std::str::from_utf8(left).unwrap(), |tables| {
            let at = usize::from(slot == 3);
            tables.services[slot].name[at] = b'/';
        });
        assert_eq!(image.tables().services[slot].name_bytes(), left);
    }
    heals(image, "service 2", "db", |tables| tables.services[2].checksum ^= 1);
}

#[test]
fn a_record_that_nothing_proves_is_given_up() {
    let image = &mut small();
    heals(image, "service 4", "in slot 4", |tables| tables.services[4].name[0] ^= 1);
    assert_eq!(image.tables().services[4].used, 0);
}

#[test]
fn fields_that_stand_for_themselves_are_reset_alone() {
    let image = &mut small();
    let damages: [(&str, Damage); 22] = [
        ("active", |tables| tables.services[2].active = 7),
        ("want_up", |tables| tables.services[2].want_up = 7),
        ("paused", |tables| tables.services[2].paused = 7),
        ("ready", |tables| tables.services[2].ready = 7),
        ("fresh", |tables| tables.services[2].fresh = 7),
        ("stdio_closed", |tables| tables.services[2].stdio_closed = 7),
        ("supervised", |tables| tables.services[2].supervised = 7),
        ("wstat", |tables| tables.services[2].wstat = u32::MAX),
        ("stamp_nano", |tables| tables.services[2].stamp_nano = 1_000_000_000),
        ("ready_nano", |tables| tables.services[2].ready_nano = u32::MAX),
        ("stamp_sec", |tables| tables.services[2].stamp_sec = u64::MAX),
        ("started", |tables| tables.services[2].started = NOW + 1),
        ("supervisor_started", |tables| tables.services[2].supervisor_started = u64::MAX),
        ("died", |tables| tables.services[2].died = u64::MAX),
        ("trouble", |tables| tables.services[2].trouble = u32::MAX),
        ("drains", |tables| tables.services[2].drains = 2),
        ("notifies", |tables| tables.services[2].notifies = 2),
        ("failures", |tables| tables.services[2].failures = 64),
        ("deferred", |tables| tables.services[2].deferred = 3),
        ("untallied", |tables| tables.services[2].untallied = 2),
        ("lingers", |tables| tables.services[2].lingers = 251),
        ("waiting_file", |tables| tables.services[2].waiting_file = 2),
    ];
    for (name, damage) in damages {
        let said = heals(image, "service 2", "db", damage);
        assert!(said.len() == 1 && said[0].contains(name), "{name}: {said:?}");
    }
    heals(image, "service 2", "extra files", |tables| tables.services[2].extras = 255);
    heals(image, "service 2", "listeners", |tables| tables.services[2].untold = *b"u\0d\0");
    heals(image, "service 2", "listeners", |tables| tables.services[2].untold = *b"zzzz");
    heals(image, "service 2", "waits for", |tables| tables.services[2].waits_on = 5);
    heals(image, "service 2", "waits for", |tables| tables.services[2].waits_on = -2);
    heals(image, "service 2", "died", |tables| tables.services[2].dead_pid = 4444);
}

#[test]
fn a_descriptor_is_found_by_what_it_is() {
    let image = &mut small();
    for wrong in [-7, 4, 9, 61, 110, 5000, i32::MAX] {
        for slot in [0, 2] {
            is_undone(image, "directory", |tables| tables.services[slot].dir_fd = wrong);
            is_undone(image, "control", |tables| tables.services[slot].control_fd = wrong);
            is_undone(image, "lock", |tables| tables.services[slot].lock_fd = wrong);
        }
        is_undone(image, "pipe", |tables| tables.services[0].pipe_fd = wrong);
        is_undone(image, "pipe", |tables| tables.services[1].pipe_fd = if wrong == 61 { 60 } else { wrong });
        is_undone(image, "tcp:0.0.0.0:80", |tables| tables.held[1].fd = wrong);
    }
    heals(image, "service 2", "control group", |tables| tables.services[2].cgroup_fd = 100);
    heals(image, "service 2", "readiness", |tables| tables.services[2].notify_fd = 101);
}

#[test]
fn a_process_is_found_by_the_status_file() {
    let image = &mut small();
    for wrong in [0, -1, 1, 501, 600, 999_999] {
        is_undone(image, "web", |tables| tables.services[0].pid = wrong);
    }
    is_undone(image, "web", |tables| tables.services[0].state = State::Down as u8);
    is_undone(image, "web", |tables| tables.services[0].state = State::Gone as u8);
    is_undone(image, "web", |tables| tables.services[0].supervised = 0);
    let said = heals(image, "service 0", "web", |tables| tables.services[0].state = 200);
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(image.tables().services[0].state, State::Up as u8);
}

#[test]
fn who_has_no_process_is_down_and_is_started() {
    let image = &mut small();
    image.world.statuses.clear();
    heals(image, "service 0", "web", |tables| tables.services[0].pid = 4444);
    let web = &image.tables().services[0];
    assert_eq!((web.state, web.pid, web.timer, web.deadline), (State::Down as u8, 0, Timer::Start as u8, NOW));
    heals(image, "service 3", "idle", |tables| tables.services[3].pid = 4444);
    heals(image, "service 3", "idle", |tables| tables.services[3].want_up = 1);
    assert_eq!(image.tables().services[3].timer, Timer::Start as u8);
}

#[test]
fn a_timer_fits_its_state_and_its_deadline_is_near() {
    let image = &mut small();
    for timer in [Timer::Start, Timer::KillFinish, Timer::Respawn, Timer::Linger] {
        heals(image, "service 2", "timer", |tables| tables.services[2].timer = timer as u8);
        let db = &image.tables().services[2];
        assert_eq!((db.timer, db.deadline), (Timer::Watchdog as u8, NOW + db.watchdog));
    }
    for deadline in [0, u64::MAX] {
        heals(image, "service 2", "deadline", |tables| tables.services[2].deadline = deadline);
        heals(image, "service 4", "deadline", |tables| tables.services[4].deadline = deadline);
    }
    heals(image, "service 2", "timer", |tables| tables.services[2].timer = 99);
    heals(image, "service 2", "watchdog", |tables| tables.services[2].watchdog = u64::MAX);
    heals(image, "service 4", "later", |tables| tables.services[4].state = State::Up as u8);
    heals(image, "service 4", "later", |tables| tables.services[4].timer = Timer::Kill as u8);
    heals(image, "service 2", "waits", |tables| tables.services[2].waits = 2);
    heals(image, "service 2", "waits", |tables| tables.services[2].waits = 77);
}

#[test]
fn a_notification_socket_that_is_lost_takes_the_watchdog_with_it() {
    let image = &mut small();
    image.restore();
    image.tables().notifies[2].fd = 80;
    let said = image.mend();
    assert_eq!(image.changed(), ["service 2", "notify 2"], "{said:?}");
    let db = &image.tables().services[2];
    assert_eq!((db.notified, db.watchdog, db.timer), (0, 0, 0));
    is_undone(image, "db", |tables| tables.services[2].notified = 0);
    for (field, damage) in [
        ("access", (|tables| tables.notifies[2].access = 9) as Damage),
        ("hidden", |tables| tables.notifies[2].hidden = 9),
        ("state", |tables| tables.notifies[2].state = 9),
        ("stored_max", |tables| tables.notifies[2].stored_max = 999),
        ("name_len", |tables| tables.notifies[2].name_len = 25),
        ("status_len", |tables| tables.notifies[2].status_len = 177),
        ("written", |tables| tables.notifies[2].written = u64::MAX),
        ("due", |tables| tables.notifies[2].due = u64::MAX),
    ] {
        heals(image, "notify 2", field, damage);
    }
}

#[test]
fn a_held_descriptor_without_its_name_is_let_go_of() {
    let image = &mut small();
    let damages: [Damage; 6] = [
        |tables| tables.held[1].name[0] = b'x',
        |tables| tables.held[1].name_len = 0,
        |tables| tables.held[1].name_len = 200,
        |tables| tables.held[1].limit_sec ^= 1,
        |tables| tables.held[1].limit_nano = u32::MAX,
        |tables| tables.held[1].checksum = 0,
    ];
    for damage in damages {
        heals(image, "held 1", "slot 1", damage);
        assert_eq!(image.tables().held[1].used, 0);
    }
    for (field, damage) in [
        ("origin", (|tables| tables.held[1].origin = 9) as Damage),
        ("polled", |tables| tables.held[1].polled = 9),
        ("stored", |tables| tables.held[1].stored = u64::MAX),
        ("retrieved", |tables| tables.held[1].retrieved = u64::MAX),
        ("which service", |tables| tables.held[1].service = 9999),
        ("in use", |tables| tables.held[1].used = 9),
    ] {
        heals(image, "held 1", field, damage);
        assert_eq!(image.tables().held[1].used, 1);
    }
}

#[test]
fn a_client_whose_record_is_damaged_is_cut_off() {
    let image = &mut small();
    let damages: [Damage; 13] = [
        |tables| tables.clients[1].used = 2,
        |tables| tables.clients[1].closing = 4,
        |tables| tables.clients[1].rights = 8,
        |tables| tables.clients[1].basis = 3,
        |tables| tables.clients[1].fd = 80,
        |tables| tables.clients[1].fd = 90,
        |tables| tables.clients[1].uid = 1000,
        |tables| tables.clients[1].request_len = u32::MAX,
        |tables| tables.clients[1].request_done = u32::MAX,
        |tables| tables.clients[1].reply_len = u32::MAX,
        |tables| tables.clients[1].fds_len = u32::MAX,
        |tables| tables.clients[1].store_len = 5000,
        |tables| tables.clients[1].dump_left = 5000,
    ];
    for damage in damages {
        heals(image, "client 1", "in slot 1", damage);
        assert_eq!(image.tables().clients[1].used, 0);
    }
    for (field, damage) in [
        ("stalled", (|tables| tables.clients[1].stalled = 9) as Damage),
        ("since", |tables| tables.clients[1].since = u64::MAX),
        ("connected", |tables| tables.clients[1].connected = u64::MAX),
        ("a descriptor", |tables| tables.clients[1].fds[0] = 80),
        ("a descriptor", |tables| tables.clients[1].fds[1] = 5000),
    ] {
        heals(image, "client 1", field, damage);
        assert_eq!(image.tables().clients[1].used, 1);
    }
}

#[test]
fn jobs_entries_and_sockets_to_be_bound_are_given_up_one_by_one() {
    let image = &mut small();
    heals(image, "job 3", "slot 3", |tables| tables.jobs[3].pid = 4444);
    heals(image, "job 3", "slot 3", |tables| tables.jobs[3].pid = 500);
    heals(image, "job 3", "kind", |tables| tables.jobs[3].kind = 0xff);
    heals(image, "job 3", "deadline", |tables| tables.jobs[3].deadline = u64::MAX);
    heals(image, "allow 0", "1000", |tables| tables.allows[0].whom = 3);
    heals(image, "allow 0", "1000", |tables| tables.allows[0].globs_len = 5000);
    heals(image, "allow 0", "1000", |tables| tables.allows[0].globs_len = 6);
    heals(image, "allow 0", "1000", |tables| tables.allows[0].globs[0] = b'x');
    heals(image, "pending 0", "late", |tables| tables.pending[0].address[0] = b'x');
    heals(image, "pending 0", "slot 0", |tables| tables.pending[0].name_len = 0);
    heals(image, "pending 0", "late", |tables| tables.pending[0].kind = 9);
    heals(image, "pending 0", "late", |tables| tables.pending[0].device_len = 99);
    heals(image, "pending 0", "late", |tables| tables.pending[0].asked = u32::MAX);
    heals(image, "pending 0", "mode", |tables| tables.pending[0].mode = 0xffff);
    heals(image, "pending 0", "deadline", |tables| tables.pending[0].deadline = u64::MAX);
}

#[test]
fn the_header_gets_what_the_services_go_on_with() {
    let image = &mut small();
    for (field, damage) in [
        ("plan", (|tables| tables.header.plan = 99) as Damage),
        ("plan", |tables| tables.header.plan = 3),
        ("deadline", |tables| tables.header.stop_deadline = 5),
        ("scan_deadline", |tables| tables.header.scan_deadline = u64::MAX),
        ("pending_deadline", |tables| tables.header.pending_deadline = u64::MAX),
        ("boot_progress", |tables| tables.header.boot_progress = 99),
        ("dialect", |tables| tables.header.dialect = 2),
        ("fault_then", |tables| tables.header.fault_then = 9),
        ("fault", |tables| tables.header.fault_times[3] = u64::MAX),
        ("rules", |tables| tables.header.fdholder_rules_len = 9999),
        ("rules", |tables| tables.header.fdholder_rules_len = 3),
        ("rescue", |tables| tables.header.rescue = [1; 256]),
        ("kill-timeout", |tables| tables.header.kill_timeout = u64::MAX),
        ("shutdown script", |tables| tables.header.stop_script = [1; 256]),
        ("script-timeout", |tables| tables.header.stop_script_timeout = u64::MAX),
        ("shutdown script", |tables| tables.header.stop_stage = 9),
        ("no shutdown", |tables| (tables.header.stop_stage, tables.header.stop_plan) = (2, 0)),
        ("no shutdown", |tables| (tables.header.stop_stage, tables.header.stop_plan) = (1, 4)),
        ("stop_manner", |tables| tables.header.stop_manner = 3),
        ("generation", |tables| tables.header.next_generation = 0),
    ] {
        heals(image, "header", field, damage);
    }
    is_undone(image, "records", |tables| tables.header.services_top = 2);
    is_undone(image, "records", |tables| tables.header.services_top = u32::MAX);
    is_undone(image, "records", |tables| tables.header.held_top = 0);
    is_undone(image, "records", |tables| tables.header.clients_top = 0);
    is_undone(image, "records", |tables| tables.header.pending_top = u32::MAX);
    for wrong in [-9, 60, 80, 90, 100, 111, 112, 4000] {
        is_undone(image, "scan directory", |tables| tables.header.scandir_fd = wrong);
        is_undone(image, "control", |tables| tables.header.control_fd = wrong);
        is_undone(image, "lock", |tables| tables.header.lock_fd = wrong);
        is_undone(image, "fd-holder", |tables| tables.header.fdholder_fd = wrong);
        heals(image, "header", "null", |tables| tables.header.null_fd = wrong);
    }
}

#[test]
fn a_plan_is_one_of_the_role() {
    let mut image = small();
    image.role = Role::Init(Dialect::S6);
    let image = &mut image;
    heals(image, "header", "plan", |tables| tables.header.plan = 2);
    image.restore();
    image.tables().header.plan = 3;
    assert_eq!(image.violation(), None);
    for stage in 0..=4 {
        (image.tables().header.stop_stage, image.tables().header.stop_plan) = (stage, 5);
        assert_eq!(image.violation(), None);
    }
}

#[test]
fn what_is_in_progress_is_believed_and_what_cannot_be_is_given_up() {
    let image = &mut small();
    heals(image, "redo", "event", |tables| tables.redo.valid = 1);
    heals(image, "inbox", "input", |tables| tables.inbox.source = 9999);
    heals(image, "transfer", "message", |tables| tables.transfer.kind = 9999);
    heals(image, "epitaph", "fault", |tables| tables.epitaph.len = 9999);
}
