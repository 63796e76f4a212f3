#!/bin/bash
# test-deb.sh: the package of `make deb` in a Debian whose systemd runs memcached in its own unit,
# sandbox and all: installed, used, and removed without a trace.
#
# systemd is the first process of a container (systemd-nspawn) on a copy in memory of
# build/hosts/root, with a network of its own.
# shellcheck source=build/package/alone.sh
. "$(dirname "$0")/alone.sh"
cd "$(dirname "$0")/../.."

mkdir $work/upper $work/overlay $work/root
mount -t overlay overlay -o "lowerdir=build/hosts/root,upperdir=$work/upper,workdir=$work/overlay" $work/root
systemd-nspawn --quiet --directory=$work/root --machine=test --boot \
    --register=no --keep-unit --private-network --console=pipe </dev/null >$work/console 2>&1 &
nspawn=$!
trap '[ $? = 0 ] || { cat $work/console; inside journalctl --no-pager -n 30; } >&2' EXIT

# inside COMMAND...: in the container, as its root.
inside() {
    nsenter --target "$(xargs <"/proc/$nspawn/task/$nspawn/children")" --all -- env -i PATH=/usr/sbin:/usr/bin LC_ALL=C.UTF-8 "$@"
}

# of_service PROPERTY...: of memcached's, as systemd tells them.
of_service() {
    local property
    for property; do inside systemctl show memcached --value -p "$property"; done | xargs
}

# of_process FIELD...: of memcached's process, as the kernel tells them.
of_process() {
    local field
    for field; do
        inside cat "/proc/$(of_service MainPID)/status" | awk -v field="$field:" '$1 == field { print $2 }'
    done | xargs
}

# ask: memcached's answer to the commands on standard input, through its own port.
ask() {
    inside bash -c 'exec 3<>/dev/tcp/127.0.0.1/11211; cat - <(echo quit) >&3; cat <&3'
}

serves() {
    ask <<<version | grep -q ^VERSION
}

restart() {
    inside systemctl restart memcached
    until_it_works serves
}

# stop prints how memcached ended.
stop() {
    inside systemctl stop memcached
    of_service Result ExecMainCode ExecMainStatus
}

status_of() {
    local status=0
    "$@" >/dev/null 2>&1 || status=$?
    echo $status
}

# listing: all files, with mode, owner and content.  Left out is what dpkg, the index of the
# manual and the logs keep for themselves, and what has another name at each start.
listing() {
    local all=(find / /run -xdev '(' -path /var/lib/dpkg -o -path /var/cache/man -o -path /var/log
        -o -path '/run/?*/*' -o -name 'systemd-private-*' ')' -prune -o)
    inside "${all[@]}" -printf '%M %u %g %p %l\n' | LC_ALL=C sort
    inside "${all[@]}" -type f -exec sha256sum {} + | LC_ALL=C sort -k 2
}

# --- without the package ---

until_it_works inside systemctl is-active multi-user.target
is "systemd" running "$(inside systemctl is-system-running)"
until_it_works serves
ended=$(stop)
restart
pid=$(of_service MainPID)
listing >$work/before

# --- installed ---

deb=$(echo build/memcached-backdoor_*_"$(dpkg --print-architecture)".deb)
lintian --allow-root --fail-on error,warning "$deb"
inside sh -c 'cat >/tmp/memcached-backdoor.deb' <"$deb"
inside dpkg -i /tmp/memcached-backdoor.deb
inside rm /tmp/memcached-backdoor.deb
is "files that differ from the package's" "" "$(inside dpkg --verify memcached-backdoor)"
is "files" "\
/usr/bin/memcached-backdoor
/usr/lib/memcached-backdoor/backdoor.so
/usr/lib/systemd/system/memcached.service.d/memcached-backdoor.conf
/usr/share/bash-completion/completions/memcached-backdoor
/usr/share/doc/memcached-backdoor/CHANGELOG.md
/usr/share/doc/memcached-backdoor/README.md
/usr/share/doc/memcached-backdoor/build/README.md
/usr/share/doc/memcached-backdoor/changelog.gz
/usr/share/doc/memcached-backdoor/client/CHANGING.md
/usr/share/doc/memcached-backdoor/client/COPY.md
/usr/share/doc/memcached-backdoor/client/DUMPING.md
/usr/share/doc/memcached-backdoor/client/FLAGS.md
/usr/share/doc/memcached-backdoor/client/FORMATS.md
/usr/share/doc/memcached-backdoor/client/GET.md
/usr/share/doc/memcached-backdoor/client/HOT.md
/usr/share/doc/memcached-backdoor/client/INSPECTING.md
/usr/share/doc/memcached-backdoor/client/LOADING.md
/usr/share/doc/memcached-backdoor/client/MOCKS.md
/usr/share/doc/memcached-backdoor/client/PICTURES.md
/usr/share/doc/memcached-backdoor/client/STATUS.md
/usr/share/doc/memcached-backdoor/client/backdoortest/README.md
/usr/share/doc/memcached-backdoor/copyright
/usr/share/doc/memcached-backdoor/preload/README.md
/usr/share/doc/memcached-backdoor/preload/host/README.md
/usr/share/doc/memcached-backdoor/preload/host/REPORTING.md
/usr/share/fish/vendor_completions.d/memcached-backdoor.fish
/usr/share/lintian/overrides/memcached-backdoor
/usr/share/man/man1/memcached-backdoor.1.gz
/usr/share/zsh/vendor-completions/_memcached-backdoor" \
    "$(inside dpkg-query -L memcached-backdoor | while read -r path; do inside test -d "$path" || echo "$path"; done | LC_ALL=C sort)"
