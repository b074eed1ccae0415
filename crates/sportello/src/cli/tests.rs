use clap::CommandFactory;

use super::*;

#[test]
fn the_definition_is_sound() {
    Line::command().debug_assert();
}

fn typed(words: &str) -> Result<Command, i32> {
    let words = std::iter::once("sportello").chain(words.split_whitespace());
    let line = Line::try_parse_from(words).map_err(|error| error.exit_code())?;
    Ok(line.command.unwrap_or_else(|| Command::Serve(Serve::default())))
}

#[test]
fn alone_it_serves_this_folder() {
    let Ok(Command::Serve(alone)) = typed("") else { panic!("not serve") };
    let Ok(Command::Serve(named)) = typed("serve") else { panic!("not serve") };
    assert_eq!(format!("{alone:?}"), format!("{named:?}"), "the defaults are written twice and must agree");
    assert_eq!((alone.web, alone.mail, alone.commands, alone.desk), (8080, 1025, 7070, 8025));
}

#[test]
fn flags_of_serve_are_read() {
    let Ok(Command::Serve(serve)) = typed(
        "serve public --address ::1 --web 0 --mail 25 --commands 1 --desk 65535 --state s --workers 3 \
         --command a=/a --command b=/b --json --log debug --log-json",
    ) else {
        panic!("not serve")
    };
    assert_eq!((serve.web, serve.mail, serve.commands, serve.desk), (0, 25, 1, 65_535));
    assert_eq!(serve.address.to_string(), "::1");
    assert_eq!(serve.workers.map(u16::from), Some(3));
    assert!(serve.config.is_none());
    let Ok(Command::Serve(configured)) = typed("serve --config a.kdl --json") else { panic!("not serve") };
    assert_eq!(configured.config.as_deref(), Some(std::path::Path::new("a.kdl")));
    let names: Vec<_> = serve.programs.iter().map(|program| program.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(serve.json && serve.log_json && serve.log == LogLevel::Debug);
}

#[test]
fn everything_after_the_name_belongs_to_the_command() {
    let Ok(Command::Call(call)) = typed("call --stdin - greet --json -x --") else { panic!("not call") };
    assert!(!call.json);
    assert_eq!(call.words, ["greet", "--json", "-x", "--"]);
}

#[test]
fn wrong_usage_ends_with_two_and_help_with_none() {
    for words in [
        "nonsense",
        "serve --web 65536",
        "serve --web -1",
        "serve --address nowhere",
        "serve --workers 0",
        "serve --command greet",
        "serve --log loud",
        "serve a b",
        "get",
        "send",
        "send --to nobody",
        "call",
        "call --wait 0 PING",
        "call --server nowhere PING",
        "status --server a:1 --state b",
        "serve --config a.kdl public",
        "serve --config a.kdl --web 1",
        "serve --config a.kdl --log debug",
        "explain",
        "check a b",
        "mail search word --state a",
        "mail search word -n 3",
    ] {
        assert_eq!(typed(words).err(), Some(2), "{words}");
    }
    for words in
        ["--help", "help", "--version", "serve --help", "get --help", "send --help", "call --help", "status --help"]
    {
        assert_eq!(typed(words).err(), Some(0), "{words}");
    }
}

#[test]
fn help_fits_a_terminal_and_shows_how() {
    let mut command = Line::command().max_term_width(100);
    command.build();
    for sub in std::iter::once(&mut command.clone()).chain(command.get_subcommands_mut()) {
        let help = sub.render_long_help().to_string();
        let named = sub.get_name().to_owned();
        assert!(help.lines().all(|line| line.chars().count() <= 108), "{named}: {help}");
        if named != "help" {
            assert!(help.contains("Examples:"), "{named}");
        }
    }
}
