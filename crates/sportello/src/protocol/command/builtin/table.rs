//! All built-ins with their subcommands, in the order in which HELP shows them.

use std::ops::RangeInclusive;

use super::{Builtin, Kind, Subcommand};
use crate::protocol::command::syntax::{Argument, number, one_of, text, word};

const MANY: usize = usize::MAX;
const JSON: Argument = word("JSON").optional();

/// All of them.
pub(in super::super) const BUILTINS: &[Builtin] = &[
    builtin(Kind::Ping, "PING", 0..=1, &[text("message").optional()], "answers PONG, or the message"),
    builtin(Kind::Echo, "ECHO", 1..=1, &[text("message")], "answers the message"),
    builtin(Kind::Time, "TIME", 0..=0, &[], "the server's clock: seconds since 1970 and microseconds"),
    builtin(Kind::Help, "HELP", 0..=1, &[text("name").optional()], "this list, or one command of it"),
    builtin(
        Kind::Pipe,
        "PIPE",
        2..=MANY,
        &[text("input"), text("name"), text("argument").many().optional()],
        "runs a program with input on its standard input",
    ),
    builtin(Kind::Status, "STATUS", 0..=1, &[JSON], "what the server is and does"),
    builtin(Kind::Connections, "CONNECTIONS", 0..=1, &[JSON], "the open connections of all channels"),
    builtin(Kind::Threads, "THREADS", 0..=1, &[JSON], "the server's threads and the time each has used"),
    builtin(
        Kind::Certificates,
        "CERTIFICATES",
        0..=2,
        &[one_of("form", &[word("JSON"), word("ROOT"), text("name").after("RENEW")]).optional()],
        "the certificates that are shown to clients; the root of the local CA; or, over the command line's own socket, another one from the CA now",
    ),
    group(
        Kind::Dkim,
        "DKIM",
        1..=3,
        DKIM,
        "the keys by which our mail is signed, over the command line's own socket only",
    ),
    group(Kind::Mail, "MAIL", 1..=MANY, MAIL, "the mail that was caught"),
    group(
        Kind::Account,
        "ACCOUNT",
        1..=MANY,
        ACCOUNT,
        "who has mailboxes here, over the command line's own socket only",
    ),
    builtin(
        Kind::Bans,
        "BANS",
        0..=2,
        &[text("address").after("LIFT").optional()],
        "who guessed passwords and is not heard for a while, over the command line's own socket only",
    ),
    group(
        Kind::Mailbox,
        "MAILBOX",
        1..=MANY,
        MAILBOX,
        "the mailboxes of accounts, read and filled from files, over the command line's own socket only",
    ),
    group(Kind::Queue, "QUEUE", 1..=MANY, QUEUE, "the mail for other servers, over the command line's own socket only"),
    group(Kind::SlowLog, "SLOWLOG", 1..=2, SLOWLOG, "the requests that took longest to answer"),
    builtin(
        Kind::Monitor,
        "MONITOR",
        0..=0,
        &[],
        "shows every request of this channel as it comes, until RESET or QUIT",
    ),
    builtin(
        Kind::Reload,
        "RELOAD",
        0..=1,
        &[JSON],
        "reads the configuration again and puts it in force, over the command line's own socket only",
    ),
    builtin(Kind::Info, "INFO", 0..=MANY, &[text("section").many().optional()], "figures of the server, one per line"),
    group(Kind::Client, "CLIENT", 1..=MANY, CLIENT, "the connections of this channel"),
    group(Kind::Command, "COMMAND", 0..=MANY, COMMAND, "the commands, for client libraries"),
    builtin(
        Kind::Hello,
        "HELLO",
        0..=MANY,
        &[one_of("version", &[word("2"), word("3")]).optional(), text("name").after("SETNAME").optional()],
        "chooses the version of the protocol",
    ),
    builtin(
        Kind::Auth,
        "AUTH",
        1..=2,
        &[text("username").optional(), text("password")],
        "refused: no accounts are configured",
    ),
    builtin(Kind::Select, "SELECT", 1..=1, &[word("0")], "there is one database number, and nothing in it"),
    builtin(Kind::Reset, "RESET", 0..=0, &[], "the connection as it was when it began"),
    builtin(Kind::Quit, "QUIT", 0..=0, &[], "closes the connection"),
];

const DKIM: &[Subcommand] = &[
    subcommand("LIST", 0..=1, &[text("domain").optional()], "the keys of a domain, or of all, as JSON"),
    subcommand("MAKE", 1..=1, &[text("domain")], "makes a domain's first pair of keys, or its next one"),
    subcommand("ROTATE", 1..=1, &[text("domain")], "lets the next pair sign from now on"),
    subcommand("RETIRE", 1..=2, &[text("domain"), word("NOW").optional()], "forgets the pair that signed before"),
    subcommand("SIGN", 2..=2, &[text("sender"), text("message")], "the fields that would come before this message"),
];

