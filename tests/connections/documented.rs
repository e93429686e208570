//! The examples of the documentation of s6 and of s6-networking, word by word: the pages about s6-ipcserver, local services,
//! socket activation, s6-sudod, s6-sudo, s6-ioconnect, s6-connlimit, s6-fdholder-daemon, s6-fdholderd, s6-fdholder-retrieve,
//! s6-accessrules-cdb-from-fs, s6-tcpserver, s6-tcpserver-access, s6-tcpclient, and the two notification bridges. Each runs
//! on a machine of its own, because it says `/service`, `1.2.3.4` or `serveruser`. (Names such as `prog...`, `sargv` and
//! `foobard` are programs there.) Where Debian has the programs, it runs with those too, and must say the same.

use crate::house::House;
use crate::stage::Maker;

/// Runs the script with Debian's programs and with ours: both must write `wanted`.
fn both(prepare: impl Fn(&House), addresses: &str, script: &str, wanted: &str) {
    for maker in [Maker::Debian, Maker::Linchpin] {
        run(maker, &prepare, addresses, script, wanted);
    }
}

/// Runs the script with ours, which must write `wanted`.
fn ours(prepare: impl Fn(&House), addresses: &str, script: &str, wanted: &str) {
    run(Maker::Linchpin, &prepare, addresses, script, wanted);
}

fn run(maker: Maker, prepare: &dyn Fn(&House), addresses: &str, script: &str, wanted: &str) {
    let house = House::new(maker);
    prepare(&house);
    assert_eq!(house.run(addresses, script), wanted, "{maker:?}: {}", house.log());
}

/// s6-fdholderd, "Configuration examples", and s6-fdholder-daemon.
const RULES: &str = "mkdir -p /service/fdholder
mkdir /service/fdholder/rules ;
cd /service/fdholder/rules ; mkdir uid gid
mkdir uid/0 ; touch uid/0/allow
mkdir uid/0/env
echo '^unix:' >uid/0/env/S6_FDHOLDER_STORE_REGEX
echo '^unix:' >uid/0/env/S6_FDHOLDER_RETRIEVE_REGEX
cd /service/fdholder
s6-fdholder-daemon -i rules s &
wait_for s6-ipcclient s true
";

#[test]
fn a_socket_is_opened_first_and_dispatched_to_a_daemon_later() {
    let prepare = |house: &House| {
        house.program(
            "/usr/bin/myserverd",
            "#!/bin/sh\necho $$ >/myserverd.pid\nexec s6-ipcserverd sh -c 'echo served; cat'\n",
        );
    };
    // Of socket-activation.html, the third and the fifth step.
    let script = format!(
        "{RULES}
s6-ipcserver-socketbinder /my/socket s6-fdholder-store /service/fdholder/s \
unix:/my/socket
# A client comes before the daemon does.
echo early | s6-ipcclient /my/socket s6-ioconnect >/early &
early=$!
s6-fdholder-retrieve \
/service/fdholder/s unix:/my/socket myserverd &
wait $early
cat /early
# The service crashes and is restarted.
kill -KILL $(cat /myserverd.pid)
echo between | s6-ipcclient /my/socket s6-ioconnect >/between &
between=$!
s6-fdholder-retrieve \
/service/fdholder/s unix:/my/socket myserverd &
wait $between
cat /between
"
    );
    both(prepare, "", &script, "served\nearly\nserved\nbetween");
}

#[test]
fn a_held_socket_is_served_with_cat() {
    // Of s6-fdholder-retrieve.html.
    let script = "mkdir -p /service/fdholderd/rules/uid/0/env
cd /service/fdholderd
touch rules/uid/0/allow
echo . >rules/uid/0/env/S6_FDHOLDER_STORE_REGEX
echo . >rules/uid/0/env/S6_FDHOLDER_RETRIEVE_REGEX
s6-fdholder-daemon -i rules s &
wait_for s6-ipcclient s true
s6-ipcserver-socketbinder /my/socket s6-fdholder-store /service/fdholderd/s MYSOCKET true
s6-fdholder-retrieve /service/fdholderd/s MYSOCKET s6-ipcserverd cat &
echo hello | s6-ipcclient /my/socket s6-ioconnect
";
    both(|_| {}, "", script, "hello");
}

