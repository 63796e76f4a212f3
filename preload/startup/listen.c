#define _GNU_SOURCE
#include "listen.h"

#include "env.h"
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_PATH "/var/run/memcached_backdoor"
#define BACKLOG 128
/* The door's path must leave room for the suffix of its temporary name. */
#define PATH_LIMIT (sizeof((struct sockaddr_un *)0)->sun_path - sizeof "~4294967295")
/* How often, and how long apart in nanoseconds, a busy lock is tried. */
#define LOCK_TRIES 50
#define LOCK_PAUSE (2 * 1000 * 1000)

static struct {
    int socket;
    char path[PATH_LIMIT + 1];
    dev_t dev; /* of the socket's file, to recognize it before it is unlinked */
    ino_t ino;
    char reason[256];
} door = {.socket = -1};

int listen_socket(void) {
    return door.socket;
}

void listen_settle(void) {
    if (door.socket >= 0) {
        door.socket = fd_move_high(door.socket);
    }
}

const char *listen_reason(void) {
    return door.reason;
}

static bool refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Always false, so that a failing step can return it. */
static bool refuse(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(door.reason, sizeof door.reason, format, args);
    va_end(args);
    return false;
}

void listen_abandon(const char *reason) {
    refuse("%s", reason);
    listen_detach();
    close(door.socket);
    door.socket = -1;
}

static bool set_path(const char *path) {
    if (absolute_path(door.path, sizeof door.path, path)) {
        return true;
    }
    if (errno == ENAMETOOLONG) {
        return refuse(
            "the door's path may have %zu bytes with its directory before it, %s has more",
            sizeof door.path - 1, path);
    }
    return refuse("the door's path %s: its directory is not known: %s", path, strerror(errno));
}

static struct sockaddr_un address_of(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    return address;
}

/* Does a process listen at the path?  Sets pid to it, 0 if it is unknown. */
static bool answers(int *pid) {
    struct sockaddr_un address = address_of(door.path);
    struct ucred peer = {0};
    socklen_t length = sizeof peer;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return true; /* unknown: leave the path alone */
    }
    /* EAGAIN: its backlog is full.  EPROTOTYPE: a socket of another type, so not a door. */
    bool refused = connect(fd, (struct sockaddr *)&address, sizeof address) != 0 &&
                   (errno == ECONNREFUSED || errno == ENOENT);
    if (!refused) {
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
    }
    close(fd);
    *pid = peer.pid;
    return !refused;
}

/* May the path be taken?  It is free, or it is a door that no process serves any more. */
static bool path_is_free(void) {
    struct stat st;
    int pid = 0;
    if (lstat(door.path, &st) != 0) {
        return errno == ENOENT || refuse("%s: %s", door.path, strerror(errno));
    }
    if (!S_ISSOCK(st.st_mode)) {
        return refuse("%s is there and is not a door; remove it, or set MEMCACHED_BACKDOOR",
                      door.path);
    }
    if (answers(&pid)) {
        return refuse("%s is the door of process %d; set MEMCACHED_BACKDOOR to another path",
                      door.path, pid);
    }
    return true;
}

static bool parse_mode(mode_t *mode) {
    const char *text = env.door_mode;
    *mode = 0600;
    if (text == NULL) {
        return true;
    }
    char *end;
    unsigned long value = strtoul(text, &end, 8);
    if (text[0] < '0' || text[0] > '7' || *end != '\0' || value > 0777) {
        return refuse("MEMCACHED_BACKDOOR_MODE=%s is not an octal mode such as 0660", text);
    }
    *mode = (mode_t)value;
    return true;
}

static bool parse_group(gid_t *gid) {
    const char *text = env.door_group;
    *gid = (gid_t)-1;
    if (text == NULL) {
        return true;
    }
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && value < UINT32_MAX) {
        *gid = (gid_t)value;
        return true;
    }
    const struct group *group = getgrnam(text);
    if (group == NULL) {
        return refuse("MEMCACHED_BACKDOOR_GROUP=%s: there is no such group", text);
    }
    *gid = group->gr_gid;
    return true;
}

/*
 * Sets the group and mode of the socket that was bound to name.  If others may write to the
 * directory, the name may be a link to any file by now: so the socket is opened, checked, and
 * changed by its descriptor, not by its name.
 */
static bool set_owner(const char *name, mode_t mode, gid_t gid, struct stat *st) {
    char self[sizeof "/proc/self/fd/4294967295"];
    int fd = open(name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd); /* fchmod refuses such a descriptor */
    bool done = fstat(fd, st) == 0;
    if (done && (!S_ISSOCK(st->st_mode) || st->st_uid != geteuid() || st->st_nlink != 1)) {
        errno = EPERM;
        done = false;
    }
    done = done && (gid == (gid_t)-1 || fchownat(fd, "", (uid_t)-1, gid, AT_EMPTY_PATH) == 0) &&
           ((st->st_mode & 0777) == mode || chmod(self, mode) == 0);
    int err = errno;
    close(fd);
    errno = err;
    return done;
}

