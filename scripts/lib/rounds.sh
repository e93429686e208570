# Rounds in which several things were measured one right after the other. Sourced, never run.
# shellcheck shell=sh

# rounds_row FILE FIELD LABEL: a row of a table. FILE has a line of nanoseconds for each round, the floor's first. The row
# has the best one of FIELD in microseconds, the median of its ratios to the floor of the same round, and the ratio of the
# best ones.
rounds_row() {
    awk -v field="$2" '{ print $field / $1, $field, $1 }' "$1" | sort -n |
        awk -v label="$3" '
            { ratio[NR] = $1; time[NR] = $2; floor[NR] = $3 }
            function least(of, i, found) {
                found = of[1]
                for (i = 2; i <= NR; i++) if (of[i] < found) found = of[i]
                return found
            }
            END {
                printf "%s %9.1f %7.2f %11.2f\n", label, least(time) / 1e3, ratio[int((NR + 1) / 2)],
                    least(time) / least(floor)
            }'
}
