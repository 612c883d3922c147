// A library to preload: counts the calls by which a program changes files under
// one folder, or those by which it reads them, and lets the Nth of them go
// wrong. The mapped index of SQLite's log (run.db-shm) is written without calls;
// it is made anew after a crash and needs no test here.
//
//   FAULT_FOLDER  only calls on files under it count
//   FAULT_AT      N, from 1; 0 counts only
//   FAULT_KIND    kill_before  the process dies instead of the call
//                 kill_after   it dies once the call is done
//                 eio          the call fails with EIO, once
//                 enospc       it and all later ones that take space fail
//                 short        a write writes half, any other call is done
//                 read         a read fails with EIO, once; only reads count
//   FAULT_REPORT  file for the number of calls, written as the process ends
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

enum Kind {
  KILL_BEFORE,
  KILL_AFTER,
  EIO_ONCE,
  ENOSPC_FROM,
  SHORT_WRITE,
  READ_EIO
};
enum Fault { NONE, FAIL, HALF, DIE_AFTER };

static const char* folder;
static long at;
static enum Kind kind;
static atomic_long count;

__attribute__((constructor)) static void start(void) {
  static const char* const names[] = {"kill_before", "kill_after", "eio",
                                      "enospc", "short", "read"};
  const char* name = getenv("FAULT_KIND");
  const char* text = getenv("FAULT_AT");
  folder = getenv("FAULT_FOLDER");
  at = text ? atol(text) : 0;
  for (int i = 0; name && i < 6; ++i) {
    if (strcmp(name, names[i]) == 0) kind = (enum Kind)i;
  }
}

__attribute__((destructor)) static void report(void) {
  const char* path = getenv("FAULT_REPORT");
  FILE* file = path ? fopen(path, "w") : NULL;
  if (!file) return;
  fprintf(file, "%ld", atomic_load(&count));
  fclose(file);
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static int is_inside(const char* path) {
  const size_t length = folder ? strlen(folder) : 0;
  return length > 0 && strncmp(path, folder, length) == 0 &&
         (path[length] == '/' || path[length] == '\0');
}

static int is_fd_inside(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = '\0';
  return is_inside(path);
}

// What becomes of this call. FAIL has errno set.
static enum Fault next_fault(int inside, int takes_space, int writes) {
  if (kind == READ_EIO || !inside) return NONE;
  const long number = atomic_fetch_add(&count, 1) + 1;
  if (at == 0 || number < at) return NONE;
  if (kind == ENOSPC_FROM && takes_space) {
    errno = ENOSPC;
    return FAIL;
  }
  if (number != at) return NONE;
  if (kind == KILL_BEFORE) die();
  if (kind == EIO_ONCE) {
    errno = EIO;
    return FAIL;
  }
  if (kind == SHORT_WRITE && writes) return HALF;
  return kind == KILL_AFTER ? DIE_AFTER : NONE;
}

static int read_fails(int fd) {
  if (kind != READ_EIO || !is_fd_inside(fd)) return 0;
  if (atomic_fetch_add(&count, 1) + 1 != at) return 0;
  errno = EIO;
  return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// Calls without a length: done, or failed, or done and dead.
#define SIMPLE(result_type, name, parameters, arguments, inside, takes_space) \
  result_type name parameters {                                               \
    const enum Fault fault = next_fault(inside, takes_space, 0);              \
    if (fault == FAIL) return -1;                                             \
    const result_type result = REAL(name) arguments;                          \
    if (fault == DIE_AFTER) die();                                            \
    return result;                                                            \
  }

SIMPLE(int, fsync, (int fd), (fd), is_fd_inside(fd), 1)
SIMPLE(int, fdatasync, (int fd), (fd), is_fd_inside(fd), 1)
SIMPLE(int, ftruncate, (int fd, off_t size), (fd, size), is_fd_inside(fd), 1)
SIMPLE(int, ftruncate64, (int fd, off64_t size), (fd, size), is_fd_inside(fd),
       1)
SIMPLE(int, rename, (const char* from, const char* to), (from, to),
       is_inside(to), 1)
SIMPLE(int, renameat, (int a, const char* from, int b, const char* to),
       (a, from, b, to), is_inside(to), 1)
SIMPLE(int, unlink, (const char* path), (path), is_inside(path), 0)
SIMPLE(int, unlinkat, (int fd, const char* path, int flags), (fd, path, flags),
       is_inside(path), 0)
SIMPLE(int, mkdir, (const char* path, mode_t mode), (path, mode),
       is_inside(path), 1)

// Writes: half of them goes out where that is the fault.
#define WRITE(name, parameters, whole, half)                 \
  ssize_t name parameters {                                  \
    const enum Fault fault =                                 \
        next_fault(is_fd_inside(fd), 1, size > 1);           \
    if (fault == FAIL) return -1;                            \
    if (fault == HALF) return REAL(name) half;               \
    const ssize_t result = REAL(name) whole;                 \
    if (fault == DIE_AFTER) die();                           \
    return result;                                           \
  }

WRITE(write, (int fd, const void* bytes, size_t size), (fd, bytes, size),
      (fd, bytes, size / 2))
WRITE(pwrite, (int fd, const void* bytes, size_t size, off_t place),
      (fd, bytes, size, place), (fd, bytes, size / 2, place))
WRITE(pwrite64, (int fd, const void* bytes, size_t size, off64_t place),
      (fd, bytes, size, place), (fd, bytes, size / 2, place))

// Several pieces: the first of them goes out where half is asked for.
ssize_t writev(int fd, const struct iovec* pieces, int num) {
  const enum Fault fault = next_fault(is_fd_inside(fd), 1, num > 1);
  if (fault == FAIL) return -1;
  const ssize_t result =
      REAL(writev)(fd, pieces, fault == HALF ? num / 2 : num);
  if (fault == DIE_AFTER) die();
  return result;
}

#define READ(name, parameters, arguments)              \
  ssize_t name parameters {                            \
    return read_fails(fd) ? -1 : REAL(name) arguments; \
  }

READ(read, (int fd, void* bytes, size_t size), (fd, bytes, size))
READ(pread, (int fd, void* bytes, size_t size, off_t place),
     (fd, bytes, size, place))
READ(pread64, (int fd, void* bytes, size_t size, off64_t place),
     (fd, bytes, size, place))
READ(readv, (int fd, const struct iovec* pieces, int num), (fd, pieces, num))

// Opening counts where it may make the file.
#define OPEN(name)                                                       \
  int name(const char* path, int flags, ...) {                           \
    va_list rest;                                                        \
    va_start(rest, flags);                                               \
    const mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;      \
    va_end(rest);                                                        \
    const enum Fault fault =                                             \
        next_fault((flags & O_CREAT) && is_inside(path), 1, 0);          \
    if (fault == FAIL) return -1;                                        \
    const int fd = REAL(name)(path, flags, mode);                        \
    if (fault == DIE_AFTER) die();                                       \
    return fd;                                                           \
  }

OPEN(open)
OPEN(open64)
