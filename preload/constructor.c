/*
 * The library's life in C: its beginning around Go's initialiser, the moment when
 * memcached is ready, and the end.  doc.go tells the whole of it.
 */
#include "preload.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool absolute_path(char *to, size_t room, const char *path) {
    char directory[PATH_MAX] = "";
    to[0] = '\0';
    if (path[0] != '/' && getcwd(directory, sizeof directory) == NULL) {
        return false;
    }
    int n = snprintf(to, room, "%s%s%s", directory, path[0] == '/' ? "" : "/", path);
    if (n < 0 || (size_t)n >= room) {
        to[0] = '\0';
        errno = ENAMETOOLONG;
        return false;
    }
    return true;
}

/*
 * The loader calls this for every program (preload/entry).  go is the Go runtime's own
 * initialiser.  In any program but memcached this is the end of us.
 */
__attribute__((visibility("hidden"))) void backdoor_initialize(int argc, char **argv, char **envp,
                                                               go_initializer *go) {
    (void)argc;
    (void)argv;
    (void)envp;
    if (!host_recognize()) {
        return;
    }
    signals_note();
    runtime_initialize(go);
    signals_restore();
    say_hold();
    host_open();
    fixtures_note();
    save_note();
    door_attach();
}

__attribute__((destructor)) static void at_exit(void) {
    if (host_is_memcached() && !seccomp_loaded()) { /* else the next start replaces the door */
        door_detach();
    }
}

/* Makes Go's threads; returns why it cannot, or NULL. */
static const char *start(void) {
    static char reason[128];
    const char *objection = limits_objection();
    if (objection == NULL && !runtime_held()) {
        objection = "the Go runtime's initialiser did not run before ours";
    }
    int err = objection == NULL ? runtime_start() : 0;
    if (err != 0) {
        snprintf(reason, sizeof reason, "a thread for it cannot be made: %s", strerror(err));
        objection = reason;
    }
    return objection;
}

/* Says that nothing of ours will be done, and why. */
static void step_aside(const char *objection) {
    if (door_socket() >= 0) {
        door_abandon("%s", objection);
        say("no door: %s", door_reason());
    }
    if (save_wanted()) {
        say("nothing will be saved: %s", objection);
    }
    if (fixtures_wanted()) {
        say("fixtures: they cannot be loaded: %s", objection);
        fixtures_incomplete();
    }
    host_close();
    say_release();
}

void memcached_ready(const char *unheld) {
    door_settle();
    if (fixtures_wanted() && unheld == NULL) {
        connections_hold();
    } else if (fixtures_wanted()) {
        fixtures_not_held(unheld);
    }
    if (door_socket() < 0) {
        say("no door: %s", door_reason());
    }
    if (connections_refused() || (door_socket() < 0 && !fixtures_wanted() && !save_wanted())) {
        host_close();
        say_release();
        return;
    }
    const char *objection = start();
    if (objection != NULL) {
        step_aside(objection);
    }
}
