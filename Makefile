# Immutray: see README.md. "make help" lists the targets.

# The Go command: the first on this machine that is new enough (go.mod says 1.24).
GO ?= $(or $(shell packaging/practice/install-tools.sh go),go)
# The version that the programs report.
VERSION ?= $(or $(shell git describe --tags --always --dirty 2>/dev/null),unknown)

# Where "make install" puts things. DESTDIR goes in front of everything, for
# packages. PREFIX moves what a person starts and sees.
DESTDIR ?=
PREFIX ?= /usr
BINDIR ?= $(PREFIX)/bin
APPLICATIONSDIR ?= $(PREFIX)/share/applications
ICONDIR ?= $(PREFIX)/share/icons/hicolor
SYSCONFDIR ?= /etc
AUTOSTARTDIR ?= $(SYSCONFDIR)/xdg/autostart

# These do not follow PREFIX. The polkit actions, the units and the programs name
# the helper by this one path, polkit reads actions from nowhere else before its
# version 126, and systemd's units are found here on every distribution.
LIBEXECDIR ?= /usr/libexec/immutray
POLKITDIR ?= /usr/share/polkit-1/actions
UNITDIR ?= /usr/lib/systemd/system

# Where everything that is built goes.
BUILD ?= build

# Where "make run" leaves the pictures of its tour. TOUR=1 plays the tour also on
# a terminal.
PICTURES ?= $(BUILD)/tour
TOUR ?=

# How the programs are built. No C library: the helper must run in a damaged
# system. No PIE: without C the linker makes no static one.
GOBUILD = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'
LDFLAGS ?= -X immutray.org/helper.version=$(VERSION)
# The race detector needs a C compiler.
RACE ?= $(if $(shell command -v gcc),-race)
TESTFLAGS ?= -timeout 14m

PROGRAMS := immutray immutectl immutray-helper

.DEFAULT_GOAL := build

.PHONY: help build run test test-all lint bench icons install uninstall clean tools-run tools-test

## help: this list
help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST))

## build: the programs, into build/bin (the default)
build:
	mkdir -p $(BUILD)/bin
	$(GOBUILD) -o $(BUILD)/bin/ $(addprefix ./cmd/,$(PROGRAMS))

## run: the applet on a practice system: nothing of this machine is touched
run: tools-run build
	rm -rf $(BUILD)/practice
	$(MAKE) --no-print-directory install DESTDIR=$(BUILD)/practice/staged
	$(GOBUILD) -o $(BUILD)/practice/practice ./packaging/practice
	$(BUILD)/practice/practice -staged $(BUILD)/practice/staged -pictures $(PICTURES) $(if $(TOUR),-tour)

## test: everything; as root on Debian it installs what is missing
test: tools-test
	$(MAKE) --no-print-directory test-all

test-all: lint build
	CGO_ENABLED=$(if $(RACE),1,0) $(GO) test $(RACE) $(TESTFLAGS) ./...

## lint: gofmt, vet, staticcheck
lint:
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:" $$unformatted >&2; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

## bench: the benchmarks
bench:
	$(GO) test -run '^$$' -bench . ./...

## icons: render the PNGs from the SVGs (needs rsvg-convert)
icons:
	icons/render.sh

# Every installed file, as SOURCE:TARGET:MODE. install and uninstall both go by this
# one list. The drawings of the application itself are named immutray, those of its
# states immutray-STATE; icons/svg/64 is what scales.
size = $(notdir $(patsubst %/,%,$(dir $(1))))
context = $(if $(filter immutray.%,$(notdir $(1))),apps,status)
INSTALLED = \
	$(BUILD)/bin/immutray:$(BINDIR)/immutray:755 \
	$(BUILD)/bin/immutectl:$(BINDIR)/immutectl:755 \
	$(BUILD)/bin/immutray-helper:$(LIBEXECDIR)/immutray-helper:755 \
	packaging/polkit/org.immutray.policy:$(POLKITDIR)/org.immutray.policy:644 \
	$(foreach f,$(wildcard packaging/systemd/*.service),$(f):$(UNITDIR)/$(notdir $(f)):644) \
	packaging/desktop/immutray.desktop:$(APPLICATIONSDIR)/immutray.desktop:644 \
	packaging/desktop/immutray-autostart.desktop:$(AUTOSTARTDIR)/immutray.desktop:644 \
	$(foreach f,$(wildcard icons/png/color/*/*.png),$(f):$(ICONDIR)/$(call size,$(f))x$(call size,$(f))/$(call context,$(f))/$(notdir $(f)):644) \
	$(foreach f,$(wildcard icons/svg/64/*.svg),$(f):$(ICONDIR)/scalable/$(call context,$(f))/$(notdir $(f)):644)

## install: every file to its place below DESTDIR (run "make build" first)
install:
	@test -x $(BUILD)/bin/immutray-helper || { echo 'Nothing is built yet: run "make build" first.' >&2; exit 1; }
	@set -e; for entry in $(INSTALLED); do \
		source=$${entry%%:*}; rest=$${entry#*:}; \
		install -D -m $${rest##*:} "$$source" "$(DESTDIR)$${rest%:*}"; \
	done
# A cache of icons that is older than their directory is not used.
	@touch "$(DESTDIR)$(ICONDIR)"

## uninstall: remove exactly these files, and the helper's directory
uninstall:
	@set -e; for entry in $(INSTALLED); do \
		rest=$${entry#*:}; rm -f "$(DESTDIR)$${rest%:*}"; \
	done
	@test ! -d "$(DESTDIR)$(LIBEXECDIR)" || rmdir --ignore-fail-on-non-empty "$(DESTDIR)$(LIBEXECDIR)"

## clean: remove build
clean:
	rm -rf $(BUILD)

tools-run:
	packaging/practice/install-tools.sh run

tools-test:
	packaging/practice/install-tools.sh test
