//! Every statement about the queue, by name.

/// One more entry for a destination, which is made where it is new: its number.
pub(super) const ADD_TO_DESTINATION: &str = "INSERT INTO queue_destination \
    (name, suspended, until_ms, failures, waiting, leased, held, next_ms) VALUES (?1, 0, 0, 0, 1, 0, 0, ?2) \
    ON CONFLICT (name) DO UPDATE SET waiting = waiting + 1, next_ms = CASE WHEN suspended = 0 \
    THEN min(ifnull(next_ms, 9223372036854775807), max(until_ms, excluded.next_ms)) END RETURNING id";
pub(super) const INSERT_ENTRY: &str = "INSERT INTO queue_entry (message, destination, sender, recipients, options, \
    priority, state, generation, created_ms, due_ms, attention_ms, attempts, interruptions) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, ?7, ?7, ?8, 0, 0)";

/// What its entries do, and when the first that waits may be tried. The number behind it is the greatest there is.
pub(super) const COUNT: &str = "UPDATE queue_destination SET waiting = waiting + ?2, leased = leased + ?3, \
    held = held + ?4 WHERE id = ?1 RETURNING waiting + leased + held = 0 AND suspended = 0";
pub(super) const REFRESH: &str = "UPDATE queue_destination SET next_ms = (SELECT CASE \
    WHEN suspended = 0 AND first < 9223372036854775807 THEN max(until_ms, first) END FROM (SELECT min( \
    ifnull((SELECT due_ms FROM queue_entry WHERE destination = ?1 AND priority = 0 AND state = 0 \
        ORDER BY due_ms LIMIT 1), 9223372036854775807), \
    ifnull((SELECT due_ms FROM queue_entry WHERE destination = ?1 AND priority = 1 AND state = 0 \
        ORDER BY due_ms LIMIT 1), 9223372036854775807), \
    ifnull((SELECT due_ms FROM queue_entry WHERE destination = ?1 AND priority = 2 AND state = 0 \
        ORDER BY due_ms LIMIT 1), 9223372036854775807)) AS first)) WHERE id = ?1";
pub(super) const DELETE_DESTINATION: &str = "DELETE FROM queue_destination WHERE id = ?1";
pub(super) const DELETE_CONTACT: &str = "DELETE FROM queue_contact WHERE destination = ?1";

pub(super) const OPEN_DESTINATION: &str =
    "SELECT id FROM queue_destination WHERE name = ?1 AND suspended = 0 AND until_ms <= ?2";
pub(super) const DESTINATION: &str = "SELECT id FROM queue_destination WHERE name = ?1";
pub(super) const REACHED: &str = "UPDATE queue_destination SET until_ms = 0, failures = 0 WHERE id = ?1";
pub(super) const UNREACHED: &str =
    "UPDATE queue_destination SET until_ms = ?2, failures = failures + (until_ms <= ?3) WHERE id = ?1";
pub(super) const FORGET_UNTIL: &str = "UPDATE queue_destination SET until_ms = 0 WHERE id = ?1";
pub(super) const SUSPEND: &str = "INSERT INTO queue_destination \
    (name, suspended, until_ms, failures, waiting, leased, held, next_ms) VALUES (?1, 1, 0, 0, 0, 0, 0, NULL) \
    ON CONFLICT (name) DO UPDATE SET suspended = 1, next_ms = NULL WHERE suspended = 0 RETURNING id";
pub(super) const RESUME: &str =
    "UPDATE queue_destination SET suspended = 0, until_ms = 0 WHERE name = ?1 AND suspended = 1 RETURNING id";
pub(super) const COUNT_SUSPENDED: &str = "SELECT count(*) FROM queue_destination WHERE suspended = 1";

pub(super) const DUE_OF_PRIORITY: &str = "SELECT id FROM queue_entry WHERE destination = ?1 AND priority = ?2 \
    AND due_ms <= ?3 AND state = 0 ORDER BY due_ms LIMIT ?4";
pub(super) const TO_ATTEND: &str = "SELECT id, destination FROM queue_entry WHERE attention_ms <= ?1 AND state = 0 \
    ORDER BY attention_ms LIMIT ?2";
pub(super) const TAKE: &str = "UPDATE queue_entry SET state = 1, generation = ?2 WHERE id = ?1";
pub(super) const STANDING: &str = "SELECT destination, message, state, generation FROM queue_entry WHERE id = ?1";
pub(super) const GIVE_BACK: &str = "UPDATE queue_entry SET state = 0 WHERE id = ?1";
pub(super) const WAIT_ON: &str = "UPDATE queue_entry SET state = 0, recipients = ?2, due_ms = ?3, attention_ms = ?4, \
    attempts = attempts + ?5 WHERE id = ?1";
