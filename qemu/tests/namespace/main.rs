//! The binary as PID 1 of namespaces on this machine: what needs no board
//!
//! `cargo test -p pouch-qemu --test namespace [FILTER]`, as root, after `./scripts/build`.

mod answers;
mod build;
mod counts;
mod definitions;
mod faults;
mod fleet;
mod hostile;
mod joining;
mod life;
mod lines;
mod network;
mod reexec;
mod remains;
mod roots;
mod running;
mod store;

use pouch_qemu::bed::{Namespace, NamespaceOptions};
use pouch_qemu::scenario::{Bed, Group, Scenario, run};
use pouch_qemu::{Result, scenarios};
use std::process::ExitCode;

/// Starts namespaces; each scenario begins its own, since one costs milliseconds.
struct Fresh;

impl Fresh {
    fn start(&self, words: &str) -> Result<Namespace> {
        self.start_with(&NamespaceOptions { words: words.to_owned(), ..NamespaceOptions::default() })
    }

    fn start_with(&self, options: &NamespaceOptions) -> Result<Namespace> {
        Namespace::start(env!("CARGO_BIN_EXE_pouch-qemu").as_ref(), options)
    }
}

impl Bed for Fresh {
    fn discard(&mut self) {}
}

fn main() -> ExitCode {
    let scenarios: Vec<Scenario<Fresh>> = scenarios![
        life::it_comes_up_in_a_pid_namespace,
        joining::exec_ends_as_its_command_does,
        joining::a_signal_on_the_way_in_is_the_commands,
        lines::a_container_without_a_terminal_writes_into_pipes,
        lines::connect_without_a_terminal_says_so,
        lines::what_one_that_ended_had_to_say_is_shown_once,
        lines::a_console_on_which_nobody_works_shows_its_container_again,
        answers::who_asks_for_all_of_a_cgroup_gets_all_of_it_each_time,
        answers::who_follows_what_is_printed_is_let_go_at_its_end,
        answers::a_container_knows_itself_by_its_name_too,
        answers::words_with_lines_or_nothing_in_them_are_taken_as_they_are,
        running::run_through_pipes_ends_as_its_command_does,
        running::run_on_a_terminal_shows_it_until_it_ends,
        running::sixty_at_once_are_nobody_elses_business,
        running::a_command_that_ends_at_once_ends_its_reaper,
        remains::a_start_that_fails_at_any_step_leaves_nothing,
        remains::a_command_that_is_killed_in_the_middle_leaves_nothing,
        remains::the_end_of_a_container_ends_what_was_run_inside,
        build::an_image_is_built_as_its_file_says,
        build::a_build_that_fails_leaves_nothing,
        store::archives_of_every_kind_are_taken_in,
        store::images_of_docker_and_oci_run_what_they_say,
        store::broken_and_hostile_archives_leave_nothing,
        roots::an_image_is_shared_and_what_is_written_goes,
        roots::what_is_kept_is_found_again,
        roots::an_image_file_is_a_root_and_its_loop_device_goes,
        roots::mounts_stay_inside_and_leave_nothing_on_the_host,
        roots::a_user_goes_by_the_containers_own_names,
        roots::a_board_that_is_there_to_read_is_so_with_all_that_is_mounted_on_it,
        roots::a_reaper_inside_reaps_and_hands_signals_on,
        roots::users_of_its_own_go_with_any_namespaces,
        life::poweroff_ends_the_namespace,
        fleet::one_waits_for_another_to_be_ready_and_stops_before_it,
        fleet::one_that_never_says_that_it_is_ready_holds_up_nobody,
        fleet::the_end_comes_in_the_reverse_order,
        fleet::health_is_asked_inside_and_decides_by_the_policy,
        fleet::events_are_told_to_programs_too,
        definitions::a_file_defines_a_container_and_options_hold_over_it,
        definitions::check_judges_without_starting,
        definitions::a_file_of_the_kernel_line_is_read_when_it_is_there,
        definitions::a_boot_tells_of_each_failure_once,
        definitions::what_the_kernel_line_defines_in_vain_is_told_on_the_console,
        definitions::folders_of_containers_are_read_when_one_asks,
        definitions::nsinit_starts_and_joins_what_its_folder_defines,
        reexec::another_image_takes_over_and_nobody_notices,
        reexec::a_binary_that_cannot_go_on_is_answered_by_the_old_one,
        reexec::a_signal_that_comes_with_the_end_of_the_judge_is_heard,
        reexec::two_hundred_crashes_under_load_lose_nothing,
        counts::a_launch_and_a_turn_cost_the_instructions_that_are_kept,
        reexec::every_fault_signal_and_a_fault_of_its_own_are_survived,
        reexec::crashes_end_the_board_as_the_words_have_it,
        hostile::names_that_change_under_a_start_lead_nowhere,
        hostile::what_joins_is_out_of_reach_until_it_is_the_command,
        hostile::what_joins_has_no_more_than_those_who_trace_it,
        hostile::many_who_hold_connections_leave_places_for_the_host,
        hostile::whoever_has_descriptors_on_their_way_keeps_nobody_from_a_container,
        hostile::what_pid_1_closes_for_a_container_does_not_hold_it,
        hostile::messages_that_are_nearly_right_cost_nothing,
        faults::every_call_that_fails_once_costs_nothing,
        faults::every_call_that_fails_once_costs_nothing_with_users_of_its_own,
        faults::where_nothing_judges_devices_no_node_that_is_brought_along_is_of_use,
        faults::without_a_descriptor_left_pid_1_says_busy_and_goes_on,
        faults::without_processes_or_memory_a_start_is_refused_and_nothing_else,
        faults::a_full_run_folder_costs_a_file_and_no_more,
        network::addresses_are_handed_out_kept_and_given_back,
        network::containers_of_one_bridge_reach_each_other_and_the_host,
        network::a_link_has_what_was_asked_for,
        network::restarts_and_failures_leave_no_interface,
        network::a_published_port_is_reached_by_the_hosts_addresses,
    ];
    // It sleeps a minute, beside all of that.
    let idle = Group {
        name: "idle".to_owned(),
        bed: Box::new(|| Ok(Fresh)),
        scenarios: scenarios![life::an_idle_minute_wakes_nobody],
    };
    let group = Group { name: "namespace".to_owned(), bed: Box::new(|| Ok(Fresh)), scenarios };
    if run(vec![idle, group]) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
