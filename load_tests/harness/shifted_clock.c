/* A wall clock that is shifted, for a whole tree of processes (LD_PRELOAD): nanoseconds are added to what the C library says of the time
 * of day, and taken off again from absolute deadlines on that clock. They stand in the file that SHIFTED_CLOCK names (an int64) and may
 * change while the processes run. Monotonic clocks, clocks of the file system, and programs that ask the kernel themselves are not shifted.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
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

#define SECOND 1000000000LL

static const volatile int64_t *shared;

static void *next(const char *name, const char *version) {
    void *found = version ? dlvsym(RTLD_NEXT, name, version) : NULL;
    if (!found) found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}
/* The function behind ours, looked up once. */
#define NEXT(function, version) static __typeof__(&function) real; if (!real) real = (__typeof__(&function))next(#function, version)

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("SHIFTED_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *seen = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (seen != MAP_FAILED) shared = seen;
}

static int64_t shift(void) { return shared ? *shared : 0; }

static void move(struct timespec *moved, int64_t by) {
    int64_t nanoseconds = moved->tv_nsec + by % SECOND;
    moved->tv_sec += by / SECOND;
    if (nanoseconds < 0) { nanoseconds += SECOND; moved->tv_sec -= 1; }
    if (nanoseconds >= SECOND) { nanoseconds -= SECOND; moved->tv_sec += 1; }
    moved->tv_nsec = nanoseconds;
}

static struct timespec kernels(const struct timespec *ours) {
    struct timespec moved = *ours;
    move(&moved, -shift());
    return moved;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    NEXT(clock_gettime, NULL);
    int failed = real(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI)) move(now, shift());
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *kept) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (kept) *kept = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
    return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, now) ? base : 0;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left) {
    NEXT(clock_nanosleep, NULL);
    if (clock != CLOCK_REALTIME || !(flags & TIMER_ABSTIME)) return real(clock, flags, until, left);
    struct timespec moved = kernels(until);
    return real(clock, flags, &moved, left);
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex, const struct timespec *restrict until) {
    NEXT(pthread_cond_timedwait, "GLIBC_2.3.2");
    if (cond->__data.__wrefs & 2) return real(cond, mutex, until); /* its clock is the monotonic one (glibc, nptl/pthread_cond_common.c) */
    struct timespec moved = kernels(until);
    return real(cond, mutex, &moved);
}

int pthread_cond_clockwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex, clockid_t clock,
                           const struct timespec *restrict until) {
    NEXT(pthread_cond_clockwait, NULL);
    if (clock != CLOCK_REALTIME) return real(cond, mutex, clock, until);
    struct timespec moved = kernels(until);
    return real(cond, mutex, clock, &moved);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until) {
    NEXT(pthread_mutex_timedlock, NULL);
    struct timespec moved = kernels(until);
    return real(mutex, &moved);
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    NEXT(sem_timedwait, NULL);
    struct timespec moved = kernels(until);
    return real(semaphore, &moved);
}

int sem_clockwait(sem_t *restrict semaphore, clockid_t clock, const struct timespec *restrict until) {
    NEXT(sem_clockwait, NULL);
    if (clock != CLOCK_REALTIME) return real(semaphore, clock, until);
    struct timespec moved = kernels(until);
    return real(semaphore, clock, &moved);
}

long syscall(long number, ...) {
    NEXT(syscall, NULL);
    va_list given;
    va_start(given, number);
    long a = va_arg(given, long), b = va_arg(given, long), c = va_arg(given, long), d = va_arg(given, long), e = va_arg(given, long),
         f = va_arg(given, long);
    va_end(given);
    if (number == SYS_futex && d && (b & FUTEX_CLOCK_REALTIME) && (b & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET) {
        struct timespec moved = kernels((const struct timespec *)d);
        return real(number, a, b, c, (long)&moved, e, f);
    }
    if (number == SYS_clock_gettime) {
        int failed = clock_gettime((clockid_t)a, (struct timespec *)b);
        return failed;
    }
    return real(number, a, b, c, d, e, f);
}
