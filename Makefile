# Akin. `make help` lists the targets; MODE=release|asan|tsan chooses what is built, in build/MODE;
# V=1 shows the commands.
MODE   ?= release
PREFIX ?= /usr/local
BUILD  := build/$(MODE)
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)# -jN of the command line wins
endif
MAKEFLAGS += -r
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all run test test-long bench check bare install clean help deps
all:

# build/deps.mk says where FAISS is. It is made before everything else, alone: the packages that
# deps.txt names are installed, FAISS is built, and make reads this file anew. So what is looked up
# below ($(wildcard), $(FAISS)) is looked up on a machine that has it all.
ifneq ($(filter-out help clean deps bare,$(or $(MAKECMDGOALS),all)),)
include build/deps.mk
endif
build/deps.mk: deps.txt tools/deps.sh tools/faiss.sh
	@mkdir -p build && tools/deps.sh build && tools/faiss.sh && tools/faiss.sh --make >$@
# What only the tests need.
build/deps-tests: deps.txt tools/deps.sh
	@mkdir -p build && tools/deps.sh tests && touch $@

BLAS     := $(firstword $(wildcard /usr/lib/*/openblas-openmp) /usr/lib/x86_64-linux-gnu/openblas-openmp)
INCLUDES := -I. -I$(FAISS)/include -I$(patsubst /usr/lib/%,/usr/include/%,$(BLAS))
# AVX2 is the least processor (FAISS is built with it); cli/main.c alone is built without, to say so.
ARCH     := -march=x86-64-v3
WARN     := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion \
            -Werror=implicit-function-declaration -Werror=int-conversion -Werror=incompatible-pointer-types
CFLAGS   ?= -O2 -g
OPTIMISE := -O3 -ffp-contract=fast
ifeq ($(MODE),asan)
SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifeq ($(MODE),tsan)
SAN := -fsanitize=thread
else ifneq ($(MODE),release)
$(error MODE is release, asan or tsan, not $(MODE))
endif
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -pthread -fopenmp $(WARN) $(CFLAGS) $(INCLUDES) -MMD -MP $(SAN)
LIBS := -L$(FAISS)/lib -lfaiss_c -lfaiss -L$(BLAS) -Wl,-rpath,$(BLAS) -lopenblas -ldnnl -lmicrohttpd \
        -ljpeg -lpng -lwebp -lwebpdemux -lexif -lsqlite3 -larchive -ljansson -lnettle -lz -lcurl \
        -lgomp -lstdc++ -lm -lpthread
# Training on several machines (core/learn/ranks.c), where Open MPI is; it does not go together with
# sanitizers.
ifeq ($(MODE),release)
ifneq ($(shell pkg-config --exists ompi-c 2>/dev/null && echo yes),)
MPI  := $(shell pkg-config --cflags-only-I ompi-c) -DAK_MPI
LIBS += -Wl,--as-needed $(shell pkg-config --libs ompi-c)
endif
endif
SAY  = @$(if $(V),set -x,echo $(1));
LINK = $(call SAY,link $@) $(CC) $(SAN) -pthread $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

SOURCES := $(filter-out cli/main.c,$(wildcard core/*/*.c index/*.c server/*.c cli/*.c))
# Built for float32 and again for float64 (core/objective/real.h).
TWICE   := $(filter-out core/objective/objective.c,$(wildcard core/objective/*.c))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(TWICE:%.c=$(BUILD)/%_f64.o)
# Tests are programs: tests/PLACE/test_NAME.c by cmocka, tests/live/test_NAME.py against a live server.
TESTS   := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/*/test_*.c))
BENCHES := $(patsubst %.c,$(BUILD)/%,$(wildcard bench/*.c))

all: $(BUILD)/akin ## build ./akin
ifeq ($(MODE),release)
all test: akin
akin: $(BUILD)/akin
	@ln -sf $< $@
endif

# Files that hold the flags and the list of objects, written when those differ from what they hold:
# then what was built with other flags is built again, and an object without a source leaves the
# library. (By make itself and not by a rule, so that -n and -q tell the truth.)
NOW_FLAGS := $(strip $(CC) $(ALL_CFLAGS) $(OPTIMISE) $(ARCH))
NOW_LIST  := $(strip $(OBJECTS) $(LIBS) $(LDFLAGS))
ifdef FAISS
ifneq ($(file <$(BUILD)/flags),$(NOW_FLAGS))
$(shell mkdir -p $(BUILD))$(file >$(BUILD)/flags,$(NOW_FLAGS))
endif
ifneq ($(file <$(BUILD)/list),$(NOW_LIST))
$(shell mkdir -p $(BUILD))$(file >$(BUILD)/list,$(NOW_LIST))
endif
endif

$(BUILD)/cli/main.o: ARCH :=
$(patsubst %.c,$(BUILD)/%.o,$(wildcard core/nn/*.c core/objective/*.c core/views/*.c core/learn/*.c core/refine/*.c core/image/*.c core/describe/*.c index/*.c)): \
    ALL_CFLAGS += $(OPTIMISE)
$(TWICE:%.c=$(BUILD)/%_f64.o): ALL_CFLAGS += $(OPTIMISE)
$(BUILD)/core/learn/ranks.o: ALL_CFLAGS += $(MPI)
$(BUILD)/core/learn/ranks.o: $(BUILD)/list# with MPI or without
$(BUILD)/core/learn/optimiser.o: ALL_CFLAGS += -fno-math-errno# sqrt of many at once
$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SAY,cc $<) $(CC) $(ALL_CFLAGS) $(ARCH) -c -o $@ $<
$(BUILD)/%_f64.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SAY,cc $< float64) $(CC) $(ALL_CFLAGS) -DAK_F64 $(ARCH) -c -o $@ $<
# What the assembler takes in (.incbin) is not in the compiler's dependency files.
$(BUILD)/index/migrations.o: $(wildcard migrations/*.sql)
$(BUILD)/server/contract.o: api/openapi.yaml
$(BUILD)/cli/shipped.o: models/akin.model
models/akin.model: # a tree without an encoder: an empty file stands for none
	@mkdir -p $(@D) && touch $@

$(BUILD)/libakin.a: $(OBJECTS) $(BUILD)/list
	@rm -f $@ && ar rcs $@ $(OBJECTS)
$(BUILD)/akin: $(BUILD)/cli/main.o $(BUILD)/libakin.a
	$(LINK)
$(TESTS:=.o): | build/deps-tests
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/libakin.a
	$(LINK) -lcmocka
$(BUILD)/bench/%: $(BUILD)/bench/%.o $(BUILD)/libakin.a
	$(LINK)

run: all ## build and serve on 127.0.0.1:8470; ARGS="..." go to `akin serve`
	$(BUILD)/akin serve $(ARGS)

test: $(BUILD)/akin $(TESTS) build/deps-tests ## unit tests and tests of a live server; T=PART: only some
	@tools/run-tests.sh $(BUILD) $(T)

LONG = $(foreach test,$(sort $(wildcard tests/long/test_*.py)),"/usr/bin/python3 $(test)") \
       $(foreach test,$(sort $(wildcard tests/long/test_*.sh)),"bash $(test)")
test-long: ## the tests in all modes, the long ones, and a bare Debian 12
	+@AKIN_BIN=$(CURDIR)/build/release/akin tools/sum-tests.sh "$(MAKE) MODE=release test" \
	    "$(MAKE) MODE=asan test" "$(MAKE) MODE=tsan test" $(LONG) "$(MAKE) bare"

bench: $(BUILD)/akin $(BENCHES) ## measure all of bench/; `make bench-NAME ARGS=...`: one
	@tools/bench.sh $(BUILD)
bench-%: $(BUILD)/akin $(BENCHES)
	@tools/bench.sh $(BUILD) $* $(ARGS)

check: $(BUILD)/akin $(TESTS) $(BENCHES) ## formatting, the include rule, unused functions, scripts
	@tools/check.sh $(BUILD)

bare: ## prove `make run` and `make test` in a new minimal Debian 12 (root; some twenty minutes)
	@tools/bare.sh

install: $(BUILD)/akin ## install akin to DESTDIR/PREFIX/bin (/usr/local)
	install -D -m 755 $(BUILD)/akin $(DESTDIR)$(PREFIX)/bin/akin

deps: build/deps.mk ## install what building needs, and build FAISS

clean: ## remove what was built here (the FAISS cache stays)
	rm -rf build akin

help: ## this list
	@sed -nE 's/^([a-z-]+):[^#]*## /\1\t/p' Makefile | expand -t 12

-include $(OBJECTS:.o=.d) $(TESTS:=.d) $(BENCHES:=.d) $(BUILD)/cli/main.d
