#!/bin/bash
# deb.sh VERSION: makes build/memcached-backdoor_VERSION_ARCHITECTURE.deb of what
# `make install` installs.  VERSION is the Makefile's: the release and the commit.  The same
# commit makes the same file, in the same directory.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
umask 022

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git show -s --format=%ct)}
export SOURCE_DATE_EPOCH

# debian_version RELEASE-COMMIT: one that sorts behind the release, and behind earlier commits, by
# the commit's time.
debian_version() {
    local release=${1%%-*} commit=${1#*-}
    echo "$release+$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d.%H%M%S).${commit//-/.}"
}

# copyright: our license, and those of all that is linked into the library and the client.
copyright() {
    echo "memcached-backdoor is under this license:"
    echo
    cat LICENSE
    licensed "Go's runtime and library" "$(go env GOROOT)"
    go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}' ./client ./preload |
        sort -u | while read -r module directory; do licensed "$module" "$directory"; done
}

# licensed NAME DIRECTORY: the license of what is in a directory. Debian has the text of Apache's license itself (Debian Policy,
# 12.5).
licensed() {
    printf '\n%s, which is linked into it, under this one:\n\n' "$1"
    awk '
        /^ *Apache License$/ { print "Apache License, Version 2.0: /usr/share/common-licenses/Apache-2.0"; left = 1 }
        !left
        /limitations under the License/ { left = 0 }
    ' "$(find "$2" -maxdepth 1 \( -name 'LICENSE*' -o -name 'COPYING*' \) -print -quit)"
}

changelog() {
    cat <<CHANGELOG
memcached-backdoor ($version) unstable; urgency=medium

  * $(git show -s --format=%H)

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
CHANGELOG
}

# depends: the packages of the libraries that the library needs, as new as its symbols.
depends() {
    mkdir "$work/debian"
    echo "Source: memcached-backdoor" >"$work/debian/control"
    (cd "$work" && dpkg-shlibdeps -O -e"$library") | sed -n 's/^shlibs:Depends=//p'
}

version=$(debian_version "$1")
architecture=$(dpkg --print-architecture)
maintainer=$(git show -s --format='%an <%ae>')
library=$root/usr/lib/memcached-backdoor/backdoor.so
documents=$root/usr/share/doc/memcached-backdoor

make --no-print-directory install DESTDIR="$root" PREFIX=/usr
strip --strip-unneeded "$library" "$root/usr/bin/memcached-backdoor"
gzip -9n "$root/usr/share/man/man1/memcached-backdoor.1"
# site-functions, where Debian's zsh does not look below /usr, is for what is not a package's.
mkdir "$root/usr/share/zsh/vendor-completions"
mv "$root/usr/share/zsh/site-functions/_memcached-backdoor" "$root/usr/share/zsh/vendor-completions/"
rmdir "$root/usr/share/zsh/site-functions"
install -D -m 644 build/package/memcached-backdoor.conf -t "$root/usr/lib/systemd/system/memcached.service.d"
install -D -m 644 build/package/lintian-overrides "$root/usr/share/lintian/overrides/memcached-backdoor"
for document in README.md CHANGELOG.md client/*.md client/backdoortest/README.md preload/README.md preload/host/*.md build/README.md; do
    install -D -m 644 "$document" "$documents/$document" # below it, where the links lead
done
copyright >"$documents/copyright"
changelog | gzip -9n >"$documents/changelog.gz"

mkdir "$root/DEBIAN"
install -m 755 build/package/postinst build/package/postrm -t "$root/DEBIAN"
(cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
sed "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@MAINTAINER@/$maintainer/
    s/@SIZE@/$(du -k -s --apparent-size "$root/usr" | cut -f 1)/; s/@DEPENDS@/$(depends)/" \
    build/package/control >"$root/DEBIAN/control"

rm -f build/memcached-backdoor_*_"$architecture".deb # of other commits
dpkg-deb --root-owner-group --build "$root" "build/memcached-backdoor_${version}_$architecture.deb"
