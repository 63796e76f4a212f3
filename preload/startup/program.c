/*
 * Which program is this?  The answer comes from its segments in memory, before main and before
 * anything of Go runs, so that every other program is left alone.
 */
#define _GNU_SOURCE
#include "program.h"

#include "fd.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* memcached's read-only segments are 0.2 MB; more than this is not searched. */
#define SEARCH_LIMIT (8u << 20)

/*
 * In memcached.c since 1.4.0, and in no other program with libevent: the name of
 * an environment variable of the server (main) and of one of its statistics
 * (server_stats).  Both are passed to functions by address, so no compiler
 * splits them.
 */
static const char *const literals[] = {"MEMCACHED_PORT_FILENAME", "listen_disabled_num"};

/* In libevent since 1.4, event.c: event_base_new_with_config. */
#define LIBEVENT_LITERAL "EVENT_SHOW_METHOD"

static struct {
    uintptr_t bias, start, end;
    bool memcached;
    bool libevent; /* it is a shared library */
    int file;
    char path[PATH_MAX];
} program = {.file = -ENOENT};

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
            program.libevent |=
                strncmp(strings + d->d_un.d_val, "libevent", strlen("libevent")) == 0;
        }
    }
}

/* dl_iterate_phdr(3): the first object is the program. */
static int look_at_program(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size;
    (void)unused;
    program.bias = info->dlpi_addr;
    program.start = UINTPTR_MAX;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t address = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_DYNAMIC) {
            read_needed(info->dlpi_addr, (const ElfW(Dyn) *)address);
        } else if (segment->p_type == PT_LOAD) {
            program.start = address < program.start ? address : program.start;
            program.end =
                address + segment->p_memsz > program.end ? address + segment->p_memsz : program.end;
        }
    }
    program.memcached = in_segments(info, literals[0]) && in_segments(info, literals[1]) &&
                        (program.libevent || in_segments(info, LIBEVENT_LITERAL));
    return 1;
}

bool program_recognize(void) {
    dl_iterate_phdr(look_at_program, NULL);
    return program.memcached;
}

bool program_is_memcached(void) {
    return program.memcached;
}

bool program_contains(uintptr_t address) {
    return address >= program.start && address < program.end;
}

uintptr_t program_bias(void) {
    return program.bias;
}

bool program_links_libevent(void) {
    return program.libevent;
}

int program_file(void) {
    return program.file;
}

char *program_path(void) {
    return program.path;
}

/* The file that is mapped at an address, by /proc/self/maps. */
struct mapped {
    unsigned major, minor;
    unsigned long inode;
    char path[PATH_MAX];
};

/* Returns 0, or -errno. */
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
 * Is the open file the one that is mapped?  To compare them it is mapped, too: on overlayfs
 * (containers) and btrfs fstat names another device and inode than the maps do.  Returns 0 if it
 * is, or -errno.
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

/* Opens the mapped file by its path, at which there may be another file by now.  Returns the
 * descriptor or -errno. */
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
    return fd_move_high(fd);
}

/*
 * The mapping of the program's first byte names its file.  /proc/self/exe would
 * name the loader if memcached was started as `ld.so memcached`.
 */
void program_open(void) {
    struct mapped mapped;
    program.file = read_mapping(program.start, &mapped);
    if (program.file == 0) {
        program.file = open_mapped(&mapped);
    }
    if (program.file >= 0) {
        snprintf(program.path, sizeof program.path, "%s", mapped.path);
    }
}

void program_close(void) {
    if (program.file >= 0) {
        close(program.file);
        program.file = -ENOENT;
    }
}

static atomic_bool seccomp;

/*
 * The kernel is asked once on each thread, before the thread loads a filter (seccomp_load):
 * memcached's filters forbid the question (linux_priv.c), and without the answer kept each event
 * of a client would cost a system call.
 */
bool on_main_thread(void) {
    static __thread enum { NOT_ASKED, YES, NO } answer __attribute__((tls_model("initial-exec")));
    if (answer == NOT_ASKED) {
        answer = gettid() == getpid() ? YES : NO;
    }
    return answer == YES;
}

void program_note_seccomp(void) {
    on_main_thread();
    atomic_store(&seccomp, true);
}

bool program_has_seccomp(void) {
    return atomic_load(&seccomp);
}

const char *workers_reason(void) {
    if (!program_links_libevent()) {
        return "libevent is linked statically, so that memcached's workers cannot be reached";
    }
    if (program_has_seccomp()) {
        return "memcached's workers have given up the system calls that it takes (-o "
               "drop_privileges)";
    }
    return NULL;
}