#[test]
fn clients_of_the_fd_holder_have_the_rights_of_its_examples() {
    // Of s6-fdholderd.html: the rules of all examples but the one that nobody should follow.
    let script = "mkdir -p /service/fdholder
mkdir /service/fdholder/rules ;
cd /service/fdholder/rules ; mkdir uid gid
mkdir uid/default ; touch uid/default/allow
mkdir -p uid/50/env ; touch uid/50/allow ;
echo > uid/50/env/S6_FDHOLDER_GETDUMP ; echo >
uid/50/env/S6_FDHOLDER_SETDUMP
mkdir -p uid/72/env ;
touch uid/72/allow ; echo '^foobar$' >
uid/72/env/S6_FDHOLDER_STORE_REGEX
mkdir -p gid/23/env ; touch gid/23/allow ; echo foo.bar >
gid/23/env/S6_FDHOLDER_RETRIEVE_REGEX
echo > gid/23/env/S6_FDHOLDER_LIST
cd /service/fdholder
s6-fdholder-daemon -i rules s &
wait_for s6-ipcclient s true
try() { \"$@\" </dev/null 2>/dev/null && echo yes || echo no; }
try s6-applyuidgid -u 72 -g 72 -G '' s6-fdholder-store s foobar true
try s6-applyuidgid -u 72 -g 72 -G '' s6-fdholder-store s foobars true
try s6-applyuidgid -u 72 -g 72 -G '' s6-fdholder-list s
try s6-applyuidgid -u 73 -g 72 -G '' s6-fdholder-store s foobar true
try s6-applyuidgid -u 50 -g 72 -G '' s6-fdholder-getdump s true
try s6-applyuidgid -u 72 -g 72 -G '' s6-fdholder-getdump s true
"
    // A page is wrapped where it likes; a shell is not.
    .replace("echo >\nuid", "echo > uid")
    .replace("'^foobar$' >\nuid", "'^foobar$' > uid")
    .replace("foo.bar >\ngid", "foo.bar > gid");
    both(|_| {}, "", &script, "yes\nno\nno\nno\nyes\nno");
}

/// s6-sudod, "Usage example": the run script.
const SUDOD: &str = "#!/command/execlineb -P
fdmove -c 2 1
fdmove 1 3
s6-envuidgid serveruser
s6-ipcserver -U -1 -- serversocket
s6-ipcserver-access -v2 -l0 -i rules --
exec -c
s6-envdir env
s6-sudod
sargv
";

#[test]
fn a_user_runs_a_privileged_program() {
    let prepare = |house: &House| {
        house.program("/service/sudo/run", SUDOD);
        house.file("/service/sudo/notification-fd", "3\n");
        house.program(
            "/usr/bin/sargv",
            "#!/bin/sh\necho \"$@\" as $(id -un), VAR=$VAR, OTHER=${OTHER-unset}\ncat\nexit 7\n",
        );
    };
    let script = "cd /service/sudo
chmod 755 /service /service/sudo
mkdir env
echo > env/VAR
mkdir -p rules/uid/2002
touch rules/uid/2002/allow
s6-supervise . >/supervise.log 2>&1 &
wait_for s6-svstat .
s6-svwait -U -t 20000 .
export VAR=value OTHER=value
echo input | s6-setuidgid clientuser \
s6-sudo serversocket cargv || echo $?
# Which is the same as
echo input | s6-setuidgid clientuser s6-ipcclient serversocket \
s6-sudoc cargv || echo $?
# Others may not.
s6-setuidgid otheruser s6-sudo serversocket cargv 2>/dev/null || echo $?
s6-svc -dx .
";
    let told = "cargv as serveruser, VAR=value, OTHER=unset\ninput\n7\n";
    // Who is not let in is told nothing: sudoc's answer to that.
    both(prepare, "", script, &format!("{told}{told}111"));
}

#[test]
fn permissions_of_a_socket_are_those_of_a_local_service() {
    // Of localservice.html: user S and group G, 0420.
    let script = "cd /my
s6-ipcserver socket cat &
wait_for s6-ipcclient socket true
chmod 755 /my
chown serveruser:friends socket
chmod 0420 socket
try() { echo served | \"$@\" s6-ipcclient socket s6-ioconnect || echo no; }
try s6-setuidgid clientuser
try s6-setuidgid otheruser
try s6-setuidgid serveruser
";
    both(|_| {}, "", script, "served\nno\nno");
}

#[test]
fn a_server_of_the_network_can_be_a_local_service_with_an_access_check() {
    // Of localservice.html: s6-ipcserver-access after s6-ipcserver.
    let script = "cd /my
mkdir -p rules/uid/2002
touch rules/uid/2002/allow
s6-ipcserver socket s6-ipcserver-access -i rules cat &
wait_for s6-ipcclient socket true
chmod 755 /my
try() { echo served | \"$@\" s6-ipcclient socket s6-ioconnect && echo 0 || echo $?; }
try s6-setuidgid clientuser
try s6-setuidgid otheruser
";
    both(|_| {}, "", script, "served\n0\n0");
}

/// s6-connlimit, "Example".
const CONNLIMIT: &str = "s6-tcpserver -v2 -c1000 -C40 1.2.3.4 80 \\
     s6-tcpserver-access -v2 -RHl0 -i dir \\
     s6-connlimit \\
     prog...";

#[test]
fn a_rule_limits_the_connections_of_an_address() {
    let prepare = |house: &House| house.program("/usr/bin/prog...", "#!/bin/sh\necho up\nexec cat\n");
    // Each client keeps its connection, unless it gets none.
    let client = "#!/bin/sh
exec s6-tcpclient -H -i $1 1.2.3.4 80 sh -c 'read said <&6; echo \"$said\" >>/said.$1; exec cat >/dev/null <&6' $1\n";
    let prepare = |house: &House| {
        prepare(house);
        house.program("/client", &client.replace("/said.$1; exec", "/said.$0; exec"));
    };
    let script = format!(
        "mkdir -p dir/ip4/5.6.7.8_32/env dir/ip4/0.0.0.0_0
touch dir/ip4/5.6.7.8_32/allow dir/ip4/0.0.0.0_0/allow
echo 30 >dir/ip4/5.6.7.8_32/env/TCPCONNMAX
{CONNLIMIT} &
wait_for s6-tcpclient -H -i 9.9.9.9 1.2.3.4 80 true
for number in $(seq 42); do
    /client 5.6.7.8 &
    /client 9.9.9.9 &
done
all() {{ [ $(cat /said.* | wc -l) = 84 ]; }}
wait_for all
for address in 5.6.7.8 9.9.9.9; do echo $address $(sort /said.$address | uniq -c); done
"
    );
    ours(prepare, "1.2.3.4 5.6.7.8 9.9.9.9", &script, "5.6.7.8 12 30 up\n9.9.9.9 2 40 up");
}

#[test]
fn ioconnect_is_to_tcpclient_as_cat_is_to_tcpserver() {
    // Of s6-ioconnect.html.
    let script = "s6-tcpserver 127.0.0.1 80 cat &
wait_for s6-tcpclient -H 127.0.0.1 80 true
echo hello | s6-tcpclient -H 127.0.0.1 80 s6-ioconnect
s6-ipcserver /my/socket cat &
wait_for s6-ipcclient /my/socket true
echo hello | s6-ipcclient /my/socket s6-ioconnect
echo hello | s6-tcpclient -h localhost 80 s6-ioconnect
";
    ours(|_| {}, "", script, "hello\nhello\nhello");
}

#[test]
fn all_addresses_of_a_machine_take_two_servers() {
    // Of s6-tcpserver.html: one on 0.0.0.0 and one on ::, and both are called s6-tcpserverd in ps's output.
    let script = "s6-tcpserver 0.0.0.0 80 sh -c 'echo $TCPLOCALIP $TCPREMOTEIP' &
four=$!
s6-tcpserver :: 80 sh -c 'echo $TCPLOCALIP $TCPREMOTEIP' &
six=$!
wait_for s6-tcpclient -H 127.0.0.1 80 true
wait_for s6-tcpclient -H ::1 80 true
for place in 127.0.0.1 ::1 1.2.3.4; do s6-tcpclient -H $place 80 s6-ioconnect </dev/null; done
cat /proc/$four/comm /proc/$six/comm
tr '\\0' ' ' </proc/$six/cmdline
";
    let wanted = "0.0.0.0 127.0.0.1\n:: ::1\n0.0.0.0 1.2.3.4\ns6-tcpserverd\ns6-tcpserverd\n\
                  s6-tcpserverd -- sh -c echo $TCPLOCALIP $TCPREMOTEIP";
    ours(|_| {}, "1.2.3.4", script, wanted);
}

#[test]
fn a_network_has_a_rule() {
    // Of s6-accessrules-cdb-from-fs.html: 192.168.0.0_27 matches 192.168.0.0/27, unless there is a more precise rule.
    let script = "mkdir -p rules/ip4/192.168.0.0_27 rules/ip4/192.168.0.7_32
touch rules/ip4/192.168.0.0_27/allow rules/ip4/192.168.0.7_32/deny
s6-accessrules-cdb-from-fs rules.cdb rules
s6-tcpserver 192.168.0.1 80 s6-tcpserver-access -H -i rules echo served &
s6-tcpserver 192.168.0.1 81 s6-tcpserver-access -H -x rules.cdb echo served &
wait_for s6-tcpclient -H 192.168.0.1 80 true
wait_for s6-tcpclient -H 192.168.0.1 81 true
for port in 80 81; do for last in 1 7 31 32; do
    echo $last $(s6-tcpclient -H -i 192.168.0.$last 192.168.0.1 $port s6-ioconnect </dev/null)
done; done
";
    let served = "1 served\n7\n31 served\n32";
    ours(|_| {}, "192.168.0.1 192.168.0.7 192.168.0.31 192.168.0.32", script, &format!("{served}\n{served}"));
}

#[test]
fn a_rule_names_another_program_and_a_banner_comes_before_the_check() {
    // Of s6-tcpserver-access.html.
    let script = "mkdir -p rules/ip4/127.0.0.0_8/env rules/ip4/1.2.3.4_32
touch rules/ip4/127.0.0.0_8/allow rules/ip4/1.2.3.4_32/deny
echo value >rules/ip4/127.0.0.0_8/env/VAR
echo 'importas -i VAR VAR echo newprog ${VAR} ' >rules/ip4/127.0.0.0_8/exec
s6-tcpserver 0.0.0.0 80 s6-tcpserver-access -H -B '220 welcome
' -i rules prog... &
wait_for s6-tcpclient -H 127.0.0.1 80 true
for place in 127.0.0.1 1.2.3.4; do s6-tcpclient -H -i $place $place 80 s6-ioconnect </dev/null; done
";
    ours(|_| {}, "1.2.3.4", script, "220 welcome\nnewprog value\n220 welcome");
}

/// Tells whoever is at NOTIFY_SOCKET what its standard input says, as sd_notify(3) does.
const TELL: &str = "#!/usr/bin/perl
use Socket;
my $name = $ENV{NOTIFY_SOCKET};
$name =~ s/^@/\\0/;
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die;
send($socket, $ARGV[0], 0, pack('Sa*', AF_UNIX, $name)) or die $!;
";

/// Prints what comes to the socket that it is given the path of.
const HEAR: &str = "#!/usr/bin/perl
use Socket;
$| = 1;
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die;
bind($socket, pack_sockaddr_un($ARGV[0])) or die;
recv($socket, my $said, 4096, 0);
print $said;
";

#[test]
fn a_daemon_that_speaks_sd_notify_is_supervised_by_s6() {
    // Of s6-notify-fd-from-socket.html: meant to be used in a run script.
    let prepare = |house: &House| {
        house.program("/tell", TELL);
        house.program("/usr/bin/prog...", "#!/bin/sh\nread x </fifo\n/tell READY=1\nexec sleep 1000\n");
        house.program("/service/prog/run", "#!/bin/sh\nexec s6-notify-fd-from-socket prog...\n");
        house.file("/service/prog/notification-fd", "3\n");
    };
    let script = "mkfifo /fifo
s6-supervise /service/prog &
wait_for s6-svstat /service/prog
s6-svwait -u -t 20000 /service/prog
s6-svstat -o up,ready /service/prog
echo >/fifo
s6-svwait -U -t 20000 /service/prog
s6-svstat -o up,ready /service/prog
s6-svc -dx /service/prog
";
    ours(prepare, "", script, "true false\ntrue true");
}

#[test]
fn a_daemon_that_writes_a_newline_is_run_by_who_wants_sd_notify() {
    // Of s6-notify-socket-from-fd.html: ExecStart=\"s6-notify-socket-from-fd foobard\", Type=notify.
    let prepare = |house: &House| {
        house.program("/hear", HEAR);
        house.program(
            "/usr/bin/foobard",
            "#!/bin/sh\necho ${NOTIFY_SOCKET-nothing} >/env\necho\nexec 1>&-\nexec sleep 1000\n",
        );
    };
    let script = "/hear /my/notify >/heard &
hear=$!
wait_for test -S /my/notify
NOTIFY_SOCKET=/my/notify s6-notify-socket-from-fd foobard &
foobard=$!
wait $hear
sed s/=$foobard$/=foobard/ /heard
cat /env
cat /proc/$foobard/comm
";
    ours(prepare, "", script, "READY=1\nMAINPID=foobard\nnothing\nsleep");
}
