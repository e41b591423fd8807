# `make demo` and `make test` set up what they need, once, and then do no set-up work again.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
OUT ?= out/demo

.PHONY: demo test extension bench clean

$(VENV)/.ready: constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "make: Python 3.11 is needed, $(PYTHON) is another; run make PYTHON=python3.11" >&2; exit 2; }
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[blender,test]'
	touch $@

# bpy is a whole Blender and links to the window system's libraries, even without a window.
$(VENV)/.libraries: $(VENV)/.ready
	$(PY) tools/system_libraries.py blender
	touch $@

$(VENV)/.test-libraries: $(VENV)/.libraries
	$(PY) tools/system_libraries.py blender webgpu browser
	touch $@

demo: $(VENV)/.libraries
	$(PY) -m bridge demo --out $(OUT)

test: $(VENV)/.test-libraries
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pytest -n auto --dist worksteal

extension: $(VENV)/.ready
	$(PY) tools/build_extension.py

bench: $(VENV)/.test-libraries
	$(PY) -m blockcore bench

clean:
	rm -rf $(VENV) out build dist
