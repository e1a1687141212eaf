# What a distribution installs. `make -f packaging/install.mk DESTDIR=... install` after `cargo build --release --locked`.
# It enables and starts nothing.

PREFIX ?= /usr
UNITS ?= $(PREFIX)/lib/systemd/user
CATALOG ?= $(PREFIX)/lib/systemd/catalog
PRESETS ?= $(PREFIX)/lib/systemd/user-preset
BINARY ?= target/release/janus
# The same version for the machine that builds, where $(BINARY) is for another one.
JANUS ?= $(BINARY)

install:
	install -D -m 755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/janus-mcp
	ln -sf janus-mcp $(DESTDIR)$(PREFIX)/bin/janus
	install -D -m 644 -t $(DESTDIR)$(UNITS) systemd/janus.socket systemd/janus-control.socket
	sed 's|=/usr/bin/janus |=$(PREFIX)/bin/janus |' systemd/janus.service | install -D -m 644 /dev/stdin $(DESTDIR)$(UNITS)/janus.service
	install -D -m 644 -t $(DESTDIR)$(PRESETS) systemd/50-janus.preset
	install -D -m 644 -t $(DESTDIR)$(CATALOG) systemd/janus.catalog
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 systemd/janus.1
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/janus-mcp/systemd systemd/remote-only.conf systemd/README.md
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/janus-mcp README.md CHANGELOG.md LICENSE janus.example.yaml
	schema="$$($(JANUS) config schema)" && printf '%s\n' "$$schema" | install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/janus-mcp/janus.schema.json

.PHONY: install
