package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/record"

	"github.com/alecthomas/kong"
)

// model is the command line as kong sees it.
func model(t *testing.T) *kong.Application {
	t.Helper()
	parser, err := newParser(&commandLine{})
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model
}

func TestChoices(t *testing.T) {
	for _, test := range []struct {
		words string // the last one is completed
		want  string // the choices that begin with it
	}{
		{"", "load fill dump restore keys top hot ttl report diff get set copy delete touch status wait check completion man :files"},
		{"c", "copy check completion :files"},
		{"status ", ""},
		{"load ", ":files"},
		{"load a b ", ":files"},
		{"a ", ":files"},
		{"check ", ":files"},
		{"check a ", ""},
		{"completion ", "bash zsh fish"},
		{"he", ":files"},
		{"help ", ""},
		{"version ", ""},
		{"load --ttl", "--ttl-column --ttl --ttl-jitter"},
		{"--ttl", "--ttl-column --ttl --ttl-jitter"},
		{"status --", "--help --door --json --version --watch --timeout"},
		{"load a --mo", "--mode"},
		{"--door ", ":files"},
		{"--door status ", "load fill dump restore keys top hot ttl report diff get set copy delete touch status wait check completion man :files"},
		{"load --door=", ":files"},
		{"load --mode ", "set add replace"},
		{"load --mode=", "--mode=set --mode=add --mode=replace"},
		{"load --progress j", "json"},
		{"load --gentle s", ":files"},
		{"load --ttl ", ""},
		{"load --bogus=", ""},
		{"load --rejects ", ":files"},
		{"load -- --", ":files"},
		{"-- ", ":files"},
		{"- ", ":files"},
		{"load -", "--help --door --json --version --from --header --null --delimiter --quote --escape --resume --expect-rows --key --value --decode --ttl-column --expires-column --flags-column --json-columns --allow-extra " +
			"--ttl --flags --ttl-jitter --flags-for --key-prefix --hash-long-keys --mode --rate --gentle --detach --dry-run --progress --rejects --max-errors"},
		{"load --flags-for=spy", "--flags-for=spymemcached-bytes --flags-for=spymemcached-string --flags-for=spymemcached-bool"},
		{"load --flags-for dalli-", "dalli-bytes dalli-string dalli-json"},
		{"fill -", "--help --door --json --version --count --bytes --key --size --seed --ttl --flags --ttl-jitter --mode --rate --gentle --detach --dry-run --progress"},
		{"fill ", ""},
		{"keys -", "--help --door --json --version --delimiter --depth --sort --limit --bars --prefix --match --regex --min-size --older-than --min-ttl --never-expires --progress --timeout"},
		{"restore -", "--help --door --json --version --resume --expect-rows --prefix --match --regex --min-size --min-ttl --never-expires --mode --rate --gentle --detach --dry-run --progress --key-prefix --hash-long-keys --rejects --max-errors"},
		{"copy -", "--help --door --json --version --to --prefix --match --regex --min-size --older-than --min-ttl --never-expires --mode --rate --gentle --no-verify --progress --tls --tls-ca --tls-cert --tls-key --tls-server-name"},
		{"copy ", ""},
		{"copy --to ", ":files"},
		{"keys --sort ", "bytes keys ttl prefix"},
		{"keys ", ""},
		{"top -", "--help --door --json --version --by --limit --prefix --match --regex --min-size --older-than --min-ttl --never-expires --progress --timeout"},
		{"top --by=", "--by=size --by=ttl --by=idle"},
		{"hot -", "--help --door --json --version --by --limit --duration --sample --prefixes --delimiter --depth --progress"},
		{"hot --by ", "requests bytes misses"},
		{"ttl -", "--help --door --json --version --prefix --match --regex --min-size --older-than --min-ttl --never-expires --progress --timeout"},
		{"report -", "--help --door --json --version --delimiter --hot --prefix --match --regex --min-size --older-than --min-ttl --never-expires --progress --timeout"},
		{"report ", ":files"},
		{"diff -", "--help --door --json --version --ttl-tolerance --prefix --match --regex"},
		{"get -", "--help --door --json --version --base64 --meta --output --timeout"},
		{"get ", ""},
		{"get a --output ", ":files"},
		{"set -", "--help --door --json --version --base64 --ttl --flags --flags-for --mode --timeout"},
		{"set a --mode=", "--mode=set --mode=add --mode=replace"},
		{"set a --flags-for dalli-", "dalli-bytes dalli-string dalli-json"},
		{"set ", ""},
		{"diff ", ":files"},
		{"diff a ", ""},
		{"delete -", "--help --door --json --version --prefix --match --regex --min-size --older-than --min-ttl --never-expires --keys --yes --dry-run --rate --gentle --progress --invalidate"},
		{"delete ", ""},
		{"delete --keys ", ":files"},
		{"touch -", "--help --door --json --version --prefix --match --regex --min-size --older-than --min-ttl --never-expires --keys --yes --dry-run --rate --gentle --progress --ttl --ttl-jitter"},
		{"touch --ttl ", ""},
	} {
		words := strings.Split(test.words, " ")
		last := len(words) - 1
		var got []string
		for _, c := range choices(model(t).Node, words[:last], words[last]) {
			if c == anyFile || strings.HasPrefix(c.word, words[last]) {
				got = append(got, c.word)
			}
		}
		if s := strings.Join(got, " "); s != test.want {
			t.Errorf("%q: %s, want %s", test.words, s, test.want)
		}
	}
}

