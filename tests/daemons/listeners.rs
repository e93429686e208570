//! Daemons that take their listening socket over.

use crate::place::*;

fn both_ways(test: impl Fn(Way)) {
    for way in [Way::Given, Way::Retrieved] {
        test(way);
    }
}

#[test]
fn lighttpd_serves_on_a_held_socket() {
    both_ways(|way| {
        let place = Place::tcp();
        place.file(
            "conf",
            &format!(
                "server.systemd-socket-activation = \"enable\"\nserver.bind = \"127.0.0.1\"\nserver.port = {}\n\
                 server.document-root = \"{}/www\"\nserver.modules = ()\n",
                place.port(),
                place.path().display()
            ),
        );
        place.survives(way, "exec $ROOT/usr/sbin/lighttpd -D -f conf -m $ROOT/usr/lib/lighttpd", &Talk::HTTP);
    });
}

#[test]
fn nginx_serves_on_a_held_socket() {
    both_ways(|way| {
        let place = Place::tcp();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|name| format!("{name}_temp_path tmp-{name};")).join(" ");
        place.file(
            "conf",
            &format!(
                "user root root; daemon off; master_process on; worker_processes 1; pid nginx.pid; error_log stderr;\n\
                 events {{ worker_connections 64; }}\n\
                 http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{}; root www; }} }}\n",
                place.port()
            ),
        );
        place.survives(way, "NGINX='3;' exec $ROOT/usr/sbin/nginx -p . -c conf -e stderr", &Talk::HTTP);
    });
}

#[test]
fn dbus_daemon_serves_on_a_held_socket() {
    both_ways(|way| {
        let place = Place::unix();
        place.file(
            "conf",
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n\
             <busconfig><type>session</type><listen>systemd:</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/><allow own=\"*\"/></policy>\
             </busconfig>\n",
        );
        // The peer tells who we are; what we say is left empty.
        let talk = Talk { say: b"\0AUTH EXTERNAL\r\nDATA\r\n", hear: "OK " };
        place.survives(way, "exec $ROOT/usr/bin/dbus-daemon --config-file=conf --nofork --nopidfile --nosyslog", &talk);
    });
}
