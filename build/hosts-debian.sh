#!/bin/sh
# hosts-debian.sh ARCHITECTURE SUITE...: Debian's own memcached binaries, each with its libraries.
#
#   debian/ARCHITECTURE/SUITE/memcached  runs usr/bin/memcached beside it: by its own
#                                        loader, or where it is arm64 by an emulator,
#                                        with $ARM64_PRELOAD as its LD_PRELOAD
#
# One that cannot be had is named, and noted in an .absent file.
set -eu
# shellcheck source=build/archive.sh
. "$(dirname "$0")/archive.sh"

# libraries: the packages of the libraries that memcached needs, and that these need.
libraries() {
    # shellcheck disable=SC2046 # one word a package
    isolated apt-cache depends --recurse --important \
        $(isolated apt-cache depends --important memcached | sed -n 's/^ *Depends: \(lib.*\)$/\1/p') |
        sed -n 's/^\(z*lib[a-z0-9.+-]*\)$/\1/p' | sort -u
}

wrapper() {
    case $1 in
    amd64)
        cat <<'WRAPPER'
#!/bin/sh
# Debian's memcached with its own loader and libraries.
root=$(dirname "$0")
for lib in "$root/usr/lib/x86_64-linux-gnu" "$root/lib/x86_64-linux-gnu"; do
    [ ! -e "$lib/ld-linux-x86-64.so.2" ] || loader=$lib/ld-linux-x86-64.so.2
done
exec "$loader" --library-path "$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu" \
    "$root/usr/bin/memcached" "$@"
WRAPPER
        ;;
    arm64)
        cat <<'WRAPPER'
#!/bin/sh
# Debian's memcached for arm64, emulated.
root=$(dirname "$0")
exec qemu-aarch64 -L "$root" ${ARM64_PRELOAD:+-E "LD_PRELOAD=$ARM64_PRELOAD"} "$root/usr/bin/memcached" "$@"
WRAPPER
        ;;
    esac
}

make_debian() {
    suite=$1
    place=debian/$architecture/$suite
    if ! prepare_apt deb "$suite"; then
        absent "$place" "the archive's lists of $suite cannot be read"
        return
    fi
    rm -rf "$work/debs" "$work/root"
    mkdir "$work/debs" "$work/root"
    # shellcheck disable=SC2046 # one word a package
    if ! (cd "$work/debs" && isolated apt-get download memcached $(libraries)) >"$work/log" 2>&1; then
        absent "$place" "$(failure)"
        return
    fi
    for deb in "$work"/debs/*.deb; do
        dpkg-deb -x "$deb" "$work/root"
    done
    # The loader is named by its place before /lib and /usr/lib were one.
    [ -e "$work/root/lib" ] || ln -s usr/lib "$work/root/lib"
    wrapper "$architecture" >"$work/root/memcached"
    chmod 755 "$work/root/memcached"
    run "starting the memcached of $suite" "$work/root/memcached" -V
    mkdir -p "$hosts/debian/$architecture"
    rm -f "$hosts/$place.absent"
    mv "$work/root" "$hosts/$place"
}

architecture=$1
shift
for suite in "$@"; do
    if [ ! -x "$hosts/debian/$architecture/$suite/memcached" ]; then
        echo "hosts: fetching the memcached of Debian's $suite for $architecture with its libraries"
        make_debian "$suite"
    fi
done
