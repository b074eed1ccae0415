//! The search for new inputs: libFuzzer drives the one target that `SPORTELLO_FUZZ` names; without it all are listed. Started by `cargo xtask fuzz`.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use sportello_fuzz::Target;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fuzz_target!(
    init: {
        if sportello_fuzz::is_spawner() {
            sportello_fuzz::spawner();
            std::process::exit(0);
        }
        let Ok(name) = std::env::var("SPORTELLO_FUZZ") else {
            sportello_fuzz::list();
            std::process::exit(0);
        };
        let Some(target) = sportello_fuzz::find(&name) else { panic!("SPORTELLO_FUZZ names no target: `{name}`") };
        TARGET.get_or_init(|| target);
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(data);
        }
    }
);
