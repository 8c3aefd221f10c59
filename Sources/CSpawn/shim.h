/* What glibc declares for _GNU_SOURCE only, which Swift's Glibc is built without. */
#include <spawn.h>

int pipe2(int descriptors[2], int flags);
int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *path);
