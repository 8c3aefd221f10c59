/* The machine's own limit: durable Maildir deliveries by nothing but their system calls.
 *
 * usage: bare-loop FOLDER THREADS CYCLES OCTETS MAILBOXES
 *
 * Each cycle makes a file in tmp/ (O_EXCL), writes it, syncs it, renames it into new/ without replacing, and syncs new/.
 * The folders stay open, as a good server keeps them. Prints cycles per second, and the user-mode and system
 * microseconds of CPU per cycle. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct mailbox {
    int tmp, new;
};

static struct mailbox *mailboxes;
static int mailbox_count, octets, cycles;
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

static void *work(void *unused) {
    for (int cycle; (cycle = atomic_fetch_add(&next_cycle, 1)) < cycles;) deliver(cycle);
    return unused;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static double microseconds(struct timeval time) { return time.tv_sec * 1e6 + time.tv_usec; }

int main(int count, char **arguments) {
    if (count != 6) {
        fprintf(stderr, "usage: bare-loop FOLDER THREADS CYCLES OCTETS MAILBOXES\n");
        return 2;
    }
    int threads = atoi(arguments[2]);
    cycles = atoi(arguments[3]);
    octets = atoi(arguments[4]);
    mailbox_count = atoi(arguments[5]);
    if (threads < 1 || threads > 1024 || cycles < 1 || octets < 1 || mailbox_count < 1) return 2;
    open_mailboxes(arguments[1]);
    content = malloc(octets);
    if (!content) die("memory");
    memset(content, 'x', octets);

    pthread_t ids[1024];
    double begin = now();
    for (int i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, work, NULL) != 0) die("thread");
    for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
    double seconds = now() - begin;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%.1f %.1f %.1f\n", cycles / seconds, microseconds(usage.ru_utime) / cycles,
        microseconds(usage.ru_stime) / cycles);
    return 0;
}
