package protocol

import (
	"bytes"
	"fmt"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/meta"
)

// look asks for the batch's keys without memcached counting that as a use: "me" is its
// command for that (proto_text.c: process_meta_command).
func (k *sink) look(b *batch.Batch) error {
	w := meta.NewWriter(k.conn.send)
	for i := range b.Len() {
		w.Debug(b.Key(i))
	}
	if err := w.End(); err != nil {
		return fmt.Errorf("memcached at %v: %w", k.store.at, err)
	}
	for i := range b.Len() {
		line, err := k.conn.line()
		if err != nil {
			return fmt.Errorf("memcached at %v: %w", k.store.at, err)
		}
		switch {
		case string(line) == "EN":
			b.Settle(i, batch.Missing)
		case bytes.HasPrefix(line, []byte("ME ")):
			b.Settle(i, batch.Stored)
		default:
			return fmt.Errorf("memcached at %v: %w", k.store.at, unexpected(line))
		}
	}
	return k.conn.noop()
}
