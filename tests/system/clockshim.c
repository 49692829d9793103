/* Step the wall clock of a process, for tests.
 *
 * Loaded with LD_PRELOAD into Python, DuckDB and delta-rs alike. CLOCKSHIM_FILE names a file that
 * holds one int64 in the byte order of the machine: the seconds to add to the wall clock. It is
 * mapped, so a step is seen by all processes at once and costs no system call. The monotonic
 * clocks, and the timestamps of files, are not changed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t none;
static _Atomic int64_t *offset_s = &none;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_sem_timedwait)(sem_t *, const struct timespec *);

__attribute__((constructor)) static void map_offset(void) {
    const char *path = getenv("CLOCKSHIM_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *offset_s, PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) {
        perror("clockshim: CLOCKSHIM_FILE");
        _exit(127);
    }
    close(file);
    offset_s = mapped;
}

static int64_t offset(void) { return atomic_load_explicit(offset_s, memory_order_relaxed); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real_clock_gettime) real_clock_gettime = (__typeof__(&clock_gettime))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real_clock_gettime(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec precise;
    int failed = clock_gettime(CLOCK_REALTIME, &precise);
    if (!failed) *now = (struct timeval){precise.tv_sec, precise.tv_nsec / 1000};
    return failed;
}

time_t time(time_t *copy) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (copy) *copy = now.tv_sec;
    return now.tv_sec;
}

/* The kernel waits by its own clock. */
int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict deadline) {
    if (!real_sem_timedwait) real_sem_timedwait = (__typeof__(&sem_timedwait))dlsym(RTLD_NEXT, "sem_timedwait");
    struct timespec real = {deadline->tv_sec - offset(), deadline->tv_nsec};
    return real_sem_timedwait(semaphore, &real);
}
