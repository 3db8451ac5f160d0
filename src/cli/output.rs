//! Text for people, on pipes that may be closed.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// Prints to standard output. A reader who has gone is no failure.
pub fn out(text: &str) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(1),
    }
}

/// One line to standard error, and the exit code.
pub fn fail(code: u8, message: impl fmt::Display) -> ExitCode {
    let _ = writeln!(std::io::stderr().lock(), "mixdown: {message}");
    ExitCode::from(code)
}

/// One line each, and the exit code.
pub fn fail_all<T: fmt::Display>(code: u8, messages: &[T]) -> ExitCode {
    messages.iter().fold(ExitCode::from(code), |_, message| fail(code, message))
}

/// Columns that are as wide as their widest cell; the last one is free.
#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 3]>,
}

impl Table {
    pub fn row(&mut self, cells: [&str; 3]) {
        self.rows.push(cells.map(str::to_owned));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let (first, second) = (width(0), width(1));
        for [a, b, c] in &self.rows {
            let line = format!("{a:first$}  {b:second$}  {c}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