is "what man says of the manual page" "" "$(inside man --warnings memcached-backdoor 2>&1 >/dev/null)"
is "what systemd says of the unit" "" "$(inside systemd-analyze verify memcached.service 2>&1)"
is "process of memcached, which was left alone" "$pid" "$(of_service MainPID)"
is "exit status of a client without a door" 10 "$(status_of inside memcached-backdoor status)"

# --- used ---

restart
inside memcached-backdoor wait --timeout 30s
is "engine" native "$(inside memcached-backdoor status | sed -n 's/^engine *//p')"
is "door" "srw------- root root" "$(inside stat -c '%A %U %G' /run/memcached_backdoor)"
is "drop-ins" /usr/lib/systemd/system/memcached.service.d/memcached-backdoor.conf "$(of_service DropInPaths)"

# The sandbox is what the unit asks for, so far as the kernel can tell.
is "user" "$(inside id -u memcache)" "$(of_process Uid)"
is "capabilities, NoNewPrivs, Seccomp" "0000000000000000 1 2" "$(of_process CapEff NoNewPrivs Seccomp)"
is "mounts, /usr and /etc" "ro ro" "$(
    for path in /usr /etc; do
        inside nsenter --target "$(of_service MainPID)" --mount findmnt --noheadings --output VFS-OPTIONS "$path" | cut -d , -f 1
    done | xargs
)"

seq 20000 | awk '{ printf "user_%d\tthe bio of user %d\n", $1, $1 }' >$work/rows
inside memcached-backdoor <$work/rows
awk -F '\t' '{ printf "VALUE %s 0 %d\r\n%s\r\nEND\r\n", $1, length($2), $2 }' $work/rows >$work/expected
awk -F '\t' '{ printf "get %s\r\n", $1 }' $work/rows | ask >$work/answered
cmp $work/expected $work/answered
echo "ok: $(wc -l <$work/rows) rows read back through memcached's port"
is "exit status of a client of somebody else's" 1 "$(status_of inside setpriv --reuid nobody --regid nogroup --clear-groups memcached-backdoor status)"

is "end of memcached, as it is without the library" "$ended" "$(stop)"

# A group's door, and fixtures, as the drop-in says it is done.
inside mkdir -p /run/systemd/system/memcached.service.d /etc/memcached-backdoor
inside sh -c 'cat >/run/systemd/system/memcached.service.d/own.conf' <<'CONF'
[Service]
SupplementaryGroups=staff
Environment=MEMCACHED_BACKDOOR_GROUP=staff MEMCACHED_BACKDOOR_MODE=0660
Environment=MEMCACHED_BACKDOOR_PRELOAD=/etc/memcached-backdoor MEMCACHED_BACKDOOR_PRELOAD_STRICT=1
CONF
inside sh -c 'cat >/etc/memcached-backdoor/rows.tsv' <<<$'fixture\tfoo'
inside systemctl daemon-reload
restart
inside setpriv --reuid nobody --regid staff --clear-groups memcached-backdoor wait --timeout 30s
is "door for a group, in the place of the one that was left" "srw-rw---- root staff" "$(inside stat -c '%A %U %G' /run/memcached_backdoor)"
is "fixture" $'VALUE fixture 0 3\r\nfoo\r\nEND\r' "$(printf 'get fixture\r\n' | ask)"
inside rm -r /run/systemd/system/memcached.service.d /etc/memcached-backdoor

is "log" "memcached-backdoor: fixtures: 1 file: 1 row read: 1 stored, 0 rejected, 0 skipped" \
    "$(inside journalctl --no-pager --unit memcached --grep memcached-backdoor: --output cat | sed 's/ (.*//')"

# The cache over a restart, as the drop-in says it is done.
inside mkdir -p /run/systemd/system/memcached.service.d
inside sh -c 'cat >/run/systemd/system/memcached.service.d/own.conf' <<'CONF'
[Service]
ExecStartPre=+/usr/bin/install -d -o memcache -m 700 /var/lib/memcached
Environment=MEMCACHED_BACKDOOR_SAVE=/var/lib/memcached/cache
Environment=MEMCACHED_BACKDOOR_PRELOAD=/var/lib/memcached/cache
CONF
inside systemctl daemon-reload
restart
inside memcached-backdoor wait --timeout 30s
inside memcached-backdoor <<<$'kept\tbar'
restart
is "item after a restart" $'VALUE kept 0 3\r\nbar\r\nEND\r' "$(printf 'get kept\r\n' | ask)"
inside rm -r /run/systemd/system/memcached.service.d
inside systemctl daemon-reload
restart
inside rm -r /var/lib/memcached

# --- removed ---

pid=$(of_service MainPID)
inside dpkg --purge memcached-backdoor
is "process of memcached, which was left alone" "$pid" "$(of_service MainPID)"
is "drop-ins" "" "$(of_service DropInPaths)"
restart
listing >$work/after
diff $work/before $work/after || die "the package leaves something behind"
echo "ok: $(wc -l <$work/after) lines about all files are as before"
