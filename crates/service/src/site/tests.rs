use std::net::SocketAddr;

use bytes::Bytes;
use sportello_wire::http1::Method;

use super::*;
use crate::web::{Client, Fields, Incoming, Path, Scheme};

/// A request as a protocol would make it.
pub(crate) fn request(target: &str) -> Request {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    Request {
        method: Method::Get,
        verb: Bytes::from_static(b"GET"),
        scheme: Scheme::Http,
        authority: Bytes::from_static(b"www.example.org:8080"),
        path: Path::parse(path.as_bytes()).unwrap(),
        query: query.map(|query| Bytes::copy_from_slice(query.as_bytes())),
        fields: Fields::new(),
        client: Client {
            peer: SocketAddr::from(([192, 0, 2, 7], 50_000)),
            local: SocketAddr::from(([192, 0, 2, 1], 8_080)),
            secured: None,
        },
        body: Incoming::Empty,
        upgrade: None,
        notes: Rc::default(),
    }
}

pub(super) fn route(path: &str, items: Vec<Item>, action: Option<Action>) -> Item {
    let matcher = Matcher { paths: vec![PathPattern::parse(path).unwrap()], ..Matcher::default() };
    Item::Route(Route { matcher, block: block(items, action) })
}

pub(super) fn block(items: Vec<Item>, action: Option<Action>) -> Block {
    let items = items.into_iter().map(|what| Written { line: 0, what }).collect();
    Block { items, action: action.map(|what| Written { line: 0, what }), ..Block::default() }
}

pub(super) fn respond(status: u16) -> Option<Action> {
    Some(Action::Respond(Respond::new(status, "", None).unwrap()))
}

pub(super) fn redirect(to: &str) -> Option<Action> {
    Some(Action::Redirect(Redirect::parse(to, None).unwrap()))
}

pub(super) fn site(block: Block) -> Rc<Site> {
    Rc::new(Site::new(Arc::new(Description { block, ..Description::default() }), Vec::new()))
}

#[tokio::test]
async fn the_first_route_that_fits_decides() {
    let site = site(block(
        vec![
            route("/a/*", vec![route("/a/b", vec![], respond(201))], None),
            route("/a/c", vec![], respond(500)),
            route("/b/*", vec![route("/b/x", vec![], respond(202))], respond(203)),
            route("*", vec![Item::Step(Step::Https(HTTPS))], None),
        ],
        respond(299),
    ));
    for (target, scheme, expect) in [
        ("/a/b", Scheme::Http, 201),
        // The route /a/* has it, and nothing in there answers.
        ("/a/c", Scheme::Http, 404),
        ("/b/x", Scheme::Http, 202),
        ("/b/y", Scheme::Http, 203),
        ("/c", Scheme::Http, 308),
        ("/c", Scheme::Https, 299),
    ] {
        let answer = Rc::clone(&site).answer(Request { scheme, ..request(target) }).await;
        assert_eq!(answer.status, expect, "{target}");
    }
}

#[tokio::test]
async fn no_encoding_slips_by_a_route() {
    let site = site(block(vec![route("/admin/*", vec![], respond(403))], respond(200)));
    for (target, expect) in [
        ("/admin", 403),
        ("/admin/", 403),
        ("/admin/x", 403),
        ("//admin", 403),
        ("/%61dmin", 403),
        ("/%61%64%6d%69%6e/x", 403),
        ("/./admin/x", 403),
        ("/x/../admin", 403),
        ("/x/%2e%2e/admin", 403),
        ("/x/.%2E//admin//y", 403),
        ("/administrator", 200),
        ("/ADMIN", 200),
        ("/admin/..", 200),
        ("/%2561dmin", 200),
    ] {
        assert_eq!(Rc::clone(&site).answer(request(target)).await.status, expect, "{target}");
    }
    for refused in ["/admin%2f..", "/admin%5cx", "/x/..;/admin", "/%2e%2e%3b/admin", "/admin%00", "/../admin"] {
        assert!(Path::parse(refused.as_bytes()).is_err(), "{refused}");
    }
}

