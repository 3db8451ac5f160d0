//! `mixdown layout convert`.

use super::output::{fail, out};
use clap::{Args, ValueEnum};
use mixdown_layouts::convert::{Converted, System, convert};
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

/// Longer files are no layouts.
const MAX_BYTES: u64 = 4 << 20;

#[derive(Args)]
pub struct Convert {
    /// Whose layout it is.
    #[arg(long, value_enum)]
    from: From,
    /// Of a FreeSWITCH file: this layout or group alone, as the body of a PUT. Without it all, by name.
    #[arg(long)]
    name: Option<String>,
    /// The file, or - for standard input.
    file: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum From {
    /// A composition's video_layout, as JSON.
    Twilio,
    /// A layout of an archive or broadcast, as JSON.
    Vonage,
    /// conference_layouts.conf.xml.
    Freeswitch,
}

/// Prints our JSON to standard output, and to standard error what is different from the original.
pub fn run(args: &Convert) -> ExitCode {
    let shown = args.file.display();
    let text = match read(args) {
        Ok(text) => text,
        Err(error) => return fail(1, format_args!("{shown}: cannot be read: {error}")),
    };
    let system = match args.from {
        From::Twilio => System::Twilio,
        From::Vonage => System::Vonage,
        From::Freeswitch => System::FreeSwitch,
    };
    let layouts = match convert(system, &text) {
        Ok(layouts) => layouts,
        Err(refused) => return fail(2, format_args!("{shown}: {refused}")),
    };
    let chosen: Vec<Converted> = layouts.into_iter().filter(|layout| args.name.is_none() || layout.name == args.name).collect();
    if chosen.is_empty() {
        return fail(2, format_args!("{shown}: has no layout or group of this name"));
    }
    for layout in &chosen {
        let of = layout.name.as_ref().map_or(String::new(), |name| format!("{name}: "));
        layout.notes.iter().for_each(|note| {
            fail(0, format_args!("note: {of}{note}"));
        });
    }
    let document = match chosen.as_slice() {
        [one] if args.name.is_some() || one.name.is_none() => json!(one.layout),
        all => Value::Object(all.iter().map(|one| (one.name.clone().unwrap_or_default(), json!(one.layout))).collect::<Map<_, _>>()),
    };
    out(&format!("{document:#}\n"))
}

fn read(args: &Convert) -> std::io::Result<String> {
    let mut text = String::new();
    if args.file.as_os_str() == "-" {
        std::io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(&args.file)?.take(MAX_BYTES).read_to_string(&mut text)?;
    }
    Ok(text)
}
