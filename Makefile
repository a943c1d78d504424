# Immutray: see README.md. "make help" lists the targets.

# The Go command: the first on this machine that is new enough (go.mod says 1.24).
GO ?= $(or $(shell packaging/tryout/install-tools.sh go),go)
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
MANDIR ?= $(PREFIX)/share/man
METAINFODIR ?= $(PREFIX)/share/metainfo
DOCDIR ?= $(PREFIX)/share/doc/immutray
BASHCOMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
# Where Debian's zsh looks in /usr; in /usr/local, and elsewhere, it is site-functions.
ZSHCOMPLETIONDIR ?= $(PREFIX)/share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
FISHCOMPLETIONDIR ?= $(PREFIX)/share/fish/vendor_completions.d

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

# What "make packages" makes. This nfpm is the newest that Go 1.24 compiles. It is
# built for this machine, whatever the packages are for.
PACKAGE_ARCHES ?= amd64 arm64
PACKAGE_FORMATS ?= deb rpm archlinux
NFPM ?= env GOFLAGS= GOOS= GOARCH= CGO_ENABLED=0 $(GO) run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.1

# What was compiled in one checkout is not compiled again in the next: without this the
# name of the directory is part of it. What "go env -w" has set stays.
export GOFLAGS := $(filter-out -trimpath,$(or $(GOFLAGS),$(shell $(GO) env GOFLAGS 2>/dev/null))) -trimpath

# How the programs are built. No C library: the helper must run in a damaged
# system. No PIE: without C the linker makes no static one.
GOBUILD = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'
LDFLAGS ?= -X immutray.org/helper.version=$(VERSION)
# The race detector needs a C compiler.
RACE ?= $(if $(shell command -v gcc),-race)
# Not from the cache: what the kernel does is no input that Go knows of. The tests of one
# package, testbed/systemd, wait for the ends of windows for ten minutes.
TESTFLAGS ?= -count=1 -timeout 20m
# The Debian suites that the machine tests boot. An hour also makes an image of each.
SUITES ?= trixie
export SUITES
MACHINEFLAGS ?= -count=1 -parallel 4 -timeout 60m

# How long "make fuzz" tries each target.
FUZZTIME ?= 10m

PROGRAMS := immutray immutectl immutray-helper
SHELLS := bash zsh fish

.DEFAULT_GOAL := build

.PHONY: help build run test test-all test-packages test-boots test-desk test-run test-system test-machine machine-package lint bench fuzz icons install uninstall packages clean tools-run tools-test

## help: this list
help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST))

## build: the programs, into build/bin, and their completions (the default)
build:
	mkdir -p $(BUILD)/bin $(BUILD)/completions
	$(GOBUILD) -o $(BUILD)/bin/ $(addprefix ./cmd/,$(PROGRAMS))
# Not by the program just built: it may be for another machine.
	@set -e; for shell in $(SHELLS); do \
		env GOOS= GOARCH= CGO_ENABLED=0 $(GO) run -buildvcs=false ./cmd/immutectl completion $$shell >$(BUILD)/completions/immutectl.$$shell; \
	done

## run: the applet on a practice system: nothing of this machine is touched
run: tools-run build
	rm -rf $(BUILD)/practice
	$(MAKE) --no-print-directory install DESTDIR=$(BUILD)/practice/staged
	$(GOBUILD) -o $(BUILD)/practice/practice ./packaging/tryout
	$(BUILD)/practice/practice -staged $(BUILD)/practice/staged -pictures $(PICTURES) $(if $(TOUR),-tour)

## test: everything; as root on Debian it installs what is missing
test: tools-test
	$(MAKE) --no-print-directory test-all
	@test "$$(id -u)" = 0 || echo 'Not root: the tests that mount file systems were skipped. "sudo make test" runs them all.'

# Three jobs share two processors, as each of them waits now and then. Those that wait
# most come first, so that at the end there are two that never do. And none of them waits
# for lint, which has to be compiled on a new machine: make would go on to the next, and
# leave that one to the end.
test-all:
	$(MAKE) --no-print-directory -j 3 test-desk test-system test-packages test-boots test-run lint

