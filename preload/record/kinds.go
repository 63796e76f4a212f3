package record

import (
	"bytes"
	"strings"
)

// A fileKind is a kind of foreign files.
type fileKind struct {
	what string
	// hint is the way out, in which FORMAT is the format of the load.
	hint string
}

func (k *fileKind) wayOut(format Format) string {
	return strings.ReplaceAll(k.hint, "FORMAT", string(format))
}

const (
	exportSheet = "export the sheet as CSV (UTF-8), and load that"
	exportMySQL = `export the rows: mysql --batch --quick --default-character-set=utf8mb4 -e "SELECT …" DATABASE | client load --from mysql`
	exportPSQL  = `export the rows: psql -qc "COPY (SELECT …) TO STDOUT" DATABASE | client load --from psql`
	exportLite  = `export the rows: sqlite3 -csv -header FILE "SELECT …" | client load --from csv --header`
	exportAny   = "export the rows: mysql --batch is --from mysql, psql's COPY … TO STDOUT is --from psql, sqlite3 -csv is --from csv"
)

func compressed(by, command string) fileKind {
	return fileKind{what: "compressed by " + by, hint: "decompress it: " + command + " FILE | client load --from FORMAT"}
}

var (
	zipFile     = fileKind{"a zip archive, as those of spreadsheets are (.xlsx, .ods)", exportSheet + "; of another archive: unzip -p FILE MEMBER | client load --from FORMAT"}
	parquetFile = fileKind{"a file of Parquet", "export it as CSV or JSON Lines"}
	sqliteFile  = fileKind{"a database of SQLite", exportLite}
	pgDump      = fileKind{"an archive of pg_dump", exportPSQL}
	tarFile     = fileKind{"an archive of tar", "tar -xOf FILE MEMBER | client load --from FORMAT"}
	arFile      = fileKind{what: "an archive of ar"}
	redisFile   = fileKind{"a file of Redis", "read the keys with redis-cli, and write a key, a tab and a value a line"}
	image       = fileKind{what: "an image"}
	utf16Text   = fileKind{"UTF-16 text", "iconv -f UTF-16LE -t UTF-8 FILE | client load --from FORMAT (or UTF-16BE)"}
	utf32Text   = fileKind{"UTF-32 text", "iconv -f UTF-32 -t UTF-8 FILE | client load --from FORMAT"}

	htmlFile     = fileKind{"HTML", exportAny}
	xmlFile      = fileKind{"XML", exportAny}
	jsonFile     = fileKind{"JSON", "--from jsonl reads it"}
	dumpFile     = fileKind{"a dump of memcached", "client restore FILE"}
	commandFile  = fileKind{"commands of memcached", "--from memcached reads them"}
	mysqlScript  = fileKind{"an SQL script of mysqldump", exportMySQL}
	sqliteScript = fileKind{"an SQL script of sqlite3's .dump", exportLite}
	pgScript     = fileKind{"an SQL script of pg_dump", exportPSQL}
	sqlScript    = fileKind{"an SQL script", exportAny}
	tableText    = fileKind{"a table for people to read, with borders", exportAny}
	verticalText = fileKind{`rows for people to read, a column on each line (mysql's \G, psql's \x)`, exportAny}
	pdfFile      = fileKind{what: "a document (PDF, PostScript or RTF)"}
	patchFile    = fileKind{"a patch, as diff and git diff write", "load the file that it is about"}
	pemFile      = fileKind{what: "a key or a certificate (PEM)"}
)