#[tokio::test]
async fn no_parameter_slips_by_a_route_to_servers_that_take_it_off() {
    let upstreams = || vec![crate::proxy::Upstreams::new(crate::proxy::Settings::of([]))];
    for (proxies, expect) in [(vec![], 200), (upstreams(), 400)] {
        let block = block(vec![route("/admin/*", vec![], respond(403))], respond(200));
        let site = Rc::new(Site::new(Arc::new(Description { block, proxies, ..Description::default() }), Vec::new()));
        for (target, expect) in [
            ("/admin", 403),
            ("/admin/;x", 403),
            ("/admin;x", expect),
            ("/admin;x/y", expect),
            ("/;x/admin/y", expect),
            ("/%3bx/%61dmin", expect),
            ("/other;x", 200),
            ("/admin;x/../y", 200),
        ] {
            assert_eq!(Rc::clone(&site).answer(request(target)).await.status, expect, "{target}");
        }
    }
    // These are refused wherever they come.
    for refused in ["/x/..;/admin", "/x/..;a=b/admin", "/.;/admin", "/x/%2e.;/admin"] {
        assert!(Path::parse(refused.as_bytes()).is_err(), "{refused}");
    }
}

#[tokio::test]
async fn a_redirection_is_filled_and_stays_on_its_host() {
    for (to, target, expect) in [
        ("/new{path}{query}", "/a%20b?x=1", "/new/a%20b?x=1"),
        ("https://{host}{path}", "//evil.example/", "https://www.example.org/evil.example/"),
        ("{path}", "/%2e/evil.example", "/evil.example"),
        ("https://example.net/{method}/{address}", "/", "https://example.net/GET/192.0.2.7"),
    ] {
        let answer = site(block(vec![], redirect(to))).answer(request(target)).await;
        assert_eq!((answer.status, answer.fields.text("location")), (302, Some(expect)), "{to} {target}");
    }
}

mod encoded {
    use sportello_wire::http1::coding::Coding;

    use super::*;
    use crate::compress::{Compression, Level};
    use crate::files::settings::ErrorPages;
    use crate::web::Body;

    fn compress() -> Item {
        let levels = vec![Level::usual(Coding::Gzip)];
        Item::Step(Step::Compress(Arc::new(Compression { levels, ..Compression::default() })))
    }

    fn page(length: usize) -> Option<Action> {
        Some(Action::Respond(Respond::new(200, &"a word ".repeat(length / 7), Some("text/plain")).unwrap()))
    }

    fn change(how: How, name: &str) -> Item {
        Item::Step(Step::Field(FieldChange::new(Of::Answer, name, how).unwrap()))
    }

    async fn coding(site: &Rc<Site>, target: &str, accept: &'static str) -> (Option<String>, Option<String>) {
        let mut asked = request(target);
        asked.fields.add("accept-encoding", accept).unwrap();
        let answer = Rc::clone(site).answer(asked).await;
        let text = |name| answer.fields.text(name).map(str::to_owned);
        (text("content-encoding"), text("vary"))
    }

    #[tokio::test]
    async fn what_is_written_behind_it_is_encoded() {
        let no_transform = How::Set(Template::parse("no-transform").unwrap());
        let site = site(block(
            vec![
                route("/before", vec![], page(7_000)),
                compress(),
                route("/tiny", vec![], page(700)),
                route("/as-it-is", vec![change(no_transform, "cache-control")], page(7_000)),
                route("/nobody", vec![Item::Step(Step::Access(Access::Deny(vec![])))], None),
            ],
            page(7_000),
        ));
        let varies = || Some("accept-encoding".to_owned());
        for (target, accept, expect) in [
            ("/", "gzip", (Some("gzip".to_owned()), varies())),
            ("/", "br", (None, varies())),
            ("/", "gzip;q=0", (None, varies())),
            ("/before", "gzip", (None, None)),
            ("/tiny", "gzip", (None, None)),
            ("/as-it-is", "gzip", (None, None)),
        ] {
            assert_eq!(coding(&site, target, accept).await, expect, "{target} {accept}");
        }
    }

