package main

import "strings"

// example is a command that --help and the manual page show. PROGRAM is replaced by the client's name.
type example struct{ About, Command string }

// examples are those of each command; "" is the client itself.
var examples = map[string][]example{
	"": {
		{"Start a memcached with a door", "LD_PRELOAD=/usr/local/lib/memcached-backdoor/backdoor.so memcached -u nobody"},
		{"Load the rows of a query", `mysql --batch --quick --default-character-set=utf8mb4 -e "SELECT id, bio FROM user WHERE bio IS NOT NULL" shop | PROGRAM load --from mysql --header --key 'user:{id}' --value bio`},
		{"What the cache is full of", "PROGRAM keys"},
		{"Move a cache", "PROGRAM copy --to cache2:11211"},
	},
	"load": {
		{"Lines of a key, a tab and a value", `printf 'user_1\tTrond\n' | PROGRAM`},
		{"A table of PostgreSQL; a NULL is skipped", `psql -qc "COPY (SELECT id, bio FROM users) TO STDOUT" shop | PROGRAM load --from psql --key 'user:{1}' --value 2`},
		{"Whole rows of SQLite as JSON", `sqlite3 shop.db "SELECT json_object('id', id, 'bio', bio) FROM user" | PROGRAM load --from jsonl --key 'user:{id}' --value json`},
		{"Two files for a day; keep the rejected rows, and end when one row in a hundred is rejected", "PROGRAM load --ttl 24h --rejects bad.csv --max-errors 1% users.csv groups.csv"},
		{"The memory that the rows would need", "PROGRAM load --dry-run users.csv"},
	},
	"fill": {
		{"2 GB of values of 100 to 2000 bytes, with a tenth of a thread at most", "PROGRAM fill --bytes 2G --size 100-2k --gentle"},
		{"A thousand sessions that expire in an hour", "PROGRAM fill --count 1000 --key 'session:{n}' --ttl 1h"},
	},
	"dump": {
		{"All items", "PROGRAM dump cache.dump"},
		{"Into a memcached without the library", "PROGRAM dump | nc -q1 cache2 11211"},
		{"The users as JSON, for other tools", "PROGRAM dump --prefix user: --format jsonl users.jsonl"},
	},
	"restore": {
		{"All items of a dump", "PROGRAM restore cache.dump"},
		{"Items that are in the cache stay", "PROGRAM restore --mode add cache.dump"},
		{"The users only", "PROGRAM restore --prefix user: cache.dump"},
	},
	"copy": {
		{"Into a memcached without the library", "PROGRAM copy --to cache2:11211"},
		{"Through the doors of both", "PROGRAM --door /run/old/door copy --to /run/new/door"},
		{"The users, with a client's certificate", "PROGRAM copy --prefix user: --to cache2:11211 --tls --tls-ca ca.pem --tls-cert own.pem"},
	},
	"keys": {
		{"By the first two parts of keys such as user:12:name", "PROGRAM keys --depth 2"},
		{"For keys such as user_123", "PROGRAM keys --delimiter _"},
		{"As bars", "PROGRAM keys --bars"},
	},
	"top": {
		{"The hundred largest items", "PROGRAM top --limit 100"},
		{"The items that were stored, or noted as read, longest ago", "PROGRAM top --by idle"},
	},
	"hot": {
		{"The keys that are missed most, of a minute", "PROGRAM hot --by misses --duration 1m"},
		{"By the first two parts of keys such as user:12:name", "PROGRAM hot --prefixes --depth 2"},
	},
	"ttl": {
		{"When the sessions expire", "PROGRAM ttl --prefix session:"},
	},
	"report": {
		{"A page for a browser", "PROGRAM report cache.html"},
		{"For keys such as user_123", "PROGRAM report --delimiter _ cache.html"},
		{"Also with the keys that have the most requests, of a minute", "PROGRAM report --hot 1m cache.html"},
	},
	"diff": {
		{"Whether the cache is still what a dump of it says", "PROGRAM diff cache.dump"},
		{"The users only, as JSON", "PROGRAM diff --json --prefix user: cache.dump"},
	},
	"get": {
		{"A value as it is", "PROGRAM get user:1"},
		{"What memcached knows of the item", "PROGRAM get --meta user:1"},
		{"Several items as JSON, for other tools", "PROGRAM get user:1 user:2"},
	},
	"set": {
		{"A value for a day", "printf 'a text' | PROGRAM set --ttl 24h page:1"},
	},
	"delete": {
		{"All items whose keys begin with user:", "PROGRAM delete --prefix user:"},
		{"How many large items were stored a day ago and nobody has read since, and some of their keys", "PROGRAM delete --min-size 100k --older-than 24h --dry-run"},
		{"The items of a list, a thousand a second at most", "PROGRAM delete --keys keys.txt --rate 1000"},
		{"Let one client make each page anew, while the others get the old one", "PROGRAM delete --invalidate --prefix page:"},
	},
	"touch": {
		{"What lives for ever gets an end, of 15 to 30 days", "PROGRAM touch --never-expires --ttl 30d --ttl-jitter 50%"},
	},
	"status": {
		{"What happens in the cache, each second", "PROGRAM status --watch 1s"},
		{"For programs", "PROGRAM status --json"},
	},
	"wait": {
		{"A health check", "PROGRAM wait --timeout 1s"},
	},
	"check": {
		{"The memcached in PATH", "PROGRAM check memcached"},
		{"The facts that a bug report carries", "PROGRAM check --json /usr/bin/memcached"},
	},
	"completion": {
		{"In this bash", "source <(PROGRAM completion bash)"},
	},
	"man": {
		{"To read it", "PROGRAM man | man -l -"},
	},
}

// examplesOf are the examples of a command, with the program's name.
func examplesOf(command, program string) []example {
	var all []example
	for _, e := range examples[command] {
		all = append(all, example{e.About, strings.ReplaceAll(e.Command, "PROGRAM", program)})
	}
	return all
}
