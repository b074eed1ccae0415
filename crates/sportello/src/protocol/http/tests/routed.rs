//! A folder behind routes answers as a folder alone does.

use std::sync::Arc;

use sportello_service::site::{self, Action, Block, Description, Item, Matcher, PathPattern, Respond, Route, Written};

use super::*;

/// The folder, behind a route that takes one path.
fn routed(folder: &Path) -> Served {
    let written = |what| Written { line: 0, what };
    let action = Action::Respond(Respond::new(202, "routed", None).unwrap());
    let block = Block { action: Some(Written { line: 0, what: action }), ..Block::default() };
    let matcher = Matcher { paths: vec![PathPattern::parse("/routed").unwrap()], ..Matcher::default() };
    let block = Block {
        items: vec![written(Item::Route(Route { matcher, block }))],
        action: Some(Written { line: 0, what: Action::Root(site::Root::default()) }),
        ..Block::default()
    };
    let description = Description { block, ..Description::default() };
    let site = Site::new(Arc::new(description), vec![Rc::new(files(folder, Settings::default()))]);
    let mut sites = Sites::default();
    sites.set_default(Rc::new(site));
    Served::Sites(sites)
}

#[test]
fn a_folder_behind_routes_answers_as_alone() {
    let (alone, behind) = (House::open(), House::serving(Deadlines::default(), routed));
    let without = |text: String| {
        // What differs from folder to folder and from request to request.
        let varies = |line: &&str| {
            ["date: ", "etag: ", "last-modified: ", "--", "content-type: multipart"]
                .iter()
                .any(|begin| line.starts_with(begin))
        };
        text.lines().filter(|line| !varies(line)).collect::<Vec<_>>().join("\n")
    };
    let ask = |house: &House, request: &str| {
        let mut stream = house.client();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        without(text)
    };
    for (method, path) in
        [("GET", "/a"), ("HEAD", "/a"), ("GET", "/large"), ("HEAD", "/large"), ("GET", "/medium"), ("GET", "/sub")]
    {
        for fields in [
            "",
            "Range: bytes=1-3\r\n",
            "Range: bytes=0-1,3-4,-1\r\n",
            "Range: bytes=2000000-\r\n",
            "If-None-Match: *\r\n",
            "If-Match: \"x\"\r\n",
            "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        ] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n");
            assert_eq!(ask(&behind, &request), ask(&alone, &request), "{request}");
        }
    }
    let routed = format!("{}{LAST}", get("/routed"));
    assert_eq!(behind.dialogue(&routed), [(202, "routed".to_owned()), ok("first")]);
    assert_eq!(behind.dialogue(&format!("{}{LAST}", get("/a%2fb")))[0].0, 400);
    alone.close();
    behind.close();
}
