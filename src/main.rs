//! The command line. Exit codes: 0 good, 1 something that was checked is bad or a run failed, 2 wrong use or settings.
#![forbid(unsafe_code)]

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
