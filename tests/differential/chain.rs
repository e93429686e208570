//! Chain loaders and fifodir tools: exit codes and what they hand on. (No daemons are needed.)

use crate::compare::differ;
use crate::world::kill;

#[test]
pub fn a_program_that_cannot_be_executed() {
    differ(|w| {
        std::fs::write(w.path("plain"), "").unwrap();
        std::fs::create_dir(w.path("dir")).unwrap();
        for loader in [
            "s6-setlock lock",
            "s6-setsid",
            "s6-envdir dir",
            "s6-softlimit",
            "s6-setuidgid daemon",
            "s6-envuidgid daemon",
            "s6-applyuidgid -u 0",
        ] {
            w.run(&format!("{loader} ./nonexistent"));
            w.run(&format!("{loader} ./plain"));
            w.run(&format!("{loader} sh -c 'exit 5'"));
            w.run(loader);
        }
        for loader in
            ["s6-setlock -n", "s6-setuidgid", "s6-envdir", "s6-envuidgid", "s6-fghack", "s6-ftrig-wait", "s6-mkfifodir"]
        {
            w.run(loader);
        }
    });
}

#[test]
pub fn envdir_sets_and_unsets() {
    differ(|w| {
        std::fs::create_dir(w.path("env")).unwrap();
        for (name, content) in [
            ("EMPTY", ""),
            ("NEWLINE", "\n"),
            ("PLAIN", "value\n"),
            ("BARE", "bare"),
            ("TRAILING", "x \t \nmore"),
            ("NUL", "a\0b\n"),
            (".hidden", "x"),
            ("A=B", "x"),
            ("SPACE", "  y  "),
            ("TWO", "one\ntwo\n"),
        ] {
            std::fs::write(w.path("env").join(name), content).unwrap();
        }
        let show = "sh -c 'echo \"[${EMPTY-unset}] [${NEWLINE-unset}] [$PLAIN] [$BARE] [$TRAILING] [$NUL] [$SPACE] [$TWO] ${hidden-no}\"'";
        for options in ["", "-n", "-f", "-fn", "-c X", "-L", "-I"] {
            w.out(&format!("EMPTY=was NEWLINE=was s6-envdir {options} env {show}"));
        }
        w.run("s6-envdir nonexistent true");
        w.run("s6-envdir -I nonexistent true");
        w.run("s6-envdir -i nonexistent true");
        std::fs::write(w.path("env/LONG"), "x".repeat(5000)).unwrap();
        w.out("s6-envdir env sh -c 'echo ${#LONG}'");
        w.out("s6-envdir -L env sh -c 'echo ${#LONG}'");
    });
}

#[test]
pub fn softlimit_limits() {
    differ(|w| {
        w.out("s6-softlimit -o 100 sh -c 'ulimit -n; ulimit -Hn'");
        w.out("s6-softlimit -H -o 200 sh -c 'ulimit -n; ulimit -Hn'");
        w.out("s6-softlimit -h -o 300 sh -c 'ulimit -Hn'");
        w.out("s6-softlimit -c 0 -f 1024 -t 77 -s 8388608 sh -c 'ulimit -c; ulimit -f; ulimit -t; ulimit -s'");
        w.out("s6-softlimit -o 100 s6-softlimit -o = sh -c '[ $(ulimit -n) = $(ulimit -Hn) ] && echo same'");
        w.run("s6-softlimit -o x true");
        w.run("s6-softlimit -o -5 true");
    });
}

#[test]
pub fn setlock_locks() {
    differ(|w| {
        w.run("s6-setlock lock true");
        w.layout("lock");
        w.run("s6-setlock -n lock sh -c 's6-setlock -n lock true; exit $?'");
        w.run("s6-setlock -r lock sh -c 's6-setlock -n -r lock true; exit $?'");
        w.run("s6-setlock -r lock sh -c 's6-setlock -n lock true; exit $?'");
        w.run("s6-setlock lock sh -c 's6-setlock -t 50 lock true; exit $?'");
        w.run("s6-setlock -t 30000 lock sh -c 'exit 6'");
        w.run("s6-setlock ./nonexistent/lock true");
        w.run("s6-setlock -x lock true");
        let holder = w.begin("s6-setlock lock sh -c 'echo up >$SAID; exec sleep 1000'");
        w.heard("holder");
        w.run("s6-setlock -n lock true");
        let waiting = w.begin("s6-setlock lock sh -c 'exit 8'");
        kill(holder.id() as i32, 9);
        w.end_of("holder", holder);
        w.end_of("next", waiting);
    });
}