pub(super) const HOLD: &str = "UPDATE queue_entry SET state = 2 WHERE id = ?1";
pub(super) const DUE_AT: &str = "UPDATE queue_entry SET state = 0, due_ms = ?2 WHERE id = ?1";
pub(super) const DELETE_ENTRY: &str = "DELETE FROM queue_entry WHERE id = ?1";
pub(super) const DELETE_ATTEMPT: &str = "DELETE FROM queue_attempt WHERE entry = ?1";
pub(super) const KEEP_ATTEMPT: &str =
    "INSERT OR REPLACE INTO queue_attempt (entry, at_ms, server, conversation) VALUES (?1, ?2, ?3, ?4)";
pub(super) const KEEP_CONTACT: &str = "INSERT OR REPLACE INTO queue_contact \
    (destination, at_ms, until_ms, server, conversation) VALUES (?1, ?2, ?3, ?4, ?5)";

pub(super) const STEP_OF_ALL: &str =
    "SELECT id, destination, message, state FROM queue_entry WHERE id > ?1 ORDER BY id LIMIT ?2";
pub(super) const STEP_OF_DESTINATION: &str = "SELECT id, destination, message, state FROM queue_entry \
    WHERE destination = ?3 AND id > ?1 ORDER BY id LIMIT ?2";
pub(super) const STEP_OF_MESSAGE: &str = "SELECT id, destination, message, state FROM queue_entry \
    WHERE message = ?3 AND id > ?1 ORDER BY id LIMIT ?2";

pub(super) const RAISE_GENERATION: &str =
    "UPDATE counter SET value = value + 1 WHERE name = 'generation' RETURNING value";
pub(super) const LEASED: &str = "SELECT id, destination FROM queue_entry INDEXED BY queue_entry_leased WHERE state = 1";
pub(super) const INTERRUPT: &str = "UPDATE queue_entry SET state = 0, interruptions = interruptions + 1 WHERE id = ?1";
pub(super) const TOTALS: &str =
    "SELECT ifnull(sum(waiting), 0), ifnull(sum(leased), 0), ifnull(sum(held), 0) FROM queue_destination";

pub(super) const DUE: &str =
    "SELECT name, failures FROM queue_destination WHERE next_ms <= ?1 ORDER BY next_ms LIMIT ?2";
pub(super) const NEXT: &str = "SELECT next_ms FROM queue_destination WHERE next_ms > ?1 ORDER BY next_ms LIMIT 1";
pub(super) const NEXT_ATTENTION: &str =
    "SELECT attention_ms FROM queue_entry WHERE state = 0 ORDER BY attention_ms LIMIT 1";

/// Columns of an entry, in the order `read::entry` takes them; behind them what a page shows of its message.
macro_rules! entry_columns {
    () => {
        "SELECT queue_entry.id, queue_entry.message, name, queue_entry.sender, queue_entry.recipients, options, \
         priority, state, created_ms, due_ms, attention_ms, attempts, interruptions"
    };
}
pub(super) const ENTRY: &str = concat!(
    entry_columns!(),
    " FROM queue_entry JOIN queue_destination ON queue_destination.id = destination WHERE queue_entry.id = ?1"
);
/// The order of the tables is the one of the loops: a page is read by the entries' index, and nothing is sorted.
macro_rules! page {
    ($of:literal) => {
        concat!(
            entry_columns!(),
            ", size, subject FROM queue_entry CROSS JOIN queue_destination ON queue_destination.id = destination \
             CROSS JOIN message ON message.id = queue_entry.message WHERE queue_entry.id < ?1",
            $of,
            " ORDER BY queue_entry.id DESC LIMIT ?2"
        )
    };
}
pub(super) const PAGE: &str = page!("");
pub(super) const PAGE_OF_DESTINATION: &str = page!(" AND destination = ?3");
pub(super) const PAGE_OF_MESSAGE: &str = page!(" AND queue_entry.message = ?3");
pub(super) const ATTEMPT: &str = "SELECT at_ms, NULL, server, conversation FROM queue_attempt WHERE entry = ?1";
pub(super) const CONTACT: &str = "SELECT queue_contact.at_ms, queue_contact.until_ms, server, conversation \
    FROM queue_contact JOIN queue_entry ON queue_entry.destination = queue_contact.destination \
    WHERE queue_entry.id = ?1";
pub(super) const DESTINATIONS: &str = "SELECT name, suspended, failures, waiting, leased, held, next_ms, \
    at_ms, queue_contact.until_ms, server, conversation FROM queue_destination \
    LEFT JOIN queue_contact ON queue_contact.destination = queue_destination.id \
    WHERE name > ?1 ORDER BY name LIMIT ?2";
