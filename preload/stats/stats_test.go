package stats

import (
	"encoding/json"
	"strings"
	"testing"
)

// answersOf reads groups of statistics as memcached writes them, without STAT.
func answersOf(general, settings, slabs, items string) *Answers {
	group := func(text string) map[string]string {
		all := make(map[string]string)
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			all[name] = value
		}
		return all
	}
	return &Answers{General: group(general), Settings: group(settings), Slabs: group(slabs), Items: group(items), Connections: 2}
}

// What memcached states is read, and what it does not state is left out.
func TestOf(t *testing.T) {
	const general = "pid 1\nuptime 500\ncurr_items 7\nbytes 700\nlimit_maxbytes 67108864\ncmd_get 30\nget_hits 20\nget_misses 10\ncmd_set 9\nevictions 1\n" +
		"curr_connections 12\nhash_power_level 16\nhash_is_expanding 1"
	for _, test := range []struct {
		name    string
		answers *Answers
		want    string
	}{
		{"nothing", answersOf("", "", "", ""), `{}`},
		{"all", answersOf(general, "maxconns 1024\nevictions on", "total_malloced 1048576", "items:1:number 3\nitems:1:age_hot 5\nitems:1:age_warm 499\nitems:1:age 77\nitems:63:age 400\nitems:63:evicted_time 9999"),
			`{"items":7,"bytes":700,"pages":1048576,"limit":67108864,"gets":30,"hits":20,"misses":10,"sets":9,"evictions":1,"oldest":499,` +
				`"connections":10,"max_connections":1024,"buckets":65536,"growing":true}`},
		// memcached 1.4.25 has one age, and no age of hot and warm items.
		{"old", answersOf("curr_connections 1\nhash_is_expanding 0\nhash_power_level 16", "", "", "items:1:age 7\nitems:2:age 0"),
			`{"oldest":7,"connections":0,"buckets":65536,"growing":false}`},
		{"crawler's mark", answersOf("uptime 500", "", "", "items:1:age 560\nitems:2:age 3"), `{"oldest":3}`},
		{"only the mark", answersOf("uptime 500", "", "", "items:1:age_hot 560"), `{}`},
		{"nonsense", answersOf("curr_items -1\nbytes x\nhash_power_level 64\nhash_is_expanding maybe\nlimit_maxbytes", "maxconns", "", "items:1:age\nage"), `{}`},
	} {
		got, err := json.Marshal(Of(test.answers))
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %s, %v\nwant %s", test.name, got, err, test.want)
		}
	}
}
