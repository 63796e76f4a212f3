#!/bin/sh
# hosts.sh: prepares the memcacheds that the tests run in, under build/hosts/.
#
#   stock/memcached     the distribution's own binary, stripped: route scan
#   symtab/memcached    the same binary with a symbol table added: route symtab
#   unknown/memcached   the same binary with another version: only its protocol is left
#   exported/memcached  Debian 13's binary, which exports its functions, run by
#                       its own loader with its own libraries: route exported
#
# What is there is kept.  Each is made beside its place and renamed, so that an
# interrupted run leaves nothing half-made.
set -eu

hosts=$(cd "$(dirname "$0")" && pwd)/hosts
mkdir -p "$hosts"
work=$(mktemp -d "$hosts/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

die() {
    echo "error: make hosts: $*" >&2
    exit 1
}

# run LABEL COMMAND...: silent unless it fails.
run() {
    label=$1
    shift
    if ! "$@" >"$work/log" 2>&1; then
        tail -n 20 "$work/log" >&2
        die "$label failed"
    fi
}

# apt with lists and cache of our own.  The archive is where this machine's own
# configuration says that Debian is.
isolated_apt() {
    apt-get -o Dir::Etc::sourcelist="$work/sources" -o Dir::Etc::sourceparts=- \
        -o Dir::State="$work/state" -o Dir::State::status="$work/state/status" \
        -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@"
}

archives() {
    apt-get indextargets --format "\$(REPO_URI) \$(CODENAME)" 'Created-By: Packages' \
        'Origin: Debian' 'Component: main' | sort -u
}

prepare_apt() {
    rm -rf "$work/state" "$work/cache"
    mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
    : >"$work/state/status"
    run "apt-get update" isolated_apt update
}

signed_by='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
stock=$(command -v memcached) || die "memcached is not installed"

if ! cmp -s "$stock" "$hosts/stock/memcached"; then
    mkdir -p "$hosts/stock"
    install -m 755 "$stock" "$hosts/stock/.memcached"
    mv "$hosts/stock/.memcached" "$hosts/stock/memcached"
    rm -rf "$hosts/symtab" "$hosts/unknown"
    echo "hosts: stock is $("$stock" -V)"
fi

# loaded FILE: what of FILE is loaded, its build-id left out.  That id covers the
# debug information too, which names every header the build machine had.
loaded() {
    objcopy -O binary --remove-section=.note.gnu.build-id "$1" "$work/loaded" && cat "$work/loaded"
}

# The addresses come from the distribution's source package, whose code rebuilds
# byte for byte, and not from our own search for them.
make_symtab() {
    version=$(dpkg-query -W -f '${source:Version}' memcached)
    archives | while read -r uri codename; do
        echo "deb-src $signed_by $uri $codename main"
    done >"$work/sources"
    prepare_apt
    (cd "$work" && run "fetching memcached's source" isolated_apt source --download-only "memcached=$version")
    run "unpacking memcached's source" dpkg-source -x "$work"/memcached_*.dsc "$work/source"
    (cd "$work/source" && run "building memcached" env DEB_BUILD_OPTIONS=nocheck \
        dpkg-buildpackage --build=binary --no-sign --build-profiles=nocheck \
        --rules-target=build)
    twin=$work/source/memcached
    loaded "$stock" >"$work/wanted"
    loaded "$twin" | cmp -s - "$work/wanted" ||
        die "memcached $version, rebuilt, is not the program that is installed"

    text=$(readelf -SW "$stock" | sed -n 's/.* \.text  *PROGBITS  *\([0-9a-f]*\).*/\1/p')
    set --
    for name in item_alloc store_item item_remove item_get item_unlink do_item_alloc_chunk; do
        address=$(nm "$twin" | sed -n "s/^\([0-9a-f]*\) [tT] $name\$/\1/p")
        [ -n "$address" ] || die "memcached $version, rebuilt, has no $name"
        set -- "$@" --add-symbol "$name=.text:$((0x$address - 0x$text)),function,global"
    done
    mkdir "$work/symtab"
    run "adding the symbols" objcopy "$@" "$stock" "$work/symtab/memcached"
    mv "$work/symtab" "$hosts/symtab"
}

if [ ! -x "$hosts/symtab/memcached" ]; then
    echo "hosts: rebuilding memcached's source package for its symbols"
    make_symtab
fi

# The second number of the version becomes one that no release has, of the same length.
make_unknown() {
    version=$("$stock" -V | sed -n 's/^memcached //p')
    mkdir "$work/unknown"
    LC_ALL=C sed "s/$(echo "$version" | sed 's/[.]/[.]/g')/$(echo "$version" | sed 's/[.][0-9]/.7/')/g" \
        "$stock" >"$work/unknown/memcached"
    chmod 755 "$work/unknown/memcached"
    [ "$("$work/unknown/memcached" -V)" != "memcached $version" ] || die "memcached $version keeps its version"
    mv "$work/unknown" "$hosts/unknown"
}

if [ ! -x "$hosts/unknown/memcached" ]; then
    make_unknown
fi

make_exported() {
    uri=$(archives | sed -n 's/ bookworm$//p' | head -n 1)
    [ -n "$uri" ] || die "this machine's apt knows no Debian 12 archive to find Debian 13 beside"
    echo "deb $signed_by $uri trixie main" >"$work/sources"
    prepare_apt
    mkdir "$work/debs"
    (cd "$work/debs" && run "fetching Debian 13's memcached" isolated_apt download memcached libc6 \
        libevent-2.1-7t64 libsasl2-2 libssl3t64 zlib1g libzstd1)
    mkdir "$work/exported"
    for deb in "$work"/debs/*.deb; do
        dpkg-deb -x "$deb" "$work/exported"
    done
    cat >"$work/exported/memcached" <<'WRAPPER'
#!/bin/sh
# Debian 13's memcached with its own loader and libraries.
root=$(dirname "$0")
exec "$root/usr/lib64/ld-linux-x86-64.so.2" \
    --library-path "$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/memcached" "$@"
WRAPPER
    chmod 755 "$work/exported/memcached"
    run "starting Debian 13's memcached" "$work/exported/memcached" -V
    mv "$work/exported" "$hosts/exported"
}

if [ ! -x "$hosts/exported/memcached" ]; then
    echo "hosts: fetching Debian 13's memcached with its libraries"
    make_exported
fi
