//! The host side of pouch: packs images, boots boards, drives their consoles
//!
//! Everything here runs on a workstation and may use std and the heap. The rooms, top to bottom; imports
//! run downward only:
//!
//! - [`bench`] `./scripts/bench`: figures side by side with busybox on the same kernel
//! - [`bed`] what a scenario gets: a booted board, or the binary in namespaces of this machine
//! - [`counts`], [`steps`] what a launch costs in instructions, and what it cost before
//! - [`inside`] the first process of such namespaces, before it becomes pouch
//! - [`soak`] hours of random work, counted
//! - [`scenario`] the runner of the boot tests
//! - [`console`] `./scripts/boot`: this terminal, or a pipe, as the board's serial port
//! - [`machine`], [`qmp`] a QEMU that dies with us, and its control socket
//! - [`serial`], [`screen`] the expect-style driver, and how terminal output becomes comparable text
//! - [`picture`] the screen as a PNG
//! - [`listener`] the thread that reads a line, so that no board waits for a test
//! - [`terminal`] the operator's terminal, raw and back
//! - [`image`], [`manifest`], [`modules`], [`cpio`] from board and manifest to `initramfs.cpio.gz`
//! - [`squeeze`], [`pack`] the binary as it lies on flash: packed, for the stub that unpacks it
//! - [`card`] what goes on a card: partition table, FAT, loader's files
//! - [`check`] `cargo host check`: a container's definition, judged by the board's parser
//! - [`board`] one board's description
//! - [`deadline`], [`error`] what the rest reports with
#![allow(
    clippy::indexing_slicing,
    reason = "a wrong index on the workstation is a bug with a backtrace, not a dead board"
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

pub mod bed;
pub mod bench;
pub mod board;
pub mod card;
pub mod check;
pub mod console;
#[cfg(target_arch = "x86_64")]
pub mod counts;
pub mod cpio;
pub mod deadline;
pub mod error;
pub mod image;
pub mod inside;
pub mod listener;
pub mod machine;
pub mod manifest;
pub mod modules;
pub mod pack;
pub mod picture;
pub mod qmp;
pub mod scenario;
pub mod screen;
pub mod serial;
pub mod soak;
pub mod squeeze;
#[cfg(target_arch = "x86_64")]
pub mod steps;
pub mod terminal;

pub use error::{Context, Error, Result};
