/* `log`: what a logger has to be measured against and with, for `scripts/bench log`.
 *
 * log floor DIR
 *     writes descriptor 0, which blocks, to DIR/current: the least that does it. One read and one write for what a pipe
 *     holds. It knows no lines, no limits, no rotation, no lock.
 * log measure ROUNDS BYTES PIECE KEPT DIR -- COMMAND... [-- COMMAND...]...
 *     measures loggers in turn: BYTES of lines of 100 bytes to each in every round, through a pipe, PIECE bytes at a time,
 *     and waits for its end. DIR, a logdir, is made anew each time. It prints a line for each round: nanoseconds with each
 *     logger, then those of a processor that it had itself, and KiB of memory that it had at most (VmHWM). With KEPT = 1 they all must leave the same number
 *     of bytes there, but for the first, and the first as many as were written. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 100, LINES = 4096, MOST = 8, PIPE = 65536 };

static char lines[LINE * LINES];

static void die(char const *what)
{
    fprintf(stderr, "log: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void refuse(char const *what)
{
    fprintf(stderr, "log: %s\n", what);
    exit(2);
}

static void write_all(int fd, char const *bytes, size_t count)
{
    while (count > 0) {
        ssize_t n = write(fd, bytes, count);
        if (n < 0) die("write");
        bytes += n;
        count -= n;
    }
}

static void serve(char const *dir)
{
    static char buffer[PIPE];
    if (mkdir(dir, 0700) < 0) die("mkdir");
    if (chdir(dir) < 0) die("chdir");
    int to = open("current", O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (to < 0) die("open");
    for (;;) {
        ssize_t n = read(0, buffer, sizeof buffer);
        if (n < 0) die("read");
        if (n == 0) break;
        write_all(to, buffer, n);
    }
    if (fsync(to) < 0) die("fsync");
}

/* What a web server might say: no two lines of a piece are the same. */
static void make_lines(void)
{
    static char const *const levels[] = { "info", "info", "info", "debug", "debug", "warning", "error", "info" };
    for (int i = 0; i < LINES; i++) {
        char *line = lines + i * LINE;
        int n = snprintf(line, LINE, "worker[%d]: %s: request %07d from 10.0.%d.%d: GET /images/%x.png: %d, %d us", i % 16,
                         levels[i % 8], i, i % 251, i % 13, i * 2654435761u, i % 50 ? 200 : 503, i * 37 % 9973);
        memset(line + n, '.', LINE - 1 - n);
        line[LINE - 1] = '\n';
    }
}

/* Removes a logdir; returns the bytes of its log. */
static long long clear(char const *dir)
{
    long long bytes = 0;
    DIR *open = opendir(dir);
    if (!open) {
        if (errno == ENOENT) return 0;
        die(dir);
    }
    for (struct dirent *entry; (entry = readdir(open));) {
        struct stat stat;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (fstatat(dirfd(open), entry->d_name, &stat, 0) < 0) die("stat");
        if (*entry->d_name == '@' || !strcmp(entry->d_name, "current")) bytes += stat.st_size;
        if (unlinkat(dirfd(open), entry->d_name, 0) < 0) die("unlink");
    }
    closedir(open);
    if (rmdir(dir) < 0) die("rmdir");
    return bytes;
}

static long memory(pid_t pid)
{
    char name[64], line[256];
    long kib = 0;
    snprintf(name, sizeof name, "/proc/%d/status", (int)pid);
    FILE *status = fopen(name, "re");
    if (!status) die(name);
    while (fgets(line, sizeof line, status)) {
        if (!strncmp(line, "VmHWM:", 6)) kib = atol(line + 6);
    }
    fclose(status);
    return kib;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static double nanoseconds(struct timeval time)
{
    return time.tv_sec * 1e9 + time.tv_usec * 1e3;
}

/* Nanoseconds of one turn; `own` becomes those of a processor, `kib` the memory. */
static double turn(char **command, long long bytes, size_t piece, double *own, long *kib)
{
    int ends[2], status;
    struct rusage usage;
    if (pipe2(ends, O_CLOEXEC) < 0) die("pipe");
    double begin = now();
    pid_t pid = vfork();
    if (pid < 0) die("vfork");
    if (pid == 0) {
        dup2(ends[0], 0);
        execvp(command[0], command);
        _exit(127);
    }
    close(ends[0]);
    size_t at = 0;
    while (bytes > 0) {
        size_t n = sizeof lines - at;
        if (n > piece) n = piece;
        if ((long long)n > bytes) n = bytes;
        write_all(ends[1], lines + at, n);
        at = (at + n) % sizeof lines;
        bytes -= n;
    }
    *kib = memory(pid);
    close(ends[1]);
    if (wait4(pid, &status, 0, &usage) != pid) die("wait4");
    double end = now();
    *own = nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) refuse("a logger has failed");
    return end - begin;
}

static void measure(int rounds, long long bytes, long piece, int kept, char const *dir, char **words)
{
    char **commands[MOST];
    int count = 0;
    for (; *words; words++) {
        if (strcmp(*words, "--")) continue;
        if (count == MOST) refuse("too many commands");
        *words = 0; /* the end of the one before */
        commands[count++] = words + 1;
    }
    if (rounds < 1 || bytes < LINE || bytes % LINE || piece < 1 || count == 0) refuse("these numbers cannot be");
    make_lines();
    /* The first round warms up. */
    for (int round = 0; round <= rounds; round++) {
        double own[MOST];
        long kib[MOST];
        long long first = 0;
        for (int i = 0; i < count; i++) {
            clear(dir);
            double time = turn(commands[i], bytes, piece, &own[i], &kib[i]);
            long long left = clear(dir);
            if (kept && i == 0 && left != bytes) refuse("bytes are missing");
            if (kept && i == 1) first = left;
            if (kept && i > 1 && left != first) refuse("the loggers have not written the same number of bytes");
            if (round > 0) printf("%.0f ", time);
        }
        if (round > 0) {
            for (int i = 0; i < count; i++) printf("%.0f ", own[i]);
            for (int i = 0; i < count; i++) printf("%ld ", kib[i]);
            puts("");
        }
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "floor"))
        serve(argv[2]);
    else if (argc > 8 && !strcmp(argv[1], "measure") && !strcmp(argv[7], "--"))
        measure(atoi(argv[2]), atoll(argv[3]), atol(argv[4]), atoi(argv[5]), argv[6], argv + 7);
    else
        refuse("usage: log floor DIR | measure ROUNDS BYTES PIECE KEPT DIR -- COMMAND... [-- COMMAND...]...");
    return 0;
}
