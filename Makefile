# `make demo` and `make test` set up what they need, once, and then do no set-up work again.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
# One thread for torch: the tests run on all cores by themselves.
PYTEST := OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --dist worksteal -m 'not alone'
OUT ?= out/demo

.PHONY: demo test docs fresh fuzz test-numpy2 test-pythons test-bpy wheel gui farm extension bench clean

demo: $(VENV)/.libraries
	$(PY) -m bridge demo --out $(OUT)

test: $(VENV)/.test-libraries
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PYTEST)
	$(PY) -m pytest -m alone
	@echo "Left out: the add-on in a real Blender window (make gui)"

# Not part of `make test`: needs root, to make a bare Debian tree that demo and test are proven in.
fresh:
	tests/fresh/run.sh demo test

# bpy keeps numpy below 2; the library runs on both.
test-numpy2: $(VENV)/.numpy2
	PYTHONPATH=$(VENV)/numpy2 $(PYTEST) $(addprefix tests/unit/test_,\
	  grid.py scene.py webgpu.py tiles.py texels.py shading.py world.py visibility.py solve.py format_glb.py)

# The library without torch on other Pythons, as far as they are here: 3.12 and 3.13.
test-pythons:
	tests/fresh/pythons.sh

# The wheel in an empty environment, away from the checkout: its commands, and every example of the documentation.
wheel: $(VENV)/.libraries
	$(PY) -m pytest tests/fresh

# Another Blender than the environment's, beside it. Blender 4.2 dies as its process ends; what counts is what pytest says.
BPY ?= 4.5.3
test-bpy: $(VENV)/bpy-$(BPY)
	PYTHONPATH=$(VENV)/bpy-$(BPY) $(PYTEST) tests/bpy

# 20,000 cases of damage.
fuzz: $(VENV)/.test-libraries
	BLOCKCORE_FUZZ=600 timeout 600 env $(PYTEST) tests/fuzz

# Not part of `make test`: needs root once, to install a Debian tree with Blender (1.4 GB).
gui: $(VENV)/.test-libraries
	tests/gui/setup.sh
	BLOCKCORE_REQUIRE=bpy,blender $(PY) -m pytest tests/gui

# Not part of `make test`: needs root, for Slurm's daemons and network namespaces, and installs what they are.
farm: $(VENV)/.test-libraries
	tests/farm/setup.sh
	BLOCKCORE_REQUIRE=bpy,slurm,node,namespaces OMP_NUM_THREADS=1 $(PY) -m pytest tests/farm

# The documentation as a site, built without a network.
docs: $(VENV)/.docs
	$(PY) tools/build_docs.py

extension: $(VENV)/.libraries
	$(PY) tools/build_extension.py

bench: $(VENV)/.test-libraries
	$(PY) -m blockcore bench

clean:
	rm -rf $(VENV) out build dist

$(VENV)/.ready: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "make: Python 3.11 is needed, $(PYTHON) is another; run make PYTHON=python3.11" >&2; exit 2; }
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PIP) -c constraints.txt -e '.[blender,test]'
	touch $@

# bpy is a whole Blender and links to the window system's libraries, even without a window.
$(VENV)/.libraries: $(VENV)/.ready
	$(PY) tools/system_libraries.py blender
	touch $@

$(VENV)/.test-libraries: $(VENV)/.libraries
	$(PY) tools/system_libraries.py blender webgpu browser
	touch $@

$(VENV)/.docs: $(VENV)/.ready
	$(PIP) -c constraints.txt -e '.[docs]'
	touch $@

$(VENV)/bpy-$(BPY): | $(VENV)/.test-libraries
	$(PIP) --no-deps --target $@ 'bpy==$(BPY)'

$(VENV)/.numpy2: $(VENV)/.ready
	$(PIP) --no-deps --target $(VENV)/numpy2 'numpy>=2,<3'
	touch $@
