//! Which lines go where.

use crate::compare::differ;
use crate::stage::lines;

/// One test for each script, with the same few hundred lines. What a script writes to standard output tells by prefixes
/// which action did it.
macro_rules! scripts {
    ($($name:ident: $($word:literal)*;)*) => {$(
        #[test]
        fn $name() {
            differ(|stage| {
                stage.feed(&["--", $($word),*], [&lines(300)[..], b"\n", SPECIAL].concat());
                stage.look("then");
            });
        }
    )*};
}

/// Lines that expressions of all kinds tell apart.
const SPECIAL: &[u8] =
    b"foo\nbar\nfoobar\nbaz\nFOO\n foo\nfoo \nfo\nfooo\na+b\na.b\nacb\nab\naab\n[x]\nx]\n\\d\n(foo)\n\
                         a|b\n$HOME\n^start\ntab\there\n{2}\naa\nfoo.bar\n\xff\xfe\ncaf\xc3\xa9\n-\n_\n0\n";

scripts! {
    all_lines: "1";
    nothing_is_selected: "-" "1";
    an_empty_expression_matches_all: "-" "+" "1";
    lines_with: "-" "+foo" "1";
    lines_without: "-foo" "1";
    cumulative_selections: "-" "+foo" "-bar" "+baz" "1";
    the_order_of_selections_matters: "-" "+baz" "+foo" "-bar" "1";
    what_is_selected_stays_so_over_groups: "-foo" "p1:" "1" "+foobar" "p2:" "1" "-9" "p3:" "1";
    rest_selects_what_had_no_action: "-" "+foo" "-bar" "p1:" "1" "f" "p2:" "1";
    rest_of_rest: "-" "+foo" "p1:" "1" "f" "-bar" "p2:" "1" "f" "p3:" "1";
    rest_then_less: "-" "+error" "p1:" "1" "f" "-warning" "p2:" "1" "+warning" "p3:" "1";
    rest_first: "f" "p1:" "1" "f" "p2:" "1";
    rest_before_anything_was_done: "-" "f" "p1:" "1" "-" "f" "p2:" "1";
    rest_is_no_selection_of_what_was_selected_without_action: "-foo" "+foo" "f" "-bar" "1" "f" "p2:" "1";
    several_actions_of_a_group: "-" "+warning" "p1:" "1" "p2:" "1" "./d" "p" "./e" "f" "./f";
    two_logdirs_by_expressions: "-" "+error" "./errors" "-" "+warning" "./warnings" "f" "./others";
    anchors: "-" "+^foo" "p1:" "1" "-" "+foo$" "p2:" "1" "-" "+^foo$" "p3:" "1" "-" "+^$" "p4:" "1";
    classes: "-" "+[0-9][13579]:" "p1:" "1" "-" "+[[:upper:]]" "p2:" "1" "-" "+[^ -~]" "p3:" "1";
    classes_with_odd_members: "-" "+[]x]" "p1:" "1" "-" "+[^]a-z0-9 ]" "p2:" "1" "-" "+[.$]" "p3:" "1";
    repetitions: "-" "+fo*b" "p1:" "1" "-" "+fo+$" "p2:" "1" "-" "+^fo?o?$" "p3:" "1" "-" "+o{3}" "p4:" "1";
    bounds: "-" "+^a{1,2}b" "p1:" "1" "-" "+(foo ){2,}" "p2:" "1" "-" "+^[0-9]{5}$" "p3:" "1";
    alternatives: "-" "+foo|bar" "p1:" "1" "-" "+^(foo|bar)$" "p2:" "1" "-" "+(a|b)(c|d)?b" "p3:" "1";
    escaped_characters: "-" "+a\\.b" "p1:" "1" "-" "+x\\+y" "p2:" "1" "-" "+\\[1\\]" "p3:" "1" "-" "+\\\\d" "p4:" "1";
    more_escaped_characters: "-" "+\\$" "p1:" "1" "-" "+\\^" "p2:" "1" "-" "+a\\|b" "p3:" "1" "-" "+\\(foo\\)" "p4:" "1";
    bytes_and_not_characters: "-" "+^caf..$" "p1:" "1" "-" "+^caf.$" "p2:" "1" "-" "+^..$" "p3:" "1";
    case_matters: "-" "+FOO" "p1:" "1" "-" "+foo" "-^[0-9]" "p2:" "1";
    a_dot_is_any_byte: "-" "+a.b" "-99" "1" "f" "-" "+^.$" "p2:" "1";
    what_is_matched_has_no_prefix_and_no_stamp: "ppre" "t" "1" "-" "+pre" "p2:" "1" "+^@" "p3:" "1";
    many_groups: "-" "+foo" "p1:" "1" "-foo" "+bar" "p2:" "1" "-bar" "+baz" "p3:" "1" "f" "-a" "p4:" "1" "f" "p5:" "1"
        "-" "+9{2}" "p6:" "1" "f" "p7:" "1";
}
