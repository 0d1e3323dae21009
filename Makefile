# The two commands that matter: `make demo` shows the whole thing, `make test` decides whether a change is good.
# `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Everything that a run leaves behind is below the checkout or the user's cache folder.
export ANSIBLE_HOME := $(CURDIR)/.cache/ansible
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE := 1
export COLUMNS ?= 160

LAB ?= inventories/lab
PLAYBOOK = ansible-playbook -i $(LAB)
SCENARIOS ?= default
# Debian's packages of the routers that interop tests and benches meet.
ROUTERS = frr bird2 gobgpd exabgp openbgpd

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: venv
venv: ## the virtual environment with pinned dependencies
	@.ci/venv

.PHONY: demo
demo: venv ## lab, rollout, three services, report: the whole thing on this machine
	@start=$$(date +%s); \
	export ANSIBLE_DISPLAY_SKIPPED_HOSTS=no; \
	$(PLAYBOOK) playbooks/lab_up.yml; \
	$(PLAYBOOK) playbooks/lab_services.yml -e lab_services=3; \
	$(PLAYBOOK) playbooks/site.yml -e verify_report_path=$(CURDIR)/report/verify.json; \
	python -c 'import json; print(*json.load(open("report/verify.json"))["lines"], sep="\n")'; \
	printf '\nmake demo took %d s. The lab is still running:\n' $$(( $$(date +%s) - start )); \
	printf '  make lab-info    how to reach it\n  make lab-down    takes it away\n'

.PHONY: lab
lab: venv ## the lab alone, left running
	@$(PLAYBOOK) playbooks/lab_up.yml

.PHONY: lab-info
lab-info: ## how to reach the running lab
	@folder="$${XDG_CACHE_HOME:-$$HOME/.cache}/vipcast/lab"; \
	[ -f "$$folder/kubeconfig" ] || { echo "no lab is running: make lab"; exit 1; }; \
	printf 'export KUBECONFIG=%s\n' "$$folder/kubeconfig"; \
	printf 'export PATH=%s:$$PATH\n' "$$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["kubernetes"]["programs"])' "$$folder/topology.json")"; \
	awk -v folder="$$folder" '$$1 == "Host" && $$2 != "*" {print "ssh -F " folder "/ssh_config " $$2}' "$$folder/ssh_config"

.PHONY: lab-down
lab-down: venv ## takes the lab away
	@$(PLAYBOOK) playbooks/lab_down.yml

# ansible-lint installs a copy of the collection into its home: not into the one that the playbooks use.
.PHONY: lint
lint: venv ## ruff, mypy, layers, yamllint, ansible-lint, changelog fragments
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	yamllint .
	ANSIBLE_HOME=$(CURDIR)/.cache/ansible-lint ansible-lint
	antsibull-changelog lint

# The oldest Python that a node or client may have, the oldest and the newest of a control node. Those in between are
# for `make test-all`.
PYTHONS ?= 3.9 3.11 3.13

.PHONY: sanity
sanity: venv ## ansible-test sanity, no ignore file (PYTHONS=all: on each Python that Ansible supports)
	@if [ "$(PYTHONS)" = all ]; then exec .ci/ansible-test sanity --venv --color no; fi; \
	.ci/ansible-test sanity --venv --color no --python 3.11; \
	for python in $(filter-out 3.11,$(PYTHONS)); do \
		.ci/ansible-test sanity --venv --color no --python $$python --test compile --test import; \
	done

.PHONY: galaxy
galaxy: venv ## what Galaxy's importer and antsibull-docs would refuse
	@.ci/docs galaxy

.PHONY: docs
docs: venv ## the pages of modules, filters and roles, in report/docs
	@.ci/docs site

.PHONY: unit
unit: venv ## unit tests of plugins, by ansible-test (PYTHONS=all: on each Python that Ansible supports)
	@if [ "$(PYTHONS)" = all ]; then exec .ci/ansible-test units --venv --color no --num-workers 2; fi; \
	for python in $(PYTHONS); do .ci/ansible-test units --venv --color no --num-workers 2 --python $$python; done

