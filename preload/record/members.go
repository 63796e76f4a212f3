package record

import "slices"

// ExtraMember is the reason to reject an object with a member that nothing asked for and that is likely to be meant for
// an option: without it an item would live for ever, for example.
const ExtraMember Reason = "a member that looks like an option, but is none"

// What such members are meant for.
const (
	adviceTime  = `"ttl" is seconds from now, "expires" a date`
	adviceFlags = `the flags are "flags"`
	adviceKey   = `the key is "key", or "key_base64"`
	adviceValue = `the value is "value", or "value_base64"`
	adviceCAS   = `the CAS unique is "cas"`
)

// lookalikes are names that other tools and people have for the members of jsonl, in the form of [plainName].
var lookalikes = map[string]string{
	"exp": adviceTime, "exptime": adviceTime, "expire": adviceTime, "expires": adviceTime, "expiry": adviceTime,
	"expiration": adviceTime, "expirationtime": adviceTime, "expirationdate": adviceTime, "expirationseconds": adviceTime,
	"expirytime": adviceTime, "expirydate": adviceTime, "expiretime": adviceTime, "expiredate": adviceTime,
	"expireat": adviceTime, "expiresat": adviceTime, "expiryat": adviceTime, "expireon": adviceTime, "expireson": adviceTime,
	"expirein": adviceTime, "expiresin": adviceTime, "expireafter": adviceTime, "expiresafter": adviceTime,
	"ttl": adviceTime, "ttlms": adviceTime, "ttlsec": adviceTime, "ttlsecs": adviceTime, "ttlseconds": adviceTime, "ttlminutes": adviceTime,
	"timetolive": adviceTime, "lifetime": adviceTime, "maxage": adviceTime, "validuntil": adviceTime, "validto": adviceTime,

	"flag": adviceFlags, "flags": adviceFlags, "clientflag": adviceFlags, "clientflags": adviceFlags, "itemflags": adviceFlags,

	"key": adviceKey, "keyb64": adviceKey, "keybase64": adviceKey, "base64key": adviceKey, "cachekey": adviceKey, "itemkey": adviceKey,

	"val": adviceValue, "value": adviceValue, "valueb64": adviceValue, "valuebase64": adviceValue, "base64value": adviceValue,

	"cas": adviceCAS, "casid": adviceCAS, "castoken": adviceCAS, "casunique": adviceCAS,
}

// lookalikeMax is the length of the longest name that looks like an option, in bytes.
const lookalikeMax = 24

// lookalike says what a member is meant for that nothing asked for; "": it does not look like an option.
func (o *objects) lookalike(name []byte) (advice string) {
	if len(name) > lookalikeMax {
		return ""
	}
	o.plainName = plainName(o.plainName[:0], name)
	if advice, ok := lookalikes[string(o.plainName)]; ok {
		if advice == adviceTime && (string(name) == "ttl" || string(name) == "expires") || string(name) == "flags" {
			return "an option names another member instead" // or it would be a column
		}
		return advice
	}
	if slices.Contains(mockMembers, string(o.plainName)) {
		return `it is "` + string(o.plainName) + `"`
	}
	return ""
}

// plainName appends a name in small letters, without what separates its words.
func plainName(dst, name []byte) []byte {
	for _, b := range name {
		switch {
		case b == '_' || b == '-' || b == ' ':
		case 'A' <= b && b <= 'Z':
			dst = append(dst, b|0x20)
		default:
			dst = append(dst, b)
		}
	}
	return dst
}
