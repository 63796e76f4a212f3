#!/bin/sh
# hosts-source.sh SUITE...: Debian's memcached source packages, built in the ways
# that people build memcached.
#
#   source/VERSION/VARIANT/memcached           stripped
#   source/VERSION/VARIANT/unstripped          the same program with its symbols
#
# What cannot be had or built is named, and noted in an .absent file.
set -eu
# shellcheck source=build/archive.sh
. "$(dirname "$0")/archive.sh"

# Debian's own flags (dpkg-buildflags) without -g, which changes nothing of what is loaded; the others are changes of them.
flags='-O2 -fstack-protector-strong -Wformat -D_FORTIFY_SOURCE=2'
link='-Wl,-z,relro -Wl,-z,now'

# variants: NAME, the options of configure, CC, CFLAGS and LDFLAGS.  Those with the
# same options are neighbours, since they are configured once, and those with the same
# CC and CFLAGS, since they are compiled once.
variants() {
    cat <<VARIANTS
plain||gcc|$flags|$link
mold||gcc|$flags|$link -fuse-ld=mold
rdynamic||gcc|$flags|$link -rdynamic
static-libevent||gcc|$flags|$link
O3||gcc|$flags -O3|$link
lto||gcc|$flags -flto=auto -ffat-lto-objects|$link -flto=auto
O3-lto||gcc|$flags -O3 -flto=auto|$link -flto=auto
clang||clang-14|$flags|$link
cet||gcc|$flags -fcf-protection=full -fno-omit-frame-pointer|$link
no-pie||gcc|$flags -fno-pie|$link -no-pie
tls-sasl|--enable-tls --enable-sasl|gcc|$flags|$link
proxy|--enable-proxy|gcc|$flags|$link
seccomp|--enable-seccomp|gcc|$flags|$link
VARIANTS
}

build() {
    [ "$configured" = "$options" ] || { # as it was released: patches make the build's own files seem old
        configured=
        # shellcheck disable=SC2086 # one word an option
        ./configure --disable-docs $options ACLOCAL=: AUTOCONF=: AUTOHEADER=: AUTOMAKE=: || return
    }
    [ "$compiled" = "$options|$cc|$cflags" ] || make clean || return
    case $options in *--enable-proxy*) make -C vendor || return ;; esac
    libraries=$(sed -n 's/^LIBS = //p' Makefile)
    if [ "$variant" = static-libevent ]; then
        libraries=$(echo "$libraries" | sed 's/-levent\b/-l:libevent.a/')
    fi
    make -j2 memcached CC="$cc" CFLAGS="$cflags -pthread" LDFLAGS="$ldflags" LIBS="$libraries"
}

make_variants() {
    version=$1
    configured=none compiled=
    variants | while IFS='|' read -r variant options cc cflags ldflags; do
        place=source/$version/$variant
        [ ! -x "$hosts/$place/memcached" ] || continue
        echo "hosts: building memcached $version, $variant"
        if ! (cd "$work/source" && build) >"$work/log" 2>&1 </dev/null; then
            absent "$place" "$(grep -m 1 -E 'error:|Error' "$work/log")"
            configured=none compiled=
            continue
        fi
        configured=$options compiled="$options|$cc|$cflags" # which the subshell has done
        mkdir "$work/made"
        mv "$work/source/memcached" "$work/made/unstripped"
        run "stripping it" strip -o "$work/made/memcached" "$work/made/unstripped"
        mkdir -p "$hosts/source/$version"
        rm -rf "${hosts:?}/$place" "$hosts/$place.absent"
        mv "$work/made" "$hosts/$place"
    done
}

# all_made VERSION: is each variant there, or known to be absent?
all_made() {
    variants | while IFS='|' read -r variant _; do
        [ -e "$hosts/source/$1/$variant" ] || [ -e "$hosts/source/$1/$variant.absent" ] || exit 1
    done
}

# make_source SUITE: in a directory of its own.
make_source() {
    suite=$1
    all=$work
    work=$all/$suite
    mkdir "$work"
    if ! find_source "$suite"; then
        absent "source/$suite" "the archive's lists of $suite cannot be read"
        return
    fi
    if all_made "$upstream" || ! mkdir "$all/$upstream" 2>/dev/null; then
        return # of another suite, or of an earlier run
    fi
    if ! fetch_source; then
        absent "source/$upstream" "$why"
        return
    fi
    rm -f "$hosts/source/$upstream.absent"
    make_variants "$upstream"
}

# The suites are made side by side: configure and the linker use one processor each.
jobs=
trap 'kill $jobs 2>/dev/null; exit 1' INT TERM
for suite in "$@"; do
    (make_source "$suite") &
    jobs="$jobs $!"
done
status=0
for job in $jobs; do
    wait "$job" || status=1
done
exit $status