/* Binds and listens under a temporary name, then renames it: the door is never half there. */
static bool bind_and_rename(mode_t mode, gid_t gid) {
    char temporary[sizeof((struct sockaddr_un *)0)->sun_path];
    snprintf(temporary, sizeof temporary, "%s~%d", door.path, (int)getpid());
    struct sockaddr_un address = address_of(temporary);
    struct stat st;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return refuse("socket: %s", strerror(errno));
    }
    /* The file gets the socket's mode (unix(7)), less the umask: never more than 0600 at first. */
    if (fchmod(fd, 0600) != 0 || (unlink(temporary) != 0 && errno != ENOENT) ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        refuse("%s: %s", temporary, strerror(errno));
        close(fd);
        return false;
    }
    if (!set_owner(temporary, mode, gid, &st) || listen(fd, BACKLOG) != 0 ||
        rename(temporary, door.path) != 0) {
        refuse("%s: %s", door.path, strerror(errno));
        unlink(temporary);
        close(fd);
        return false;
    }
    door.dev = st.st_dev;
    door.ino = st.st_ino;
    door.socket = fd_move_high(fd);
    return true;
}

/* Is the open lock still the one of that name?  A lock that was unlinked locks nothing. */
static bool is_named(int fd, const char *name) {
    struct stat held, named;
    return fstat(fd, &held) == 0 && lstat(name, &named) == 0 && held.st_dev == named.st_dev &&
           held.st_ino == named.st_ino;
}

/*
 * Opens the lock, which only its owner and root can open, so that no other user holds it.
 * Returns -1 with errno, which is EAGAIN if another process holds the lock.
 */
static int open_lock(const char *name) {
    struct stat st;
    int fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
    if (fd < 0) {
        int err = errno;
        /* Root's, in a shared directory; or not a lock. */
        if (lstat(name, &st) == 0) {
            err = S_ISREG(st.st_mode) && st.st_uid == 0 ? EAGAIN : EPERM;
        }
        errno = err;
        return -1;
    }
    bool good = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) == 0 &&
                (st.st_uid == geteuid() || st.st_uid == 0);
    if (good && flock(fd, LOCK_EX | LOCK_NB) == 0 && is_named(fd, name)) {
        return fd;
    }
    errno = good ? EAGAIN : EPERM;
    int err = errno;
    close(fd);
    errno = err;
    return -1;
}

/*
 * Two memcacheds that start at once must not both find the path free.  The lock exists only for as
 * long as that takes: its holder unlinks it.
 */
static int take_lock(const char *name) {
    const struct timespec pause = {0, LOCK_PAUSE};
    int fd = -1;
    for (int i = 0; (fd = open_lock(name)) < 0 && errno == EAGAIN && i < LOCK_TRIES; i++) {
        nanosleep(&pause, NULL);
    }
    if (fd < 0 && errno == EPERM) {
        refuse("%s is there and is not a lock of the library; remove it, or set MEMCACHED_BACKDOOR",
               name);
    } else if (fd < 0 && errno == EAGAIN) {
        refuse("%s: locked by another process; if none is starting, remove it", name);
    } else if (fd < 0) {
        int directory = (int)(strrchr(name, '/') - name);
        refuse("%.*s: %s; set MEMCACHED_BACKDOOR to another path", directory > 0 ? directory : 1,
               name, strerror(errno));
    }
    return fd;
}

static bool attach_at(const char *path) {
    mode_t mode;
    gid_t gid;
    if (!set_path(path) || !parse_mode(&mode) || !parse_group(&gid)) {
        return false;
    }
    char name[sizeof door.path + sizeof "~lock"];
    snprintf(name, sizeof name, "%s~lock", door.path);
    int lock = take_lock(name);
    if (lock < 0) {
        return false;
    }
    bool attached = path_is_free() && bind_and_rename(mode, gid);
    unlink(name);
    close(lock);
    return attached;
}

void listen_attach(void) {
    if (env.door[0] != '\0') {
        attach_at(env.door);
        return;
    }
    if (attach_at(DEFAULT_PATH)) {
        return;
    }
    /* A user who cannot create the default has a directory of their own. */
    struct stat st;
    if (env.runtime_dir[0] != '\0' && lstat(DEFAULT_PATH, &st) != 0) {
        char own[sizeof door.path];
        if ((size_t)snprintf(own, sizeof own, "%s/memcached_backdoor", env.runtime_dir) <
            sizeof own) {
            attach_at(own);
        }
    }
}

void listen_detach(void) {
    struct stat st;
    if (door.socket >= 0 && lstat(door.path, &st) == 0 && st.st_dev == door.dev &&
        st.st_ino == door.ino) {
        unlink(door.path);
    }
}
