#!/bin/sh
# need.sh TARGET PACKAGE...: sees to it that Debian packages are installed.
#
# As root the missing ones are installed; anybody else is told their names in one
# line.  No service is started: a database that a test needs is one of its own.
set -eu

target=$1
shift
missing=
for package in "$@"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "error: make $target needs packages that are not installed; hint: apt-get install$missing" >&2
    exit 1
fi

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
made=
cleanup() {
    rm -f "$log"
    [ -z "$made" ] || rm -f "$policy"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# invoke-rc.d asks this before it starts a service; 101 is "forbidden".
if [ ! -e "$policy" ]; then
    made=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

echo "installing$missing"
install() {
    # shellcheck disable=SC2086 # one word a package
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
}

# The lists are read where there are none, or what they name is no longer there; another target may just have read them.
if ! { install || { apt-get update && install; }; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "error: make $target: these packages cannot be installed:$missing" >&2
    exit 1
fi
