#!/bin/sh
# hosts-root.sh: a Debian of this machine's suite, from its own archive, with
# systemd, memcached and man, for the package to be installed in: build/hosts/root.
set -eu
# shellcheck source=build/archive.sh
. "$(dirname "$0")/archive.sh"

[ ! -d "$hosts/root" ] || exit 0
echo "hosts: making a Debian with systemd and memcached"
sources deb >"$work/sources"
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
chmod 755 "$work" # apt reads what it has fetched as a user of its own
run "mmdebstrap" mmdebstrap --variant=minbase --include=systemd,memcached,man-db "$suite" "$work/root" "$work/sources"
mv "$work/root" "$hosts/root"
