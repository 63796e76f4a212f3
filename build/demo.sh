#!/bin/bash
# demo.sh: rows of an SQLite database into a memcached with the library, and back
# through memcached's own port.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$dir"
}
trap cleanup EXIT

die() {
    echo "error: $*" >&2
    cat "$dir/log" >&2 2>/dev/null || true
    exit 1
}

show() {
    printf '\n$ %s\n' "$1"
}

export MEMCACHED_BACKDOOR=$dir/door
user=()
[ "$(id -u)" != 0 ] || user=(-u nobody)
chmod 755 "$dir"

sqlite3 "$dir/users.db" "
CREATE TABLE user (id INTEGER PRIMARY KEY, bio TEXT NOT NULL);
INSERT INTO user VALUES
    (1, 'Trond spends his evenings in front of the computer... bla bla'),
    (2, 'tab' || char(9) || 'separated' || char(9) || 'words,' || char(10) || 'and a second line'),
    (3, 'smörgåsbord, 世界, 🗒'),
    (4, '');
WITH RECURSIVE n(i) AS (SELECT 5 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
INSERT INTO user SELECT i, 'the bio of user ' || i || hex(zeroblob(i % 60)) FROM n;"

# A port that was free a moment ago; memcached says if it no longer is.
port=
for try in 21211 22211 23211 24211 25211 26211; do
    if ! nc -z 127.0.0.1 "$try"; then
        port=$try
        break
    fi
done
[ -n "$port" ] || die "no free port"

show "LD_PRELOAD=build/backdoor.so memcached ${user[*]} -l 127.0.0.1 -p $port &"
LD_PRELOAD=$PWD/build/backdoor.so memcached "${user[@]}" -l 127.0.0.1 -p "$port" 2>"$dir/log" &
server=$!

show "build/client status"
for _ in $(seq 200); do
    kill -0 "$server" 2>/dev/null || die "memcached ended"
    build/client status >"$dir/status" 2>"$dir/status.error" && break
    sleep 0.05 # between two looks
done
[ -s "$dir/status" ] || die "the door does not answer: $(cat "$dir/status.error")"
cat "$dir/status"

query="SELECT 'user_' || id, bio FROM user"
show "sqlite3 -csv users.db \"$query\" | build/client load --from csv"
sqlite3 -csv "$dir/users.db" "$query" | build/client load --from csv

show "printf 'get user_1\\r\\nget user_2\\r\\nget user_3\\r\\nget user_4\\r\\n' | nc -q1 localhost $port"
printf 'get user_%d\r\n' 1 2 3 4 | nc -q1 127.0.0.1 "$port"

# Every row, byte for byte: what memcached answers against what the database says
# that it must answer.
sqlite3 "$dir/users.db" "
SELECT printf('VALUE user_%d 0 %d', id, length(CAST(bio AS BLOB))) || char(13, 10) || bio || char(13, 10)
    || 'END' || char(13) FROM user ORDER BY id;" >"$dir/expected"
sqlite3 "$dir/users.db" "SELECT 'get user_' || id || char(13) FROM user ORDER BY id;" |
    nc -q1 127.0.0.1 "$port" >"$dir/answered"
cmp "$dir/expected" "$dir/answered" || die "a row that was read back differs from the database's"
echo
echo "all $(sqlite3 "$dir/users.db" "SELECT count(*) FROM user") rows read back through port $port as the database has them"
