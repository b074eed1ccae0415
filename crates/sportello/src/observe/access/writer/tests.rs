use std::fs;

use super::*;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("sportello-sinks-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Opens a log and puts it in force.
fn opened(logs: &AccessLogs, target: &Target, rotation: Rotation) -> Arc<Sink> {
    let renewed = logs.open(target, rotation).unwrap();
    let sink = Arc::clone(renewed.sink());
    renewed.put_in_force();
    sink
}

fn settled(sink: &Sink) {
    while sink.waiting.load(Ordering::Acquire) > 0 {
        thread::yield_now();
    }
}

#[test]
fn one_file_is_one_sink_and_opening_it_again_finds_it_by_its_name() {
    let folder = folder("again");
    let target = Target::File(folder.join("a.log"));
    let logs = AccessLogs::default();
    let one = opened(&logs, &target, Rotation::default());
    one.hand_over(b"1\n".to_vec());
    settled(&one);
    fs::rename(folder.join("a.log"), folder.join("old.log")).unwrap();
    one.hand_over(b"2\n".to_vec());
    settled(&one);
    let two = opened(&logs, &target, Rotation::default());
    assert!(Arc::ptr_eq(&one, &two));
    one.hand_over(b"3\n".to_vec());
    settled(&one);
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!((read("old.log"), read("a.log")), ("1\n2\n".into(), "3\n".into()));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn so_many_blocks_wait_and_what_is_beyond_is_counted() {
    let folder = folder("behind");
    let logs = AccessLogs::default();
    let sink = opened(&logs, &Target::File(folder.join("a.log")), Rotation::default());
    // The thread waits for this as it would for a disk.
    let held = sink.state();
    for _ in 0..WAITING {
        sink.hand_over(b"a\nb\n".to_vec());
    }
    assert_eq!(sink.lost(), 0);
    sink.hand_over(b"c\nd\n".to_vec());
    assert_eq!(sink.lost(), 2);
    assert_eq!(sink.told.lock().unwrap().1, 2, "it was told at once");
    drop(held);
    settled(&sink);
    let text = fs::read_to_string(folder.join("a.log")).unwrap();
    assert_eq!(text.lines().count(), 2 * WAITING);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_log_that_is_stuck_keeps_no_other_waiting_however_many_are() {
    let folder = folder("others");
    let logs = AccessLogs::default();
    let open = |name: &str| opened(&logs, &Target::File(folder.join(name)), Rotation::default());
    let stuck: Vec<_> = (0..=WAITING_IN_ALL / WAITING).map(|number| open(&format!("stuck{number}.log"))).collect();
    let held: Vec<_> = stuck.iter().map(|sink| sink.state()).collect();
    // At n all have room; at n + 1 only who has nothing waiting.
    for sink in &stuck[1..] {
        (0..WAITING).for_each(|_| sink.hand_over(b"a\n".to_vec()));
        assert_eq!(sink.lost(), 0);
    }
    for (lost, sink) in [(0, &stuck[0]), (1, &stuck[0]), (1, &stuck[1])] {
        sink.hand_over(b"a\n".to_vec());
        assert_eq!(sink.lost(), lost);
    }
    let well = open("well.log");
    for _ in 0..3 {
        well.hand_over(b"b\n".to_vec());
        settled(&well);
    }
    assert_eq!((well.lost(), fs::read_to_string(folder.join("well.log")).unwrap()), (0, "b\nb\nb\n".into()));
    // Nor does whoever ends wait for it longer than it will.
    logs.flush(Duration::from_millis(1));
    drop(held);
    logs.flush(Duration::from_secs(60));
    assert_eq!(logs.waiting.load(Ordering::Acquire), 0);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_log_that_nobody_writes_to_ends_with_its_last_lines() {
    let folder = folder("ends");
    let logs = AccessLogs::default();
    let target = Target::File(folder.join("a.log"));
    let sink = opened(&logs, &target, Rotation::default());
    let held = sink.state();
    sink.hand_over(b"1\n".to_vec());
    drop(held);
    let gone = Arc::downgrade(&sink);
    drop(sink);
    while gone.strong_count() > 0 {
        thread::yield_now();
    }
    assert_eq!(fs::read_to_string(folder.join("a.log")).unwrap(), "1\n");
    let again = opened(&logs, &target, Rotation::default());
    again.hand_over(b"2\n".to_vec());
    settled(&again);
    assert_eq!(fs::read_to_string(folder.join("a.log")).unwrap(), "1\n2\n");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_log_that_cannot_be_opened_leaves_what_is_open() {
    let folder = folder("refused");
    let path = folder.join("deep/a.log");
    fs::create_dir(folder.join("deep")).unwrap();
    let target = Target::File(path.clone());
    let logs = AccessLogs::default();
    let sink = opened(&logs, &target, Rotation::default());
    fs::rename(folder.join("deep"), folder.join("moved")).unwrap();
    assert!(logs.open(&target, Rotation::default()).is_err());
    sink.hand_over(b"1\n".to_vec());
    settled(&sink);
    assert_eq!(fs::read_to_string(folder.join("moved/a.log")).unwrap(), "1\n");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn whoever_opens_a_log_does_not_wait_for_the_thread() {
    let folder = folder("stuck");
    let target = Target::File(folder.join("a.log"));
    let logs = AccessLogs::default();
    let sink = opened(&logs, &target, Rotation::default());
    // As while the thread waits for a disk that does not answer.
    let held = sink.state();
    sink.hand_over(b"1\n".to_vec());
    fs::rename(folder.join("a.log"), folder.join("old.log")).unwrap();
    for _ in 0..3 {
        assert!(Arc::ptr_eq(&sink, &opened(&logs, &target, Rotation::default())));
    }
    drop(held);
    settled(&sink);
    assert_eq!(fs::read_to_string(folder.join("a.log")).unwrap(), "1\n", "what was opened last");
    assert_eq!(fs::read_to_string(folder.join("old.log")).unwrap(), "");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_was_opened_and_not_put_in_force_leaves_no_trace() {
    let folder = folder("refusing");
    let target = Target::File(folder.join("a.log"));
    let logs = AccessLogs::default();
    let sink = opened(&logs, &target, Rotation { size: 4, ..Rotation::default() });
    let refused = logs.open(&target, Rotation { size: 1_000, ..Rotation::default() }).unwrap();
    assert!(Arc::ptr_eq(refused.sink(), &sink));
    drop(refused);
    for line in ["1\n", "2\n", "3\n"] {
        sink.hand_over(line.into());
    }
    settled(&sink);
    assert_eq!(fs::read_to_string(folder.join("a.log.1")).unwrap(), "1\n2\n", "the rotation of before");
    fs::remove_dir_all(&folder).unwrap();
}
