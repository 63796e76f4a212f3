#!/bin/sh
# hosts.sh: prepares the memcacheds that all tests run in, under build/hosts/.
#
#   stock/memcached                the distribution's own binary, stripped: route scan
#   symtab/memcached               the same binary with a symbol table added: route symtab
#   unknown/memcached              the same binary with another version: only its
#                                  protocol is left
#   debian/amd64/trixie/memcached  Debian 13's, which exports its functions: route exported
#   debian/arm64/*/memcached       Debian's for arm64, emulated
set -eu
# shellcheck source=build/archive.sh
. "$(dirname "$0")/archive.sh"

stock=$(command -v memcached) || die "memcached is not installed"

# They are fetched while the others are made.
"$(dirname "$0")/hosts-debian.sh" amd64 trixie &
amd64=$!
"$(dirname "$0")/hosts-debian.sh" arm64 bookworm trixie &
arm64=$!
trap 'kill $amd64 $arm64 2>/dev/null; exit 1' INT TERM

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
    prepare_apt deb-src || die "the archive's lists of sources cannot be read"
    (cd "$work" && run "fetching memcached's source" isolated apt-get source --download-only "memcached=$version")
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

wait $amd64
[ -x "$hosts/debian/amd64/trixie/memcached" ] || die "the tests need Debian 13's memcached"
wait $arm64