const MAIL: &[Subcommand] = &[
    subcommand("LIST", 0..=5, PAGE, "the newest messages, 20 unless told, at most 200"),
    subcommand(
        "SEARCH",
        1..=6,
        SEARCH,
        "the newest messages that a search finds: words, \"phrases\", from:, to:, subject:, is:unread, before:2026-01-31",
    ),
    subcommand("READ", 1..=2, &[number("id"), word("RAW").optional()], "one message for people, or byte for byte"),
    subcommand(
        "MARK",
        2..=MANY,
        &[one_of("how", &[word("READ"), word("UNREAD")]), number("id").many()],
        "marks messages as read or not",
    ),
    subcommand("DELETE", 1..=MANY, &[number("id").many()], "deletes messages, all or none"),
    subcommand("COUNT", 0..=0, &[], "how many messages there are"),
];

const ACCOUNT: &[Subcommand] = &[
    subcommand("LIST", 0..=1, &[text("after").optional()], "the accounts behind an address, at most 1000, as JSON"),
    subcommand("SHOW", 1..=1, &[text("address")], "one account with its passwords for programs, as JSON"),
    subcommand("ADD", 1..=2, &[text("address"), text("terms").optional()], "makes an account; its terms are JSON"),
    subcommand("PASSWORD", 2..=2, &[text("address"), text("password")], "sets its password"),
    subcommand("ENABLE", 1..=1, &[text("address")], "lets its passwords be good again"),
    subcommand("DISABLE", 1..=1, &[text("address")], "lets nobody log in with it"),
    subcommand("QUOTA", 2..=2, &[text("address"), text("bytes")], "bounds what it may hold; none does not"),
    subcommand(
        "GROUPS",
        1..=MANY,
        &[text("address"), text("group").many().optional()],
        "puts it into these groups and no others",
    ),
    subcommand("DELETE", 1..=1, &[text("address")], "deletes it with all its mail"),
    subcommand(
        "APP-PASSWORD",
        3..=3,
        &[text("address"), text("name"), text("scopes")],
        "makes a password for one program, good for some of smtp,imap,http,command",
    ),
    subcommand("REVOKE", 2..=2, &[text("address"), text("name")], "takes one back"),
];

const MAILBOX: &[Subcommand] = &[
    subcommand("LIST", 1..=1, &[text("account")], "the mailboxes of an account, as JSON"),
    subcommand("MAKE", 2..=2, &[text("account"), text("name")], "a mailbox's number; it is made where there is none"),
    subcommand("PAGE", 2..=2, &[number("mailbox"), number("uid")], "messages behind this uid, oldest first, as JSON"),
    subcommand(
        "THERE",
        2..=2,
        &[number("mailbox"), number("uid")],
        "messages behind this uid, 36 bytes each: SHA-256 and uid, the higher byte first",
    ),
    subcommand(
        "TAKEN",
        1..=2,
        &[number("mailbox"), text("record").optional()],
        "what was taken from files, behind this record, 36 bytes each: SHA-256 and which of equal ones",
    ),
    subcommand(
        "TAKE",
        9..=9,
        &[
            number("mailbox"),
            text("flags"),
            number("received-ms"),
            number("ordinal"),
            one_of("repeat", &[word("ONCE"), word("AGAIN")]),
            text("sender"),
            text("recipient"),
            number("size"),
            text("bytes"),
        ],
        "begins a message with its first bytes: its place since the last SETTLE",
    ),
    subcommand("MORE", 1..=1, &[text("bytes")], "the next bytes of the message"),
    subcommand("SETTLE", 0..=0, &[], "waits until what was taken is on disk, and tells as JSON what is not, and why"),
];

/// Which of the messages, and how they are written.
const PAGE: &[Argument] =
    &[number("count").optional(), number("uid").after("BEFORE").optional(), word("UNREAD").optional(), JSON];

const SEARCH: &[Argument] = &[text("query"), PAGE[0], PAGE[1], PAGE[2], PAGE[3]];

const QUEUE: &[Subcommand] = &[
    subcommand(
        "LIST",
        0..=8,
        &[
            number("count").optional(),
            number("entry").after("BEFORE").optional(),
            number("id").after("MESSAGE").optional(),
            text("domain").after("DESTINATION").optional(),
            JSON,
        ],
        "the newest entries, 20 unless told, at most 200",
    ),
    subcommand("SHOW", 1..=2, &[number("id"), JSON], "a message's entries with the last conversation of each"),
    subcommand("DESTINATIONS", 0..=1, &[JSON], "where mail goes, how much waits, what was not reached"),
    subcommand("RETRY", 1..=4, CHOSEN, "lets entries be tried at once"),
    subcommand("HOLD", 1..=4, CHOSEN, "keeps entries from being tried"),
    subcommand("RELEASE", 1..=4, CHOSEN, "lets held entries go on"),
    subcommand("DELETE", 1..=4, CHOSEN, "deletes entries without a report"),
    subcommand("SUSPEND", 1..=1, &[text("domain")], "tries nothing at a destination until it is resumed"),
    subcommand("RESUME", 1..=1, &[text("domain")], "goes on with a suspended destination"),
];

