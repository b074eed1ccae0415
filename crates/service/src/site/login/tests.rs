use std::fs;

use super::accounts::tests::ada;
use super::*;
use crate::site::tests::request;

fn found(field: &str) -> Option<(String, String)> {
    let found = credentials(field)?;
    Some((found.name.into(), String::from_utf8(found.password.into()).unwrap()))
}

#[test]
fn credentials_are_read_strictly() {
    for (field, expect) in [
        ("Basic YWRhOnNlY3JldA==", Some(("ada", "secret"))),
        ("bAsIc  YWRhOnNlY3JldA==", Some(("ada", "secret"))),
        ("Basic YTpiOmM=", Some(("a", "b:c"))),
        ("Basic Og==", Some(("", ""))),
        ("Basic YWRh", None),
        ("Basic YWRhOnNlY3JldA", None),
        ("Basic YWRhOnNlY3JldB==", None),
        ("Basic YWRh OnNlY3JldA=", None),
        ("Basic YQpiOmM=", None),
        ("Basic", None),
        ("Bearer YWRhOnNlY3JldA==", None),
        ("Basic /zphYWE=", None),
        (&format!("Basic {}", "YTph".repeat(LONGEST / 4 + 1)), None),
    ] {
        assert_eq!(found(field), expect.map(|(name, password)| (name.to_owned(), password.to_owned())), "{field}");
    }
    assert!(credentials(&format!("Basic {}", "YTph".repeat(LONGEST / 4))).is_some());
}

struct Place(PathBuf);

impl Place {
    fn new(name: &str, text: &str) -> Self {
        let file = std::env::temp_dir().join(format!("sportello-login-{name}-{}", std::process::id()));
        fs::write(&file, text).unwrap();
        Self(file)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

async fn ask(login: &Arc<Login>, field: Option<&'static str>) -> Result<Option<String>, u16> {
    let mut asked = request("/");
    if let Some(field) = field {
        asked.fields.add("authorization", field).unwrap();
    }
    let mut known = Known::of(&asked, &Default::default());
    let taken = login.take(&mut asked, &mut known).await;
    assert!(!asked.fields.has("authorization"), "whoever answers learns no password");
    taken.map(|()| known.account().map(str::to_owned)).map_err(|ours| ours.status)
}

const RIGHT: Option<&str> = Some("Basic YWRhOnNlY3JldA==");
const WRONG: Option<&str> = Some("Basic YWRhOndyb25n");

#[tokio::test]
async fn who_is_there_is_asked_compared_and_known_again() {
    let file = Place::new("known", &ada());
    let login = Arc::new(Login::new(&file.0, "staff").unwrap());
    assert_eq!(ask(&login, None).await, Err(401));
    assert_eq!(login.challenge().fields.text("www-authenticate"), Some("Basic realm=\"staff\", charset=\"UTF-8\""));
    assert_eq!(ask(&login, WRONG).await, Err(401));
    // More often than may be tried: it is known.
    for _ in 0..TRIES.get() * 2 {
        assert_eq!(ask(&login, RIGHT).await, Ok(Some("ada".to_owned())));
    }
    assert_eq!(login.state().known.len(), 1);
    for _ in 2..TRIES.get() {
        assert_eq!(ask(&login, WRONG).await, Err(401));
    }
    assert_eq!(ask(&login, WRONG).await, Err(429));
    assert_eq!(ask(&login, RIGHT).await, Ok(Some("ada".to_owned())));
}

#[tokio::test]
async fn a_file_that_changed_is_read_again_and_one_that_is_wrong_is_not_used() {
    let file = Place::new("changed", &ada());
    let login = Arc::new(Login::new(&file.0, "staff").unwrap());
    assert!(ask(&login, RIGHT).await.is_ok());
    fs::write(&file.0, "ada:plain\n").unwrap();
    login.read_again();
    assert!(ask(&login, RIGHT).await.is_ok());
    fs::write(&file.0, format!("bob:{}\n", bcrypt::hash("other", 4).unwrap())).unwrap();
    login.read_again();
    assert_eq!(ask(&login, RIGHT).await, Err(401));
}

#[tokio::test]
async fn who_is_taken_off_the_file_is_let_in_no_more() {
    for (name, after) in [("emptied", Some("")), ("commented", Some("# nobody\n")), ("removed", None)] {
        let file = Place::new(name, &ada());
        let login = Arc::new(Login::new(&file.0, "staff").unwrap());
        assert!(ask(&login, RIGHT).await.is_ok());
        match after {
            Some(text) => fs::write(&file.0, text).unwrap(),
            None => fs::remove_file(&file.0).unwrap(),
        }
        login.read_again();
        assert_eq!(ask(&login, RIGHT).await, Err(401), "{name}");
        assert!(Login::new(&file.0, "staff").is_ok(), "{name}");
    }
}

#[tokio::test]
async fn what_was_compared_with_accounts_of_before_is_not_known() {
    let file = Place::new("meanwhile", &ada());
    let login = Arc::new(Login::new(&file.0, "staff").unwrap());
    let before = Arc::clone(&login.state().accounts);
    fs::write(&file.0, "# nobody\n").unwrap();
    login.read_again();
    login.keep([0; 32], &before);
    assert!(!login.is_known(&[0; 32]));
}

#[test]
fn what_is_known_is_bounded() {
    let file = Place::new("bounds", &ada());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let login = Login::new(&file.0, "staff").unwrap();
    let accounts = Arc::clone(&login.state().accounts);
    for number in 0..=KNOWN_MOST as u64 {
        let mut token = [0; 32];
        token[..8].copy_from_slice(&number.to_be_bytes());
        login.keep(token, &accounts);
    }
    assert_eq!(login.state().known.len(), KNOWN_MOST);
}

#[tokio::test]
async fn without_a_file_nobody_logs_in() {
    let file = Place::new("missing", "");
    fs::remove_file(&file.0).unwrap();
    let login = Arc::new(Login::new(&file.0, "staff").unwrap());
    assert_eq!(ask(&login, RIGHT).await, Err(401));
    fs::write(&file.0, ada()).unwrap();
    login.read_again();
    assert!(ask(&login, RIGHT).await.is_ok());
}
