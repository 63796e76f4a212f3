#!/bin/bash
# test-image.sh: the image of the Containerfile, built and run by podman.
#
# Its base is a stand-in, made of build/hosts/root, with Debian's memcached and its user
# memcache: no registry of images is asked.
# shellcheck source=build/package/alone.sh
. "$(dirname "$0")/alone.sh"
cd "$(dirname "$0")/../.."

# Nothing of it is kept.  A health check is run by us and not by a timer of systemd's.
podman() {
    DISABLE_HC_SYSTEMD=true command podman --root $work/storage --runroot $work/running --tmpdir $work/tmp \
        --cgroup-manager cgroupfs --events-backend file "$@"
}
trap '[ $? = 0 ] || podman logs cache >&2' EXIT

# in_cache COMMAND...: in the container, as its user.
in_cache() {
    podman exec -i cache "$@"
}

base=$(sed -n 's/^FROM //p' build/package/Containerfile)
tar -C build/hosts/root --exclude=./dev -c . |
    podman import --quiet --change 'USER memcache' --change 'CMD ["memcached"]' - "$base" >/dev/null
echo "the base is a stand-in for $base: a Debian with $(chroot build/hosts/root memcached -V)"

# What podman and its runtime would do else takes more rights than root may have in a virtual machine.
podman build --quiet --pull=never --isolation chroot --format docker -f build/package/Containerfile -t memcached-backdoor build >/dev/null
mkdir $work/fixtures
printf 'fixture\tfoo\n' >$work/fixtures/rows.tsv
podman run --detach --quiet --name cache --cgroups disabled --network none \
    -v $work/fixtures:/fixtures:ro -e MEMCACHED_BACKDOOR_PRELOAD=/fixtures memcached-backdoor >/dev/null

until_it_works podman healthcheck run cache
is "user" memcache "$(in_cache id -un)"
is "engine" native "$(in_cache memcached-backdoor status | sed -n 's/^engine *//p')"
printf 'user_1\tbla bla\n' | in_cache memcached-backdoor
is "rows, through memcached's own port" $'VALUE fixture 0 3\r\nfoo\r\nVALUE user_1 0 7\r\nbla bla\r\nEND\r' \
    "$(printf 'get fixture user_1\r\nquit\r\n' | in_cache bash -c 'exec 3<>/dev/tcp/127.0.0.1/11211; cat >&3; cat <&3')"
podman stop cache >/dev/null
is "exit status of memcached, ended by SIGTERM" 0 "$(podman inspect cache --format '{{.State.ExitCode}}')"
is "log" "memcached-backdoor: fixtures: 1 file: 1 row read: 1 stored, 0 rejected, 0 skipped" \
    "$(podman logs cache 2>&1 | sed 's/ (.*//')"