// TestChoicesAreAll: the tag has all valid words.
func TestChoicesAreAll(t *testing.T) {
	load := childOf(model(t).Node, "load")
	for name, want := range map[string]string{
		"--from":   fmt.Sprint(record.Formats),
		"--null":   fmt.Sprint(record.Nulls),
		"--decode": fmt.Sprint(record.Encodings),
		"--mode":   fmt.Sprint(record.Modes),
	} {
		var got []string
		for _, c := range values(valueless(load, name).Value, "") {
			got = append(got, c.word)
		}
		if s := fmt.Sprint(got); s != want {
			t.Errorf("%s: %s, want %s", name, s, want)
		}
	}
	for _, c := range values(valueless(childOf(model(t).Node, "dump"), "--format").Value, "") {
		if _, err := dump.Dump(cache{}, nil, io.Discard, dump.Options{Format: dump.Format(c.word)}, dump.Hooks{}); err != nil {
			t.Error(err)
		}
	}
}

// TestShells presses the tabulator in each shell.
func TestShells(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"users.tsv": "",
		"of us.tsv": "",
		".zshrc":    "fpath=($ZDOTDIR $fpath)\nautoload -U compinit\ncompinit -u -D\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := func(shell, name string) {
		out, err := exec.Command("memcached-backdoor", "completion", shell).Output()
		if err := os.WriteFile(filepath.Join(dir, name), out, 0o600); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	script("bash", "bashrc")
	script("zsh", "_memcached-backdoor")
	script("fish", "config.fish")
	for shell, command := range map[string]string{
		"bash": "PS1= bash --noprofile --rcfile bashrc",
		"zsh":  "ZDOTDIR=$PWD zsh -d",
		"fish": "fish --no-config --init-command 'source config.fish'",
	} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			tool(t, shell)
			term := newTerminal(t, 100, []string{"HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir}, "cd "+dir+" && exec env "+command)
			term.run("echo re''ady")
			term.shows("ready")
			for _, test := range []struct{ typed, becomes string }{
				{"st", "status"},
				{"load --max", "load --max-errors"},
				{"load --mode r", "load --mode replace"},
				{"load --from=mem", "load --from=memcached"},
				{"load use", "load users.tsv"},
				{"use", "users.tsv"},
				{"load --rejects=use", "load --rejects=users.tsv"},
				{"load of", `load of\ us.tsv`},
				{"completion z", "completion zsh"},
			} {
				term.types("memcached-backdoor " + test.typed)
				term.keys("Tab")
				term.shows("memcached-backdoor " + test.becomes)
				term.keys("C-u", "C-l")
				term.hides("memcached-backdoor")
			}
			// All of several choices are listed.
			term.types("memcached-backdoor load --ttl")
			term.keys("Tab", "Tab")
			term.shows("--ttl-column")
		})
	}
}

// TestManual: every flag and command is in the page, and no text is taken for a macro.
func TestManual(t *testing.T) {
	tool(t, "man")
	page := filepath.Join(t.TempDir(), "memcached-backdoor.1")
	out, err := exec.Command("memcached-backdoor", "man").Output()
	if err := os.WriteFile(page, out, 0o600); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var text, warnings strings.Builder
	c := exec.Command("man", "--warnings", "-P", "cat", "-l", page)
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH=400", "GROFF_NO_SGR=1")
	c.Stdout, c.Stderr = &text, &warnings
	if err := c.Run(); err != nil || warnings.Len() > 0 {
		t.Errorf("man: %v\n%s", err, &warnings)
	}
	m := manualOf(model(t))
	want := []string{"MEMCACHED-BACKDOOR(1)", "such as 'user:{id}'.", "$MEMCACHED_BACKDOOR,", `\N for NULL`}
	said := m.Flags
	for _, command := range m.Commands {
		said = append(append(said, command.entry), command.Arguments...)
		for _, group := range command.Groups {
			said = append(said, group.Flags...)
		}
	}
	for _, entry := range said {
		want = append(want, " "+entry.Name, entry.Help)
	}
	for _, s := range statuses {
		want = append(want, s.Help)
	}
	for _, of := range m.Examples {
		for _, e := range of.Examples {
			want = append(want, e.About+":", strings.ReplaceAll(e.Command, programName(), "memcached-backdoor"))
		}
	}
	for _, w := range want {
		if !strings.Contains(text.String(), w) {
			t.Errorf("there is no %q in the page", w)
		}
	}
	if t.Failed() {
		t.Log(text.String())
	}
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{
		`a\b-c`: `a\eb\-c`, ".TH": `\&.TH`, "'x'": `\(aqx\(aq`, "~^`": `\(ti\(ha\(ga`, "": "",
	} {
		if got := roff(text); got != want {
			t.Errorf("roff(%q) = %q, want %q", text, got, want)
		}
	}
}