#[test]
pub fn setsid_makes_sessions_and_groups() {
    let show = "sh -c 'set -- $(cut -d\" \" -f5,6 /proc/$$/stat); [ $1 = $$ ] && echo group; [ $2 = $$ ] && echo session; true'";
    differ(|w| {
        w.out(&format!("s6-setsid {show}"));
        w.out(&format!("s6-setsid -s {show}"));
        w.out(&format!("s6-setsid -b {show}"));
        w.run("s6-setsid -x true");
        w.run("s6-setsid -q s6-setsid -q true");
    });
}

#[test]
pub fn users_by_name_and_by_number() {
    let show = "sh -c 'id -u; id -g; id -G; echo $UID $GID $GIDLIST'";
    differ(|w| {
        for line in [
            "s6-setuidgid daemon",
            "s6-setuidgid 12:34",
            "s6-setuidgid nonexistent",
            "s6-setuidgid 12",
            "s6-setuidgid ''",
            "s6-envuidgid daemon",
            "s6-envuidgid -u daemon",
            "s6-envuidgid -g daemon",
            "s6-envuidgid nonexistent",
            "s6-envuidgid -n 55",
            "s6-envuidgid -D 5:6:7,8 nonexistent",
            "s6-envuidgid -B daemon:bin",
            "s6-applyuidgid -u 12 -g 34 -G 34,56",
            "s6-applyuidgid -u 12",
            "s6-applyuidgid -U",
            "UID=1 GID=2 GIDLIST=3,4 s6-applyuidgid -U",
            "UID=1 GID=2 GIDLIST= s6-applyuidgid -Uz",
            "s6-applyuidgid -u x",
            "s6-applyuidgid -x",
        ] {
            w.out(
                &format!("env -u UID -u GID -u GIDLIST {line} {show}")
                    .replace("env -u UID -u GID -u GIDLIST UID", "UID"),
            );
        }
    });
}

#[test]
pub fn fghack_waits_for_who_went_to_the_background() {
    differ(|w| {
        w.run("s6-fghack sh -c 'exit 7'");
        w.run("s6-fghack ./nonexistent");
        let waiting = w.begin("s6-fghack sh -c '(echo up >$SAID; sleep 0.3) & exit 3'");
        w.heard("background");
        w.end_of("fghack", waiting);
        w.run("s6-fghack sh -c 'kill -TERM $$'");
    });
}

#[test]
pub fn fifodirs_are_made_cleaned_and_told() {
    differ(|w| {
        w.run("umask 077; s6-mkfifodir public");
        w.run("umask 077; s6-mkfifodir -g 7 restricted");
        w.layout("public");
        w.layout("restricted");
        w.run("s6-mkfifodir public");
        w.run("s6-mkfifodir -f -g 7 public");
        w.layout("public");
        std::fs::write(w.path("file"), "").unwrap();
        w.run("s6-mkfifodir file");
        w.run("s6-mkfifodir ./nonexistent/x");
        w.run("s6-mkfifodir -g x y");
        crate::supervision::make_fifo(&w.path("public/ftrig1:@400000006800000000000000:stalex"));
        crate::supervision::make_fifo(&w.path("public/ftrig1:@400000006800000000000000:stale"));
        w.run("s6-cleanfifodir public");
        w.layout("public");
        w.run("s6-cleanfifodir ./nonexistent");
        w.run("s6-ftrig-notify public anything");
        w.run("s6-ftrig-notify ./nonexistent anything");
        w.run("s6-ftrig-notify public");
    });
}

#[test]
pub fn fifodirs_are_listened_to() {
    differ(|w| {
        w.ok("s6-mkfifodir d");
        w.ok("s6-mkfifodir e");
        w.out("s6-ftrig-listen1 -t 30000 d 'b+c' s6-ftrig-notify d abbc");
        w.times_out("s6-ftrig-listen1 -t TIME d x true");
        w.run("s6-ftrig-listen1 d '(' true");
        w.run("s6-ftrig-listen1 d x ./nonexistent");
        w.run("s6-ftrig-listen -t 30000 d a e b '' sh -c 's6-ftrig-notify d a; s6-ftrig-notify e b'");
        w.run("s6-ftrig-listen -o -t 30000 d a e b '' s6-ftrig-notify e b");
        w.times_out("s6-ftrig-listen -t TIME d a e b '' s6-ftrig-notify e b");
        w.run("s6-ftrig-listen d a e '' true");
        w.times_out("s6-ftrig-wait -t TIME d x");
        w.run("s6-ftrig-wait ./nonexistent x");
        let waiting = w.begin("s6-ftrig-wait -t 30000 d xyz");
        w.eventually("listening", || w.listeners("d") == 1);
        w.ok("s6-ftrig-notify d wxyz");
        w.end_of("s6-ftrig-wait", waiting);
    });
}
