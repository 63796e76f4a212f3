# shellcheck shell=bash
# alone.sh: what the tests of the packages share.  The script that reads it goes on
# below this line in namespaces of its own: its processes, mounts and control groups end
# with it, however it ends.
set -euo pipefail

die() {
    echo "error: $(basename "$0"): $*" >&2
    exit 1
}

if [ "${1-}" != alone ]; then
    [ "$(id -u)" = 0 ] || die "it takes root, for a container"
    group=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET)/memcached-backdoor.$$
    mkdir "$group"
    trap '[ -z "$(jobs -p)" ] || kill -KILL $(jobs -p); until find "$group" -depth -type d -exec rmdir {} +; do sleep 0.1; done 2>/dev/null' EXIT
    trap 'exit 1' INT TERM
    (
        echo $BASHPID >"$group/cgroup.procs"
        exec setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc --cgroup "$0" alone
    ) &
    status=0
    wait $! || status=$?
    exit $status
fi

# The tools look there for what they have started, and for the only kind of control groups they all know.
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
work=/run/work
mkdir $work

# until_it_works COMMAND...: within half a minute.
until_it_works() {
    local deadline=$((SECONDS + 30))
    until "$@" >$work/tried 2>&1; do
        ((SECONDS < deadline)) || die "$* fails for ever: $(cat $work/tried)"
        sleep 0.1 # between two tries
    done
}

# is WHAT EXPECTED ACTUAL
is() {
    [ "$2" = "$3" ] || die "$1: expected $(printf '%q' "$2"), and it is $(printf '%q' "$3")"
    echo "ok: $1: ${2:-nothing}"
}
