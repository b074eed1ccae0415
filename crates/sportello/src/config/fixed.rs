//! What of a configuration holds until the server is started again. A reload that would change it is refused whole.

use super::settings::Settings;

/// What of this kind differs between the configuration in force and another: one sentence each.
pub fn changed(now: &Settings, then: &Settings) -> Vec<String> {
    let mut changed = Vec::new();
    let mut compare = |name: &str, now: String, then: String| {
        if now != then {
            changed.push(format!("{name} cannot change without a restart: it is {now}, the file says {then}"));
        }
    };
    compare("state", now.store.folder.display().to_string(), then.store.folder.display().to_string());
    compare("state memory", now.store.memory_budget.to_string(), then.store.memory_budget.to_string());
    compare("state memory body", now.store.memory_body.to_string(), then.store.memory_body.to_string());
    compare("state keep-free", now.store.disk_reserve.to_string(), then.store.disk_reserve.to_string());
    compare("state uploads", now.uploads.bytes.to_string(), then.uploads.bytes.to_string());
    compare("inbox keep", format!("{:?}", now.store.retention), format!("{:?}", then.store.retention));
    compare("workers", now.workers.to_string(), then.workers.to_string());
    compare(
        "log",
        format!("{} as {:?}", now.log.level, now.log.form),
        format!("{} as {:?}", then.log.level, then.log.form),
    );
    changed
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Checked;
    use crate::config::source::Source;

    fn settings(state: &Path, more: &str) -> Settings {
        let text = format!("state {state:?}\nworkers 2\nchannel commands port=0 protocol=command\n{more}");
        let mut faults = Vec::new();
        let source = Source::new(&state.join("a.kdl"), text.as_bytes(), &mut faults);
        let checked = Checked::new(source, faults);
        checked.settings.unwrap_or_else(|| panic!("{:?}", checked.faults))
    }

    #[test]
    fn each_is_named() {
        let state = std::env::temp_dir();
        let now = settings(&state, "");
        assert_eq!(changed(&now, &settings(&state, "hostname a.example\ngrace \"7s\"")), [""; 0]);
        let mut then = now.clone();
        then.workers = 3;
        then.store.folder = "/elsewhere".into();
        then.store.memory_budget += 1;
        then.store.memory_body += 1;
        then.store.disk_reserve += 1;
        then.uploads.bytes += 1;
        then.store.retention.most_messages = Some(7);
        then.log.level = tracing::metadata::LevelFilter::TRACE;
        let told = changed(&now, &then);
        let names: Vec<_> = told.iter().filter_map(|line| line.split(" cannot change").next()).collect();
        let expect = [
            "state",
            "state memory",
            "state memory body",
            "state keep-free",
            "state uploads",
            "inbox keep",
            "workers",
            "log",
        ];
        assert_eq!(names, expect);
        assert!(told[6].ends_with("it is 2, the file says 3"), "{told:?}");
    }
}
