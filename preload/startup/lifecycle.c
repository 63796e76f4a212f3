#include "lifecycle.h"

#include "env.h"
#include "gate.h"
#include "listen.h"
#include "log.h"
#include "program.h"
#include "rlimits.h"
#include "signals.h"

#include <stdio.h>
#include <string.h>

/* The loader calls this in every program.  In any program but memcached nothing else ever runs. */
__attribute__((visibility("hidden"))) void backdoor_initialize(int argc, char **argv, char **envp,
                                                               go_initializer *go) {
    (void)argc;
    (void)argv;
    (void)envp;
    if (!program_recognize()) {
        return;
    }
    signals_save();
    runtime_initialize(go);
    signals_restore();
    log_keep_stderr();
    program_open();
    env_read();
    if (env.save_errno != 0) {
        say("nothing will be saved: the path of MEMCACHED_BACKDOOR_SAVE: %s",
            strerror(env.save_errno));
    }
    listen_attach();
}

__attribute__((destructor)) static void at_exit(void) {
    if (program_is_memcached() && !program_has_seccomp()) { /* else the next start replaces it */
        listen_detach();
    }
}

static bool has_fixtures(void) {
    return env.fixtures[0] != '\0';
}

static bool has_save(void) {
    return env.save[0] != '\0';
}

static void *serve(void *arg) {
    (void)arg;
    backdoor_serve(listen_socket(), program_file(), program_path(), program_bias());
    return NULL;
}

/* Starts Go.  Returns the reason why it cannot, or NULL. */
static const char *start(void) {
    static char buffer[128];
    const char *reason = rlimits_reason();
    if (reason == NULL && !runtime_is_held()) {
        reason = "the Go runtime's initialiser did not run before the library's";
    }
    int err = reason == NULL ? runtime_start(serve) : 0;
    if (err != 0) {
        snprintf(buffer, sizeof buffer, "a thread for it cannot be made: %s", strerror(err));
        reason = buffer;
    }
    return reason;
}

/* Logs that the library will do nothing, and the reason. */
static void step_aside(const char *reason) {
    if (listen_socket() >= 0) {
        listen_abandon(reason);
        say("no door: %s", listen_reason());
    }
    if (has_save()) {
        say("nothing will be saved: %s", reason);
    }
    if (has_fixtures()) {
        say("fixtures: they cannot be loaded: %s", reason);
        gate_incomplete(env.strict);
    }
    program_close();
    log_release_stderr();
}

void memcached_ready(const char *ungated) {
    listen_settle();
    if (has_fixtures() && ungated == NULL) {
        gate_close();
    } else if (has_fixtures()) {
        gate_not_closed(env.strict, ungated);
    }
    if (listen_socket() < 0) {
        say("no door: %s", listen_reason());
    }
    if (gate_refuses() || (listen_socket() < 0 && !has_fixtures() && !has_save())) {
        program_close();
        log_release_stderr();
        return;
    }
    const char *reason = start();
    if (reason != NULL) {
        step_aside(reason);
    }
}
