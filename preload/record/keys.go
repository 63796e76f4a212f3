package record

import (
	"crypto/sha256"
	"encoding/hex"

	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/option"
)

// HashSHA256 is the only hash of Options.HashLongKeys.
const HashSHA256 = "sha256"

// keys makes the keys under which rows are stored from those that the rows have.
type keys struct {
	own       bool // rows are stored under their own keys
	prefix    string
	hash      bool   // a key that is too long
	binaryMax int    // of Options
	stored    []byte // the last key, if it is not the row's own
}

func newKeys(o *Options) keys {
	return keys{own: o.KeyPrefix+o.HashLongKeys == "", prefix: o.KeyPrefix, hash: o.HashLongKeys != "", binaryMax: o.BinaryKeyMax}
}

// check puts the key under which the row is stored in the place of the row's own, which is key. It is valid until the
// next call. reason is what is wrong then; at is an offset in the row's own key.
func (k *keys) check(row *Row, key []byte) (reason Reason, at int) {
	if k.own && !row.Binary {
		return badKey(key)
	}
	return k.replace(row, key)
}

// replace is check of a key that may not be stored as it is.
func (k *keys) replace(row *Row, key []byte) (Reason, int) {
	reason, at := badKey(key)
	most := meta.KeyMax - len(k.prefix)
	if reason != EmptyKey && len(key) > most {
		reason, at = KeyTooLong, most
	}
	if reason == KeyByte && row.Binary {
		if reason, at = "", 0; k.binaryMax > 0 && len(k.prefix)+len(key) > k.binaryMax {
			return BinaryKey, 0
		}
	}
	switch {
	case reason == KeyTooLong && k.hash: // whatever bytes the key has
		sum := sha256.Sum256(key)
		k.stored = hex.AppendEncode(append(k.stored[:0], k.prefix...), sum[:])
		reason, at, row.hashed = "", 0, true
	case k.prefix == "" || reason == EmptyKey:
		return reason, at
	default:
		k.stored = append(append(k.stored[:0], k.prefix...), key[:min(len(key), meta.KeyMax)]...)
	}
	row.Key, row.own = made(k.stored), key
	return reason, at
}

// checkKeys checks what makes keys.
func (o *Options) checkKeys() error {
	if o.HashLongKeys != "" && o.HashLongKeys != HashSHA256 {
		return option.Errorf("the hash is "+HashSHA256, "there is no hash %q for long keys", o.HashLongKeys)
	}
	if meta.IndexBinary([]byte(o.KeyPrefix)) >= 0 {
		return option.Errorf("no key can have one", "the key prefix %q has a space or a control byte", o.KeyPrefix)
	}
	most := meta.KeyMax - 1
	if o.HashLongKeys != "" {
		most = meta.KeyMax - hex.EncodedLen(sha256.Size)
	}
	if len(o.KeyPrefix) > most {
		return option.Errorf("", "the key prefix of %d bytes leaves no room for keys: %d at most", len(o.KeyPrefix), most)
	}
	return nil
}
