# Each recipe is one plain command that also works pasted. `just` alone lists them.

# List the recipes
default:
    @just --list

# The whole gate, as CI runs it
check:
    .ci/run

# Put the formatting right
fmt:
    cargo fmt --all

# Lints, as errors
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Every test, tidy and the kill test among them
test:
    cargo test --workspace --locked

# Only the tests that start the real binary
e2e:
    cargo test --locked --test it

# Every bench; MENSHEN_BENCH_SMALL=1 for a smoke run
bench:
    cargo bench --locked

# Licences, duplicates, sources (needs cargo-deny)
deny:
    cargo deny --offline --locked check bans licenses sources

# Everything moves for a minute, nothing is kept
demo:
    cargo run --release -- demo --for 60s
