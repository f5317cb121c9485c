/* Preloaded into a daemon: its clocks are the real ones plus what a file says, in seconds.

   ACTD_TEST_CLOCK names the file: two native 64-bit integers, read at every look at a clock. The
   first belongs to the wall clock. The second belongs to CLOCK_BOOTTIME alone, which is how a
   process sees that the computer was suspended. Every other clock, and all sleeping, is left alone. */

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

static int64_t offset_s(int place) {
    int64_t seconds = 0;
    off_t at = place * (off_t)sizeof seconds;
    return pread(file, &seconds, sizeof seconds, at) == sizeof seconds ? seconds : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (failed) return failed;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += offset_s(0);
    if (clock == CLOCK_BOOTTIME) now->tv_sec += offset_s(1);
    return 0;
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
