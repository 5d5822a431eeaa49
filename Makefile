# Two commands are all a newcomer needs: `make run` and `make test`. Both install what is missing.

SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= python3
PORT ?= 8080
ROUNDS ?= 10
DAYS ?= 92
SETS ?= 1000
SEED ?= 1
DEMO ?= 1
OUTAGE ?= 60
SECONDS ?= 60
EXAMPLES ?= 40
PROJECTS ?= 10000
RESOURCES ?= 100000
CALLS ?= 200
ARGS ?=
RECORDED ?=
DOCKER_USERNAME ?=
DOCKER_IMAGENAME ?= os_credits
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
export PORT DEMO

# Without these the scripts choose: a folder per machine, and below it one per checkout.
ifdef DATA_DIR
export DATA_DIR
endif
ifdef TOOLS_DIR
export TOOLS_DIR
endif

IN_VENV := .venv/bin/python -m
SENDERS := tests/acceptance/test_real_senders.py tests/acceptance/test_influx_outage.py
HOLDS := tests/acceptance/test_document_holds.py
WITH_SERVER := exec setpriv --pdeathsig TERM $(IN_VENV) scripts.with_server

.PHONY: help install run test check senders fuzz abuse soak soak-accounts quarter crash-test mutants bench bench-quick bench-mail bench-pages backtest screenshots lock clean up-dev docker-build

help: ## Show these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-16s%s\n", $$1, $$2}'
	@echo '  Variables: PORT=8080  DATA_DIR=<where the database lives>  DEMO=0  ARGS="..."  PYTHON=python3'

install: ## Install what is missing: a private TimescaleDB, the Python packages in .venv
	@$(PYTHON) -m scripts.install

run: install ## Run the service with its own TimescaleDB and a simulated cloud (PORT, DATA_DIR, DEMO=0)
	@exec setpriv --pdeathsig TERM $(IN_VENV) scripts.run

test: install ## Run all tests against a real TimescaleDB, or some: make test ARGS="tests/unit -x"
	@$(IN_VENV) scripts.tools
	@$(WITH_SERVER) pytest $(or $(ARGS),-n 3 --dist worksteal)

check: install ## Check style, types, the import rules and the migrations
	$(IN_VENV) ruff check .
	$(IN_VENV) ruff format --check .
	$(IN_VENV) mypy
	.venv/bin/lint-imports
	$(WITH_SERVER) pytest tests/migration

senders: install ## Run real senders through an outage of the database (OUTAGE=60 s), count what is lost
	@$(IN_VENV) scripts.tools
	@OUTAGE_SECONDS=$(OUTAGE) $(WITH_SERVER) pytest -q -s $(SENDERS)

fuzz: install ## Fuzz decoders (SECONDS=60 each), doors and the OpenAPI document (EXAMPLES=40), from SEED
	@$(IN_VENV) tests.fuzz $(SECONDS) $(SEED) $(ARGS)
	@$(WITH_SERVER) python -m tests.fuzz.doors $(SECONDS) $(SEED)
	@FUZZ_EXAMPLES=$(EXAMPLES) FUZZ_SEED=$(SEED) $(WITH_SERVER) pytest --timeout 3600 $(HOLDS)

abuse: install ## Attack the service, show memory and what an honest sender notices (ARGS=names)
	@$(WITH_SERVER) python -m tests.abuse $(ARGS)

soak: install ## Try random sets of samples against the oracle (SETS=1000; again: SETS=1 SEED=<its number>)
	@$(WITH_SERVER) python -m tests.laws.soak --sets $(SETS) --seed $(SEED)

soak-accounts: install ## Try random sequences of grants, transfers and usage against the oracle (SETS, SEED)
	@$(WITH_SERVER) python -m tests.laws.account_soak --sets $(SETS) --seed $(SEED)

quarter: install ## Let a quarter pass for 50 projects, every notice against the oracle (DAYS=92 SEED=1)
	@$(WITH_SERVER) python -m tests.laws.quarter --days $(DAYS) --seed $(SEED) $(ARGS)

crash-test: install ## Kill copies and PostgreSQL under load (ROUNDS=10), count what is lost or billed twice
	@exec setpriv --pdeathsig TERM $(IN_VENV) tests.crash $(ROUNDS)

mutants: install ## Try each mutation of tests/mutations on a copy: its test must fail (ARGS=names)
	@$(WITH_SERVER) python -m tests.mutations.run $(ARGS)

bench: install ## Print what a billed sample costs, beside a raw COPY, Prometheus and VictoriaMetrics
	@$(IN_VENV) scripts.tools
	@$(WITH_SERVER) --on-disk python -m benchmarks.bench $(ARGS)

bench-quick: install ## The same in two minutes; fails where a ratio is twice as bad as usual
	@$(IN_VENV) scripts.tools
	@$(WITH_SERVER) --on-disk python -m benchmarks.bench --quick $(ARGS)

bench-mail: install ## Time pushes while mail server, webhook and portal hang, and while they answer
	@$(WITH_SERVER) --on-disk python -m benchmarks.mail_hung

bench-pages: install ## Time every page on a big cloud beside a small one (PROJECTS=10000 RESOURCES=100000 CALLS=200)
	@exec setpriv --pdeathsig TERM $(IN_VENV) benchmarks.pages --projects $(PROJECTS) --resources $(RESOURCES) --calls $(CALLS) $(ARGS)

backtest: install ## Hold run-out forecasts against what then happened (RECORDED=folder: recorded histories too)
	@OPENBLAS_NUM_THREADS=1 $(IN_VENV) benchmarks.backtest $(RECORDED)

screenshots: install ## Take the README's pictures of the running demo (DATA_DIR as for make run)
	@$(IN_VENV) scripts.screenshots

lock: ## Lock the Python packages anew after a change of pyproject.toml
	@$(PYTHON) -m scripts.lock

clean: ## Remove what was made in the checkout (not the data, not the tools of the machine)
	rm -rf src/os_credits/*/_*.so .venv dist .fuzz .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The two Docker targets keep the names they had at de.NBI. They are not tried by our CI, which
# has no Docker engine; the tests only parse Dockerfile.dev and compose.yaml.
up-dev: ## Start service and database by docker compose (volume credits_data)
	docker compose up --build

docker-build: ## Build an image with the project's version (DOCKER_USERNAME, DOCKER_IMAGENAME)
	docker build --file Dockerfile.dev \
		--tag $(if $(DOCKER_USERNAME),$(DOCKER_USERNAME)/)$(DOCKER_IMAGENAME):$(VERSION) .
