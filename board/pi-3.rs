//! Raspberry Pi 3: four Cortex-A53 cores, 1 GiB of memory, 100 Mbit/s or USB network.

use super::{Board, KIB, MIB};

pub(super) const BOARD: Board = Board {
    name: "pi-3",
    memory_bytes: 1024 * MIB,
    connections_max: 4096,
    workers_max: 8,
    ring_max: 512,
    untaken_max: 64,
    listeners_max: 8,
    cars_per_batch_max: 256,
    turn_bytes: 256 * KIB,
    listing_bytes: 1024 * KIB,
    cached_files: 512,
    cached_bodies: 64,
    watched_folders: 64,
    stashed_requests: 64,
    arena_bytes: 128 * KIB,
    thread_stack_bytes: 256 * KIB,
    stack_touched_bytes: 40 * KIB,
    gather_us: 300,
    silent_ms: 10_000,
    request_ms: 10_000,
    idle_ms: 30_000,
    stall_ms: 20_000,
    linger_ms: 2_000,
    wait_max_ms: 20_000,
    linger_bytes: 64 * KIB,
    rate_min_bytes_per_s: 1024,
};
