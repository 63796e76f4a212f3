#define _GNU_SOURCE
#include "env.h"

#include "fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAVE_LIMIT 60 /* seconds */

struct environment env;

static const char *text(const char *name) {
    const char *value = secure_getenv(name);
    return value != NULL ? value : "";
}

static void read_fixtures(void) {
    const char *strict = text("MEMCACHED_BACKDOOR_PRELOAD_STRICT");
    env.strict = strict[0] != '\0' && strcmp(strict, "0") != 0;
    env.fixtures = text("MEMCACHED_BACKDOOR_PRELOAD");
    if (env.fixtures[0] == '\0' || getcwd(env.directory, sizeof env.directory) == NULL) {
        env.directory[0] = '\0';
    }
}

static int parse_limit(const char *value) {
    char *end;
    if (value == NULL) {
        return SAVE_LIMIT;
    }
    long seconds = strtol(value, &end, 10);
    bool number = value[0] >= '0' && value[0] <= '9' && *end == '\0' && seconds < INT_MAX;
    return number ? (int)seconds : 0;
}

static void read_save(void) {
    const char *path = text("MEMCACHED_BACKDOOR_SAVE");
    if (path[0] != '\0' && !absolute_path(env.save, sizeof env.save, path)) {
        env.save_errno = errno;
    }
    env.save_limit = parse_limit(secure_getenv("MEMCACHED_BACKDOOR_SAVE_LIMIT"));
}

void env_read(void) {
    env.door = text("MEMCACHED_BACKDOOR");
    env.door_mode = secure_getenv("MEMCACHED_BACKDOOR_MODE");
    env.door_group = secure_getenv("MEMCACHED_BACKDOOR_GROUP");
    const char *runtime_dir = text("XDG_RUNTIME_DIR");
    env.runtime_dir = runtime_dir[0] == '/' ? runtime_dir : "";
    read_fixtures();
    read_save();
}
