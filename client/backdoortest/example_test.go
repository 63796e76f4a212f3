package backdoortest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"

	"memcached-backdoor/client/backdoortest"
)

// In a test, t is its *testing.T.
func ExampleStart() {
	t := newExampleTest()
	defer t.end()

	cache := memcache.New(backdoortest.Start(t, "testdata/users.jsonl"))
	user, err := cache.Get("user:1")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(string(user.Value))
	// Output: Trond
}

// Fixtures can be synthetic items: testdata/sessions.jsonl makes a thousand sessions from one row, and one that has
// expired.
func ExampleStart_mocks() {
	t := newExampleTest()
	defer t.end()

	cache := memcache.New(backdoortest.Start(t, "testdata/sessions.jsonl"))
	session, err := cache.Get("session:1000")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(len(session.Value) >= 100)
	_, err = cache.Get("session:old")
	fmt.Println(errors.Is(err, memcache.ErrCacheMiss))
	// Output:
	// true
	// true
}

// exampleTest is used as the test: an example has none.
type exampleTest struct {
	testing.TB
	cleanups []func()
}

func newExampleTest() *exampleTest { return &exampleTest{} }

func (t *exampleTest) Helper() {}

func (t *exampleTest) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

func (t *exampleTest) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func (t *exampleTest) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// end does what the end of a test does.
func (t *exampleTest) end() {
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		t.cleanups[i]()
	}
}
