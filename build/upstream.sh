#!/bin/sh
# upstream.sh SUITE...: Debian's memcached source packages, unpacked and built as memcached's
# own tests want them, which takes its assertions in.
#
#   upstream/VERSION/memcached-debug         the program, with assertions and symbols
#   upstream/VERSION/t                       the tests, which are run there (test-upstream.sh)
#
# What cannot be had or built is named, and noted in an .absent file.
set -eu
# shellcheck source=build/archive.sh
. "$(dirname "$0")/archive.sh"

# With the options of Debian's package, as it was released: patches make the build's own files seem old.
build() {
    cd "$work/source" &&
        ./configure --disable-docs --disable-coverage --enable-sasl --enable-tls ACLOCAL=: AUTOCONF=: AUTOHEADER=: AUTOMAKE=: &&
        make -j2 memcached-debug timedrun
}

for suite in "$@"; do
    if ! find_source "$suite"; then
        absent "upstream/$suite" "the archive's lists of $suite cannot be read"
        continue
    fi
    place=upstream/$upstream
    [ ! -x "$hosts/$place/memcached-debug" ] || continue
    if ! fetch_source; then
        absent "$place" "$why"
        continue
    fi
    echo "hosts: building memcached $upstream with assertions"
    if ! (build) >"$work/log" 2>&1 </dev/null; then
        absent "$place" "$(grep -m 1 -E 'error:|Error' "$work/log")"
        continue
    fi
    mkdir -p "$hosts/upstream"
    rm -f "$hosts/$place.absent"
    mv "$work/source" "$hosts/$place"
done