# The tests run make as well, which would miss the other one's job server.
NOJOBS = env -u MAKEFLAGS -u MFLAGS

# A program with the race detector would sleep for a second when it ends, and the tests
# start thousands.
test-packages: build
	$(NOJOBS) GORACE=atexit_sleep_ms=0 CGO_ENABLED=$(if $(RACE),1,0) $(GO) test -p 1 $(RACE) $(TESTFLAGS) $$($(GO) list ./... | grep -v /packaging/testbed/machine$$)

test-boots: machine-package
	$(MACHINETEST) -run '^TestSeal$$'

test-desk: machine-package
	$(MACHINETEST) -run '^TestDesk$$'

test-run: machine-package
	$(MACHINETEST) -run '^TestRun$$'

# A machine that waits for the end of windows has time for another beside it.
test-system: machine-package
	$(MACHINETEST) -skip '^Test(Seal|Desk|Run|PowerMoments)$$'

## test-machine: only what boots a Debian in a virtual machine; SUITES="bookworm trixie sid"
test-machine: tools-test machine-package
	$(MACHINETEST)

MACHINETEST = $(NOJOBS) IMMUTRAY_PACKAGES=$(abspath $(BUILD)/machine/packages) CGO_ENABLED=0 $(GO) test $(MACHINEFLAGS) ./packaging/testbed/machine

# What the machines install.
machine-package:
	$(MAKE) --no-print-directory packages BUILD=$(BUILD)/machine PACKAGE_ARCHES=amd64 PACKAGE_FORMATS=deb

## lint: gofmt, vet, staticcheck
lint:
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:" $$unformatted >&2; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

## bench: the benchmarks
bench:
	$(GO) test -run '^$$' -bench . ./...

## fuzz: every fuzz target, each for FUZZTIME (10 minutes)
# By default a minute of that goes into shortening each new input.
fuzz:
	@set -e; for package in $$($(GO) list ./...); do \
		listed=$$(CGO_ENABLED=0 $(GO) test -list '^Fuzz' $$package); \
		for target in $$(echo "$$listed" | sed -n '/^Fuzz/p'); do \
			echo "$$package $$target"; \
			CGO_ENABLED=0 $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$package; \
		done; \
	done

## icons: render the PNGs from the SVGs (needs rsvg-convert), and a sheet of them all to look at
icons:
	icons/render.sh
	icons/sheet.sh $(BUILD)/icons/sheet.png

