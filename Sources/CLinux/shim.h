/* What Linux has and glibc has no function for, or only for _GNU_SOURCE, which Swift's Glibc is built without. */
#include <linux/openat2.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* O_PATH: a place in the tree, whose status can be asked for, and no more. */
static const int open_as_place = 010000000;

/* O_NOATIME: reading leaves no time of reading behind. Only for the owner (EPERM). */
static const int open_without_trace = 01000000;

/* Opens what can be found without waiting for a disk or a server: EAGAIN for anything else. Nothing outside of the
   directory, behind a symbolic link or on another file system is found (EXDEV, ELOOP). */
static inline int open_cached(int directory, const char *path, int flags) {
    struct open_how how = {
        .flags = (unsigned int)flags,
        .resolve = RESOLVE_CACHED | RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    };
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

/* Has the kernel begin to write a range of a file to its disk, and does not wait for that (SYNC_FILE_RANGE_WRITE). */
static inline int begin_writing(int descriptor, long long offset, long long count) {
    return (int)syscall(SYS_sync_file_range, descriptor, offset, count, 2U);
}

/* Renames, unless the new name is taken: EEXIST; or the file system knows no such thing: EINVAL. */
static inline int rename_exclusively(int old_directory, const char *old_name, int directory, const char *name) {
    return (int)syscall(SYS_renameat2, old_directory, old_name, directory, name, 1U);
}

/* Reads what is in the page cache: EAGAIN if nothing of it is (preadv2 with RWF_NOWAIT). */
static inline long read_cached(int descriptor, void *bytes, size_t count, long offset) {
    struct { void *bytes; size_t count; } vector = {bytes, count};
    return syscall(SYS_preadv2, descriptor, &vector, 1L, offset, 0L, 8L);
}
