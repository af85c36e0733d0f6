// A wall clock that can be set while a process runs: preloaded, it adds the seconds in the file $SET_CLOCK to it.
//
// The file holds one 64-bit count of seconds and is mapped, so that what is written there holds at once everywhere.
// Waits whose end is told on the wall clock are told the kernel's end of them. The monotonic clock is left alone.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define A_BILLION 1000000000  // seconds; a moment beyond them is one of the wall clock, not one since the machine started

static volatile int64_t *added;

__attribute__((constructor)) static void map_file(void) {
    const char *file = getenv("SET_CLOCK");
    int opened = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    if (opened < 0) return;
    void *mapped = mmap(NULL, sizeof *added, PROT_READ, MAP_SHARED, opened, 0);
    if (mapped != MAP_FAILED) added = mapped;
    close(opened);
}

static int64_t seconds(void) { return added ? *added : 0; }

static const struct timespec *kernels(const struct timespec *end, struct timespec *own) {
    if (!end || end->tv_sec < A_BILLION) return end;
    *own = *end;
    own->tv_sec -= seconds();
    return own;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static __typeof__(&clock_gettime) real;
    if (!real) real = REAL(clock_gettime);
    int failed = real(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += seconds();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec found;
    if (clock_gettime(CLOCK_REALTIME, &found)) return -1;
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *kept) {
    struct timespec found;
    if (clock_gettime(CLOCK_REALTIME, &found)) return -1;
    if (kept) *kept = found.tv_sec;
    return found.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict end) {
    static __typeof__(&pthread_cond_timedwait) real;
    if (!real) real = (__typeof__(&pthread_cond_timedwait))dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    struct timespec own;
    return real(condition, mutex, kernels(end, &own));
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict end) {
    struct timespec own;
    return REAL(sem_timedwait)(semaphore, kernels(end, &own));
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict end) {
    struct timespec own;
    return REAL(pthread_mutex_timedlock)(mutex, kernels(end, &own));
}

// Abseil, and with it Ray and gRPC, waits by the system call itself.
long syscall(long number, ...) {
    static __typeof__(&syscall) real;
    if (!real) real = REAL(syscall);
    va_list given;
    va_start(given, number);
    long one[6];
    for (int place = 0; place < 6; place++) one[place] = va_arg(given, long);
    va_end(given);
    struct timespec own;
    if (number == SYS_futex && (one[1] & FUTEX_CLOCK_REALTIME))
        one[3] = (long)kernels((const struct timespec *)one[3], &own);
    return real(number, one[0], one[1], one[2], one[3], one[4], one[5]);
}
