#!/bin/sh
# test-upstream.sh [FILE...]: memcached's own tests (t/*.t, or some of them), in each memcached of
# upstream.sh, in three ways:
#
#   bare      as they are
#   library   with LD_PRELOAD in their environment
#   fixtures  and MEMCACHED_BACKDOOR_PRELOAD, of a directory that has no rows: the tests count items
#
# An outcome is the exit status and which tests failed or were skipped: how many pass depends on the
# time in some files.  A file that has not the same one as bare is run three times more in both ways;
# it fails if it has one then that bare never has.
set -eu
# shellcheck source=build/archive.sh
. "$(dirname "$0")/archive.sh"

asked=$*
build=$(cd "$(dirname "$0")" && pwd)
short=$(mktemp -d) # paths of sockets are short (unix(7))
trap 'rm -rf "$work" "$short"' EXIT
mkdir "$work/fixtures"

# Each memcached has a door of its own, whoever starts it: the tests start memcached-debug.
wrapper() {
    cat <<WRAPPER
#!/bin/sh
MEMCACHED_BACKDOOR=$short/\$\$ exec "\$0.program" "\$@"
WRAPPER
}

# make_tree VERSION: what the tests need of memcached's source.
make_tree() {
    tree=$work/$1
    mkdir "$tree"
    cp -r "$hosts/upstream/$1/t" "$hosts/upstream/$1/doc" "$hosts/upstream/$1/timedrun" "$tree"
    rm -f "$tree/t/whitespace.t" # of the source, in a checkout; Debian leaves it out as well
    cp "$hosts/upstream/$1/memcached-debug" "$tree/memcached-debug.program"
    wrapper >"$tree/memcached-debug"
    chmod 755 "$tree/memcached-debug"
}

# with WAY COMMAND...: becomes a command, run in a way.
with() {
    way=$1
    shift
    case $way in
    bare) exec "$@" ;;
    library) exec env LD_PRELOAD="$build/backdoor.so" "$@" ;;
    fixtures) exec env LD_PRELOAD="$build/backdoor.so" MEMCACHED_BACKDOOR_PRELOAD="$work/fixtures" "$@" ;;
    esac
}

# outcome WAY TEST TO: runs one file of tests, and writes what came of it.
outcome() {
    status=0
    (cd "$tree" && with "$1" timeout 600 perl "t/$2") >"$3.log" 2>&1 </dev/null || status=$?
    # The names of tests have numbers of processes in them.
    sed -n 's/^\(ok\|not ok\) \([0-9]*\).*# \(SKIP\|TODO\).*/\1 \2 \3/p; t
        s/^not ok \([0-9]*\).*/not ok \1/p; s/^1\.\.0.*/skipped/p' "$3.log" >"$3"
    echo "status $status" >>"$3"
}

# suite WAY FILE...: two files at once.
suite() {
    way=$1
    shift
    mkdir "$tree/$way"
    while [ $# -gt 0 ]; do
        outcome "$way" "$1" "$tree/$way/$1" &
        [ $# = 1 ] || outcome "$way" "$2" "$tree/$way/$2"
        wait $!
        shift $(($# > 1 ? 2 : 1))
    done
}

# at_work VERSION: the library must be at work where it is said to be.
at_work() {
    (with fixtures "$tree/memcached-debug" -s "$short/memcached" -u root 2>/dev/null) &
    server=$!
    engine=
    for _ in $(seq 300); do
        engine=$("$build/client" --door "$short/$server" status 2>/dev/null | sed -n 's/^engine  *//p')
        [ -z "$engine" ] || break
        sleep 0.1
    done
    kill "$server"
    wait "$server" || true
    [ "$engine" = native ] || die "memcached $1 with the library: ${engine:-no door}"
}

# again WAY TEST: three times more in both ways; prints outcomes that only that way has.
again() {
    for try in 1 2 3; do
        outcome bare "$2" "$tree/bare/$2.$try"
        outcome "$1" "$2" "$tree/$1/$2.$try"
    done
    for try in 1 2 3; do
        known=
        for bare in "$tree/bare/$2" "$tree/bare/$2".[123]; do
            cmp -s "$bare" "$tree/$1/$2.$try" && known=yes
        done
        [ -n "$known" ] || tail -n 20 "$tree/$1/$2.$try.log"
    done
}

failed=
for program in "$hosts"/upstream/*/memcached-debug; do
    version=$(basename "$(dirname "$program")")
    [ -x "$program" ] || die "there is no memcached's source; hint: make test-upstream"
    make_tree "$version"
    at_work "$version"
    # shellcheck disable=SC2046 # no name has a space
    [ -n "$asked" ] || set -- $(cd "$tree/t" && ls ./*.t)
    for way in bare library fixtures; do
        began=$(date +%s)
        suite "$way" "$@"
        (cd "$tree/$way" && echo "memcached $version, $way: $# files, of which $(grep -l '^skipped' ./*.t | wc -l) skipped:" \
            "$(cat ./*.log | grep -c '^ok') tests passed, $(cat ./*.log | grep -c '^not ok') failed ($(($(date +%s) - began)) s)")
    done
    for way in library fixtures; do
        for test in "$@"; do
            ! cmp -s "$tree/bare/$test" "$tree/$way/$test" || continue
            only=$(again "$way" "$test")
            if [ -z "$only" ]; then
                echo "memcached $version, $way: $test differed once, and in none of three times more"
                continue
            fi
            echo "error: memcached $version, $way: $test differs from bare:" >&2
            diff "$tree/bare/$test" "$tree/$way/$test" | head -n 10 >&2 || true
            echo "$only" | sed 's/^/    /' >&2
            failed=yes
        done
    done
done
[ -z "$failed" ] || die "memcached's own tests see the library"