    fn compress_off() -> Item {
        Item::Step(Step::Compress(Arc::new(Compression::default())))
    }

    #[tokio::test]
    async fn the_nearest_compress_holds() {
        let brotli = Compression { levels: vec![Level::usual(Coding::Brotli)], ..Compression::default() };
        let brotli = || Item::Step(Step::Compress(Arc::new(brotli.clone())));
        let site = site(block(
            vec![
                compress(),
                route("/off", vec![compress_off()], page(7_000)),
                route("/other", vec![brotli()], page(7_000)),
                route("/on-again", vec![compress_off(), compress()], page(7_000)),
                // It only prepares.
                route("/secret/*", vec![compress_off()], None),
            ],
            page(7_000),
        ));
        let varies = || Some("accept-encoding".to_owned());
        for (target, accept, expect) in [
            ("/", "gzip", (Some("gzip".to_owned()), varies())),
            ("/off", "gzip", (None, None)),
            ("/secret/x", "gzip", (None, None)),
            ("/other", "br, gzip", (Some("br".to_owned()), varies())),
            ("/other", "gzip", (None, varies())),
            ("/on-again", "gzip", (Some("gzip".to_owned()), varies())),
        ] {
            assert_eq!(coding(&site, target, accept).await, expect, "{target} {accept}");
        }
    }

    #[tokio::test]
    async fn a_folder_is_told_by_a_route_that_only_prepares() {
        let folder = std::env::temp_dir().join(format!("sportello-encoded-off-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a.txt"), "a word ".repeat(1_000)).unwrap();
        std::fs::write(folder.join("b.txt"), "a word ".repeat(1_000)).unwrap();
        let compression = Compression { levels: vec![Level::usual(Coding::Gzip)], ..Compression::default() };
        let settings = crate::files::Settings { compression, ..crate::files::Settings::default() };
        let root = Arc::new(crate::files::Root::open(&folder).unwrap());
        let files = Rc::new(Files::new(root, settings.clone()));
        let folders = vec![Folder { path: folder.clone(), settings: Arc::new(settings) }];
        let items = vec![compress(), route("/b.txt", vec![compress_off()], None)];
        let action = Some(Action::Root(Root::default()));
        let description = Description { block: block(items, action), folders, ..Description::default() };
        let site = Rc::new(Site::new(Arc::new(description), vec![files]));
        for (target, expect) in [("/a.txt", Some("gzip")), ("/b.txt", None)] {
            // Once from the disk, once from memory.
            for _ in 0..2 {
                assert_eq!(coding(&site, target, "gzip").await.0.as_deref(), expect, "{target}");
            }
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn a_page_of_the_sites_own_in_place_of_an_encoded_one_is_whole() {
        let folder = std::env::temp_dir().join(format!("sportello-encoded-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("403.html"), "<p>our own ".repeat(500)).unwrap();
        let mut settings = crate::files::Settings::default();
        let mut pages = ErrorPages::default();
        pages.set(403, "/403.html").unwrap();
        settings.error_pages = pages;
        let root = Arc::new(crate::files::Root::open(&folder).unwrap());
        let files = Rc::new(Files::new(root, settings));
        let nobody = || Item::Step(Step::Access(Access::Deny(vec![])));
        for (items, expect) in [
            (vec![Item::Step(Step::ErrorPages(0)), compress(), nobody()], None),
            (vec![compress(), Item::Step(Step::ErrorPages(0)), nobody()], Some("gzip")),
        ] {
            let description = Description { block: block(items, respond(200)), ..Description::default() };
            let site = Rc::new(Site::new(Arc::new(description), vec![Rc::clone(&files)]));
            let mut asked = request("/");
            asked.fields.add("accept-encoding", "gzip").unwrap();
            asked.fields.add("accept", "text/html").unwrap();
            let answer = site.answer(asked).await;
            assert_eq!((answer.status, answer.fields.text("content-encoding")), (403, expect));
            let Body::Bytes(bytes) = answer.body else { panic!("no bytes") };
            assert_eq!(bytes.starts_with(b"<p>our own"), expect.is_none());
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