# Every installed file, as SOURCE:TARGET:MODE. install and uninstall both go by this
# one list. The drawings of the application itself are named immutray, those of its
# states immutray-STATE; icons/svg/64 is what scales, in colour. Toolkits recolour those in
# icons/svg/symbolic, of which 16 is what scales: the index of hicolor 0.17 has no
# symbolic/status.
size = $(notdir $(patsubst %/,%,$(dir $(1))))
context = $(if $(filter immutray.%,$(notdir $(1))),apps,status)
INSTALLED = \
	$(BUILD)/bin/immutray:$(BINDIR)/immutray:755 \
	$(BUILD)/bin/immutectl:$(BINDIR)/immutectl:755 \
	$(BUILD)/bin/immutray-helper:$(LIBEXECDIR)/immutray-helper:755 \
	packaging/polkit/org.immutray.policy:$(POLKITDIR)/org.immutray.policy:644 \
	$(foreach f,$(wildcard $(addprefix packaging/systemd/*.,service path timer)),$(f):$(UNITDIR)/$(notdir $(f)):644) \
	$(foreach f,$(wildcard packaging/systemd/*.service.d/*.conf),$(f):$(UNITDIR)/$(f:packaging/systemd/%=%):644) \
	packaging/desktop/immutray.desktop:$(APPLICATIONSDIR)/immutray.desktop:644 \
	packaging/desktop/immutray-autostart.desktop:$(AUTOSTARTDIR)/immutray.desktop:644 \
	packaging/metainfo/org.immutray.Immutray.metainfo.xml:$(METAINFODIR)/org.immutray.Immutray.metainfo.xml:644 \
	packaging/config/config.toml:$(DOCDIR)/examples/config.toml:644 \
	$(foreach f,$(wildcard packaging/man/*.[18]),$(f):$(MANDIR)/man$(patsubst .%,%,$(suffix $(f)))/$(notdir $(f)):644) \
	$(BUILD)/completions/immutectl.bash:$(BASHCOMPLETIONDIR)/immutectl:644 \
	$(BUILD)/completions/immutectl.zsh:$(ZSHCOMPLETIONDIR)/_immutectl:644 \
	$(BUILD)/completions/immutectl.fish:$(FISHCOMPLETIONDIR)/immutectl.fish:644 \
	$(foreach f,$(wildcard icons/png/color/*/*.png),$(f):$(ICONDIR)/$(call size,$(f))x$(call size,$(f))/$(call context,$(f))/$(notdir $(f)):644) \
	$(foreach f,$(wildcard icons/svg/64/*.svg),$(f):$(ICONDIR)/scalable/$(call context,$(f))/$(notdir $(f)):644) \
	$(foreach f,$(wildcard icons/svg/symbolic/16/*.svg),$(f):$(ICONDIR)/scalable/status/$(notdir $(f)):644) \
	$(foreach f,$(wildcard $(addprefix icons/svg/symbolic/,22/*.svg 24/*.svg)),$(f):$(ICONDIR)/$(call size,$(f))x$(call size,$(f))/status/$(notdir $(f)):644)

# And every link, as TEXT:PLACE. For an update the system is always unlocked.
LINKED = ../immutability-unseal.service:$(UNITDIR)/system-update.target.wants/immutability-unseal.service

## install: every file to its place below DESTDIR (run "make build" first)
install:
	@test -x $(BUILD)/bin/immutray-helper || { echo 'Nothing is built yet: run "make build" first.' >&2; exit 1; }
	@set -e; umask 022; for entry in $(INSTALLED); do \
		source=$${entry%%:*}; rest=$${entry#*:}; \
		install -D -m $${rest##*:} "$$source" "$(DESTDIR)$${rest%:*}"; \
	done
	@set -e; umask 022; for link in $(LINKED); do \
		mkdir -p "$(DESTDIR)$$(dirname "$${link#*:}")"; \
		ln -sfn "$${link%%:*}" "$(DESTDIR)$${link#*:}"; \
	done
# A cache of icons that is older than their directory is not used.
	@touch "$(DESTDIR)$(ICONDIR)"

## uninstall: remove exactly these files, and the directories of its own
uninstall:
	@set -e; for entry in $(INSTALLED); do \
		rest=$${entry#*:}; rm -f "$(DESTDIR)$${rest%:*}"; \
	done
	@for link in $(LINKED); do rm -f "$(DESTDIR)$${link#*:}"; done
	@for dir in $(addprefix $(UNITDIR)/,immutray-.service.d immutability-.service.d) $(UNITDIR)/system-update.target.wants $(LIBEXECDIR) $(DOCDIR)/examples $(DOCDIR); do \
		test ! -d "$(DESTDIR)$$dir" || rmdir --ignore-fail-on-non-empty "$(DESTDIR)$$dir"; \
	done

## packages: .deb, .rpm and Arch packages for amd64 and arm64, into build/packages
packages:
	rm -rf $(BUILD)/packages $(BUILD)/stage
	mkdir -p $(BUILD)/packages
	@set -e; for arch in $(PACKAGE_ARCHES); do \
		stage=$(BUILD)/stage/$$arch; \
		GOOS=linux GOARCH=$$arch $(MAKE) --no-print-directory build BUILD=$$stage LDFLAGS='-s -w $(LDFLAGS)'; \
		$(MAKE) --no-print-directory install BUILD=$$stage DESTDIR=$$stage/root PREFIX=/usr SYSCONFDIR=/etc; \
		NFPM='$(NFPM)' packaging/nfpm/package.sh $$arch $$stage $(BUILD)/packages '$(VERSION)' $(PACKAGE_FORMATS); \
	done

## clean: remove build
clean:
	rm -rf $(BUILD)

tools-run:
	packaging/tryout/install-tools.sh run

tools-test:
	packaging/tryout/install-tools.sh test
