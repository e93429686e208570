/* `connections`: what a super-server has to be measured against and with, for `scripts/bench connections`.
 *
 * connections floor PROG...
 *     runs PROG for each connection to descriptor 0, a listening socket that blocks: the least that does it. One system
 *     call for each thing that cannot be left out: accept, vfork, dup2 and execve in the child, close, wait. (The listening
 *     socket is moved away, so that a connection is descriptor 0, where PROG wants it.)
 *     It knows no limits, no signals, no log, and sets no variables. When it is ready it writes a line, as `-1` has
 *     s6's servers do it: the port, or nothing for a unix socket.
 * connections measure ROUNDS COUNT CONCURRENCY ADDRESS...
 *     measures servers in turn: COUNT connections to each in every round, CONCURRENCY of them at any time. An ADDRESS
 *     is a path or a port of 127.0.0.1. It prints a line for each round: nanoseconds for one connection with each
 *     server, from socket to close. Each must bring the one byte that PROG writes, and then its end. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 1000 };

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_un path;
        struct sockaddr_in ip;
    } to;
    socklen_t length;
};

static void die(char const *what)
{
    fprintf(stderr, "connections: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void refuse(char const *what)
{
    fprintf(stderr, "connections: %s\n", what);
    exit(2);
}

static void announce(void)
{
    struct address own = { .length = sizeof own.to };
    if (getsockname(0, &own.to.any, &own.length) < 0) die("descriptor 0 is no socket");
    if (own.to.any.sa_family == AF_INET) printf("%d", ntohs(own.to.ip.sin_port));
    puts("");
    fclose(stdout);
}

static void serve(char **prog)
{
    announce();
    int listener = fcntl(0, F_DUPFD_CLOEXEC, 3);
    if (listener < 0) die("fcntl");
    close(0);
    for (;;) {
        if (accept(listener, 0, 0) != 0) die("accept");
        pid_t pid = vfork();
        if (pid < 0) die("vfork");
        if (pid == 0) {
            dup2(0, 1);
            execv(prog[0], prog);
            _exit(127);
        }
        close(0);
        while (waitpid(-1, 0, WNOHANG) > 0) { }
    }
}

static struct address address_of(char const *word)
{
    struct address address = { .length = sizeof address.to.ip };
    if (strchr(word, '/')) {
        address.length = sizeof address.to.path;
        address.to.path.sun_family = AF_UNIX;
        if (strlen(word) >= sizeof address.to.path.sun_path) refuse("the path is too long");
        strcpy(address.to.path.sun_path, word);
    } else {
        address.to.ip.sin_family = AF_INET;
        address.to.ip.sin_port = htons(atoi(word));
        address.to.ip.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    return address;
}

static int open_one(struct address const *address)
{
    int fd = socket(address->to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket");
    if (connect(fd, &address->to.any, address->length) < 0) die("connect");
    return fd;
}

/* Blocks until all is there. */
static void finish_one(int fd)
{
    char got[2];
    if (read(fd, got, 2) != 1 || got[0] != '.') refuse("a connection did not bring its byte");
    if (read(fd, got, 2) != 0) refuse("a connection did not end well");
    close(fd);
}

static void one_after_the_other(struct address const *address, int count)
{
    while (count-- > 0) finish_one(open_one(address));
}

static void many_at_once(struct address const *address, int count, int concurrency)
{
    int poll = epoll_create1(EPOLL_CLOEXEC), begun = 0, ended = 0;
    if (poll < 0) die("epoll");
    while (ended < count) {
        struct epoll_event events[MOST];
        while (begun < count && begun - ended < concurrency) {
            int fd = open_one(address);
            /* Of a connection only its end wakes us. */
            struct epoll_event event = { .events = EPOLLRDHUP, .data.fd = fd };
            if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
            begun++;
        }
        int n = epoll_wait(poll, events, MOST, 30000);
        if (n < 0) die("epoll_wait");
        if (n == 0) refuse("no connection has ended for 30 s");
        for (int i = 0; i < n; i++) finish_one(events[i].data.fd);
        ended += n;
    }
    close(poll);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static void measure(int rounds, int count, int concurrency, char **addresses)
{
    if (rounds < 1 || count < 1 || concurrency < 1 || concurrency > MOST) refuse("these numbers cannot be");
    /* The first round warms up. */
    for (int round = 0; round <= rounds; round++) {
        for (char **word = addresses; *word; word++) {
            struct address address = address_of(*word);
            double begin = now();
            if (concurrency == 1)
                one_after_the_other(&address, count);
            else
                many_at_once(&address, count, concurrency);
            if (round > 0) printf("%.0f ", (now() - begin) / count);
        }
        if (round > 0) puts("");
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "floor"))
        serve(argv + 2);
    else if (argc > 5 && !strcmp(argv[1], "measure"))
        measure(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), argv + 5);
    else
        refuse("usage: connections floor PROG... | measure ROUNDS COUNT CONCURRENCY ADDRESS...");
    return 0;
}
