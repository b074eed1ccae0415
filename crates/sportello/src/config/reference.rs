//! The reference of the directives, made from their table: `docs/reference.md`, and what `sportello explain DIRECTIVE` shows.

use std::fmt::Write;

use super::table::{self, Argument, Count, Need, Property, Row, Times, What, rows};

/// The whole page.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    for row in table::described("") {
        section(&mut page, row, 2);
    }
    page.push_str("## Not built yet\n\n");
    page.push_str("The design has these; this version refuses each by its name and place, so that nothing is silently ignored.\n\n");
    page.push_str("| where | what | what to do |\n|---|---|---|\n");
    for absent in table::ABSENT {
        let within = if absent.within.is_empty() { "the file".to_owned() } else { format!("`{}`", absent.within) };
        let what = match absent.what {
            What::Directive(name) => format!("`{name}`"),
            What::Property(name) => format!("`{name}=`"),
            What::Value(name, value) => format!("`{name}={value}`"),
        };
        let _ = writeln!(page, "| {within} | {what} | {} |", absent.instead);
    }
    page
}

const HEAD: &str = "\
# Configuration: the reference

<!-- Made from the table of directives (crates/sportello/src/config/table/rows.rs) by `cargo xtask reference`. Do not edit. -->

A configuration is a [KDL 2](https://kdl.dev) document: a directive on each line, its values behind it, named ones as `name=value`, and between `{` and `}` what belongs to it.
Text needs quotes when it holds a space or one of `/ \\ ( ) { } ; [ ] \" # =`, or begins like a number. `//` begins a comment, and `/-` comments out the directive or value behind it.
Durations are written `\"500ms\"`, `\"30s\"`, `\"5min\"`, `\"1h\"`, `\"2d\"`; sizes `\"512B\"`, `\"64KiB\"`, `\"25MiB\"`, `\"1GiB\"`. A relative path begins at the folder of the file.

How it is used is in the [manual](manual.md#configuration); [example.kdl](example.kdl) is one to begin with. `sportello check` says what is wrong with a file, `sportello explain NAME` shows an
entry of this page.

";

fn section(page: &mut String, row: &Row, level: usize) {
    let _ = writeln!(page, "{} {}\n", "#".repeat(level), title(row));
    let _ = writeln!(page, "`{}`\n", row.usage());
    let _ = writeln!(page, "{}\n", body(row));
    let _ = writeln!(page, "```kdl\n{}\n```\n", row.example);
    for child in table::described(&row.path()) {
        section(page, child, (level + 1).min(4));
    }
}

/// `site, in domain`: names that stand in several places are told apart.
fn title(row: &Row) -> String {
    if row.within.is_empty() {
        row.name.to_owned()
    } else {
        format!("{} (in {})", row.name, row.within.replace('/', ", "))
    }
}

/// What it does, its values, and where it may stand.
fn body(row: &Row) -> String {
    let mut body = row.doc.to_owned();
    let times = match row.times {
        Times::ExactlyOnce => " It must be written once.",
        Times::AtMostOnce => "",
        Times::Many => " It may be written many times.",
    };
    body.push_str(times);
    if !row.only.is_empty() {
        let _ = write!(body, " Only with protocol={}.", row.only.join(" or "));
    }
    if !row.default.is_empty() {
        let _ = write!(body, " Unless written: {}.", row.default);
    }
    let values: Vec<String> = row.arguments.iter().map(argument).chain(row.properties.iter().map(property)).collect();
    if !values.is_empty() {
        let _ = write!(body, "\n\n{}", values.join("\n"));
    }
    body
}

fn argument(argument: &Argument) -> String {
    let count = match argument.count {
        Count::One => "",
        Count::Some => ", one or more",
        Count::Any => ", any number of them",
    };
    format!("- `{}`: {}{count}; {}", argument.name.to_uppercase(), argument.kind.expected(), argument.doc)
}

fn property(property: &Property) -> String {
    let need = match (property.need, property.default) {
        (Need::Required, _) => "; must be written".to_owned(),
        (Need::Optional, "") => String::new(),
        (Need::Optional, default) => format!("; unless written: {default}"),
    };
    format!("- `{}=`: {}; {}{need}", property.name, property.kind.expected(), property.doc)
}

/// What a person reads who asks for a directive by its name, or by its path (`channel/idle`); `None` when there is none.
pub fn entry(name: &str) -> Option<String> {
    let rows: Vec<&Row> = rows().filter(|row| row.name == name || row.path() == name).collect();
    let absent = table::ABSENT.iter().filter(|absent| match absent.what {
        What::Directive(its) | What::Property(its) => its == name,
        What::Value(its, value) => value == name || format!("{its}={value}") == name,
    });
    let mut text = String::new();
    for row in rows {
        let body = body(row).replace('`', "");
        let example = row.example.replace('\n', "\n  ");
        let _ = write!(text, "{}\n\n  {}\n\n{body}\n\n  {example}\n", title(row), row.usage());
        let children: Vec<&str> = table::children(&row.path()).map(|row| row.name).collect();
        if !children.is_empty() {
            let _ = write!(text, "\nIn its block: {}\n", children.join(", "));
        }
        text.push('\n');
    }
    for absent in absent {
        let place = if absent.within.is_empty() { "the file".to_owned() } else { absent.within.replace('/', ", ") };
        let _ = write!(text, "{name} (in {place}) is not built yet: {}\n\n", absent.instead);
    }
    (!text.is_empty()).then(|| format!("{}\n", text.trim_end()))
}