# THOROUGH=yes runs also what only `make test-all` runs.
PYTEST = pytest $(if $(THOROUGH),--thorough) $(if $(VIPCAST_JUNIT),--junitxml=$(VIPCAST_JUNIT)) --durations=15 --durations-min=3
# What the lab is made with, too: the role would install it, but two stages at once cannot.
LAB_PACKAGES = conmon debian-archive-keyring mmdebstrap openssh-client podman runc

.PHONY: test-packages
test-packages:
	@.ci/packages $(ROUTERS) $(LAB_PACKAGES) iproute2 iputils-arping ndisc6 nftables

.PHONY: timed
timed: venv test-packages ## tests of the daemons that are judged by time: BFD, layer 2, sessions with real routers
	$(PYTEST) -n 3 -m timed $(addprefix tests/daemon/,bfd interop layer2_agent)

.PHONY: daemon
daemon: venv test-packages lab-build-api ## the other tests of the daemons: units, wire, a real API server
	$(PYTEST) -n 3 -m "not timed" tests/daemon

.PHONY: integration
integration: venv test-packages lab-build-api ## tests of roles and modules against a real API server and a real router
	$(PYTEST) -n 3 tests/integration

.PHONY: openwrt
openwrt: venv test-packages ## of these, the role on a router like OpenWrt, with each package manager
	$(PYTEST) -n 2 tests/integration/openwrt

.PHONY: lab-build
lab-build: venv
	@$(PLAYBOOK) playbooks/lab_build.yml

# The file systems of the hosts of the lab that `make test` uses.
.PHONY: lab-trees
lab-trees: venv
	@ansible-playbook -i inventories/lab-whole/topology playbooks/lab_build.yml -e lab_build_part=trees

# What an API server needs, without the rest of Kubernetes.
.PHONY: lab-build-api
lab-build-api: venv
	@$(PLAYBOOK) playbooks/lab_build.yml -e lab_build_part=api

.PHONY: molecule
molecule: venv ## scenarios on the lab (SCENARIOS="default"; also: drift layer2 allocation dual-stack six-nodes ipvs ...)
	for scenario in $(SCENARIOS); do molecule test -s "$$scenario"; done

.PHONY: check
check: venv ## after each edit: lint, types, layers, the units of what changed (BASE=commit to compare with)
	@python .ci/check.py $(if $(BASE),--base $(BASE))

.PHONY: installed
installed: venv ## the collection as users have it: built, installed in an empty home, run by its name on a lab
	$(PYTEST) -x tests/installed

VERSIONS ?= newer

.PHONY: test-versions
test-versions: venv ## a lab with nftables and FRR 10, or the oldest Kubernetes (VERSIONS="newer older")
	for versions in $(VERSIONS); do .ci/test-versions "$$versions"; done

PYTHONS ?= 3.12 3.13

.PHONY: pythons
pythons: venv test-packages lab-build-api ## the daemons' tests on other Pythons, where they are installed, against the wheel (PYTHONS="3.12 3.13")
	for version in $(PYTHONS); do .ci/test-python "$$version"; done

.PHONY: processors
processors: venv test-packages lab-build-api ## the image for a processor that this machine has not, run by qemu
	.ci/packages qemu-user-static
	$(PYTEST) --thorough tests/integration/cluster/test_foreign_processor.py

ANSIBLE ?= 2.18 2.19 2.20 2.21

.PHONY: ansible-versions
ansible-versions: venv test-packages lab-build-api ## the collection with other versions of ansible-core (ANSIBLE="2.18 2.19 2.20 2.21")
	.ci/test-ansible $(ANSIBLE)

STAGES ?=

.PHONY: test
test: venv ## everything that decides whether a change is good (STAGES="lab daemon": some of it; KEEP_GOING=yes)
	@python .ci/pipeline.py test $(if $(KEEP_GOING),--keep-going) $(STAGES)

