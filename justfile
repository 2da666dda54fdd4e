# A convenience for those who have `just`: everything here works without it too. `./run test` is what CI runs.

# What there is to do
default:
    @just --list

# Everything that CI checks
check:
    ./run test

# Every stage in one process, on a catalog
dev catalog *flags:
    ./run dev {{ catalog }} {{ flags }}

# Format the code
fmt:
    cargo fmt --all

# The tests, side by side, or those whose name matches (needs cargo-nextest)
test *filter:
    cargo nextest run --workspace --locked {{ filter }}

# Accept changed snapshots after reading them (needs cargo-insta)
snapshots:
    cargo insta test --workspace --review --unreferenced reject

# Write the generated JSON Schemas anew
schemas:
    HERALD_BLESS=1 cargo test -p contracts schema

# Licences, advisories, duplicate dependencies (needs cargo-deny)
deny:
    cargo deny check

# Dependencies that no code uses (needs cargo-machete)
machete:
    cargo machete

# The documentation of the code
doc:
    cargo doc --workspace --no-deps --open

# Throughput and latency, on a pipeline of its own, as it is deployed
bench *flags:
    cargo build --release -p herald --locked
    target/release/herald bench --dev {{ flags }}

# The long variants of the failure tests on Kafka: about an hour
long:
    HERALD_LONG=1 cargo test -p kafka -p tests --test kafka --locked --no-fail-fast -- --nocapture
    HERALD_LONG=1 cargo test -p kafka -p tests --test kafka --locked --no-fail-fast -- --nocapture --ignored how_long network disk librdkafka

# Try a target with inputs that nobody wrote (needs a nightly compiler and cargo-fuzz): `just fuzz expression 600`
fuzz target seconds="600":
    fuzz/run {{ target }} {{ seconds }}
