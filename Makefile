# Fresh machine, two commands: `make demo` runs the main job, `make test` the tests. Each sets up .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lessons-start lessons oracle lint clean

demo: $(VENV)/.installed
	$(BIN)/minprune demo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest --durations=10

# For learners: set up, and open JupyterLab at the course map.
lessons-start: $(VENV)/.installed-lessons
	$(BIN)/minprune lessons

# For authors: write notebooks, exercises.py and solution.py anew from each lesson.py.
lessons: $(VENV)/.installed-lessons
	$(BIN)/python -m minprune.course.build

# The tests with PyTorch as an oracle; without it they are skipped with a message.
oracle: $(VENV)/.installed-oracle
	MINPRUNE_REQUIRE_ORACLE=1 $(BIN)/python -m pytest --durations=10

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "minprune needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[test,cluster,lessons]'
	touch $@

$(VENV)/.installed-lessons: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[lessons]'
	touch $@

$(VENV)/.installed-oracle: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --editable '.[oracle]'
	touch $@
