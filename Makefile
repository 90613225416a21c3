# Every target sets up its own virtual environment when it is missing: Python 3.10 or newer is all it needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo maze irl test test-floor lint types bench docs clean

demo: .venv/installed  ## demonstrations, behaviour cloning, DAgger and plain PPO on one road; writes outputs/
	$(BIN)/python examples/quickstart.py

maze: .venv/installed  ## plain PPO, PPO from cloned weights and PPOfD in a maze with a sparse reward; writes outputs/
	$(BIN)/python examples/from_demonstrations.py

irl: .venv/installed  ## a reward learned on slippery ice, planned for anew on other lakes; writes outputs/
	$(BIN)/python examples/inverse_rl.py

test: .venv/ready  ## all tests, with the newest supported versions
	$(BIN)/python -m pytest

test-floor: .venv-floor/ready  ## all tests, with the oldest supported versions
	.venv-floor/bin/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: .venv/ready
	$(BIN)/mypy

bench: .venv/ready  ## side by side with the imitation library; writes benchmarks/results/
	$(BIN)/python -m benchmarks

docs: .venv/ready  ## the documentation site, in outputs/docs
	$(BIN)/pip install -q -c constraints/latest.txt -e '.[docs]'
	$(BIN)/sphinx-build -q -W -b html docs outputs/docs

clean:
	rm -rf .venv .venv-floor build dist outputs *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/installed: pyproject.toml constraints/latest.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints/latest.txt -e '.[plots,progress]'
	touch $@

# imitation's metadata, not its code, forbids today's SB3 and Gymnasium: installed beside them without its own pins
.venv/ready: .venv/installed
	$(BIN)/pip install -q -c constraints/latest.txt -e '.[dev]' datasets jsonpickle
	$(BIN)/pip install -q --no-deps imitation==1.0.1 seals==0.2.1
	touch $@

.venv-floor/ready: pyproject.toml constraints/floor.txt
	$(PYTHON) -m venv .venv-floor
	.venv-floor/bin/pip install -q -c constraints/floor.txt -e '.[test,imitation]'
	touch $@