PART ?=

.PHONY: test-all
test-all: venv ## what searches: all topologies, routers, versions; hours (PART="ipvs": one of its parts)
	@python .ci/pipeline.py all $(PART)

ROUNDS ?= 20

.PHONY: search
search: venv ## looks at random for what breaks a property (ROUNDS=20 times the examples of make daemon)
	for round in $$(seq $(ROUNDS)); do \
		pytest -q -n 2 --hypothesis-profile search -m hypothesis tests/daemon || exit 1; \
	done

SECONDS ?= 60
TARGETS ?=

.PHONY: fuzz
fuzz: venv ## coverage-guided fuzzing of every decoder (SECONDS=60 for each, TARGETS="update session")
	@[ -d .cache/fuzz/packages ] || pip install -q --disable-pip-version-check --target .cache/fuzz/packages -r requirements/fuzz.txt
	@PYTHONPATH=.cache/fuzz/packages python tests/fuzz/run.py .cache/fuzz $(SECONDS) $(TARGETS) 2>&1 | grep -v -e '^INFO' -e '^WARNING: Failed to find function'

.PHONY: bench
bench: venv ## the figures of README and docs
	.ci/packages $(ROUTERS) iproute2 tcpdump
	python tests/bench/bgp_scale.py
	python tests/bench/service_latency.py
	python tests/bench/controller_scale.py --own-server
	python tests/bench/controller_failover.py
	python tests/bench/sharing_scale.py
	python tests/bench/hostile_tenant.py
	python tests/bench/bfd_hold.py
	python tests/bench/layer2_codec.py
	python tests/bench/arp_answers.py
	python tests/bench/demo.py
	python tests/bench/lab_programs.py --build

.PHONY: bench-rollout
bench-rollout: venv ## what a rollout costs that changes nothing, on a lab of its own
	$(PLAYBOOK) playbooks/lab_up.yml
	$(PLAYBOOK) playbooks/lab_services.yml -e lab_services=3
	$(PLAYBOOK) playbooks/site.yml
	python tests/bench/rollout.py
	$(PLAYBOOK) playbooks/lab_down.yml

.PHONY: bench-once
bench-once: venv test-packages lab-build-api ## each bench once, as small as it can be: they still run (no figures)
	python tests/bench/bgp_scale.py --prefixes 1000 --rounds 1
	python tests/bench/service_latency.py --services 5
	python tests/bench/controller_scale.py --own-server --services 100 --rounds 1
	python tests/bench/controller_failover.py --kills 1 --services 10
	python tests/bench/sharing_scale.py --services 50 --ranges 100
	python tests/bench/hostile_tenant.py --share 0.03 --services 2
	python tests/bench/bfd_hold.py --seconds 5 --intervals 300
	python tests/bench/layer2_codec.py
	python tests/bench/layer2_start.py --rounds 1
	python tests/bench/layer2_hold.py --seconds 5 --profile default
	python tests/bench/arp_answers.py --requests 200 --seconds 2
	python tests/bench/status_reports.py --services 20
	python tests/bench/members_scale.py --sizes 10 --deaths 1 --hours 1
	python tests/bench/floods.py --seconds 2
	python tests/bench/router_scale.py --routers 6 --forks 5 --broken

.PHONY: bench-failover
bench-failover: LAB = inventories/lab-six-nodes
bench-failover: venv ## what a client notices of failures, on a lab with six nodes (half an hour)
	$(PLAYBOOK) playbooks/lab_up.yml
	$(PLAYBOOK) playbooks/lab_services.yml
	$(PLAYBOOK) playbooks/site.yml
	python tests/bench/failover.py
	$(PLAYBOOK) playbooks/lab_down.yml

.PHONY: clean
clean: ## takes away the lab, the caches of the checkout and the virtual environment
	@if [ -x .venv/bin/ansible-playbook ]; then $(PLAYBOOK) playbooks/lab_down.yml; fi
	rm -rf .venv .cache .ansible .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist report
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
