//! Rust source as the rules see it: comments, literals and tests taken out, `crate::` paths resolved.

use std::path::{Path, PathBuf};

/// One file of product code.
#[derive(Debug, Clone)]
pub struct Source {
    /// Relative to the repository, with `/`.
    pub path: String,
    /// The code with comments and literals blanked and tests removed; line numbers are those of the file.
    pub code: String,
    /// How many lines it has without its tests.
    pub length: usize,
}

/// A path that the code names, from the crate's root: `["pipeline", "mix", "Input"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub line: usize,
    pub path: Vec<String>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let mut code = blank(text);
        let tests = remove_tests(&mut code);
        Self { path: path.into(), code, length: text.lines().count().saturating_sub(tests) }
    }

    /// The folder or file directly under `src/`: `pipeline` for `src/pipeline/mix.rs`, `ids` for `src/ids.rs`.
    pub fn module(&self) -> &str {
        let inside = self.path.split_once("src/").map_or("", |(_, rest)| rest);
        inside.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// Whether it is the file of a module that `declared` names as a test's: `src/room/tests` for `src/room/tests.rs` or a file below it.
    fn is_test(&self, declared: &[String]) -> bool {
        declared.iter().any(|module| self.path.strip_prefix(module.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/')))
    }

    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Every path into the own crate (`crate::…`, `mixdown::…`, `super::…` that leaves the folder).
    pub fn named(&self) -> Vec<Named> {
        let mut found = Vec::new();
        for (root, base) in [("crate", Vec::new()), ("mixdown", Vec::new()), ("super", self.parent())] {
            for (position, _) in self.code.match_indices(root) {
                let before = self.code[..position].chars().next_back();
                if before.is_some_and(|c| c == '_' || c == ':' || c.is_alphanumeric()) {
                    continue;
                }
                let line = self.code[..position].matches('\n').count() + 1;
                let rest = &self.code[position + root.len()..];
                if rest.trim_start().starts_with("::") {
                    let mut paths = Vec::new();
                    tree(rest, base.clone(), &mut paths);
                    found.extend(paths.into_iter().map(|path| Named { line, path }));
                }
            }
        }
        found
    }

    /// The module path that `super` means at the top of this file.
    fn parent(&self) -> Vec<String> {
        let inside = self.path.split_once("src/").map_or("", |(_, rest)| rest).trim_end_matches(".rs");
        let mut own: Vec<String> = inside.split('/').map(str::to_owned).collect();
        if own.last().is_some_and(|last| last == "mod") {
            own.pop();
        }
        own.pop();
        own
    }
}

/// Reads `::a::{b, c::d}` from the front of `text`; returns what is left.
fn tree<'a>(text: &'a str, mut base: Vec<String>, paths: &mut Vec<Vec<String>>) -> &'a str {
    let mut rest = text;
    while let Some(after) = rest.trim_start().strip_prefix("::") {
        rest = after.trim_start();
        if let Some(mut inner) = rest.strip_prefix('{') {
            loop {
                inner = branch(inner.trim_start(), &base, paths);
                match inner.trim_start().strip_prefix(',') {
                    Some(next) => inner = next,
                    None => return inner.trim_start().strip_prefix('}').unwrap_or(inner),
                }
            }
        }
        let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
        match &rest[..end] {
            // `::<T>` or `::*`
            "" => break,
            "super" => drop(base.pop()),
            name => base.push(name.into()),
        }
        rest = &rest[end..];
    }
    paths.push(base);
    rest
}

/// One element inside braces: `a::b`, `self`, `a as b`.
fn branch<'a>(text: &'a str, base: &[String], paths: &mut Vec<Vec<String>>) -> &'a str {
    let end = text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len());
    let mut path = base.to_vec();
    match &text[..end] {
        "" if !text.starts_with('*') => return text,
        "" | "self" => {}
        name => path.push(name.into()),
    }
    let rest = tree(&text[end..], path, paths);
    &rest[rest.find([',', '}']).unwrap_or(rest.len())..]
}

/// Replaces comments and the contents of literals by spaces; keeps every line break.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment(rest),
            '"' => string(rest),
            'r' | 'b' | 'c' if !out.ends_with(|c: char| c == '_' || c.is_alphanumeric()) => prefixed(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if length == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    out
}

fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `r"…"`, `r#"…"#`, `b"…"`, `br#"…"#`, `c"…"`; 0 for anything else.
fn prefixed(text: &str) -> usize {
    let quote = text.trim_start_matches(['b', 'c']).trim_start_matches('r').trim_start_matches('#');
    let prefix = text.len() - quote.len();
    if !quote.starts_with('"') || prefix > 8 {
        return 0;
    }
    let raw = text[..prefix].contains('r');
    let hashes = text[..prefix].matches('#').count();
    if !raw {
        return prefix + string(quote);
    }
    let end = format!("\"{}", "#".repeat(hashes));
    prefix + quote[1..].find(&end).map_or(quote.len(), |at| at + 1 + end.len())
}

/// A character literal; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(0, |at| at + 4),
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

/// Blanks every item under `#[cfg(test)]`; returns how many lines that were.
fn remove_tests(code: &mut String) -> usize {
    let (mut from, mut lines) = (0, 0);
    while let Some(found) = ["#[cfg(test)]", "#[cfg(all(test"].iter().filter_map(|mark| code[from..].find(mark)).min() {
        let start = from + found;
        let end = item_end(code, start);
        let blanked: String = code[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        code.replace_range(start..end, &blanked);
        from = start + blanked.len();
        lines += blanked.lines().count();
    }
    lines
}

/// Where the item that begins at `start` ends: after its first `;` or its closing brace.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0;
    for (at, c) in code[start..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return start + at + 1,
            _ => continue,
        }
        if depth == 0 {
            return start + at + 1;
        }
    }
    code.len()
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `folder` (relative to the repository) whose name `wanted` accepts, as (relative path, text).
pub fn files(folder: &str, wanted: fn(&str) -> bool) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(&root().join(folder), wanted, &mut found);
    found.sort();
    found
}

fn walk(folder: &Path, wanted: fn(&str) -> bool, found: &mut Vec<(String, String)>) {
    const PASSED_OVER: [&str; 7] = ["target", "node_modules", ".git", ".venv", "artifacts", "corpus", "__pycache__"];
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !PASSED_OVER.contains(&name.as_str()) {
            walk(&path, wanted, found);
        } else if wanted(&name)
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            let relative = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            found.push((relative, text));
        }
    }
}

/// All product code: the three crates, without the modules that are tests.
pub fn product() -> Vec<Source> {
    let folders = ["src", "codecs/src", "layouts/src"];
    let texts: Vec<_> = folders.iter().flat_map(|folder| files(folder, |name| name.ends_with(".rs"))).collect();
    let declared: Vec<String> = texts.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    texts.iter().map(|(path, text)| Source::new(path, text)).filter(|source| !source.is_test(&declared)).collect()
}

/// The modules that `text` declares under `#[cfg(test)]` with a file of their own, as paths without `.rs`.
pub fn test_modules(path: &str, text: &str) -> Vec<String> {
    let home = path.strip_suffix("/mod.rs").or(path.strip_suffix("/lib.rs")).or(path.strip_suffix(".rs")).unwrap_or(path);
    let items = text.split("#[cfg(test)]").skip(1).filter_map(|after| after.trim_start().split_once(';'));
    let names = items.filter_map(|(item, _)| item.trim_start_matches("pub(crate) ").trim_start_matches("pub ").strip_prefix("mod "));
    names.filter(|name| !name.contains(char::is_whitespace)).map(|name| format!("{home}/{name}")).collect()
}
