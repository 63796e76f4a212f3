/*
 * Isolating the proof's child from memcached: what it does must have no effect outside of it.
 *
 * A fork copies private memory only.  Descriptors are shared: a connection that memcached closes
 * stays open for its client as long as the child has it.  Shared mappings are shared: the items of
 * a restartable memcached (-e: restart.c: restart_mmap_open), and those of other preloaded
 * libraries and of tracers.
 */
#define _GNU_SOURCE
#include "isolate.h"

#include "report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Seconds of processor time.  A proof takes a hundredth of one. */
#define PROCESSOR_LIMIT 2

/* Bytes of shared memory that are copied at most: the container's memory may be short. */
#define COPY_LIMIT ((size_t)32 << 20)

/* Bytes of /proc/self/maps that are read at most: some 10 000 mappings. */
#define MAPS_ROOM (1 << 20)

/* A line of /proc/self/maps (proc(5)). */
struct mapping {
    uintptr_t start, end;
    char access[5];
    unsigned long offset;
    unsigned major, minor;
    unsigned long inode;
    const char *path; /* "" if it has none; its newlines are "\012" */
};

/* A crash disproves the functions: it leaves no core file, and runs no handler. */
static void set_limits(void) {
    struct rlimit none = {0, 0}, processor = {PROCESSOR_LIMIT, PROCESSOR_LIMIT + 1};
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_CPU, &processor);
    static const int ends[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGXCPU};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        signal(ends[i], SIG_DFL);
        sigaddset(&set, ends[i]);
    }
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Closes all descriptors.  The first three are closed before one is needed: none may be free. */
static void close_descriptors(void) {
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        close(fd);
    }
    int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        hindered("/proc/self/fd", errno);
    }
    /* readdir(3) allocates memory, and malloc may be another preloaded library's. */
    _Alignas(struct dirent64) char entries[4096];
    long n;
    while ((n = syscall(SYS_getdents64, directory, entries, sizeof entries)) > 0) {
        const struct dirent64 *entry;
        for (long at = 0; at < n; at += entry->d_reclen) {
            entry = (const struct dirent64 *)(entries + at);
            int fd = atoi(entry->d_name);
            if (entry->d_name[0] != '.' && fd != directory) {
                close(fd);
            }
        }
    }
    close(directory);
}

/* If memory is short the kernel should end the child, not memcached (proc(5): oom_score_adj). */
static void offer_to_oom_killer(void) {
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = write(fd, "1000", strlen("1000"));
        (void)n;
        close(fd);
    }
}

/* Reads the mappings' lines as a string. */
static void read_maps(char maps[MAPS_ROOM]) {
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        hindered("/proc/self/maps", errno);
    }
    size_t length = 0;
    ssize_t n;
    while ((n = read(fd, maps + length, MAPS_ROOM - 1 - length)) > 0) {
        length += (size_t)n;
    }
    if (n < 0 || length == MAPS_ROOM - 1) {
        hindered("/proc/self/maps", n < 0 ? errno : EFBIG);
    }
    maps[length] = '\0';
    close(fd);
}

/* Takes the next line off maps.  Returns false if there is none. */
static bool next_mapping(char **maps, struct mapping *mapping) {
    char *line = *maps, *end = strchr(line, '\n');
    int path = 0;
    if (end == NULL) {
        return false;
    }
    *end = '\0';
    *maps = end + 1;
    if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu %n", &mapping->start, &mapping->end,
               mapping->access, &mapping->offset, &mapping->major, &mapping->minor, &mapping->inode,
               &path) != 7) {
        hindered("/proc/self/maps", EINVAL);
    }
    mapping->path = line + path;
    return true;
}

static int protection(const struct mapping *mapping) {
    return (mapping->access[0] == 'r' ? PROT_READ : 0) | PROT_WRITE |
           (mapping->access[2] == 'x' ? PROT_EXEC : 0);
}

/* Is the same file mapped at an address? */
static bool maps_same_file(uintptr_t address, const struct mapping *mapping) {
    static char maps[MAPS_ROOM];
    char *next = maps;
    struct mapping other;
    read_maps(maps);
    while (next_mapping(&next, &other)) {
        if (address >= other.start && address < other.end) {
            return other.major == mapping->major && other.minor == mapping->minor &&
                   other.inode == mapping->inode;
        }
    }
    return false;
}

/* Moves memory to a mapping's place. */
static void replace(const struct mapping *mapping, void *memory) {
    size_t size = mapping->end - mapping->start;
    if (mremap(memory, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)mapping->start) ==
        MAP_FAILED) {
        hindered("a private mapping", errno);
    }
}

/*
 * Maps a mapping's file once more, privately: a page is copied when it is written, so the size does
 * not matter.  The file at the path may be another one by now.  The kernel's list of mappings
 * tells: on overlayfs (containers) and btrfs fstat names another device and inode.  Returns false
 * if the file cannot be mapped.
 */
static bool map_again(const struct mapping *mapping) {
    struct stat st;
    if (mapping->path[0] != '/' || stat(mapping->path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return false;
    }
    int fd = open(mapping->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return false;
    }
    size_t size = mapping->end - mapping->start;
    void *memory = mmap(NULL, size, protection(mapping), MAP_PRIVATE | MAP_NORESERVE, fd,
                        (off_t)mapping->offset);
    close(fd);
    if (memory == MAP_FAILED) {
        return false;
    }
    bool same = maps_same_file((uintptr_t)memory, mapping);
    if (same) {
        replace(mapping, memory);
    } else {
        munmap(memory, size);
    }
    return same;
}

/*
 * Replaces a mapping by a copy.  What cannot be read is zero in it: a device's registers, which
 * process_vm_readv(2) leaves alone, or what is behind the file's end.
 */
static void replace_by_copy(const struct mapping *mapping) {
    static size_t copied;
    size_t size = mapping->end - mapping->start;
    copied += size;
    if (copied > COPY_LIMIT) {
        hindered("too much shared memory of which no file can be opened", EFBIG);
    }
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        hindered("a copy of shared memory", errno);
    }
    for (size_t done = 0; done < size;) {
        struct iovec to = {memory + done, size - done};
        struct iovec from = {(char *)mapping->start + done, size - done};
        ssize_t n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
        if (n < 0 && errno != EFAULT) { /* a sandbox */
            hindered("process_vm_readv", errno);
        }
        if (n <= 0) {
            break;
        }
        done += (size_t)n;
    }
    if (mprotect(memory, size, protection(mapping)) != 0) {
        hindered("a copy of shared memory", errno);
    }
    replace(mapping, memory);
}

/* Makes every writable shared mapping private, except for the report's. */
static void make_memory_private(uintptr_t report) {
    static char maps[MAPS_ROOM];
    char *next = maps;
    struct mapping mapping;
    read_maps(maps);
    while (next_mapping(&next, &mapping)) {
        bool shared = mapping.access[1] == 'w' && mapping.access[3] == 's';
        if (shared && !(report >= mapping.start && report < mapping.end) && !map_again(&mapping)) {
            replace_by_copy(&mapping);
        }
    }
}

void isolate(const void *report) {
    set_limits();
    close_descriptors();
    offer_to_oom_killer();
    make_memory_private((uintptr_t)report);
}
