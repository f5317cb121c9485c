/* Preloaded into a daemon: its wall clock is the real one plus what a file says, in seconds.

   ACTD_TEST_CLOCK names the file: one native 64-bit integer, read at every look at the clock.
   Every other clock, and all sleeping, is left alone. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int file = -1;

__attribute__((constructor)) static void open_file(void) {
    const char *path = getenv("ACTD_TEST_CLOCK");
    if (path) file = open(path, O_RDONLY | O_CLOEXEC);
}

static int64_t offset_s(void) {
    int64_t seconds = 0;
    return pread(file, &seconds, sizeof seconds, 0) == sizeof seconds ? seconds : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += offset_s();
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    (void)zone;
    struct timespec precise;
    int failed = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *place) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place) *place = now.tv_sec;
    return now.tv_sec;
}
