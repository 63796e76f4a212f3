/*
 * Which program are we in?  Answered from its segments in memory, before main
 * and before anything of Go, so that every other program is left alone.
 */
#include "preload.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* memcached's read-only segments are 0.2 MB; more than this is not searched. */
#define SEARCH_LIMIT (8u << 20)

/*
 * In memcached.c since 1.4.0, and in nothing else that holds libevent: the name
 * of an environment variable of the server's (main) and of one of its statistics
 * (server_stats).  Both are passed to functions by address, so that no compiler
 * takes them apart.
 */
static const char *const literals[] = {"MEMCACHED_PORT_FILENAME", "listen_disabled_num"};

/* In libevent since 1.4, event.c: event_base_new_with_config. */
#define LIBEVENT_LITERAL "EVENT_SHOW_METHOD"

static struct {
    uintptr_t bias, start, end;
    bool memcached;
    bool libevent; /* a library of its own */
    int file;
    char path[PATH_MAX];
} host = {.file = -ENOENT};

static bool in_segments(const struct dl_phdr_info *info, const char *literal) {
    size_t searched = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & (PF_R | PF_W)) != PF_R) {
            continue;
        }
        searched += segment->p_filesz;
        if (searched > SEARCH_LIMIT) {
            return false;
        }
        if (memmem((const void *)(info->dlpi_addr + segment->p_vaddr), segment->p_filesz, literal,
                   strlen(literal) + 1) != NULL) {
            return true;
        }
    }
    return false;
}

static void read_needed(uintptr_t bias, const ElfW(Dyn) * dynamic) {
    const char *strings = NULL;
    for (const ElfW(Dyn) *d = dynamic; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_STRTAB) {
            /* glibc relocates it in place, musl does not. */
            uintptr_t address = d->d_un.d_ptr;
            strings = (const char *)(address < bias ? address + bias : address);
        }
    }
    for (const ElfW(Dyn) *d = dynamic; strings != NULL && d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_NEEDED) {
            host.libevent |= strncmp(strings + d->d_un.d_val, "libevent", strlen("libevent")) == 0;
        }
    }
}

/* dl_iterate_phdr(3): the first object is the program. */
static int look_at_program(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size;
    (void)unused;
    host.bias = info->dlpi_addr;
    host.start = UINTPTR_MAX;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t address = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_DYNAMIC) {
            read_needed(info->dlpi_addr, (const ElfW(Dyn) *)address);
        } else if (segment->p_type == PT_LOAD) {
            host.start = address < host.start ? address : host.start;
            host.end =
                address + segment->p_memsz > host.end ? address + segment->p_memsz : host.end;
        }
    }
    host.memcached = in_segments(info, literals[0]) && in_segments(info, literals[1]) &&
                     (host.libevent || in_segments(info, LIBEVENT_LITERAL));
    return 1;
}

bool host_recognize(void) {
    dl_iterate_phdr(look_at_program, NULL);
    return host.memcached;
}

bool host_is_memcached(void) {
    return host.memcached;
}

bool host_contains(uintptr_t address) {
    return address >= host.start && address < host.end;
}

uintptr_t host_bias(void) {
    return host.bias;
}

bool host_links_libevent(void) {
    return host.libevent;
}

int host_file(void) {
    return host.file;
}

char *host_path(void) {
    return host.path;
}

/* What /proc/self/maps calls the file that is mapped at an address. */
struct mapped {
    unsigned major, minor;
    unsigned long inode;
    char path[PATH_MAX];
};

/* 0, or -errno. */
static int read_mapping(uintptr_t address, struct mapped *mapped) {
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL) {
        return -errno;
    }
    char line[4096 + 128];
    int found = -ENOENT;
    while (found != 0 && fgets(line, sizeof line, maps) != NULL) {
        unsigned long start, end;
        int path = 0;
        if (sscanf(line, "%lx-%lx %*s %*x %x:%x %lu %n", &start, &end, &mapped->major,
                   &mapped->minor, &mapped->inode, &path) == 5 &&
            address >= start && address < end) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(mapped->path, sizeof mapped->path, "%s", line + path);
            found = 0;
        }
    }
    fclose(maps);
    return found;
}

/*
 * Is the file that is open the one that is mapped?  It is mapped, too, for that: on overlayfs
 * (containers) and btrfs fstat names another device and inode than the maps do.
 */
static int compare_mapping(int fd, const struct mapped *expected) {
    struct mapped actual;
    void *page = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0);
    if (page == MAP_FAILED) {
        return -errno;
    }
    int result = read_mapping((uintptr_t)page, &actual);
    munmap(page, 1);
    if (result == 0 && (actual.major != expected->major || actual.minor != expected->minor ||
                        actual.inode != expected->inode)) {
        result = -ESTALE;
    }
    return result;
}

/* Opens the mapped file by its path, where the program may have been replaced since it was started.
 */
static int open_mapped(const struct mapped *mapped) {
    int fd = open(mapped->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    int result = compare_mapping(fd, mapped);
    if (result != 0) {
        close(fd);
        return result;
    }
    return high_descriptor(fd);
}

/*
 * The mapping of the program's first byte names its file.  /proc/self/exe would
 * name the loader where memcached was started as `ld.so memcached`.
 */
void host_open(void) {
    struct mapped program;
    host.file = read_mapping(host.start, &program);
    if (host.file == 0) {
        host.file = open_mapped(&program);
    }
    if (host.file >= 0) {
        snprintf(host.path, sizeof host.path, "%s", program.path);
    }
}

void host_close(void) {
    if (host.file >= 0) {
        close(host.file);
        host.file = -ENOENT;
    }
}
