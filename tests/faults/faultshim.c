/* Strikes at one chosen call of libc that changes what is under a folder, for tests.
 *
 * Loaded with LD_PRELOAD into Python, DuckDB and delta-rs alike. Counted are, in whichever thread,
 * the calls that write, sync, create, rename, link, truncate or delete below the folder. At the
 * chosen one the process is killed, or the call fails, or a write is cut in half.
 *
 *   void faultshim_arm(const char *folder, const char *log, long strike_at, int mode)
 *
 * mode: 0 count, 1 SIGKILL before the call; 2 EIO and 3 ENOSPC, where writes and syncs alone are
 * counted; 4 half of a write, where writes are. Each counted call is a line of the log: ordinal, name,
 * path. A strike is marked with '!'.
 *
 * Of a process that cannot be armed from within, FAULTSHIM_FOLDER names the folder and FAULTSHIM_WHILE
 * a file: as long as that is there every write and every sync fails with EIO.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { COUNT, KILL, FAIL_EIO, FAIL_ENOSPC, HALF, WHILE };
enum { GO_ON, STRUCK };

static char root[PATH_MAX];
static size_t root_length;
static int log_fd = -1;
static long strike_at;
static int mode;
static atomic_long seen;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

void faultshim_arm(const char *folder, const char *log, long at, int how) {
    snprintf(root, sizeof root, "%s/", folder);
    strike_at = at;
    mode = how;
    atomic_store(&seen, 0);
    log_fd = REAL(open)(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    root_length = strlen(root);
}

static const char *while_there;

__attribute__((constructor)) static void arm_from_environment(void) {
    const char *folder = getenv("FAULTSHIM_FOLDER");
    while_there = getenv("FAULTSHIM_WHILE");
    if (!folder || !while_there) return;
    snprintf(root, sizeof root, "%s/", folder);
    mode = WHILE;
    root_length = strlen(root);
}

static int path_of_fd(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    path[size < 0 ? 0 : size] = 0;
    return size > 0;
}

static void path_at(int dirfd, const char *name, char *path) {
    char folder[PATH_MAX] = "";
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    if (dirfd == AT_FDCWD ? !getcwd(folder, sizeof folder) : !path_of_fd(dirfd, folder)) folder[0] = 0;
    if (snprintf(path, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX) path[0] = 0;
}

enum { OTHER, WRITES, SYNCS };

static int strike(const char *name, const char *path, int kind) {
    if (!root_length || strncmp(path, root, root_length) != 0) return GO_ON;
    if (mode > KILL && kind == OTHER) return GO_ON;
    if (mode == HALF && kind != WRITES) return GO_ON;
    if (mode == WHILE) {
        int before = errno;
        int failing = access(while_there, F_OK) == 0;
        errno = failing ? EIO : before;
        return failing ? STRUCK : GO_ON;
    }
    long ordinal = atomic_fetch_add(&seen, 1) + 1;
    int struck = mode != COUNT && ordinal == strike_at;
    int before = errno;
    dprintf(log_fd, "%s%ld %s %s\n", struck ? "!" : "", ordinal, name, path + root_length);
    errno = before;
    if (!struck) return GO_ON;
    if (mode == KILL) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    errno = mode == FAIL_ENOSPC ? ENOSPC : EIO;
    return STRUCK;
}

static int strike_fd(const char *name, int fd, int kind) {
    char path[PATH_MAX];
    int before = errno;
    if (!root_length || !path_of_fd(fd, path)) { errno = before; return GO_ON; }
    errno = before;
    return strike(name, path, kind);
}

static int strike_at_path(const char *name, int dirfd, const char *relative) {
    char path[PATH_MAX];
    if (!root_length) return GO_ON;
    path_at(dirfd, relative, path);
    return strike(name, path, OTHER);
}

/* A write that is to be cut in half is done with half of its size. */
#define WRITE(name, call_whole, call_half) \
    switch (strike_fd(#name, fd, WRITES)) { \
    case GO_ON: return call_whole; \
    default: return mode == HALF && size > 1 ? call_half : mode == HALF ? call_whole : -1; \
    }

ssize_t write(int fd, const void *data, size_t size) {
    WRITE(write, REAL(write)(fd, data, size), REAL(write)(fd, data, size / 2))
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    WRITE(pwrite, REAL(pwrite)(fd, data, size, at), REAL(pwrite)(fd, data, size / 2, at))
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    WRITE(pwrite, REAL(pwrite64)(fd, data, size, at), REAL(pwrite64)(fd, data, size / 2, at))
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    size_t size = count > 1 ? 2 : 1;
    WRITE(writev, REAL(writev)(fd, parts, count), REAL(writev)(fd, parts, 1))
}

#define SYNC(name) \
    int name(int fd) { \
        return strike_fd(#name, fd, SYNCS) ? -1 : REAL(name)(fd); \
    }
SYNC(fsync)
SYNC(fdatasync)

#define OPENING(flags) ((flags) & (O_CREAT | O_TRUNC))
#define MODE_OF(flags) \
    mode_t permissions = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        permissions = va_arg(more, mode_t); \
        va_end(more); \
    }

int open(const char *path, int flags, ...) {
    MODE_OF(flags)
    if (OPENING(flags) && strike_at_path("open", AT_FDCWD, path)) return -1;
    return REAL(open)(path, flags, permissions);
}
int open64(const char *path, int flags, ...) {
    MODE_OF(flags)
    if (OPENING(flags) && strike_at_path("open", AT_FDCWD, path)) return -1;
    return REAL(open64)(path, flags, permissions);
}
int openat(int dirfd, const char *path, int flags, ...) {
    MODE_OF(flags)
    if (OPENING(flags) && strike_at_path("open", dirfd, path)) return -1;
    return REAL(openat)(dirfd, path, flags, permissions);
}
int openat64(int dirfd, const char *path, int flags, ...) {
    MODE_OF(flags)
    if (OPENING(flags) && strike_at_path("open", dirfd, path)) return -1;
    return REAL(openat64)(dirfd, path, flags, permissions);
}

#define ON_PATH(name, arguments, dirfd, path, call) \
    int name arguments { \
        if (strike_at_path(#name, dirfd, path)) return -1; \
        return REAL(name) call; \
    }
ON_PATH(rename, (const char *from, const char *to), AT_FDCWD, to, (from, to))
ON_PATH(renameat, (int a, const char *from, int b, const char *to), b, to, (a, from, b, to))
ON_PATH(renameat2, (int a, const char *from, int b, const char *to, unsigned flags), b, to, (a, from, b, to, flags))
ON_PATH(link, (const char *from, const char *to), AT_FDCWD, to, (from, to))
ON_PATH(linkat, (int a, const char *from, int b, const char *to, int flags), b, to, (a, from, b, to, flags))
ON_PATH(unlink, (const char *path), AT_FDCWD, path, (path))
ON_PATH(unlinkat, (int dirfd, const char *path, int flags), dirfd, path, (dirfd, path, flags))
ON_PATH(mkdir, (const char *path, mode_t permissions), AT_FDCWD, path, (path, permissions))
ON_PATH(mkdirat, (int dirfd, const char *path, mode_t permissions), dirfd, path, (dirfd, path, permissions))
ON_PATH(rmdir, (const char *path), AT_FDCWD, path, (path))
ON_PATH(truncate, (const char *path, off_t size), AT_FDCWD, path, (path, size))

int ftruncate(int fd, off_t size) {
    return strike_fd("ftruncate", fd, OTHER) ? -1 : REAL(ftruncate)(fd, size);
}
int ftruncate64(int fd, off64_t size) {
    return strike_fd("ftruncate", fd, OTHER) ? -1 : REAL(ftruncate64)(fd, size);
}
