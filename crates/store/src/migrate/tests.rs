use std::os::unix::fs::PermissionsExt;

use super::*;

const ONE: &str = "CREATE TABLE letter (words TEXT NOT NULL) STRICT; INSERT INTO letter VALUES ('dear Anna');";
const TWO: &str = "ALTER TABLE letter ADD COLUMN page INTEGER NOT NULL DEFAULT 1;";
const THREE: &str = "UPDATE letter SET page = 2;";
const BROKEN: &str = "DELETE FROM letter; INSERT INTO no_such_table VALUES (1);";

struct Database {
    folder: PathBuf,
}

impl Database {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sportello-migrate-{}-{name}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("store.db")
    }

    fn migrate(&self, steps: &[&str]) -> Result<Connection, OpenError> {
        let mut connection = Connection::open(self.file()).unwrap();
        let found = look(&connection, &self.file(), steps)?;
        migrate(&mut connection, &self.file(), found, steps).map(|()| connection)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn number(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, (), |row| row.get(0)).unwrap()
}

#[test]
fn steps_are_taken_once_and_a_copy_is_kept_of_what_was() {
    let database = Database::new("forward");
    database.migrate(&[ONE]).unwrap();
    assert_eq!(database.names(), ["store.db"], "nothing to copy the first time");
    database.migrate(&[ONE]).unwrap();
    assert_eq!(database.names(), ["store.db"]);
    let connection = database.migrate(&[ONE, TWO, THREE]).unwrap();
    assert_eq!(number(&connection, "PRAGMA user_version"), 3);
    assert_eq!(number(&connection, "SELECT page FROM letter"), 2);
    assert_eq!(database.names(), ["store.db", "store.db.before-3"]);
    let copy = database.folder.join("store.db.before-3");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let copy = Connection::open(copy).unwrap();
    assert_eq!(number(&copy, "SELECT count(*) FROM letter"), 1);
    assert_eq!(number(&copy, "PRAGMA user_version"), 1, "the copy is a database that the older program can open");
    assert_eq!(number(&copy, "PRAGMA application_id"), APPLICATION);
}

#[test]
fn a_step_that_fails_leaves_all_as_it_was() {
    let database = Database::new("fails");
    database.migrate(&[ONE]).unwrap();
    let Err(OpenError::Migration { from: 1, to: 3, why }) = database.migrate(&[ONE, TWO, BROKEN]) else {
        panic!("it should fail");
    };
    assert!(why.contains("no_such_table"), "{why}");
    let connection = database.migrate(&[ONE]).unwrap();
    assert_eq!(number(&connection, "SELECT count(*) FROM letter"), 1);
    assert_eq!(number(&connection, "PRAGMA user_version"), 1);
    assert_eq!(
        number(&connection, "SELECT count(*) FROM pragma_table_info('letter')"),
        1,
        "the good step is undone too"
    );
    database.migrate(&[ONE, TWO, THREE]).unwrap();
}

#[test]
fn a_copy_that_was_cut_short_is_made_anew() {
    let database = Database::new("cut");
    database.migrate(&[ONE]).unwrap();
    fs::write(database.folder.join("store.db.before-2.partial"), "half a copy").unwrap();
    database.migrate(&[ONE, TWO]).unwrap();
    assert_eq!(database.names(), ["store.db", "store.db.before-2"]);
}

#[test]
fn what_is_not_ours_is_refused() {
    let database = Database::new("foreign");
    for (sql, newer) in [
        ("CREATE TABLE theirs (x)", false),
        ("PRAGMA user_version = 1", false),
        ("PRAGMA application_id = 1397773388", false),
        ("PRAGMA user_version = 0", false),
        ("PRAGMA user_version = -1", false),
        ("PRAGMA user_version = 2", true),
    ] {
        Connection::open(database.file()).unwrap().execute_batch(sql).unwrap();
        let result = database.migrate(&[ONE]);
        match result {
            Err(OpenError::Newer { found: 2, known: 1, .. }) if newer => {}
            Err(OpenError::Foreign { .. }) if !newer => {}
            // Now it is ours, of version 1, whatever tables it has.
            Ok(_) if sql.contains("application_id") => {}
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[test]
fn the_steps_of_this_program_make_an_inbox() {
    let database = Database::new("real");
    let connection = database.migrate(STEPS).unwrap();
    assert_eq!(number(&connection, "SELECT count(*) FROM mailbox WHERE id = 1 AND name = 'Inbox' AND uid_next = 1"), 1);
    assert!(number(&connection, "SELECT uid_validity FROM mailbox") > 1_700_000_000);
    assert_eq!(number(&connection, "SELECT value FROM counter WHERE name = 'message'"), 1);
}