/// Which entries of the queue.
const CHOSEN: &[Argument] =
    &[one_of("which", &[word("ALL"), number("id").after("MESSAGE"), text("domain").after("DESTINATION")]).many()];

const SLOWLOG: &[Subcommand] = &[
    subcommand("GET", 0..=1, &[number("count").optional()], "the latest slow requests, 10 unless told, -1 for all"),
    subcommand("LEN", 0..=0, &[], "how many are kept"),
    subcommand("RESET", 0..=0, &[], "forgets them"),
    subcommand("HELP", 0..=0, &[], "these lines"),
];

const CLIENT: &[Subcommand] = &[
    subcommand("ID", 0..=0, &[], "the number of this connection"),
    subcommand("INFO", 0..=0, &[], "this connection, on one line"),
    subcommand(
        "LIST",
        0..=MANY,
        &[
            one_of("type", &[word("NORMAL"), word("MASTER"), word("REPLICA"), word("PUBSUB")]).after("TYPE").optional(),
            number("id").many().after("ID").optional(),
        ],
        "the connections of this channel, one per line",
    ),
    subcommand("GETNAME", 0..=0, &[], "the name of this connection"),
    subcommand("SETNAME", 1..=1, &[text("name")], "names this connection"),
    subcommand(
        "SETINFO",
        2..=2,
        &[one_of("attribute", &[text("name").after("LIB-NAME"), text("version").after("LIB-VER")])],
        "tells which library the client uses",
    ),
    subcommand(
        "KILL",
        1..=MANY,
        &[one_of(
            "filter",
            &[
                text("ip:port"),
                number("client-id").after("ID"),
                text("ip:port").after("ADDR"),
                text("ip:port").after("LADDR"),
                one_of("skipme", &[word("YES"), word("NO")]).after("SKIPME"),
            ],
        )
        .many()],
        "closes connections of any channel, and ends what runs for them",
    ),
    subcommand("HELP", 0..=0, &[], "these lines"),
];

const COMMAND: &[Subcommand] = &[
    subcommand("COUNT", 0..=0, &[], "how many commands there are"),
    subcommand("LIST", 0..=0, &[], "their names"),
    subcommand("INFO", 0..=MANY, &[text("name").many().optional()], "how many words each takes"),
    subcommand("DOCS", 0..=MANY, &[text("name").many().optional()], "what each does and takes"),
    subcommand(
        "GETKEYS",
        1..=MANY,
        &[text("command"), text("argument").many().optional()],
        "refused: no command here has keys",
    ),
    subcommand("HELP", 0..=0, &[], "these lines"),
];

/// Names that no program may take: the built-ins, and those kept for later ones.
pub const RESERVED: &[&str] = &[
    "PING",
    "ECHO",
    "TIME",
    "HELP",
    "PIPE",
    "STATUS",
    "CONNECTIONS",
    "THREADS",
    "CERTIFICATES",
    "DKIM",
    "MAIL",
    "ACCOUNT",
    "BANS",
    "MAILBOX",
    "QUEUE",
    "SLOWLOG",
    "MONITOR",
    "RELOAD",
    "INFO",
    "CLIENT",
    "COMMAND",
    "HELLO",
    "AUTH",
    "SELECT",
    "RESET",
    "QUIT",
    "ACL",
    "CONFIG",
    "SHUTDOWN",
    "SUBSCRIBE",
    "MULTI",
    "EXEC",
];

const fn builtin(
    kind: Kind,
    name: &'static str,
    takes: RangeInclusive<usize>,
    arguments: &'static [Argument],
    summary: &'static str,
) -> Builtin {
    Builtin { kind, name, takes, arguments, summary, subcommands: &[] }
}

const fn group(
    kind: Kind,
    name: &'static str,
    takes: RangeInclusive<usize>,
    subcommands: &'static [Subcommand],
    summary: &'static str,
) -> Builtin {
    Builtin { kind, name, takes, arguments: &[], summary, subcommands }
}

const fn subcommand(
    name: &'static str,
    takes: RangeInclusive<usize>,
    arguments: &'static [Argument],
    summary: &'static str,
) -> Subcommand {
    Subcommand { name, takes, arguments, summary }
}