// magics are what foreign files begin with and no row does: each has bytes, early on, that no text has.
var magics = []struct {
	magic string
	kind  fileKind
}{
	{"\x1f\x8b\x08", compressed("gzip", "gzip -dc")},
	{"\x28\xb5\x2f\xfd", compressed("zstd", "zstd -dc")},
	{"\xfd7zXZ\x00", compressed("xz", "xz -dc")},
	{"\x04\x22\x4d\x18", compressed("lz4", "lz4 -dc")},
	{"\x02\x21\x4c\x18", compressed("lz4", "lz4 -dc")},
	{"\x1f\x9d", compressed("compress", "gzip -dc")},
	{"LZIP\x01", compressed("lzip", "lzip -dc")},
	{"7z\xbc\xaf\x27\x1c", fileKind{"an archive of 7-Zip", "7z e -so FILE MEMBER | client load --from FORMAT"}},
	{"Rar!\x1a\x07", fileKind{"an archive of RAR", "unrar p -inul FILE MEMBER | client load --from FORMAT"}},
	{"PK\x03\x04", zipFile},
	{"PK\x05\x06", zipFile},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", fileKind{"an old file of Office (.xls, .doc)", exportSheet}},
	{"PAR1\x15", parquetFile}, // parquet.thrift: PageHeader begins with its field 1, an i32
	{"Obj\x01", fileKind{"a file of Avro", "export it as CSV or JSON Lines"}},
	{"ARROW1\x00\x00", fileKind{"a file of Arrow", "export it as CSV or JSON Lines"}},
	{"SQLite format 3\x00", sqliteFile},
	{"PGDMP\x01", pgDump},
	{"PGCOPY\n\xff\r\n", fileKind{"the binary format of COPY", exportPSQL}},
	{"\x89PNG\r", image},
	{"\xff\xd8\xff", image},
	{"II*\x00", image},
	{"MM\x00*", image},
	{"8BPS\x00", image},
	{"\x00\x00\x01\x00", image},
	{"\x0a\x05\x01\x08", image},
	{"\x7fELF", fileKind{what: "a program or a library (ELF)"}},
	{"PACK\x00\x00\x00", fileKind{what: "a pack of git"}},
	{"\x80\x02", pickle}, {"\x80\x03", pickle}, {"\x80\x04", pickle}, {"\x80\x05", pickle},
	{"\xff\xfe\x00\x00", utf32Text},
	{"\x00\x00\xfe\xff", utf32Text},
}

var pickle = fileKind{what: "a pickle of Python"}

// certain is the kind of a file that no row of any format can begin as; nil: not known, or not yet.
func certain(data []byte) *fileKind {
	for i := range magics {
		if bytes.HasPrefix(data, []byte(magics[i].magic)) {
			return &magics[i].kind
		}
	}
	at := func(offset int, magic string) bool {
		return len(data) >= offset+len(magic) && string(data[offset:][:len(magic)]) == magic
	}
	line, _, _ := bytes.Cut(data, lineFeed)
	switch {
	case at(0, "BZh") && (at(4, "1AY&SY") || at(4, "\x17\x72\x45\x38\x50\x90")):
		return &bzip2
	case len(data) >= 4 && data[0]&0xf0 == 0x50 && at(1, "*M\x18"):
		return &skippable
	case at(0, "REDIS0") && len(data) > 9 && data[9] >= 0xf5: // an RDB_OPCODE (rdb.h), which UTF-8 has not
		return &redisFile
	case (at(0, "GIF87a") || at(0, "GIF89a")) && len(data) >= 10 && bytes.IndexByte(data[6:10], 0) >= 0,
		at(0, "BM") && at(6, "\x00\x00\x00\x00") && at(12, "\x00\x00") && at(15, "\x00\x00\x00"), // a binary value may begin with zeros
		at(0, "RIFF") && at(8, "WEBPVP8") && bytes.IndexByte(data[4:8], 0) >= 0,
		at(0, "\x00\x00\x00") && (at(4, "ftypavif") || at(4, "ftyphei")):
		return &image
	case at(257, "ustar") && data[99] == 0:
		return &tarFile
	case at(0, "Salted__") && len(data) >= 16 && bytes.ContainsFunc(data[8:16], func(r rune) bool { return isControl(r) || r == '\uFFFD' }):
		return &encrypted
	case len(data) >= 4 && (at(0, "\xff\xfe") || at(0, "\xfe\xff")) && bytes.IndexByte(line, 0) >= 0:
		return &utf16Text
	}
	return nil
}

var (
	bzip2     = compressed("bzip2", "bzip2 -dc")
	skippable = compressed("zstd or lz4", "zstd -dc")
	encrypted = fileKind{"encrypted by openssl enc", "openssl enc -d …"}
)
