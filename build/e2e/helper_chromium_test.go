package e2e

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// chromium is a browser without a screen, and one page in it. It is told what to do by messages of the Chrome DevTools
// Protocol over two pipes, each with a zero byte at its end (chromium --remote-debugging-pipe).
type chromium struct {
	t       *testing.T
	to      *os.File
	from    *bufio.Reader
	last    int    // the number of the last message to it
	session string // of the page

	loaded   bool
	requests []string // the addresses that the page has asked for
	errors   []string // what its console says, and what it refused
}

// browser starts a chromium, which ends with the test.
func browser(t *testing.T) *chromium {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v: run `make test-report`, which installs it", err)
	}
	theirs, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, answers, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	dir := directoryOf(t, "chromium")
	cmd := exec.Command(program, "--headless", "--hide-scrollbars", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND",
		"--user-data-dir="+dir, "--remote-debugging-pipe", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+dir)
	cmd.ExtraFiles = []*os.File{theirs, answers} // its descriptors 3 and 4
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	answers.Close()
	b := &chromium{t: t, to: to, from: bufio.NewReader(from)}
	if err := from.SetReadDeadline(time.Now().Add(2 * waitLimit)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.session = ""
		b.call("Browser.close", map[string]any{}, nil)
		cmd.Wait()
		to.Close()
		from.Close()
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Network", "Runtime", "Log"} {
		b.call(domain+".enable", map[string]any{}, nil)
	}
	return b
}

// call calls a method and reads its result, nil: nothing of it. Events that come before it are noted.
func (b *chromium) call(method string, params map[string]any, result any) {
	b.t.Helper()
	b.last++
	message := map[string]any{"id": b.last, "method": method, "params": params}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	text, err := json.Marshal(message)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		answer := b.read()
		if answer.ID != b.last {
			continue
		}
		if len(answer.Error) > 0 {
			b.t.Fatalf("%s: %s", method, answer.Error)
		}
		if result != nil {
			if err := json.Unmarshal(answer.Result, result); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
		return
	}
}

type chromiumMessage struct {
	ID                    int
	Method                string
	Params, Result, Error json.RawMessage
}

// read reads a message, and notes it if it is an event.
func (b *chromium) read() (m chromiumMessage) {
	b.t.Helper()
	text, err := b.from.ReadBytes(0)
	if err != nil {
		b.t.Fatalf("chromium: %v", err)
	}
	if err := json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &m); err != nil {
		b.t.Fatal(err)
	}
	switch m.Method {
	case "Page.loadEventFired":
		b.loaded = true
	case "Network.requestWillBeSent":
		var params struct{ Request struct{ URL string } }
		if err := json.Unmarshal(m.Params, &params); err != nil {
			b.t.Fatal(err)
		}
		b.requests = append(b.requests, params.Request.URL)
	case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening":
		b.errors = append(b.errors, fmt.Sprintf("%s: %s", m.Method, m.Params))
	}
	return m
}

// screen is a screen to look at a page on.
type screen struct {
	name          string
	width, height int
	scheme, media string // "light" or "dark"; "screen" or "print"
}

// open opens a page on a screen.
func (b *chromium) open(url string, s screen) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": s.width, "height": s.height, "deviceScaleFactor": 1, "mobile": s.width < 600}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"media": s.media, "features": []any{map[string]any{"name": "prefers-color-scheme", "value": s.scheme}}}, nil)
	b.loaded, b.requests, b.errors = false, nil, nil
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	for !b.loaded {
		b.read()
	}
}

// evaluate evaluates an expression of JavaScript in the page. Its own scripts may be forbidden there.
func (b *chromium) evaluate(expression string, value any) {
	b.t.Helper()
	var result struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &result)
	if len(result.ExceptionDetails) > 0 {
		b.t.Fatalf("%s: %s", expression, result.ExceptionDetails)
	}
	if err := json.Unmarshal(result.Result.Value, value); err != nil {
		b.t.Fatalf("%s: %v: %s", expression, err, result.Result.Value)
	}
}

// picture writes a picture of all of the page to a file.
func (b *chromium) picture(file string) {
	b.t.Helper()
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// others are the requests but for that of the page itself.
func (b *chromium) others(url string) []string {
	return slices.DeleteFunc(slices.Clone(b.requests), func(r string) bool { return r == url })
}
