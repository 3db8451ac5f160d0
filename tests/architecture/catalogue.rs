//! `docs/faults.md` says what may go wrong and which test holds it: whether every row of the catalogue of bad inputs stands there,
//! and whether what it names is there.

use crate::source::files;
use std::collections::BTreeSet;

/// Rows of HTTP, tokens, offers, datagrams, streams and codecs, and those of layouts' pictures and texts.
const ROWS: [std::ops::RangeInclusive<u32>; 2] = [1..=64, 71..=73];
/// HTTP/2 is not spoken.
const NOTHING_TO_TEST: [u32; 1] = [25];

/// A line of the table.
struct Row {
    ids: Vec<u32>,
    /// Whether it points to the files of cases.
    cases: bool,
    /// Names of tests.
    tests: Vec<String>,
}

/// The lines of `text` that have numbers for ids: `1–5`, `26–28, 32`. Faults (`F40`) and what has no id have none, but their tests.
fn rows(text: &str) -> Vec<Row> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    lines.filter_map(|line| line.rsplit_once(" | ").zip(line.split(" | ").next())).map(|((_, tests), ids)| row(ids, tests)).collect()
}

fn row(ids: &str, tests: &str) -> Row {
    let range = |part: &str| -> Option<Vec<u32>> {
        let (first, last) = part.split_once('–').unwrap_or((part, part));
        Some((first.trim().parse().ok()?..=last.trim().parse().ok()?).collect())
    };
    let named = tests.split('`').skip(1).step_by(2).filter(|name| name.contains('_') && !name.contains([':', '=', '.']));
    Row {
        ids: ids.split(',').filter_map(range).flatten().collect(),
        cases: tests.contains("cases"),
        tests: named.map(Into::into).collect(),
    }
}

/// The rows that cases belong to: `id = "12 no width"`, `id = "C38-no-pwd"`.
fn rows_of_cases(text: &str) -> impl Iterator<Item = u32> {
    let ids = text.lines().filter_map(|line| line.strip_prefix("id = \""));
    ids.filter_map(|id| id.trim_start_matches('C').split([' ', '-']).next()?.parse().ok())
}

fn findings(faults: &str, cases: &BTreeSet<u32>, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let rows = rows(faults);
    let tested = |row: &&Row| row.cases || !row.tests.is_empty();
    let listed: BTreeSet<u32> = rows.iter().filter(tested).flat_map(|row| row.ids.clone()).chain(NOTHING_TO_TEST).collect();
    let missing = ROWS.into_iter().flatten().filter(|id| !listed.contains(id)).map(|id| format!("no test is named for row {id}"));
    let empty = rows.iter().filter(|row| row.cases).flat_map(|row| &row.ids).filter(|id| !cases.contains(id));
    let empty = empty.map(|id| format!("row {id} has no case"));
    let unknown = rows.iter().flat_map(|row| &row.tests).filter(|name| !exists(name)).map(|name| format!("no test is called {name}"));
    missing.chain(empty).chain(unknown).collect()
}

#[test]
fn every_row_of_the_catalogue_of_bad_inputs_has_its_test_and_every_test_that_is_named_is_there() {
    let code = files("", |name| name.ends_with(".rs"));
    let tests: BTreeSet<&str> =
        code.iter().flat_map(|(_, text)| text.split("fn ").skip(1)).filter_map(|rest| rest.split('(').next()).collect();
    let cases = files("tests/bad_inputs", |name| name.ends_with(".toml"));
    let cases: BTreeSet<u32> = cases.iter().flat_map(|(_, text)| rows_of_cases(text)).collect();
    let faults = files("docs", |name| name.ends_with("faults.md"));
    crate::none(findings(&faults[0].1, &cases, |name| tests.contains(name)));
}

#[test]
fn a_row_without_a_test_is_found() {
    let whole = "| 1–24 | x | y | cases |\n| 25 | x | y | — |\n| 26–64, 71–73 | x | y | `a_test`; tests of `egress::life` |\n| F1 | x | y | `a_test` |";
    let all: BTreeSet<u32> = (1..=24).collect();
    let found = |text: &str, cases: &BTreeSet<u32>| findings(text, cases, |name| name == "a_test");
    assert_eq!(found(whole, &all), [""; 0]);
    assert_eq!(found(&whole.replace("26–64", "26–63"), &all), ["no test is named for row 64"]);
    assert_eq!(found(whole, &(2..=24).collect()), ["row 1 has no case"]);
    assert_eq!(found(&whole.replace("| F1 | x | y | `a_test`", "| F1 | x | y | `no_test`"), &all), ["no test is called no_test"]);
}
