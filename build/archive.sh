# shellcheck shell=sh
# archive.sh: what the scripts share that prepare memcacheds under build/hosts/:
# a place to work in, and apt with lists and a cache of its own.
#
# What is made is made in $work and renamed to its place, so that an interrupted
# run leaves nothing half-made.  What is there is kept.

hosts=$(cd "$(dirname "$0")" && pwd)/hosts
mkdir -p "$hosts"
work=$(mktemp -d "$hosts/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

die() {
    echo "error: $(basename "$0"): $*" >&2
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

# The archive is where this machine's own configuration says that Debian is.
archives() {
    apt-get indextargets --format "\$(REPO_URI) \$(CODENAME)" 'Created-By: Packages' \
        'Origin: Debian' 'Component: main' | sort -u
}

# sources TYPE [SUITE]: lines of sources.list(5), for the suites that this machine
# has, or for another one of the same archive.
sources() {
    signed_by='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
    if [ $# = 1 ]; then
        archives | sed "s|^|$1 $signed_by |; s|\$| main|"
        return
    fi
    uri=$(archives | sed -n 's/ bookworm$//p' | head -n 1)
    [ -n "$uri" ] || die "this machine's apt knows no Debian 12 archive to find $2 beside"
    echo "$1 $signed_by $uri $2 main"
}

# The packages are of this machine's architecture, or of another one.
architecture=$(dpkg --print-architecture)

# isolated COMMAND ARGUMENT...: a command of apt's with lists and a cache in $work.
isolated() {
    command=$1
    shift
    "$command" -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" -o Dir::Etc::sourcelist="$work/sources" -o Dir::Etc::sourceparts=- \
        -o Dir::State="$work/state" -o Dir::State::status="$work/state/status" \
        -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Acquire::Retries=3 "$@"
}

# prepare_apt SOURCES-ARGUMENT...: reads the lists; fails where they cannot be had.
prepare_apt() {
    rm -rf "$work/state" "$work/cache"
    mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
    : >"$work/state/status"
    sources "$@" >"$work/sources"
    isolated apt-get update >"$work/log" 2>&1
}

# failure: the first error of apt's in the log, without the address of the archive.
failure() {
    sed -n '/^E:/{s|http[^ ]*/||; s| *\[IP:.*||; p; q}' "$work/log"
}

# find_source SUITE: sets $version to that of a suite's memcached source package, and $upstream to memcached's own.
find_source() {
    prepare_apt deb-src "$1" || return
    version=$(isolated apt-cache showsrc memcached | sed -n 's/^Version: //p' | sort -V | tail -n 1)
    # shellcheck disable=SC2034 # for those who read this file
    upstream=$(echo "$version" | sed 's/[-+].*//')
}

# fetch_source: unpacks the package that was found into $work/source, or says in $why that it cannot be had.
fetch_source() {
    rm -rf "$work/package" "$work/source"
    mkdir "$work/package"
    (cd "$work/package" && isolated apt-get source --download-only "memcached=$version") >"$work/log" 2>&1 || true
    # shellcheck disable=SC2034
    why=$(failure)
    unpack >"$work/log" 2>&1
}

# unpack does what dpkg-source -x does, from the two archives: their checksums apt has
# compared, and some mirrors have them longer than the .dsc.
unpack() {
    mkdir "$work/source"
    tar -xf "$work"/package/memcached_*.orig.tar.* -C "$work/source" --strip-components=1 || return
    tar -xf "$work"/package/memcached_*.debian.tar.* -C "$work/source" || return
    while read -r patch _; do
        case $patch in '' | '#'*) continue ;; esac
        patch -d "$work/source" -p1 <"$work/source/debian/patches/$patch" || return
    done <"$work/source/debian/patches/series"
}

# absent NAME WHY: notes in the place of what cannot be had here that it cannot, and why.
absent() {
    echo "hosts: $1 is absent: $2" >&2
    mkdir -p "$hosts/$(dirname "$1")"
    echo "$2" >"$hosts/$1.absent"
}
