#!/bin/sh
# hosts-debian.sh SUITE...: Debian's own memcached binaries, each with its libraries.
#
#   debian/SUITE/memcached  runs usr/bin/memcached beside it by its own loader
#
# One that cannot be had is named, and noted in debian/SUITE.absent.
set -eu
# shellcheck source=build/archive.sh
. "$(dirname "$0")/archive.sh"

# libraries: the packages of the libraries that memcached needs, and that these need.
libraries() {
    # shellcheck disable=SC2046 # one word a package
    isolated apt-cache depends --recurse --important \
        $(isolated apt-cache depends --important memcached | sed -n 's/^ *Depends: \(lib.*\)$/\1/p') |
        sed -n 's/^\(lib[a-z0-9.+-]*\)$/\1/p' | sort -u
}

make_debian() {
    suite=$1
    if ! prepare_apt deb "$suite"; then
        absent "debian/$suite" "the archive's lists of $suite cannot be read"
        return
    fi
    rm -rf "$work/debs" "$work/root"
    mkdir "$work/debs" "$work/root"
    # shellcheck disable=SC2046 # one word a package
    if ! (cd "$work/debs" && isolated apt-get download memcached $(libraries)) >"$work/log" 2>&1; then
        absent "debian/$suite" "$(failure)"
        return
    fi
    for deb in "$work"/debs/*.deb; do
        dpkg-deb -x "$deb" "$work/root"
    done
    cat >"$work/root/memcached" <<'WRAPPER'
#!/bin/sh
# Debian's memcached with its own loader and libraries.
root=$(dirname "$0")
for lib in "$root/usr/lib/x86_64-linux-gnu" "$root/lib/x86_64-linux-gnu"; do
    [ ! -e "$lib/ld-linux-x86-64.so.2" ] || loader=$lib/ld-linux-x86-64.so.2
done
exec "$loader" --library-path "$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu" \
    "$root/usr/bin/memcached" "$@"
WRAPPER
    chmod 755 "$work/root/memcached"
    run "starting the memcached of $suite" "$work/root/memcached" -V
    mkdir -p "$hosts/debian"
    rm -f "$hosts/debian/$suite.absent"
    mv "$work/root" "$hosts/debian/$suite"
}

for suite in "$@"; do
    if [ ! -x "$hosts/debian/$suite/memcached" ]; then
        echo "hosts: fetching the memcached of Debian's $suite with its libraries"
        make_debian "$suite"
    fi
done
