# Everything a developer runs. `make` alone lists the targets.

PYTHON  ?= python3
VENV    ?= .venv
IMAGE   ?=
SAMPLES ?= ../shared/samples
ARGS    ?=

BUILD := build
BIN   := $(VENV)/bin
CODE  := vhdx_kaitai tests benchmarks fuzz tools

# Stamps, so that set-up runs once and again when its input changes.
RUNTIME  := $(VENV)/.installed
DEV      := $(VENV)/.installed-dev
COMPILER := $(BUILD)/compiler/.fetched
WEBIDE   := $(BUILD)/webide/.fetched
USERS    := $(BUILD)/users
DEMO     := $(BUILD)/demo.vhdx

# Real images, whose dumps docs/metadump.md measures.
IMAGES := $(wildcard $(SAMPLES)/*.vhdx.gz $(SAMPLES)/*.vhdx.bz2)

# JAVA_TOOL_OPTIONS would make the JVM print a line that looks like a compiler warning.
KSC := env -u JAVA_TOOL_OPTIONS java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
       -cp '$(BUILD)/compiler/*' io.kaitai.struct.JavaMain

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test lint format types coverage bench fuzz crash generated check-generated \
        compile-all compiler diagram gallery webide webide-test explorer explorer-test build docs docs-webide \
        docs-report docs-conformance docs-explorer clean vectors conformance

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  PYTHON=python3.12 chooses the interpreter, IMAGE=disk.vhdx the image of the demo,"
	@echo "  ARGS='-k log -x' goes to pytest or to the benchmarks."

# --- Python ---

venv: $(DEV) ## Create .venv with the package and all development tools

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null 2>&1 || \
	  { echo "make: '$(PYTHON)' not found; name a Python with PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: Python 3.11 or later is needed, '$(PYTHON)' is $$($(PYTHON) -V 2>&1);" \
	         "name another with PYTHON=python3.12" >&2; exit 1; }
	@echo "Creating $(VENV), with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUNTIME): pyproject.toml | $(BIN)/python
	@echo "Installing the package and what it needs into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# A hundred packages: a minute by pip, seconds by uv. Who has an index of their own for pip alone still gets there.
$(DEV): pyproject.toml | $(BIN)/python
	@echo "Installing the package and its development tools into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv && \
	  $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable '.[dev]' || \
	  { echo "make: going on with pip instead of uv" >&2; \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'; }
	@touch $(RUNTIME) $@

demo: $(RUNTIME) ## Describe IMAGE=..., or an image that the project builds itself
ifeq ($(IMAGE),)
	@echo "Building an image as a crash leaves it, $(DEMO)"
	@mkdir -p $(BUILD)
	@$(BIN)/python -m tests.images.demo $(DEMO)
endif
	$(BIN)/vhdx-kaitai info $(or $(IMAGE),$(DEMO))
	@echo
	@echo "Next:"
	@echo "  . $(BIN)/activate                       # then the command is vhdx-kaitai"
	@echo "  vhdx-kaitai check $(or $(IMAGE),$(DEMO))"
	@echo "  vhdx-kaitai map $(or $(IMAGE),$(DEMO))"
	@echo "docs/getting-started.md goes on from there."

# What the tests use of other languages is fetched where they are installed; the tests skip otherwise.
test: $(DEV) ## Set everything up and run the tests
	@for set in 'java mvn:compiler' 'node npm:webide' 'java mvn npm:explorer'; do \
	  for tool in $${set%:*}; do command -v $$tool >/dev/null 2>&1 || continue 2; done; \
	  $(MAKE) --no-print-directory $${set#*:} || echo "make: going on without $${set#*:}" >&2; \
	done
	@$(BIN)/pytest $(ARGS)

lint: $(DEV) ## Check style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(DEV) ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

types: $(DEV) ## Check types, strictly
	$(BIN)/mypy $(CODE)

coverage: $(DEV) ## Run the tests and show which lines they miss
	@$(BIN)/pytest --cov --cov-report=term-missing:skip-covered --cov-report=html $(ARGS)

bench: $(DEV) $(USERS) ## Run the benchmarks
	@USERS_BIN=$(USERS)/bin $(BIN)/python -m benchmarks $(ARGS)

# Commands are timed as users have them: an editable install adds a quarter to the start of Python.
$(USERS): pyproject.toml vhdx.ksy $(wildcard vhdx_kaitai/*.py vhdx_kaitai/*/*.py generated/*.py) | $(BIN)/python
	@echo "Installing the package as users do into $@"
	@rm -rf $@
	@$(PYTHON) -m venv $@ && \
	  $@/bin/python -m pip install --quiet --disable-pip-version-check '.[fast]' dissect.hypervisor || \
	  { rm -rf $@; exit 1; }

# A page that takes what is not there stays as it is.
docs: $(DEV) ## Make every generated page of docs/
	@$(BIN)/python -c 'from pathlib import Path; from vhdx_kaitai.showing.rules import rules_page; \
	  Path("docs/rules.md").write_text(rules_page(), encoding="utf-8")'
	@$(BIN)/python -m tools.api -o docs/api.md
	@$(BIN)/python -m tools.one_chain --update
	@$(BIN)/python -m tools.damage_table -o docs/damage.md
	@$(if $(IMAGES),$(BIN)/python -m tools.dump_sizes --update $(IMAGES), \
	  echo "make: no images in $(SAMPLES); going on without the sizes in docs/metadump.md" >&2)
	@for set in 'node npm:docs-webide' 'chromium:docs-report' 'java mvn:docs-conformance' 'java mvn dot:diagram' \
	    'java mvn npm chromium:docs-explorer'; do \
	  for tool in $${set%:*}; do command -v $$tool >/dev/null 2>&1 || \
	    { echo "make: '$$tool' not found; going on without $${set#*:}" >&2; continue 2; }; done; \
	  $(MAKE) --no-print-directory $${set#*:} || exit; \
	done

docs-webide: $(DEV) $(WEBIDE)
	@$(BIN)/python -m tests.webide.page

docs-report: $(DEV)
	@$(BIN)/python -m tests.browser.pictures

docs-conformance: $(DEV) $(COMPILER)
	@$(BIN)/python -m tests.conformance --save docs/conformance.md

fuzz: $(DEV) ## Feed damaged images to everything, for SECONDS=60
	@$(BIN)/python -m fuzz.fuzz_image --seconds $(or $(SECONDS),60)

crash: $(DEV) ## Cut the power of writers, CUTS=2000 times, and look at what is left
	@$(BIN)/python -m tests.crash --cuts $(or $(CUTS),2000)

build: $(DEV) ## Build sdist and wheel into dist/; the wheel has man pages and completion for shells
	@for tool in java mvn npm; do command -v $$tool >/dev/null 2>&1 || \
	  { echo "make: '$$tool' not found; going on without the explorer's page" >&2; exit 0; }; done; \
	$(MAKE) --no-print-directory explorer
	@$(BIN)/python -m build
	@echo "With these files beside the package:"
	@for wheel in dist/*.whl; do \
	  $(BIN)/python -m zipfile --list $$wheel | sed -n 's|^.*\.data/data/\([^ ]*\).*|  \1|p'; done

# --- Grammar ---

compiler: $(COMPILER)

$(COMPILER): pom.xml
	@for tool in java mvn; do command -v $$tool >/dev/null 2>&1 || \
	  { echo "make: '$$tool' not found; compiling the grammar takes Java and Maven" >&2; exit 1; }; done
	@echo "Fetching the Kaitai Struct compiler"
	@rm -rf $(@D)
	@mkdir -p $(@D)
	@mvn --quiet --batch-mode dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(@D) \
	  >$(@D)/maven.log 2>&1 || { cat $(@D)/maven.log >&2; exit 1; }
	@touch $@

MODULES := vhdx.py vhdx_positions.py layout.py

# $(call compile_python,FOLDER): all Python modules, into a folder of their own.
define compile_python
	@rm -rf $(1)
	@$(KSC) -t python --outdir $(1)/plain vhdx.ksy
	@$(KSC) -t python --read-pos --outdir $(1)/positions vhdx.ksy
	@mv $(1)/plain/vhdx.py $(1)/vhdx.py
	@mv $(1)/positions/vhdx.py $(1)/vhdx_positions.py
	@$(BIN)/python tools/layout.py vhdx.ksy $(1)/layout.py
endef

generated: $(COMPILER) $(DEV) ## Compile vhdx.ksy into generated/
	$(call compile_python,$(BUILD)/generated)
	@mv $(addprefix $(BUILD)/generated/,$(MODULES)) generated/
	@echo "$(addprefix generated/,$(MODULES)) are up to date"

check-generated: $(COMPILER) $(DEV) ## Fail when generated/ is not what vhdx.ksy compiles to
	$(call compile_python,$(BUILD)/check)
	@same=yes; for module in $(MODULES); do \
	  diff -u generated/$$module $(BUILD)/check/$$module || same=no; done; \
	[ $$same = yes ] || { echo "generated/ differs from vhdx.ksy: run 'make generated'" >&2; exit 1; }
	@echo "generated/ is what vhdx.ksy compiles to"

# $(call compile_silently,OPTIONS): any word from the compiler is a failure, warnings included.
define compile_silently
	@output=$$($(KSC) $(1) vhdx.ksy 2>&1); status=$$?; \
	[ $$status -eq 0 ] && [ -z "$$output" ] || { echo "$(1):" >&2; echo "$$output" >&2; exit 1; }
endef

# `-t all` leaves out graphviz.
compile-all: $(COMPILER) ## Compile vhdx.ksy for every target, without a warning
	@rm -rf $(BUILD)/all
	$(call compile_silently,-t all --outdir $(BUILD)/all)
	$(call compile_silently,-t graphviz --outdir $(BUILD)/all/graphviz)
	$(call compile_silently,-w -t python --outdir $(BUILD)/all/python-rw)
	$(call compile_silently,-w -t java --outdir $(BUILD)/all/java-rw)
	@echo "vhdx.ksy compiles for every target"

diagram: $(COMPILER) $(RUNTIME) ## Draw docs/vhdx.svg from vhdx.ksy
	@command -v dot >/dev/null 2>&1 || { echo "make: 'dot' not found; install graphviz" >&2; exit 1; }
	@$(KSC) -t graphviz --outdir $(BUILD)/graphviz vhdx.ksy
	@$(BIN)/python -m tools.diagram $(BUILD)/graphviz/vhdx.dot docs/vhdx.dot
	@dot -Tsvg docs/vhdx.dot -o docs/vhdx.svg

gallery: $(DEV) ## Print vhdx.ksy for Kaitai's format gallery, if it keeps the gallery's rules
	@$(BIN)/python -m tools.gallery

webide: $(WEBIDE)

$(WEBIDE): tests/webide/package.json
	@for tool in node npm; do command -v $$tool >/dev/null 2>&1 || \
	  { echo "make: '$$tool' not found; the Web IDE is made of JavaScript" >&2; exit 1; }; done
	@echo "Fetching what the Kaitai Web IDE is made of"
	@rm -rf $(@D)
	@mkdir -p $(@D)
	@cp $< $(@D)/
	@cd $(@D) && npm install --silent --no-fund --no-audit --no-package-lock
	@touch $@

PAGE := vhdx_kaitai/explorer.html.gz

explorer: $(PAGE) ## Make the page that opens VHDX files in a browser

# The compiler's JavaScript and the official runtime, whose version explorer/package-lock.json pins.
$(PAGE): $(wildcard explorer/*) tools/explorer.py vhdx_kaitai/_version.py vhdx.ksy $(COMPILER) | $(DEV)
	@command -v npm >/dev/null 2>&1 || \
	  { echo "make: 'npm' not found; the explorer takes Kaitai's runtime from its registry" >&2; exit 1; }
	@echo "Making $@"
	@rm -rf $(BUILD)/explorer
	@mkdir -p $(BUILD)/explorer
	@cp explorer/package*.json $(BUILD)/explorer/
	@cd $(BUILD)/explorer && npm ci --silent --no-fund --no-audit
	@$(KSC) -t javascript --debug --outdir $(BUILD)/explorer vhdx.ksy
	@$(BIN)/python -m tools.explorer $(BUILD)/explorer $@

explorer-test: $(DEV) $(PAGE) ## Look at images with the explorer, in Node and in Chromium
	@$(BIN)/pytest tests/test_explorer.py tests/test_explorer_page.py $(ARGS)

docs-explorer: $(DEV) $(PAGE)
	@$(BIN)/python -m tests.explorer.picture docs/explorer.png

webide-test: $(DEV) $(WEBIDE) ## Look at images as the Kaitai Web IDE shows them
	@$(BIN)/pytest tests/test_webide.py $(ARGS)

vectors: $(DEV) ## Write the vectors of the conformance kit
	@$(BIN)/python -m tests.conformance.make

conformance: $(DEV) $(COMPILER) ## Ask the parsers of all languages for the values of the vectors
	@$(BIN)/python -m tests.conformance $(ARGS)

clean: ## Remove everything that was built, .venv included
	rm -rf $(BUILD) $(PAGE) dist $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
