package record

import "testing"

// Where any key is allowed, an item's may have any bytes, but none of a command's other rules is off.
func TestAnyKey(t *testing.T) {
	t.Parallel()
	p, err := New(Options{Format: Memcached, AnyKey: true, ValueMax: 1})
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("ms AGEgYgo= 1 b F7\r\nv\r\nms ==== 1 b\r\nv\r\n")
	var row Row
	if kind := p.Next(data, true, &row); kind != Item || string(row.Key.Of(data)) != "\x00a b\n" || string(row.Value.Of(data)) != "v" || row.Flags != 7 {
		t.Errorf("%d: %+v", kind, row)
	}
	data = data[row.Size:]
	if kind := p.Next(data, true, &row); kind != Reject || row.Reason != BadBase64 {
		t.Errorf("%d: %+v", kind, row)
	}
}
