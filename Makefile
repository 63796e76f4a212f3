# memcached-backdoor: `make help` says what there is.

GO ?= go
CC ?= gcc
PREFIX ?= /usr/local
DESTDIR ?=
FUZZTIME ?= 5m
STRESS ?= 2m
ROWS ?= 100000
SEED ?= 0
TESTS ?=
VULNDB ?=
BENCH ?=
CLANG_FORMAT ?= clang-format-14

# Go's build cache does not see that a header outside of a package has changed; it does see other flags.
export CGO_CFLAGS := -O2 -g -DHEADERS=$(shell cat include/*.h | sha256sum | cut -c 1-16)

# The release is in the source; what is built adds the commit.
RELEASE := $(shell sed -n 's/^const Release = "\(.*\)"/\1/p' preload/version/version.go)
SHORT := $(shell git describe --always --dirty --exclude='*' 2>/dev/null)
VERSION := $(RELEASE)$(addprefix -,$(SHORT))
SET_VERSION = -X memcached-backdoor/preload/version.commit=$(SHORT)
COMMIT := $(shell git show -s --format='-X main.commit=%H -X main.committed=%cI' 2>/dev/null)

# Only the names in exports.map are visible. Go's calls of pthread_create lead to startup/runtime.c, and the loader
# enters the library in preload/entry.
LINK := -Wl,--version-script=$(CURDIR)/preload/exports.map,--wrap=pthread_create
LIBRARY = $(GO) build -trimpath -buildvcs=false -buildmode=c-shared \
	-ldflags "$(SET_VERSION) -E backdoor_entry -extldflags '$(LINK)'"

CLIENT = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "$(SET_VERSION) $(COMMIT)"

SOURCES := $(shell find preload include client -name '*.go' -o -name '*.c' -o -name '*.h' -o -name '*.map') \
	client/man.tmpl $(wildcard client/shell/*)
C_FILES := $(wildcard include/*.h preload/*/*.[ch] build/bench/contenders/*.[ch])
SCRIPTS := $(wildcard build/*.sh build/package/*.sh) build/package/postinst build/package/postrm .ci/run client/shell/complete.bash

BUILD_NEEDS := gcc libc6-dev
ARM64_NEEDS := $(BUILD_NEEDS) gcc-aarch64-linux-gnu libc6-dev-arm64-cross
TEST_NEEDS := $(BUILD_NEEDS) qemu-user memcached mariadb-server mariadb-client postgresql sqlite3 netcat-openbsd \
	libjemalloc2 perl python3-minimal binutils xz-utils util-linux strace openssl \
	tmux zsh fish man-db python3-pytest python3-pymemcache \
	php-cli php-memcached php-memcache python3-pylibmc python3-memcache python3-binary-memcached ruby ruby-dalli \
	libcache-memcached-fast-perl libspymemcached-java \
	zstd lz4 bzip2 zip git imagemagick
MORE_HOSTS_NEEDS := clang-14 mold libseccomp-dev
SUITES := bullseye bookworm trixie forky sid
HOSTS_NEEDS := build-essential qemu-user memcached binutils dpkg-dev debhelper pkg-config libevent-dev libsasl2-dev libssl-dev
BENCH_NEEDS := $(BUILD_NEEDS) memcached
REPORT_NEEDS := $(BUILD_NEEDS) memcached chromium
DEMO_NEEDS := $(BUILD_NEEDS) memcached sqlite3 netcat-openbsd
DEB_NEEDS := $(BUILD_NEEDS) binutils dpkg-dev
PACKAGE_NEEDS := mmdebstrap systemd-container lintian podman crun
LINT_NEEDS := $(BUILD_NEEDS) clang-format-14 shellcheck

.PHONY: build
build: build/backdoor.so build/client ## the library and the client (default)

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 14

# The version is in what is built, which is made again when it is another.
.PHONY: always
build/version: always
	@echo "$(VERSION)" | cmp -s - $@ || echo "$(VERSION)" >$@

build/backdoor.so: $(SOURCES) go.mod Makefile build/version
	@build/need.sh build $(BUILD_NEEDS)
	$(LIBRARY) -o $@ ./preload
	@rm -f build/backdoor.h # Go's header of the exported functions; nobody calls them from outside

# The library with faults that can be asked for (preload/fault).
build/backdoor-faulty.so: $(SOURCES) go.mod Makefile
	$(LIBRARY) -tags faulty -o $@ ./preload
	@rm -f build/backdoor-faulty.h

# The same, whose C ends memcached at what is undefined or behind an allocation's end.
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined

build/backdoor-sanitized.so: $(SOURCES) go.mod Makefile
	CGO_CFLAGS="$(CGO_CFLAGS) -fno-omit-frame-pointer $(SANITIZE)" CGO_LDFLAGS="$(SANITIZE)" $(LIBRARY) -tags faulty -o $@ ./preload
	@rm -f build/backdoor-sanitized.h

build/client: $(SOURCES) go.mod Makefile build/version
	$(CLIENT) -o $@ ./client

.PHONY: arm64
arm64: build/arm64/backdoor.so build/arm64/client ## both for linux/arm64, by a cross compiler

build/arm64/backdoor.so: $(SOURCES) go.mod Makefile
	@build/need.sh arm64 $(ARM64_NEEDS)
	GOARCH=arm64 CGO_ENABLED=1 CC=aarch64-linux-gnu-gcc $(LIBRARY) -o $@ ./preload
	@rm -f build/arm64/backdoor.h

build/arm64/client: $(SOURCES) go.mod Makefile
	GOARCH=arm64 $(CLIENT) -o $@ ./client

.PHONY: hosts
hosts: ## the memcacheds that the tests run in, under build/hosts/
	@build/need.sh hosts $(HOSTS_NEEDS)
	@build/hosts.sh

.PHONY: test
test: test-needs hosts build build/backdoor-faulty.so arm64 ## everything that proves it
	$(GO) vet ./...
	$(GO) test -count=1 -timeout 10m ./client/... ./preload/... ./build/bench
	$(GO) test -count=1 -timeout 15m -parallel 8 ./build/e2e
	@build/fuzz.sh 3s

.PHONY: test-race
test-race: test-needs ## the unit tests, watched by Go's race detector
	$(GO) test -race -short -count=1 -timeout 15m ./client/... ./preload/...

.PHONY: more-hosts
more-hosts: hosts ## memcacheds of all of Debian's suites, and built in many ways
	@build/need.sh more-hosts $(MORE_HOSTS_NEEDS)
	@$(MAKE) --no-print-directory -j 3 hosts-source hosts-amd64 hosts-arm64

# Debian's are fetched while others are built.
.PHONY: hosts-source hosts-amd64 hosts-arm64
hosts-source:
	@build/hosts-source.sh $(SUITES)

hosts-amd64 hosts-arm64: hosts-%:
	@build/hosts-debian.sh $* $(SUITES)

TEST_HOSTS = $(GO) test -count=1 -v ./preload/host -run '^TestScanIsSymbols$$' && \
	$(GO) test -count=1 -timeout 20m -parallel 4 -v ./build/e2e -run '^(TestHosts|TestOldLibc|TestHotTooLarge)$$' -hosts

.PHONY: test-hosts
test-hosts: test-needs more-hosts build ## loads into every memcached that can be had
	@$(TEST_HOSTS)

.PHONY: readme-table
readme-table: test-needs more-hosts build ## the table of them in preload/host/README.md, from such a run
	@$(TEST_HOSTS) -readme

# Each memcached has a part of the time, and somewhat more for what has begun then.
.PHONY: stress
stress: test-needs upstream build ## everything at once, checked against a model, for STRESS (2m); SEED repeats what was drawn
	$(GO) test -count=1 -timeout 10h -v ./build/e2e -run '^TestMixed$$' -mixed $(STRESS) -seed $(SEED)

.PHONY: export-rows
export-rows: test-needs build ## ROWS (100000) drawn rows by each way to export them from a database, compared with it; SEED repeats what was drawn
	$(GO) test -count=1 -timeout 10h -parallel 2 -v ./build/e2e -run '^(Test(MariaDB|PostgreSQL|SQLite|EncodedMariaDB|EncodedPostgreSQL|EncodedSQLite|Typed)Rows|TestOutfile)$$' -rows $(ROWS) -seed $(SEED)

.PHONY: upstream
upstream: ## memcached's source of two versions, with its tests and built with its assertions, under build/hosts/upstream/
	@build/need.sh upstream $(HOSTS_NEEDS)
	@build/upstream.sh bookworm sid

# A load, dumps, a save and calls that are none, on the stripped memcached; the first test sees to it that faults are seen.
.PHONY: test-sanitize
test-sanitize: test-needs hosts build build/backdoor-sanitized.so ## the library's C with the address and undefined-behaviour sanitizers
	$(GO) test -count=1 -timeout 10m -parallel 2 ./build/e2e -library backdoor-sanitized.so \
		-run '^(TestSanitizer|TestLargeValues|TestDumpWhileTableGrows|TestSave|TestBadDescriptors)$$/^(address|undefined|symtab)$$'

.PHONY: test-upstream
test-upstream: test-needs upstream build ## memcached's own tests, with the library and without (half an hour; TESTS="cas.t …": some)
	@build/test-upstream.sh $(TESTS)

.PHONY: test-package
test-package: deb ## the package and the image, in containers; as root
	@build/need.sh test-package $(PACKAGE_NEEDS)
	@build/hosts-root.sh
	@build/package/test-deb.sh
	@build/package/test-image.sh

.PHONY: test-report
test-report: build ## a report of a cache with hostile keys in chromium, and pictures of it in build/report/
	@build/need.sh test-report $(REPORT_NEEDS)
	$(GO) test -count=1 -timeout 5m -v ./build/e2e -run '^TestReportInBrowser$$' -browser

.PHONY: bench
bench: build build/backdoor-faulty.so ## what a load costs, into build/bench/report.md (BENCH="-rows N -rounds N -only …")
	@build/need.sh bench $(BENCH_NEEDS)
	$(GO) run -C build/bench . $(BENCH)

.PHONY: test-needs
test-needs:
	@build/need.sh test $(TEST_NEEDS)

.PHONY: fuzz
fuzz: hosts ## each fuzz target for FUZZTIME (5m)
	@build/fuzz.sh $(FUZZTIME)

.PHONY: demo
demo: ## a memcached with rows from a database, read back through its own port
	@build/need.sh demo $(DEMO_NEEDS)
	@$(MAKE) --no-print-directory build
	@build/demo.sh

.PHONY: lint
lint: ## form and warnings: Go, C, shell
	@build/need.sh lint $(LINT_NEEDS)
	@test -z "$$(gofmt -l client preload build | tee /dev/stderr)" || { echo "error: gofmt the files above" >&2; exit 1; }
	$(GO) vet -tags faulty ./preload/...
	$(GO) vet ./... && $(GO) mod tidy -diff && \
		$$($(GO) tool -n -modfile=$(CURDIR)/build/lint/go.mod staticcheck) -checks all,-ST1000,-ST1003 ./...
	$(CLANG_FORMAT) --dry-run -Werror $(C_FILES)
	for file in $(filter %.c,$(C_FILES)); do \
		$(CC) -std=gnu11 -O2 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
			-fanalyzer -Iinclude -c $$file -o /dev/null || exit 1; \
	done
	shellcheck -x $(SCRIPTS)

# Not of lint: the database is on the network, unless VULNDB is the address of a copy.
.PHONY: vulncheck
vulncheck: ## known vulnerabilities in Go and the modules that the library, the client and the benchmark use
	$$($(GO) tool -n -modfile=$(CURDIR)/build/lint/go.mod govulncheck) $(addprefix -db ,$(VULNDB)) ./...

# DESTDIR and PREFIX may have spaces in them.
INSTALLED = "$(DESTDIR)$(PREFIX)/bin/memcached-backdoor"

# What the client prints, into a file below share.
define install-printed
	$(INSTALLED) $(1) >build/printed
	install -D -m 644 build/printed "$(DESTDIR)$(PREFIX)/share/$(2)"
endef

.PHONY: install
install: build ## into PREFIX (/usr/local), below DESTDIR
	install -D -m 644 build/backdoor.so "$(DESTDIR)$(PREFIX)/lib/memcached-backdoor/backdoor.so"
	install -D -m 755 build/client $(INSTALLED)
	$(call install-printed,man,man/man1/memcached-backdoor.1)
	$(call install-printed,completion bash,bash-completion/completions/memcached-backdoor)
	$(call install-printed,completion zsh,zsh/site-functions/_memcached-backdoor)
	$(call install-printed,completion fish,fish/vendor_completions.d/memcached-backdoor.fish)
	@rm -f build/printed

.PHONY: deb
deb: build ## a Debian package of them, in build/
	@build/need.sh deb $(DEB_NEEDS)
	@build/package/deb.sh $(VERSION)

.PHONY: clean
clean: ## what was built, but not build/hosts/, which takes a minute
	rm -rf build/backdoor.so build/backdoor-faulty.so build/client build/version build/arm64 build/memcached-backdoor_*.deb
