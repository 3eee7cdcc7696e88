//! The boot tests: every scenario, on every board, in as few boots as they can share
//!
//! `cargo test -p pouch-qemu --test boot [FILTER]`, after `./scripts/build BOARD`. `POUCH_BOARDS` names the
//! boards (all that were built); a name reads BOARD::GROUP::SCENARIO, and the filter is any part of it.

mod attacks;
mod containers;
mod definitions;
mod flow;
mod host;
mod images;
mod joining;
mod limits;
mod lines;
mod network;
mod prompt;
mod screen;
mod several;
mod size;
mod soak;
mod supervision;
mod words;

use pouch_qemu::bed::BoardBed;
use pouch_qemu::board::{Board, project_root};
use pouch_qemu::scenario::{Group, Scenario, run};
use pouch_qemu::{Error, Result, scenarios};
use std::process::ExitCode;

/// One boot's worth: a name, further kernel words, the boards it is for, and what runs there.
struct Boot {
    name: &'static str,
    words: String,
    wants: fn(&Board) -> bool,
    scenarios: Vec<Scenario<BoardBed>>,
}

const EVERY: fn(&Board) -> bool = |_| true;

/// Boards whose keyboard and screen QEMU has.
const SEEN: fn(&Board) -> bool = |board| board.machine == "pc";

