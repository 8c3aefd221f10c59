/* The machine's own limit: durable Maildir deliveries by nothing but their system calls.
 *
 * usage: bare-loop FOLDER THREADS CYCLES OCTETS MAILBOXES [RATE]
 *
 * Each cycle makes a file in tmp/ (O_EXCL), writes it, syncs it, renames it into new/ without replacing, and syncs new/.
 * The folders stay open, as a good server keeps them. With RATE so many cycles a second are due, and each is begun when it
 * is; otherwise as soon as there is a thread for it. Prints cycles per second, and how long half and 99 of 100 of them took
 * at most, in milliseconds, from when they were due. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct mailbox {
    int tmp, new;
};

static struct mailbox *mailboxes;
static int mailbox_count, octets, cycles;
static double rate, *milliseconds;
static char *content;
static atomic_int next_cycle;

static void die(const char *what) {
    fprintf(stderr, "bare-loop: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_folder(const char *path) {
    if (mkdir(path, 0700) != 0 && errno != EEXIST) die(path);
    int folder = open(path, O_RDONLY | O_DIRECTORY);
    if (folder < 0) die(path);
    return folder;
}

static void open_mailboxes(const char *root) {
    char path[4096];
    mailboxes = calloc(mailbox_count, sizeof *mailboxes);
    if (!mailboxes) die("memory");
    close(open_folder(root));
    for (int i = 0; i < mailbox_count; i++) {
        snprintf(path, sizeof path, "%s/%d", root, i);
        close(open_folder(path));
        snprintf(path, sizeof path, "%s/%d/tmp", root, i);
        mailboxes[i].tmp = open_folder(path);
        snprintf(path, sizeof path, "%s/%d/new", root, i);
        mailboxes[i].new = open_folder(path);
    }
}

static void deliver(int cycle) {
    const struct mailbox *mailbox = &mailboxes[cycle % mailbox_count];
    char name[64];
    snprintf(name, sizeof name, "%ld.M%dP%d.bare", (long)time(NULL), cycle, (int)getpid());
    int file = openat(mailbox->tmp, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (file < 0) die("open");
    if (write(file, content, octets) != octets) die("write");
    if (fsync(file) != 0) die("fsync");
    if (close(file) != 0) die("close");
    if (renameat2(mailbox->tmp, name, mailbox->new, name, RENAME_NOREPLACE) != 0) die("rename");
    if (fsync(mailbox->new) != 0) die("fsync of a folder");
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void sleep_until(double time) {
    struct timespec then = {.tv_sec = time, .tv_nsec = (time - (long)time) * 1e9};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then, NULL) == EINTR) {}
}

static void *work(void *begin) {
    for (int cycle; (cycle = atomic_fetch_add(&next_cycle, 1)) < cycles;) {
        double due = rate > 0 ? *(double *)begin + cycle / rate : now();
        if (rate > 0) sleep_until(due);
        deliver(cycle);
        milliseconds[cycle] = (now() - due) * 1e3;
    }
    return NULL;
}

static int compare(const void *one, const void *other) {
    double difference = *(const double *)one - *(const double *)other;
    return (difference > 0) - (difference < 0);
}

int main(int count, char **arguments) {
    if (count != 6 && count != 7) {
        fprintf(stderr, "usage: bare-loop FOLDER THREADS CYCLES OCTETS MAILBOXES [RATE]\n");
        return 2;
    }
    int threads = atoi(arguments[2]);
    cycles = atoi(arguments[3]);
    octets = atoi(arguments[4]);
    mailbox_count = atoi(arguments[5]);
    rate = count == 7 ? atof(arguments[6]) : 0;
    if (threads < 1 || threads > 1024 || cycles < 1 || octets < 1 || mailbox_count < 1) return 2;
    open_mailboxes(arguments[1]);
    content = malloc(octets);
    milliseconds = calloc(cycles, sizeof *milliseconds);
    if (!content || !milliseconds) die("memory");
    memset(content, 'x', octets);

    pthread_t ids[1024];
    double begin = now();
    for (int i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, work, &begin) != 0) die("thread");
    for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
    double seconds = now() - begin;
    qsort(milliseconds, cycles, sizeof *milliseconds, compare);
    printf("%.1f %.3f %.3f\n", cycles / seconds, milliseconds[cycles / 2], milliseconds[cycles - 1 - cycles / 100]);
    return 0;
}
