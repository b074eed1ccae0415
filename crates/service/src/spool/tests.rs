use std::fs;
use std::os::unix::fs::MetadataExt;

use super::*;
use crate::web::{Pieces, Ready};

const AMPLE: Bounds = Bounds { bytes: 1 << 30, files: 100, keep_free: 0 };

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("sportello-spool-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn spool(&self, bounds: Bounds) -> Arc<Spool> {
        Arc::new(Spool::new(&self.0, bounds))
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(&self.0).unwrap().next().is_none()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn source(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn bytes(length: usize) -> Bytes {
    (0..length).map(|at| (at % 251) as u8).collect::<Vec<_>>().into()
}

fn body(length: usize, each: usize) -> Incoming {
    let pieces: Vec<_> = bytes(length).chunks(each).map(Bytes::copy_from_slice).collect();
    Incoming::Pieces(Box::new(Ready::new(pieces)))
}

async fn freed(spool: &Spool) {
    while spool.taken() != (0, 0) {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn what_is_put_aside_is_read_as_it_came_and_has_no_name() {
    let folder = Folder::new();
    let spool = folder.spool(AMPLE);
    for (begun, length, each) in [
        (0, 0, 1),
        (0, 1, 1),
        (3, 100_000, 7),
        (1, GATHERED, GATHERED - 1),
        (0, PIECE, PIECE),
        (70_000, PIECE + 1, GATHERED),
    ] {
        let aside = spool.begin(source(1), None).unwrap().fill(&bytes(begun), body(length, each)).await.unwrap();
        assert_eq!((aside.length(), spool.taken()), ((begun + length) as u64, ((begun + length) as u64, 1)));
        assert!(folder.is_empty(), "no name");
        let mut read = aside.into_body();
        assert_eq!(read.left(), Some((begun + length) as u64));
        let mut all = Vec::new();
        while let Some(piece) = read.piece().await.unwrap() {
            assert!(!piece.is_empty() && piece.len() <= PIECE);
            all.extend_from_slice(&piece);
        }
        assert_eq!(all, [bytes(begun), bytes(length)].concat());
        drop(read);
        freed(&spool).await;
    }
}

#[test]
fn a_file_that_had_a_name_for_a_moment_is_as_well_nobodys() {
    let folder = Folder::new();
    let spool = folder.spool(AMPLE);
    let (flags, mode) = (OFlags::RDWR | OFlags::CLOEXEC, Mode::from_raw_mode(0o600));
    for file in [spool.file().unwrap(), spool.unnamed(flags, mode).unwrap()] {
        let found = file.metadata().unwrap();
        assert_eq!((found.nlink(), found.mode() & 0o7777, found.is_file()), (0, 0o600, true));
        file.write_all_at(b"abc", 0).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 3);
    }
    assert!(folder.is_empty());
    // What a server left that died between the two calls is in nobody's way.
    for number in 0..1_000 {
        fs::write(folder.0.join(format!("body-{number}")), "old").unwrap();
    }
    assert_eq!(spool.unnamed(flags, mode).unwrap().metadata().unwrap().len(), 0);
}

#[tokio::test]
async fn a_source_has_half_of_the_bytes_and_all_together_have_all() {
    let folder = Folder::new();
    let spool = folder.spool(Bounds { bytes: 100_000, ..AMPLE });
    let put = async |who, told, length| {
        let begun = spool.begin(source(who), told)?;
        begun.fill(&[], body(length, 1_000)).await
    };
    assert!(matches!(put(1, Some(50_001), 0).await, Err(Fault::TooLarge)));
    assert!(matches!(put(1, None, 50_001).await, Err(Fault::TooLarge)));
    freed(&spool).await;
    let one = put(1, Some(50_000), 50_000).await.unwrap();
    assert!(matches!(put(1, None, 1).await, Err(Fault::Full)), "its half is taken");
    let two = put(2, None, 50_000).await.unwrap();
    assert!(matches!(put(3, None, 1).await, Err(Fault::Full)), "all is taken");
    assert!(matches!(put(3, Some(1), 0).await, Err(Fault::Full)), "and who tells it is told so at once");
    drop(two);
    while spool.taken() != (50_000, 1) {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    put(3, None, 50_000).await.unwrap();
    drop(one);
    freed(&spool).await;
}

#[test]
fn a_source_has_a_quarter_of_the_files_and_all_together_have_all() {
    let folder = Folder::new();
    let spool = folder.spool(Bounds { files: 8, ..AMPLE });
    let begin = |who| spool.begin(source(who), None);
    let mut held = vec![begin(1).unwrap(), begin(1).unwrap()];
    assert!(matches!(begin(1), Err(Fault::Full)));
    for who in [2, 3, 4] {
        held.extend([begin(who).unwrap(), begin(who).unwrap()]);
    }
    assert!(matches!(begin(5), Err(Fault::Full)));
    drop(held.pop());
    held.push(begin(5).unwrap());
    drop(held);
    assert_eq!(spool.taken(), (0, 0));
}

#[tokio::test]
async fn a_disk_without_room_refuses_and_what_was_taken_comes_back() {
    let folder = Folder::new();
    let put = async |spool: &Arc<Spool>| spool.begin(source(1), None)?.fill(&[], body(10, 10)).await;
    let spool = folder.spool(Bounds { keep_free: u64::MAX, ..AMPLE });
    assert!(matches!(put(&spool).await, Err(Fault::Disk)));
    freed(&spool).await;
    // A folder that is gone is a fault of the machine.
    let spool = Arc::new(Spool::new(&folder.0.join("gone"), AMPLE));
    assert!(matches!(put(&spool).await, Err(Fault::Io(_))));
    freed(&spool).await;
    // The write itself says so.
    let spool = folder.spool(AMPLE);
    let mut aside = spool.begin(source(1), None).unwrap();
    aside.taken.as_mut().unwrap().file = Some(File::options().write(true).open("/dev/full").unwrap());
    assert!(matches!(aside.fill(&[], body(10, 10)).await, Err(Fault::Disk)));
    freed(&spool).await;
    for (kind, is_full) in [
        (io::ErrorKind::StorageFull, true),
        (io::ErrorKind::QuotaExceeded, true),
        (io::ErrorKind::FileTooLarge, true),
        (io::ErrorKind::PermissionDenied, false),
    ] {
        assert_eq!(matches!(unwritten(kind.into()), Fault::Disk), is_full, "{kind}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_dropped_gives_its_room_back() {
    struct Breaks(usize);
    impl Pieces for Breaks {
        fn poll_piece(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<Result<Bytes, Broken>>> {
            self.0 = self.0.saturating_sub(1);
            std::task::Poll::Ready(Some(if self.0 == 0 { Err(Broken::Left) } else { Ok(bytes(PIECE)) }))
        }

        fn left(&self) -> Option<u64> {
            None
        }
    }
    let folder = Folder::new();
    let spool = folder.spool(AMPLE);
    let broken = spool.begin(source(1), None).unwrap().fill(&[], Incoming::Pieces(Box::new(Breaks(5)))).await;
    assert!(matches!(broken, Err(Fault::Broken(Broken::Left))));
    freed(&spool).await;
    let mut read =
        spool.begin(source(1), None).unwrap().fill(&bytes(3 * PIECE), Incoming::Empty).await.unwrap().into_body();
    read.piece().await.unwrap();
    assert_eq!(spool.taken(), (3 * PIECE as u64, 1), "there until all of it was read");
    drop(read);
    freed(&spool).await;
}