fn boots() -> Vec<Boot> {
    let mut boots = vec![
        // The longest begin first.
        Boot {
            name: "soak",
            words: "pouch.crash-limit=0".to_owned(),
            wants: |board| board.name == "qemu-x86_64",
            scenarios: scenarios![soak::minutes_of_random_work_leave_nothing_over],
        },
        Boot {
            name: "lines",
            words: lines::WORDS.to_owned(),
            wants: SEEN,
            scenarios: scenarios![
                lines::the_last_console_that_is_there_is_the_console,
                lines::lines_are_opened_anew_and_no_file_that_hangs_is_asked,
                lines::two_people_share_a_session_and_hear_of_each_other,
                lines::resize_asks_the_terminal_and_the_line_takes_it_along,
                lines::a_break_is_left_to_the_kernel,
                lines::a_container_that_writes_without_end_holds_up_nobody,
                lines::two_thousand_moves_lose_no_descriptor_and_no_byte,
                lines::the_keyboard_and_the_screen_are_lines_too,
                lines::a_line_that_nobody_reads_costs_the_others_nothing,
                supervision::a_file_system_that_hangs_does_not_hold_the_end,
            ],
        },
        Boot {
            name: "containers",
            words: String::new(),
            wants: EVERY,
            scenarios: scenarios![
                prompt::the_board_boots_to_a_prompt,
                host::an_idle_pid_1_is_small,
                host::the_board_has_its_file_systems,
                host::ctrl_c_at_the_prompt_does_not_touch_pid_1,
                containers::pouch_start_in_the_background_lives_with_its_command,
                containers::the_end_of_the_shell_that_started_it_ends_it,
                containers::pouch_start_in_the_foreground_is_refused,
                containers::a_container_takes_the_slot_it_asks_for,
                containers::one_connects_types_leaves_and_finds_ones_shell_again,
                containers::the_terminal_inside_is_a_terminal,
                containers::the_detach_key_leaves_a_hung_container_and_a_fourth_goes_through,
                containers::the_death_of_a_connected_container_returns_the_line_with_its_reason,
                containers::a_folder_is_the_root_of_a_container,
                images::an_image_of_the_store_runs_under_an_overlay,
                images::image_files_are_roots_and_leave_no_loop_device,
                containers::a_container_on_the_hosts_root_does_not_see_the_way_to_pid_1,
                containers::a_failed_start_leaves_nothing_behind,
                containers::stop_kill_and_logs_do_as_they_say,
                containers::one_that_is_killed_before_its_command_runs_has_not_started,
                containers::a_restart_keeps_one_with_its_command,
                limits::a_shell_that_eats_its_memory_is_killed_and_said_so,
                limits::a_refused_fork_and_a_throttle_are_seen,
                limits::the_files_of_a_live_cgroup_are_read_and_set,
                joining::exec_and_run_work_on_the_console,
                joining::a_container_that_is_full_says_so,
                joining::one_container_touches_nothing_of_another,
                containers::a_line_on_one_that_waits_returns_when_it_is_destroyed,
                network::a_kernel_without_a_module_refuses_by_name,
                host::ten_thousand_orphans_leave_no_zombie,
                host::a_fault_in_pid_1_costs_nothing,
                host::an_idle_pid_1_is_not_woken,
                host::a_clock_that_is_set_changes_nothing,
                flow::a_slow_line_that_moves_loses_nothing,
                several::a_terminal_that_is_no_line_is_one_while_its_command_lives,
                containers::a_container_out_of_its_table_is_refused,
                host::busyboxs_own_poweroff_switches_the_board_off,
            ],
        },
        Boot {
            name: "attacks",
            words: String::new(),
            wants: EVERY,
            scenarios: scenarios![
                attacks::every_attack_is_refused_in_a_default_container,
                attacks::each_attack_is_done_where_its_one_protection_is_gone,
                attacks::devices_are_given_by_name_or_refused_by_name,
                attacks::root_of_a_user_namespace_is_nobody_on_the_host,
                attacks::files_of_a_mapped_root_show_their_owners,
                attacks::pouchs_own_binary_cannot_be_overwritten,
                attacks::no_descriptor_and_no_folder_leads_out,
                attacks::what_comes_in_by_the_socket_cannot_hurt,
                attacks::names_that_change_under_a_start_lead_nowhere,
                attacks::what_joins_is_out_of_reach_until_it_is_the_command,
                attacks::what_joins_has_no_more_than_those_who_trace_it,
                attacks::what_pid_1_closes_for_a_container_does_not_hold_it,
                attacks::messages_that_are_nearly_right_cost_nothing,
                attacks::bombs_and_floods_stay_inside,
                attacks::what_a_container_prints_does_not_work_on_the_terminal_that_shows_it,
            ],
        },
        Boot {
            name: "unruled",
            words: attacks::UNRULED.to_owned(),
            wants: |board| board.name == "qemu-x86_64",
            scenarios: scenarios![attacks::where_nothing_judges_devices_no_node_is_made_or_used],
        },
        Boot {
            name: "watchdog",
            words: supervision::WATCHDOG.to_owned(),
            // The Pi's own watchdog, which its reboot needs, takes /dev/watchdog, and QEMU's model of it resets at once.
            wants: |board| board.machine != "raspi3b",
            scenarios: scenarios![
                supervision::a_hung_pid_1_resets_the_board,
                supervision::the_board_is_left_to_the_watchdog_when_what_must_be_ready_is_not,
            ],
        },
        Boot {
            name: "definitions",
            words: words::DEFINITIONS.to_owned(),
            wants: EVERY,
            scenarios: scenarios![
                words::containers_come_up_without_typing_and_mistakes_are_named,
                network::containers_reach_each_other_the_host_and_what_is_published,
                network::twenty_quick_restarts_leave_one_interface,
                definitions::the_sample_of_2014_starts_and_is_joined_as_it_is,
                host::reboot_again_and_again_reboots_once,
            ],
        },
        Boot {
            name: "console",
            words: "LINES=50 COLUMNS=132 pouch.container=boss,tty=tty0,restart=always".to_owned(),
            wants: EVERY,
            scenarios: scenarios![
                words::a_container_that_took_tty0_is_what_the_console_shows,
                size::the_console_has_the_size_that_the_words_say,
                host::halt_stops_the_board,
            ],
        },
        Boot {
            name: "shell",
            words: "pouch.shell=/bin/false".to_owned(),
            wants: EVERY,
            scenarios: scenarios![host::a_shell_that_ends_at_once_is_started_ever_more_slowly],
        },
        Boot {
            name: "longest",
            words: "@longest".to_owned(),
            wants: EVERY,
            scenarios: scenarios![words::a_line_is_read_to_its_end, prompt::poweroff_switches_the_board_off],
        },
        Boot {
            name: "PCI watchdog",
            words: supervision::PCI_WATCHDOG.to_owned(),
            // Of the boards' kernels this one alone has the module; what boots is a machine with PCI.
            wants: |board| board.machine == "raspi3b",
            scenarios: scenarios![supervision::a_hung_pid_1_is_reset_by_a_device],
        },
        Boot {
            name: "root",
            words: "@root".to_owned(),
            // Of the Pi's card the driver is in the image and finds it; four boots of it are long.
            wants: |board| board.machine != "raspi3b",
            scenarios: scenarios![supervision::a_disk_becomes_the_root_and_containers_pivot_on_it],
        },
        Boot {
            name: "no root",
            words: supervision::NO_ROOT.to_owned(),
            wants: EVERY,
            scenarios: scenarios![supervision::a_root_that_is_not_there_is_named_and_the_rescue_shell_comes],
        },
        Boot {
            name: "crash",
            words: supervision::ON_CRASH.to_owned(),
            wants: EVERY,
            scenarios: scenarios![supervision::a_crash_halts_the_board_where_it_is_told_to],
        },
        Boot {
            name: "pulled",
            words: "pouch.console=ttyS2,ttyS4 pouch.on-crash=reboot".to_owned(),
            wants: SEEN,
            scenarios: scenarios![
                lines::a_port_that_is_pulled_out_comes_back_with_what_was_missed,
                lines::a_port_that_is_handed_over_and_never_read_holds_up_nobody,
                supervision::a_crash_reboots_the_board_where_it_is_told_to,
            ],
        },
        Boot {
            name: "locked",
            words: lines::LOCKED.to_owned(),
            wants: SEEN,
            scenarios: scenarios![lines::a_locked_board_has_no_shell_on_any_line],
        },
        Boot {
            name: "screen",
            words: screen::WORDS.to_owned(),
            wants: SEEN,
            scenarios: scenarios![
                screen::alt_and_a_function_key_change_the_virtual_terminal,
                screen::the_screen_can_be_seen,
                screen::a_vt_that_is_a_console_too_shows_the_container_of_its_slot,
                screen::the_kernels_words_stay_readable_on_port_and_screen,
            ],
        },
    ];
    // One on every board, the others where a boot is short.
    boots.extend(supervision::INJECTED.iter().zip([EVERY, SEEN, SEEN]).map(|(&(name, words, _), wants)| Boot {
        name,
        words: words.to_owned(),
        wants,
        scenarios: scenarios![supervision::a_call_that_the_kernel_refuses_costs_a_start_and_no_more],
    }));
    boots
}

fn groups() -> Result<Vec<Group<BoardBed>>> {
    let root = project_root()?;
    let mut boards = Vec::new();
    let chosen = std::env::var("POUCH_BOARDS").unwrap_or_default();
    if chosen.trim().is_empty() {
        for entry in std::fs::read_dir(root.join("board"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if root.join("target/boards").join(&name).join("initramfs.cpio.gz").is_file() {
                boards.push(name);
            }
        }
        boards.sort();
    } else {
        boards.extend(chosen.split([' ', ',']).filter(|name| !name.is_empty()).map(str::to_owned));
    }
    if boards.is_empty() {
        return Err(Error::new("no board is built: ./scripts/build"));
    }
    let mut groups = Vec::new();
    // Boots of one board stand apart, so that those that run at once are of several boards mostly.
    for boot in boots() {
        for name in &boards {
            if (boot.wants)(&Board::load(&root, name)?) {
                let described = Board::load(&root, name)?;
                let limit = if described.processor == "armv7" { 1023 } else { 2047 };
                let words = match boot.words.as_str() {
                    "@root" => supervision::root(&described),
                    "@longest" => words::longest(limit, &described.words),
                    words => words.to_owned(),
                };
                let board = name.clone();
                groups.push(Group {
                    name: format!("{name}::{}", boot.name),
                    bed: Box::new(move || BoardBed::new(&board, &words)),
                    scenarios: boot.scenarios.clone(),
                });
            }
        }
    }
    Ok(groups)
}

fn main() -> ExitCode {
    match groups() {
        Ok(groups) => {
            if run(groups) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("boot tests: {error}");
            ExitCode::FAILURE
        }
    }
}
